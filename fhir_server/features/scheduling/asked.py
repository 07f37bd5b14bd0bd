"""Which Appointment a caller of $hold and $book means: a proposal, a stored one, or one that he made himself."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.dates import moment
from fhir_server.core.errors import Conflict, FhirError, Forbidden, Invalid, NotFound, Unprocessable
from fhir_server.core.references import parse_literal
from fhir_server.features.scheduling import callers
from fhir_server.features.scheduling.fields import (
    BOOKING,
    GUESTS,
    HELD_FROM,
    HOLDER,
    PROPOSAL,
    SERIES,
    Resource,
    drop_tags,
    expiry,
    instant,
    tags,
)
from fhir_server.features.scheduling.visit import Visit, proposed, visit_by_proposal, visit_of
from fhir_server.interactions import stored
from fhir_server.interactions.acting import as_server, is_staff
from fhir_server.interactions.changes import Changes

_LONGEST, _LAST_YEAR = timedelta(days=1), 2200
_OURS = "urn:salam:"
# What the server says about an Appointment, whatever a client sends.
_SERVERS = ("id", "meta", "slot", "start", "end", "minutesDuration", "created", "status")


@dataclass(slots=True)
class Asked:
    """`appointment`: as it would be stored, without patient if none was named; `before`: its status where it is stored
    already, which is locked then; `given_back`: the caller sent it himself; `lapsed`: it was held, but not till now."""

    appointment: Resource
    visit: Visit
    before: str | None = None
    given_back: bool = False
    lapsed: bool = False


def by_reference(ctx: Context, unit: Changes, reference: dict[str, Any], *, booking: bool = False) -> Asked:
    """What an appointment-reference means; of a proposal that the caller holds, when he is `booking`, his hold. Raises
    `NotFound`, and `Conflict` for one that is not to be booked."""
    resource_id = appointment_id(reference)
    if not resource_id.startswith(PROPOSAL):
        return _stored(ctx, unit, resource_id)
    visit = visit_by_proposal(ctx, resource_id)
    if booking and (held := _held(ctx, visit)):
        return _stored(ctx, unit, held)
    return Asked(_without(proposed(visit), "id", "contained", "slot"), visit)


def by_resource(ctx: Context, unit: Changes, sent: Resource) -> Asked:
    """What an appointment-resource means: what $find or $hold gave, given back, or an Appointment of the caller's."""
    resource_id = sent.get("id", "")
    if resource_id.startswith(PROPOSAL):
        resource_id = _held(ctx, visit_of(ctx, sent)) or ""
    if resource_id:
        try:
            asked = _stored(ctx, unit, resource_id)
        except NotFound:
            # The server names new resources, so that an id which is unknown here says nothing.
            return _own(ctx, sent)
        _same_time(sent, asked.visit)
        return replace(asked, appointment=_merged(ctx, asked.appointment, sent), given_back=True)
    return _own(ctx, sent)


def _held(ctx: Context, visit: Visit) -> str | None:
    """The id of the Appointment by which the caller holds the time of a proposal. Who goes by IHE's words books what he
    held by the id that $find gave."""
    pairs = [
        ("_tag", f"{HOLDER}|{callers.holder(ctx)}"),
        ("status", "pending"),
        ("date", instant(visit.start)),
        ("hold-expires", f"gt{instant(ctx.now)}"),
    ]
    for each in stored.find(as_server(ctx), "Appointment", pairs):
        if any(tag in tags(each, BOOKING) for tag in HELD_FROM.values()):
            # It was somebody's wish before, and is to be booked as that.
            continue
        try:
            own = visit_of(as_server(ctx), each)
        except FhirError:
            continue
        if _what(own) == _what(visit):
            return str(each["id"])
    return None


def _what(visit: Visit) -> tuple[Any, ...]:
    return visit.start, visit.end, visit.offer.service_rid, frozenset(place.rid for place in visit.places)


def check_span(start: datetime, length: timedelta) -> None:
    """Raise `Unprocessable` for a visit that no agenda could hold: longer than a day, or out of this age."""
    if not timedelta() < length <= _LONGEST or not 1970 < start.year < _LAST_YEAR:
        raise Unprocessable(
            f"A visit takes up to 24 hours, in the years 1971 to {_LAST_YEAR - 1}.",
            expression="Appointment.start",
            code="business-rule",
        )


def _own(ctx: Context, sent: Resource) -> Asked:
    visit = visit_of(ctx, sent)
    check_span(visit.start, visit.end - visit.start)
    _same_time(sent, visit)
    appointment = _merged(ctx, _without(proposed(visit), "id", "contained", "slot"), sent)
    meta = _without(sent.get("meta", {}), "versionId", "lastUpdated")
    if meta:
        appointment["meta"] = meta
        drop_tags(appointment, HOLDER)
        drop_tags(appointment, BOOKING)
    return Asked(appointment, visit, given_back=True)


