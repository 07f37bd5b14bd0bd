"""Questionnaires before a visit: which answers are still missing, and what becomes of answers that are written."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.errors import FhirError, Issue
from fhir_server.events.feed import Change, contents
from fhir_server.features.scheduling import slots
from fhir_server.features.scheduling.callers import patients_of
from fhir_server.features.scheduling.fields import HOLD_EXPIRES, E, extension
from fhir_server.features.scheduling.parameters import Rules
from fhir_server.features.scheduling.visit import visit_of
from fhir_server.interactions import stored
from fhir_server.interactions.acting import as_server
from fhir_server.interactions.changes import Changes

Json = Mapping[str, Any]

RESPONSE_APPOINTMENT = f"{E}response-appointment"
_ANSWERED = frozenset({"completed", "amended"})
_RESPONSE, _APPOINTMENT = "QuestionnaireResponse", "Appointment"


def missing(ctx: Context, appointment: Json, rules: Rules) -> list[str]:
    """The Questionnaires (as the rules name them) that the patient has not answered for this appointment. An answer
    counts when it is completed, the patient's, and named in supportingInformation or says this appointment itself."""
    if not rules.questionnaires:
        return []
    server = as_server(ctx)
    answered = {
        _url(server, each["questionnaire"]) for each in _responses(server, appointment) if "questionnaire" in each
    }
    return [name for name in rules.questionnaires if _url(server, name) not in answered]


def _responses(server: Context, appointment: Json) -> list[dict[str, Any]]:
    """The completed answers for an appointment. More than 1000 of one patient are not looked through."""
    patients = patients_of(server, dict(appointment))
    if not patients:
        return []
    pairs = [("subject", ",".join(f"Patient/{id_}" for id_ in patients)), ("status", ",".join(sorted(_ANSWERED)))]
    named = {stored.local(server, each) for each in appointment.get("supportingInformation", ())}
    own = f"{_APPOINTMENT}/{appointment.get('id')}"
    return [
        each
        for each in stored.find(server, _RESPONSE, pairs)
        if f"{_RESPONSE}/{each['id']}" in named or _appointment_of(server, each) == own
    ]


def _appointment_of(ctx: Context, response: Json) -> str | None:
    return stored.local(ctx, (extension(response, RESPONSE_APPOINTMENT) or {}).get("valueReference"))


def _url(server: Context, name: str) -> str:
    """What makes two names of a questionnaire the same: its canonical url without version, else `Questionnaire/id`."""
    url = name.partition("|")[0]
    local = stored.local(server, {"reference": url})
    if local is None or not local.startswith("Questionnaire/"):
        return url
    found = stored.by_name(server, [local]).get(local, {})
    return str(found.get("url", local))


def questionnaire_of(ctx: Context, response: Json) -> dict[str, Any] | None:
    """The Questionnaire that a response answers, if it is stored here; of several versions the newest."""
    url, _, version = response.get("questionnaire", "").partition("|")
    if not url:
        return None
    server = as_server(ctx)
    local = stored.local(server, {"reference": url})
    if local is not None and local.startswith("Questionnaire/"):
        return stored.by_name(server, [local]).get(local)
    pairs = [("url", url), *([("version", version)] if version else [])]
    return next(iter(stored.find(server, "Questionnaire", pairs, limit=1)), None)


def _unlabelled(questionnaire: Json, response: Json) -> Iterable[Issue]:
    """Answers are as confidential as their questionnaire says, unless they say themselves how confidential they are."""
    own = {label.get("system") for label in response.get("meta", {}).get("security", ())}
    lacking = [label for label in questionnaire.get("meta", {}).get("security", ()) if label.get("system") not in own]
    for label in lacking:
        text = (
            f"The Questionnaire is labelled {label.get('code')} ({label.get('system')}). Copy this label to the"
            " response, or give it another one of the same system."
        )
        yield Issue("error", "business-rule", text, f"{_RESPONSE}.meta.security")


def guard(ctx: Context, before: dict[str, Any] | None, after: dict[str, Any] | None) -> Sequence[Issue]:
    """What is wrong with the confidentiality of a QuestionnaireResponse that a client is about to write. Its answers
    are checked like any other content (`validation/questionnaires`)."""
    questionnaire = None if after is None else questionnaire_of(ctx, after)
    return () if after is None or questionnaire is None else list(_unlabelled(questionnaire, after))


# -- the last missing answer -------------------------------------------------------------------------------------------


def follow(ctx: Context, changes: Sequence[Change]) -> None:
    """Book the appointments that waited only for answers which have come now."""
    wanted = {ctx.registry.type_ids[name] for name in (_RESPONSE, _APPOINTMENT)}
    found = contents(ctx, [each for each in changes if each.type_id in wanted and each.method != "D"])
    names: dict[str, None] = {}
    for content in found.values():
        for name in _concerned(ctx, content.type, content.id, content.after or {}):
            names[name] = None
    for name in names:
        _book_if_complete(ctx, name.removeprefix(f"{_APPOINTMENT}/"))


def _concerned(ctx: Context, kind: str, id_: str, resource: Json) -> Iterable[str]:
    """`Appointment/id` of the pending appointments to which a version may bring the last answer."""
    if kind == _APPOINTMENT:
        if resource.get("status") == "pending" and resource.get("supportingInformation"):
            yield f"{_APPOINTMENT}/{id_}"
        return
    if resource.get("status") not in _ANSWERED:
        return
    own = _appointment_of(ctx, resource)
    if own is not None and own.startswith(f"{_APPOINTMENT}/"):
        yield own
    for each in stored.find(ctx, _APPOINTMENT, [("supporting-info", f"{_RESPONSE}/{id_}"), ("status", "pending")]):
        yield f"{_APPOINTMENT}/{each['id']}"


def _book_if_complete(ctx: Context, appointment_id: str) -> None:
    """Book a pending appointment, unless it is only held, waits for staff too, or answers are missing."""
    unit = Changes(ctx)
    try:
        appointment = unit.lock(_APPOINTMENT, appointment_id)
        if appointment["status"] != "pending" or extension(appointment, HOLD_EXPIRES) is not None:
            return
        rules = visit_of(ctx, appointment).rules
    except FhirError:
        # It was deleted, or its Schedule is gone: nothing waits any more.
        return
    if not rules.questionnaires or rules.requires_confirmation or missing(ctx, appointment, rules):
        return
    appointment["status"] = "booked"
    for participant in appointment["participant"]:
        if participant.get("status") in ("needs-action", "tentative"):
            participant["status"] = "accepted"
    slots.settle(ctx, unit, appointment, tentative=False)
    unit.put(appointment)
    unit.run()
