"""A service as people fill it in: the HealthcareService with its scheduling parameters, there and back."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from werkzeug.datastructures import MultiDict

from ui.manage import parts
from ui.manage.parts import Part, Problems
from ui.texts import say

Resource = dict[str, Any]
PARAMETERS = "urn:salam:StructureDefinition:scheduling-parameters"
QUEUE = "urn:salam:StructureDefinition:queue-configuration"
TRANSLATION = "http://hl7.org/fhir/StructureDefinition/translation"
MODE = "urn:salam:CodeSystem:service-mode"
TYPE = "urn:salam:visit-type"
LANGUAGES = (("fr", "Français"), ("en", "English"), ("es", "Español"), ("ar", "العربية"))
MODES = (
    ("on-site", "At the clinic"), ("video", "By video"), ("phone", "By phone"), ("home", "At the patient's home"),
    ("hybrid", "At the clinic or by video"),
)  # fmt: skip
COUNTRIES = ("MA", "DZ", "TN", "SN", "CI", "ML", "CM", "MR", "EG", "SA", "AE", "FR", "ES", "BE", "CA")
_DAYS = 366 * 1440
TIMES = (
    Part("duration", "valuePositiveInt", "number", "Length of a visit", "30 when left empty.", 1, 1440, "min"),
    Part("bufferBefore", "valueUnsignedInt", "number", "Kept free before", "", 0, 600, "min"),
    Part("bufferAfter", "valueUnsignedInt", "number", "Kept free after", "To tidy up or write.", 0, 600, "min"),
    Part("alignmentInterval", "valuePositiveInt", "number", "Visits begin every", "By default as it fits the length.",
         1, 1440, "min"),
)  # fmt: skip
PRICE = (Part("price", "valueMoney", "money", "Price of a visit"),)
ONLINE = (
    Part("onlineBooking", "valueBoolean", "flag", "Patients can book it online"),
    Part("requiresConfirmation", "valueBoolean", "flag", "The clinic confirms each booking",
         "Until then the visit is pending."),
    Part("minNotice", "valueUnsignedInt", "span", "Bookable until this long before", "", 0, _DAYS),
    Part("maxAdvance", "valuePositiveInt", "number", "Bookable this far ahead", "", 1, 3650, "days"),
    Part("cancelCutoff", "valueUnsignedInt", "span", "Patients can cancel or move until this long before", "", 0,
         _DAYS),
    Part("holdMinutes", "valuePositiveInt", "number", "A chosen time is held for", "10 when left empty.", 1, 1440,
         "min"),
)  # fmt: skip
LIMITS = (
    Part("limitPerDay", "valuePositiveInt", "number", "At most per day and professional", "", 1, 1000),
    Part("limitPerWeek", "valuePositiveInt", "number", "At most per week and professional", "", 1, 7000),
    Part("holidays", "valueCode", "text", "Closed on the public holidays of",
         "Two letters of the country, such as MA; empty: holidays are not looked at.", 2, 2),
)  # fmt: skip
ADVANCED = (
    Part("questionnaire", "valueReference", "references", "Asked before the visit"),
    Part("eligibility", "valueString", "text", "Only for patients of whom this is true",
         "A FHIRPath expression, such as: birthDate <= today() - 18 years", 0, 2000),
)  # fmt: skip
PARTS = (*TIMES, *PRICE, *ONLINE, *LIMITS, *ADVANCED)
SECTIONS = (("Length and breaks", TIMES), ("Price", PRICE), ("Online booking", ONLINE),
            ("Limits and closing days", LIMITS), ("Before the visit", ADVANCED))  # fmt: skip


def shown(resource: Mapping[str, Any]) -> dict[str, Any]:
    """What the form says of a service."""
    found = parts.shown(parts.extension_of(resource, PARAMETERS), PARTS)
    codes = {
        str(coding.get("code"))
        for concept in resource.get("characteristic", ())
        for coding in concept.get("coding", ())
        if coding.get("system") == MODE
    }
    found |= {
        "name": str(resource.get("name", "")),
        "comment": str(resource.get("comment", "")),
        "modes": [code for code, _ in MODES if code in codes],
        "location": next((str(each.get("reference", "")) for each in resource.get("location", ())), ""),
    }
    return found | {f"name-{code}": translated(resource, code) for code, _ in LANGUAGES}


def typed(form: "MultiDict[str, str]") -> dict[str, Any]:
    """What was posted, in the form of `shown`."""
    found = parts.typed(form, PARTS)
    for name in ("name", "comment", "location", *(f"name-{code}" for code, _ in LANGUAGES)):
        found[name] = " ".join(form.get(name, "").split()) if name != "comment" else form.get(name, "").strip()
    found["modes"] = [each for each in form.getlist("modes") if each in dict(MODES)]
    return found


def translated(resource: Mapping[str, Any], code: str) -> str:
    """The service's name in a language, where it has one besides its name."""
    for extension in resource.get("_name", {}).get("extension", ()):
        if extension.get("url") == TRANSLATION:
            given = {str(each.get("url")): parts.value_of(each) for each in extension.get("extension", ())}
            if given.get("lang") == code:
                return str(given.get("content") or "")
    return ""


