"""A clinic's own texts of messages: active ActivityDefinitions, one for each kind, with a text for each language and
channel."""

from typing import Any

from ui import fhir
from ui.manage import parts

Resource = dict[str, Any]
KIND = "urn:salam:CodeSystem:message-kind"
TEXT = "urn:salam:StructureDefinition:message-text"
BEFORE = "urn:salam:StructureDefinition:send-before"
KINDS = (
    ("confirmation", "Appointment confirmation"), ("reminder", "Appointment reminder"),
    ("cancellation", "Cancellation"), ("rescheduled", "Change of date"), ("waitlist-offer", "Place on offer"),
    ("ticket-taken", "Number taken"),
    ("ticket-soon", "Turn is near"), ("ticket-called", "Call"), ("ticket-delayed", "Delay"),
    ("ticket-no-show", "Absent when called"), ("staff-change", "Change in the diary"),
)  # fmt: skip
CHANNELS = (("sms", "SMS"), ("whatsapp", "WhatsApp"), ("email", "E-mail"), ("push", "Push message"),
            ("in-app", "In the application"))  # fmt: skip
WITH_SUBJECT = ("email", "push", "in-app")
LANGUAGES = (("fr", "Français"), ("en", "English"), ("es", "Español"), ("ar", "العربية"))


def own() -> dict[str, list[tuple[str, str]]]:
    """(language, channel) of the clinic's own texts by kind."""
    found: dict[str, list[tuple[str, str]]] = {}
    for definition in _active():
        for extension in _texts(definition):
            said = _said(extension)
            found.setdefault(_kind(definition), []).append((said["language"], said["channel"]))
    return {kind: sorted(pairs) for kind, pairs in found.items()}


def own_text(kind: str, language: str, channel: str) -> dict[str, str] | None:
    """Subject, body and the version of the template that holds them; None when the default is used."""
    for definition in _active(kind):
        for extension in _texts(definition):
            said = _said(extension)
            if (said["language"], said["channel"]) == (language, channel):
                version = f"{definition['id']}/{definition['meta']['versionId']}"
                return {"subject": said.get("subject", ""), "body": said.get("body", ""), "version": version}
    return None


def default(kind: str, language: str, channel: str) -> Resource:
    """The text that the server brings along (`subject`, `body`), `names` that may be used, and how long it may be."""
    asked = {"kind": kind, "channel": channel, "language": language}
    answer = fhir.call("ActivityDefinition/$message-template", asked, method="GET")
    found: Resource = {"subject": "", "body": "", "names": []}
    for each in answer.get("parameter", ()):
        if each["name"] == "name":
            found["names"].append({p["name"]: p["valueCode"] for p in each["part"]})
        else:
            found[each["name"]] = next(v for k, v in each.items() if k.startswith("value"))
    return found


def keep(kind: str, language: str, channel: str, subject: str, body: str, version: str) -> None:
    """Store a text. `version`: of the template when it was shown (`id/version`), "" for a new text. Raises
    `Refused`."""
    parts_: list[Resource] = [{"url": "language", "valueCode": language}, {"url": "channel", "valueCode": channel}]
    if subject and channel in WITH_SUBJECT:
        parts_.append({"url": "subject", "valueString": subject})
    if body:
        parts_.append({"url": "body", "valueString": body})
    made = {"url": TEXT, "extension": parts_}
    definition = _holding(kind, language, channel) or next(iter(_active(kind)), None)
    if definition is None:
        fhir.create({
            "resourceType": "ActivityDefinition", "status": "active", "kind": "CommunicationRequest",
            "code": {"coding": [{"system": KIND, "code": kind}]}, "extension": [made],
        })  # fmt: skip
        return
    definition["extension"] = _replaced(definition, language, channel, made)
    held, _, number = version.partition("/")
    fhir.update(definition, if_match=number if held == definition["id"] else definition["meta"]["versionId"])


def forget(kind: str, language: str, channel: str) -> None:
    """Go back to the default. A template without texts is retired: it stays readable."""
    definition = _holding(kind, language, channel)
    if definition is None:
        return
    left = _replaced(definition, language, channel, None)
    if any(each.get("url") == TEXT for each in left):
        definition["extension"] = left
    else:
        definition["status"] = "retired"
    fhir.update(definition, if_match=definition["meta"]["versionId"])


def _replaced(definition: Resource, language: str, channel: str, made: Resource | None) -> list[Resource]:
    listed: list[Resource] = []
    done = False
    for each in definition.get("extension", ()):
        said = _said(each) if each.get("url") == TEXT else {}
        if (said.get("language"), said.get("channel")) != (language, channel):
            listed.append(each)
        elif made is not None:
            listed.append(made)
            done = True
    return listed if done or made is None else [*listed, made]


def _holding(kind: str, language: str, channel: str) -> Resource | None:
    for definition in _active(kind):
        for each in _texts(definition):
            said = _said(each)
            if (said["language"], said["channel"]) == (language, channel):
                return definition
    return None


def _active(kind: str = "") -> list[Resource]:
    """The active templates that are not for one reminder only, the latest first."""
    asked = {"status": "active", "message-kind": f"{KIND}|{kind}", "_count": 200}
    found = fhir.search("ActivityDefinition", asked).resources
    return [each for each in found if parts.extension_of(each, BEFORE) is None and _kind(each)]


def _kind(definition: Resource) -> str:
    codings = definition.get("code", {}).get("coding", ())
    return next((str(each.get("code")) for each in codings if each.get("system") == KIND), "")


def _texts(definition: Resource) -> list[Resource]:
    return [each for each in definition.get("extension", ()) if each.get("url") == TEXT]


def _said(extension: Resource) -> dict[str, str]:
    said = {str(each.get("url")): str(parts.value_of(each) or "") for each in extension.get("extension", ())}
    return {"language": "", "channel": "", **said}
