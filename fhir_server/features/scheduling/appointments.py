"""What plain writes of Appointments may do, so that nobody books around the operations."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.dates import moment
from fhir_server.core.errors import FhirError, Issue, Unprocessable
from fhir_server.features.scheduling import booking, callers, slots, targets
from fhir_server.features.scheduling.asked import check_hosts, check_span
from fhir_server.features.scheduling.fields import (
    BOOKING,
    HOLD_EXPIRES,
    HOLDER,
    OVERBOOKED,
    Resource,
    extension,
    tags,
)
from fhir_server.features.scheduling.patients import Person
from fhir_server.features.scheduling.questionnaires import missing
from fhir_server.features.scheduling.states import caller_may_move, may_move
from fhir_server.features.scheduling.visit import proposed, visit_of
from fhir_server.interactions import stored
from fhir_server.interactions.acting import as_server, is_staff
from fhir_server.interactions.claims import CLAIMING

_TAKES_TIME = ("pending", "booked")
_ASKED_FOR = ("proposed", "waitlist")
_PLACE = ("start", "end", "slot")
# What a patient may say in a visit of his that stands.
_MAY_CHANGE = ("meta", "text", "status", "cancelationReason", "comment", "supportingInformation", "participant")


def guard(ctx: Context, before: Resource | None, after: Resource | None) -> list[Issue]:
    """What is wrong with a plain write of an Appointment; [] when it may be made.

    The moves of its status are those of `profiles/scheduling/states.json`. Who is not staff may write what the
    operations would let him do: book what is bookable online, cancel his own in time, accept or decline.
    """
    if ctx.importing:
        return []
    if after is None:
        return [] if is_staff(ctx) else [_refused("An Appointment is not deleted: cancel it with $cancel.", None)]
    if not is_staff(ctx):
        return check_raw(ctx, before, after)
    if before is not None and not may_move(before["status"], after["status"]):
        return [_state(f"From {before['status']} an Appointment cannot become {after['status']}.")]
    if OVERBOOKED in tags(after, BOOKING) and OVERBOOKED not in tags(before or {}, BOOKING):
        return [_refused("Book beyond capacity with $book, which asks for the reason.", "Appointment.meta.tag")]
    if before is not None and _leaves_slots(ctx, before, after):
        text = "This visit has Slots in the agenda: move it with $reschedule, or send other Slots along."
        return [_refused(text, "Appointment.start")]
    if before is not None and (before["status"], after["status"]) == ("pending", "booked"):
        return _unanswered(ctx, after)
    return []


def _leaves_slots(ctx: Context, before: Resource, after: Resource) -> bool:
    """Whether a visit that stands gets another time while its Slots stay where they are."""
    if not {before["status"], after["status"]} <= CLAIMING or before.get("slot") != after.get("slot"):
        return False
    if all(_moment(before, name) == _moment(after, name) for name in ("start", "end")):
        return False
    names = [f"{kind}/{id_}" for kind, id_ in slots.names_of(ctx, before)]
    return bool(names) and bool(stored.by_name(as_server(ctx), names))


def _moment(appointment: Resource, name: str) -> datetime | None:
    return moment(appointment[name]) if name in appointment else None


def _unanswered(ctx: Context, after: Resource) -> list[Issue]:
    """Required questions before the visit block its confirmation, also by a plain write."""
    visit = targets.visit_or_none(ctx, after)
    if visit is None or not visit.rules.questionnaires or not missing(as_server(ctx), after, visit.rules):
        return []
    text = "Required questions before the visit are not answered yet."
    return [Issue("error", "business-rule", text, "Appointment.supportingInformation", "questionnaire-missing")]


def check_raw(ctx: Context, before: Resource | None, after: Resource) -> list[Issue]:
    """What is wrong with a plain write of an Appointment by a caller who is not staff; [] when he may make it."""
    status = after["status"]
    if not caller_may_move(before["status"] if before else None, status):
        was = f"From {before['status']} you" if before else "You"
        return [_state(f"{was} cannot make an Appointment {status}. Use its operations, or call the clinic.")]
    if callers.foreign(ctx, after):
        return [_refused("You may write for yourself and for those you act for only.", "Appointment.participant")]
    if any(set(tags(after, system)) != set(tags(before or {}, system)) for system in (BOOKING, HOLDER)):
        return [_refused("The operations of booking set and take these tags.", "Appointment.meta.tag")]
    if after.get("priority") != (before or {}).get("priority"):
        return [_refused("How urgent a visit is, is for staff to say.", "Appointment.priority")]
    try:
        if before is None or before["status"] in _ASKED_FOR:
            return _first(ctx, before, after)
        if status == "cancelled" != before["status"]:
            targets.check_cutoff(ctx, before, "cancelled")
    except FhirError as error:
        return error.issues
    return _changed(ctx, before, after)


def _first(ctx: Context, before: Resource | None, after: Resource) -> list[Issue]:
    """A visit that is asked for, or booked, by a plain write."""
    if extension(after, HOLD_EXPIRES) is not None:
        return [_refused("Hold a time with $hold.", "Appointment.extension")]
    if "slot" in after and any((before or {}).get(name) != after.get(name) for name in _PLACE):
        _check_slots(ctx, after)
    if after["status"] not in _TAKES_TIME:
        return []
    visit = visit_of(as_server(ctx), after)
    check_span(visit.start, visit.end - visit.start)
    check_hosts(ctx, proposed(visit), after.get("participant", ()))
    if visit.rules.requires_confirmation and after["status"] == "booked":
        return [_refused("This visit is confirmed by the clinic: ask for it as pending.", "Appointment.status")]
    people = [Person(f"Patient/{id_}", stored.get(ctx, "Patient", id_)) for id_ in callers.patients_of(ctx, after)]
    booking.check(ctx, visit, people, own=(before["id"], 0) if before else ("", 0))
    return []


def _check_slots(ctx: Context, appointment: Resource) -> None:
    """Raise `Unprocessable` when an Appointment names Slots that are not free, or outside of its time."""
    names = [f"{kind}/{id_}" for kind, id_ in slots.names_of(ctx, appointment)]
    found = stored.by_name(as_server(ctx), names)
    start, end = _moment(appointment, "start"), _moment(appointment, "end")
    for reference in appointment["slot"]:
        slot = found.get(stored.local(ctx, reference) or "")
        inside = slot and start and end and start <= moment(slot["start"]) and moment(slot["end"]) <= end
        if slot is None or slot["status"] != "free" or not inside:
            raise Unprocessable(
                "You may name Slots that are free, within the time of the visit. Book without Slots, or with $book.",
                expression="Appointment.slot",
                code="business-rule",
            )


def _changed(ctx: Context, before: Resource, after: Resource) -> list[Issue]:
    """A change of a visit that stands: a word, an answer, a cancellation."""
    for name in {*before, *after} - {*_MAY_CHANGE, "id"}:
        if before.get(name) != after.get(name):
            text = "You may cancel, accept, decline or comment this visit; move it with $reschedule."
            return [_refused(text, f"Appointment.{name}")]
    if list(_of_others(ctx, before)) != list(_of_others(ctx, after)):
        text = "You may change your own participation only; move the visit with $reschedule."
        return [_refused(text, "Appointment.participant")]
    return []


def _of_others(ctx: Context, appointment: Resource) -> Iterable[dict[str, Any]]:
    """The participants, those of the caller's own patients without their answer."""
    mine = {f"Patient/{id_}" for id_ in callers.own_patients(ctx) or ()} | {callers.related_person(ctx)}
    for each in appointment.get("participant", ()):
        own = stored.local(ctx, each.get("actor")) in mine
        yield {name: value for name, value in each.items() if name != "status"} if own else each


def _state(text: str) -> Issue:
    return Issue("error", "business-rule", text, "Appointment.status", "wrong-state")


def _refused(text: str, expression: str | None) -> Issue:
    return Issue("error", "business-rule", text, expression)
