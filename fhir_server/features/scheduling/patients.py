"""For whom a visit is: a stored patient, one who is sent along, or the caller himself."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.dates import moment
from fhir_server.core.errors import Conflict, Forbidden, NotFound, Unprocessable
from fhir_server.core.keys import self_key
from fhir_server.core.resource_json import decode
from fhir_server.features.scheduling import callers
from fhir_server.features.scheduling.fields import Resource, expiry
from fhir_server.features.scheduling.visit import Visit
from fhir_server.interactions import stored
from fhir_server.interactions.acting import may_write
from fhir_server.interactions.changes import Changes
from fhir_server.storage import patient_visits

_TAKES_TIME = frozenset({"booked", "pending", "arrived", "checked-in"})
_LONGEST = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Person:
    """A patient of a visit. `new`: registered along with it."""

    reference: str
    resource: Resource
    new: bool = False


def for_whom(
    ctx: Context, unit: Changes, appointment: Resource, sent: Resource | None, *, given_back: bool
) -> list[Person]:
    """The patients of a visit, at least one. `sent`: patient-resource, which replaces the patient of a hold and must be
    the one of an Appointment that is `given_back`. Raises `Unprocessable`, `Forbidden`, and `NotFound`."""
    named = callers.patients_of(ctx, appointment)
    if sent is not None:
        person = _sent(ctx, unit, sent)
        if given_back and named and person.reference not in [f"Patient/{id_}" for id_ in named]:
            raise Unprocessable(
                "appointment-resource and patient-resource name different patients.",
                expression="http.patient-resource",
                code="business-rule",
            )
        people = [person]
    else:
        named = named or [id_ for id_ in (callers.default_patient(ctx),) if id_]
        if not named:
            raise Unprocessable(
                "Say for whom: send patient-resource, or a Patient as participant of appointment-resource.",
                expression="http.patient-resource",
                code="required",
            )
        people = [Person(f"Patient/{id_}", stored.get(ctx, "Patient", id_)) for id_ in named]
    own = callers.own_patients(ctx)
    if own is not None and not {each.reference.removeprefix("Patient/") for each in people} <= own:
        raise Forbidden("You may book for yourself and for those you act for only.", expression="http.patient-resource")
    return people


def _sent(ctx: Context, unit: Changes, sent: Resource) -> Person:
    if sent.get("id"):
        try:
            found = stored.get(ctx, "Patient", sent["id"])
        except NotFound:
            raise Unprocessable(
                "No such Patient is known here. Leave the id out to register a new one.",
                expression="Patient.id",
                code="not-found",
            ) from None
        return Person(f"Patient/{found['id']}", found)
    matched = _identified(ctx, sent)
    if matched is not None:
        return Person(f"Patient/{matched['id']}", matched)
    may_write(ctx, sent, "c")
    return Person(f"Patient/{unit.add(sent)}", sent, new=True)


def _identified(ctx: Context, sent: Resource) -> Resource | None:
    """The stored patient with one of the same identifiers. Who registers the same person at the same moment waits."""
    whole = [each for each in sent.get("identifier", ()) if each.get("system") and each.get("value")]
    if not whole:
        return None
    callers.take_turns(ctx, [f"identifier/{each['system']}|{each['value']}" for each in whole])
    tokens = ",".join(f"{_escaped(each['system'])}|{_escaped(each['value'])}" for each in whole)
    found = stored.find(ctx, "Patient", [("identifier", tokens)], limit=2)
    if len(found) > 1:
        raise Conflict(
            "Several patients have these identifiers. Name the one by its id.",
            expression="Patient.identifier",
            code="multiple-matches",
        )
    return found[0] if found else None


def _escaped(text: str) -> str:
    """https://hl7.org/fhir/R4/search.html#escaping"""
    for special in "\\,|$":
        text = text.replace(special, "\\" + special)
    return text


def turns(people: Sequence[Person]) -> list[str]:
    """Names under which bookings for these patients wait for one another."""
    return [each.reference for each in people if not each.new]


def check_free(ctx: Context, people: Sequence[Person], visit: Visit, *, but: str = "") -> None:
    """Raise `Conflict` when one of the patients has another visit at the same time. `but`: the id of the Appointment
    itself. Call it when it is the caller's turn."""
    check_none_overlaps(ctx, visits_around(ctx, people, visit), visit, but=but)


def visits_around(ctx: Context, people: Sequence[Person], visit: Visit, turns: Sequence[str] = ()) -> list[Resource]:
    """The Appointments of these patients around a visit, read when it is the caller's turn under these names."""
    keys = [self_key(*person.reference.split("/")) for person in people if not person.new]
    if not keys:
        callers.take_turns(ctx, turns)
        return []
    first, locks = visit.start - _LONGEST, callers.turn_keys(ctx, turns)
    return list(map(decode, patient_visits.starting(ctx.db, ctx.tenant.id, keys, first, visit.end, locks)))


def check_none_overlaps(ctx: Context, others: Iterable[Resource], visit: Visit, *, but: str = "") -> None:
    """Raise `Conflict` when one of these Appointments is at the time of a visit. `but`: the id of the one that is not
    meant."""
    for each in others:
        if each["id"] != but and each["status"] in _TAKES_TIME and _overlaps(ctx, each, visit):
            raise Conflict(
                "The patient has another visit at this time.",
                expression="Appointment.participant",
                detail="patient-busy",
            )


def _overlaps(ctx: Context, other: Mapping[str, Any], visit: Visit) -> bool:
    if "start" not in other or "end" not in other:
        return False
    until = expiry(other) if other["status"] == "pending" else None
    if until is not None and until <= ctx.now:
        return False
    return moment(other["start"]) < visit.end and moment(other["end"]) > visit.start
