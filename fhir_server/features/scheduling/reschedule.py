"""Appointment/$reschedule: another time for the same visit (profiles/scheduling/operations/)."""

from datetime import datetime, timedelta
from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.dates import moment
from fhir_server.core.errors import Conflict, Forbidden, Invalid, Unprocessable
from fhir_server.core.messages import FhirResponse
from fhir_server.features.scheduling import booking, callers, slots, targets
from fhir_server.features.scheduling.asked import check_span
from fhir_server.features.scheduling.fields import (
    BOOKING,
    GUESTS,
    HOLD_EXPIRES,
    OVERBOOKED,
    WALL_TIME,
    Resource,
    drop_tags,
    extension,
    instant,
    set_extension,
    wall_time,
)
from fhir_server.features.scheduling.patients import Person
from fhir_server.features.scheduling.response import answer, or_alternatives
from fhir_server.features.scheduling.visit import Visit, proposed, visit_at
from fhir_server.interactions import stored
from fhir_server.interactions.acting import as_server, is_staff
from fhir_server.interactions.changes import Changes
from fhir_server.operations.call import OperationCall

_MOVABLE = ("pending", "booked")


def reschedule(ctx: Context, call: OperationCall) -> FhirResponse:
    """Move a pending or booked visit: the Appointment under the same id, with its new Slots.

    Old time is released and new time claimed in one step. Raises `Conflict` (wrong-state; slot-taken and slot-held,
    with other times), `Unprocessable` for what the rules do not allow, also a patient after cancelCutoff (too-late).
    """
    unit = Changes(as_server(ctx))
    appointment = targets.locked(ctx, unit, call)
    if appointment["status"] not in _MOVABLE or extension(appointment, HOLD_EXPIRES) is not None:
        raise Conflict(
            "Only a visit that is booked, or waits to be confirmed, can be moved.",
            expression="Appointment.status",
            detail="wrong-state",
        )
    targets.check_cutoff(ctx, appointment, "moved")
    visit = _visit(ctx, call, appointment)
    patients = [stored.get(as_server(ctx), "Patient", id_) for id_ in callers.patients_of(ctx, appointment)]
    people = [Person(f"Patient/{each['id']}", each) for each in patients]
    booking.check(ctx, visit, people, own=(appointment["id"], unit.rid("Appointment", appointment["id"])))
    if not is_staff(ctx) and visit.rules.requires_confirmation:
        appointment["status"] = "pending"
    booking.add_comment(appointment, call.parameters.get("comment"))
    move(ctx, unit, appointment, visit)
    with or_alternatives(ctx, visit):
        return answer(ctx, unit.run())


def move(ctx: Context, unit: Changes, appointment: Resource, visit: Visit) -> None:
    """Put a locked Appointment onto another visit, among what is to be written: time, Slots, and who gives it."""
    appointment["start"] = instant(visit.start, visit.zone)
    appointment["end"] = instant(visit.end, visit.zone)
    appointment["minutesDuration"] = int((visit.end - visit.start).total_seconds()) // 60
    drop_tags(appointment, BOOKING, OVERBOOKED)
    set_extension(appointment, WALL_TIME, wall_time(visit.start, visit.zone))
    guests = [each for each in appointment.get("participant", ()) if _kind(each) in GUESTS]
    hosts = [each for each in proposed(visit).get("participant", ()) if _kind(each) not in GUESTS]
    for each in hosts:
        each["status"] = "accepted" if appointment["status"] == "booked" else "needs-action"
    appointment["participant"] = [*guests, *hosts]
    slots.remove(ctx, unit, appointment)
    appointment["slot"] = slots.add(unit, visit, tentative=appointment["status"] == "pending")
    unit.put(appointment)


def _kind(participant: Resource) -> str:
    return str(participant.get("actor", {}).get("reference", "").rsplit("/", 2)[-2:][0])


def _visit(ctx: Context, call: OperationCall, appointment: Resource) -> Visit:
    now = targets.visit_or_none(ctx, appointment)
    if now is None:
        raise Unprocessable(
            "This Appointment is in no agenda of the clinic: it has no Schedule to move in.",
            expression="Appointment.slot",
            code="business-rule",
        )
    minutes = call.parameters.get("minutes")
    if minutes is not None and not is_staff(ctx):
        raise Forbidden("Only staff may change how long a visit takes.", expression="http.minutes")
    length = minutes or int((now.end - now.start).total_seconds()) // 60
    service = f"HealthcareService/{now.service['id']}" if now.service else None
    schedules = [f"Schedule/{each['id']}" for each in now.schedules]
    wanted = _schedule(ctx, call, schedules)
    schedules = [wanted, *[each for each in _besides(ctx, call, schedules[1:]) if each != wanted]]
    start = _start(call)
    check_span(start, timedelta(minutes=length))
    return visit_at(as_server(ctx), service, schedules, start, minutes=length, mode=now.mode)


def _start(call: OperationCall) -> datetime:
    text: str = call.parameters["start"]
    if len(text) < 16 or (not text.endswith("Z") and "+" not in text and "-" not in text[16:]):
        raise Invalid(
            "start takes a time with its offset from UTC, for example 2026-03-02T09:00:00+01:00.",
            expression="http.start",
            code="value",
        )
    return moment(text)


def _schedule(ctx: Context, call: OperationCall, present: list[str]) -> str:
    """`Schedule/id` to move to: the one that is named, that of the named practitioner, or the present one."""
    named, practitioner = call.parameters.get("schedule"), call.parameters.get("practitioner")
    if named is not None and practitioner is not None:
        raise Invalid("Name a schedule or a practitioner, not both.", expression="http.schedule")
    if named is not None:
        return _local(ctx, named, ("Schedule",), "schedule")
    if practitioner is None:
        return present[0]
    actor = _local(ctx, practitioner, ("Practitioner", "PractitionerRole"), "practitioner")
    found = stored.find(as_server(ctx), "Schedule", [("actor", actor), ("active", "true")], limit=2)
    if len(found) != 1:
        raise Unprocessable(
            "This practitioner has no agenda here, or several: name the schedule.",
            expression="http.practitioner",
            code="business-rule",
        )
    return f"Schedule/{found[0]['id']}"


def _besides(ctx: Context, call: OperationCall, present: list[str]) -> list[str]:
    """`Schedule/id` of the rooms and others that are taken besides: those that are named, or the present ones."""
    named = call.parameters.get("resource")
    if not named:
        return present
    if not is_staff(ctx):
        raise Forbidden("Only staff may choose the room.", expression="http.resource")
    return list(dict.fromkeys(_local(ctx, each, ("Schedule",), "resource") for each in named))


def _local(ctx: Context, reference: dict[str, Any], types: tuple[str, ...], name: str) -> str:
    local = stored.local(ctx, reference)
    if local is None or local.split("/")[0] not in types:
        raise Invalid(f"{name} takes a reference to {' or '.join(types)}.", expression=f"http.{name}", code="value")
    return local