def _merged(ctx: Context, base: Resource, sent: Resource) -> Resource:
    """What the caller sent on top of what it is about. What the server says by extensions, and who gives the visit, is
    not for him to leave out; who else takes part is for staff to say."""
    found = {**base, **_without(sent, *_SERVERS)}
    kept = list(base.get("extension", ()))
    kept += [each for each in sent.get("extension", ()) if not each["url"].startswith(_OURS)]
    inside = [each for each in sent.get("contained", ()) if each["resourceType"] != "Slot"]
    others = [each for each in sent.get("identifier", ()) if each.get("system") != SERIES]
    people = list(sent.get("participant", ()))
    check_hosts(ctx, base, people)
    if "priority" in sent and sent["priority"] != base.get("priority") and not is_staff(ctx):
        raise Forbidden("How urgent a visit is, is for staff to say.", expression="Appointment.priority")
    named = {stored.local(ctx, each.get("actor")) or "" for each in people}
    patients = any(name.startswith("Patient/") for name in named)
    for each in base.get("participant", ()):
        name = stored.local(ctx, each.get("actor")) or ""
        # Another patient than the one for whom the time was held takes his place.
        if name not in named and not (patients and name.startswith("Patient/")):
            people.append(each)
    for name, value in (
        ("contained", inside),
        ("extension", kept),
        ("identifier", others),
        ("participant", people),
    ):
        found.pop(name, None)
        if value:
            found[name] = value
    return found


def check_hosts(ctx: Context, base: Resource, people: Iterable[Resource]) -> None:
    """Raise `Forbidden` when a caller who is not staff takes the time of somebody else along: of whom the visit, as it
    is offered (`base`), does not need."""
    if is_staff(ctx):
        return
    needed = {stored.local(ctx, each.get("actor")) for each in base.get("participant", ())}
    for each in people:
        name = stored.local(ctx, each.get("actor"))
        if name is not None and name not in needed and name.split("/")[0] not in GUESTS:
            raise Forbidden(
                "Only staff may add who takes part besides the patient.", expression="Appointment.participant"
            )


def _same_time(sent: Resource, visit: Visit) -> None:
    """A proposal and a hold are of a certain time; another one is not meant by them."""
    for name, wanted in (("start", visit.start), ("end", visit.end)):
        if name in sent and moment(sent[name]) != wanted:
            raise Unprocessable(
                f"The {name} is not the one of the proposal or hold. Ask $find for another time.",
                expression=f"Appointment.{name}",
                code="business-rule",
            )
    minutes = (visit.end - visit.start) // timedelta(minutes=1)
    if sent.get("minutesDuration", minutes) != minutes:
        raise Unprocessable(
            f"From start to end it is {minutes} minutes.",
            expression="Appointment.minutesDuration",
            code="business-rule",
        )


def _stored(ctx: Context, unit: Changes, resource_id: str) -> Asked:
    stored.get(ctx, "Appointment", resource_id)
    appointment = unit.lock("Appointment", resource_id)
    status, until = appointment["status"], expiry(appointment)
    if status not in ("proposed", "waitlist") and not (status == "pending" and until is not None):
        raise Conflict(
            f"The Appointment is {status}; only one that is proposed, waiting or held can be booked.",
            expression="Appointment.status",
            detail="wrong-state",
        )
    if until is not None and not is_staff(ctx) and not may_use_hold(ctx, appointment):
        raise Forbidden("Somebody else holds this time.", expression="Appointment.id")
    if "start" not in appointment or "end" not in appointment:
        raise Unprocessable(
            "The Appointment has no time yet: ask $find, and book what it proposes.",
            expression="Appointment.start",
            code="business-rule",
        )
    lapsed = until is not None and until <= ctx.now
    return Asked(appointment, visit_of(as_server(ctx), appointment), status, lapsed=lapsed)


def may_use_hold(ctx: Context, appointment: Resource) -> bool:
    """Whether it is the caller who holds it, or it is held for one of his patients (an offer from the wait list)."""
    if callers.holder(ctx) in tags(appointment, HOLDER):
        return True
    patients = callers.patients_of(ctx, appointment)
    return not tags(appointment, HOLDER) and bool(patients) and not callers.foreign(ctx, appointment)


def appointment_id(reference: dict[str, Any]) -> str:
    """The id of a Reference to an Appointment: `Appointment/id`, an absolute URL, or the id alone."""
    text = reference.get("reference", "")
    literal = parse_literal(text)
    if literal is not None and literal.type != "Appointment":
        raise Invalid("appointment-reference names no Appointment.", expression="http.appointment-reference")
    found = literal.id if literal else text.removeprefix("urn:uuid:")
    if not found or "/" in found:
        raise Invalid(
            "appointment-reference is Appointment/[id], with the id of a stored or a proposed one.",
            expression="http.appointment-reference",
            code="value",
        )
    return found


def _without(resource: Resource, *names: str) -> Resource:
    return {name: value for name, value in resource.items() if name not in names}
