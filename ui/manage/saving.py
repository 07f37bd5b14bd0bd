"""What every form of these pages does when the server does not take it: the typed text stays, and the reason stands at
the field."""

from collections.abc import Callable, Mapping
from typing import Any

from flask import Response, request

from ui import fhir
from ui.fhir import Refused, Resource
from ui.manage import parts
from ui.manage.parts import Problems
from ui.page import sentence
from ui.texts import say


def store(
    resource: Resource,
    said: Mapping[str, Any],
    problems: Problems,
    *,
    shown: Callable[[Resource], Mapping[str, Any]],
    labels: Mapping[str, str],
    form: Callable[..., Response],
) -> Response | None:
    """Store an edited resource over the version that the form was made from (its field `version`). None when it is
    stored, else the form again: with its problems, with what the server said, or with what somebody else changed.

    `shown`: what a form says of a resource; `labels`: of its fields; `form`: the room's form of resource, what was
    typed, problems, and either a refusal or `overtaken`."""
    if problems:
        return form(resource, said, problems)
    version = request.form.get("version", "")
    try:
        if version == resource["meta"]["versionId"]:
            fhir.update(resource, if_match=version)
            return None
    except Refused as error:
        if error.status != 412:
            return form(resource, said, problems, note(error, problems, resource))
    now = fhir.read(f"{resource['resourceType']}/{resource['id']}")
    return form(now, said, problems, overtaken=differences(said, shown(now), labels))


def note(error: Refused, problems: Problems, sent: Mapping[str, Any]) -> tuple[str, str]:
    """Put a refusal at the field to which its path leads; give the sentence for the top of the form, and what the
    server said in its own (English) words, which name what is wrong. Raises the refusal again where no form can mend
    it."""
    if error.status in (401, 403, 404, 410, 500, 503):
        raise error
    name = parts.field_at(sent, error.expression)
    if name:
        problems.add(name, say("The server does not accept this."))
    return sentence(error), error.text if error.status in (400, 409, 422) else ""


def differences(
    typed: Mapping[str, Any], stored: Mapping[str, Any], labels: Mapping[str, str]
) -> list[tuple[str, str]]:
    """Of fields that are stored otherwise than typed: label and what is stored, for who was overtaken by somebody."""
    found = []
    for name, label in labels.items():
        if typed.get(name) != stored.get(name):
            value = stored.get(name)
            told = ", ".join(value) if isinstance(value, list) else value
            told = {True: say("Yes"), False: say("No")}.get(told, told) if isinstance(told, bool) else told
            found.append((say(label), str(told or "–")))
    return found