def apply(resource: Resource, said: Mapping[str, Any], problems: Problems) -> None:
    """Bring a HealthcareService to what the form says, and leave everything else of it as it is."""
    if not said["name"]:
        problems.add("name", say("Give the service a name."))
    for name in ("name", *(f"name-{code}" for code, _ in LANGUAGES)):
        if len(said[name]) > 200:
            problems.add(name, say("At most %(most)s characters.", most=200))
    if len(said["comment"]) > 5000:
        problems.add("comment", say("At most %(most)s characters.", most=5000))
    given = parts.values({**said, "holidays": said["holidays"].upper()}, PARTS, problems)
    if given["price"] and not problems and given["price"][0]["value"] == 0:
        given["price"] = []
    old = parts.extension_of(resource, PARAMETERS)
    parts.put(resource, parts.written(old, PARAMETERS, PARTS, given))
    resource["name"] = said["name"]
    set_text(resource, "comment", said["comment"])
    set_translations(resource, said)
    _modes(resource, said["modes"])
    if said["location"] and said["location"] != shown(resource)["location"]:
        resource["location"] = [{"reference": said["location"]}, *resource.get("location", [])[1:]]


def blank(organization: str) -> Resource:
    """A new service before anything is filled in."""
    made: Resource = {"resourceType": "HealthcareService", "active": True, "appointmentRequired": True}
    return {**made, "providedBy": {"reference": organization}} if organization else made


def code_of(name: str, taken: set[str]) -> str:
    """A code for the type of a new service, out of its name."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    base = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:40] or "service"
    number = 1
    while (code := base if number == 1 else f"{base}-{number}") in taken:
        number += 1
    return code


def set_text(resource: Resource, name: str, text: str) -> None:
    """Set an element that is text, or take it away."""
    if text:
        resource[name] = text
    else:
        resource.pop(name, None)


def set_translations(resource: Resource, said: Mapping[str, Any]) -> None:
    """Set the names in other languages (`name-fr` and the like) beside `name`; those in languages that the form does
    not have stay."""
    held, listed, done = resource.pop("_name", {}), [], set()
    for each in held.get("extension", ()):
        code = _language(each) if each.get("url") == TRANSLATION else ""
        if code not in dict(LANGUAGES):
            listed.append(each)
        elif said[f"name-{code}"] and code not in done:
            done.add(code)
            same = translated({"_name": {"extension": [each]}}, code) == said[f"name-{code}"]
            listed.append(each if same else _translation(code, said[f"name-{code}"]))
    new = [code for code, _ in LANGUAGES if said[f"name-{code}"] and code not in done]
    listed += [_translation(code, said[f"name-{code}"]) for code in new]
    made = {**{k: v for k, v in held.items() if k != "extension"}, **({"extension": listed} if listed else {})}
    if made:
        resource["_name"] = made


def _translation(code: str, text: str) -> Resource:
    inside = [{"url": "lang", "valueCode": code}, {"url": "content", "valueString": text}]
    return {"url": TRANSLATION, "extension": inside}


def _language(extension: Mapping[str, Any]) -> str:
    return next((str(parts.value_of(e)) for e in extension.get("extension", ()) if e.get("url") == "lang"), "")


def _modes(resource: Resource, wanted: list[str]) -> None:
    def code(concept: Mapping[str, Any]) -> str:
        return next((str(c.get("code")) for c in concept.get("coding", ()) if c.get("system") == MODE), "")

    held = list(resource.get("characteristic", ()))
    kept = [each for each in held if not code(each) or code(each) in wanted]
    there = {code(each) for each in kept}
    kept += [{"coding": [{"system": MODE, "code": each}]} for each in wanted if each not in there]
    resource.pop("characteristic", None)
    if kept:
        resource["characteristic"] = kept
