"""A series: one Appointment for every occurrence, all of them or none."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

from fhir_server.core.context import Context
from fhir_server.core.errors import Conflict, FhirError, Issue, Unprocessable
from fhir_server.features.scheduling import booking, callers, records, recurrence
from fhir_server.features.scheduling.asked import Asked
from fhir_server.features.scheduling.booking import Terms
from fhir_server.features.scheduling.fields import (
    OVERBOOKED,
    RECURRENCE_ID,
    RECURRENCE_TEMPLATE,
    SERIES,
    Resource,
    set_extension,
)
from fhir_server.features.scheduling.patients import Person
from fhir_server.features.scheduling.response import ALTERNATIVES, TAKEN
from fhir_server.features.scheduling.visit import Visit, alternatives, check_limits, visit_at
from fhir_server.interactions import stored
from fhir_server.interactions.acting import as_server, is_staff
from fhir_server.interactions.changes import Changes
from fhir_server.storage import claims

# So many of those that are taken get other times beside them.
_MOST_HELPED = 5


def book(
    ctx: Context, unit: Changes, asked: Asked, people: Sequence[Person], terms: Terms
) -> dict[str, dict[str, Any]]:
    """Book every occurrence of the recurrenceTemplate; what was written. Raises `Conflict` naming those whose time is
    taken, with other times for them, and `Unprocessable` naming the one that the rules refuse."""
    if asked.before is not None:
        raise Unprocessable(
            "A series is booked from a proposal or an Appointment of your own, not from a hold.",
            expression="Appointment.extension",
            code="business-rule",
        )
    occurrences = _occurrences(ctx, asked)
    visits = [each.visit for each in occurrences]
    if not terms.overbooked:
        names = {name for visit in visits for name in booking.turns(visit, people)}
        callers.take_turns(ctx, names)
        for number, visit in enumerate(visits, start=1):
            _check(ctx, visit, visits[: number - 1], people, number)
    for each in occurrences:
        appointment_id = booking.write(ctx, unit, each, people, terms)
        if terms.overbooked:
            records.record(ctx, unit, appointment_id, OVERBOOKED, terms.comment or each.appointment.get("comment"))
    try:
        return unit.run()
    except Conflict as conflict:
        if conflict.issues[0].detail in TAKEN:
            error, online = conflict, not is_staff(ctx)
            conflict.after_rollback = lambda fresh: _explained(fresh, error, visits, online=online)
        raise


def _occurrences(ctx: Context, asked: Asked) -> list[Asked]:
    visit = asked.visit
    service = f"HealthcareService/{visit.service['id']}" if visit.service else None
    schedules = [f"Schedule/{each['id']}" for each in visit.schedules]
    minutes = int((visit.end - visit.start).total_seconds()) // 60
    identifier = {"system": SERIES, "value": str(uuid4())}
    found: list[Asked] = []
    for number, start in recurrence.starts(asked.appointment, visit.start, visit.zone):
        appointment: Resource = _copy(asked.appointment)
        appointment["identifier"] = [*appointment.get("identifier", ()), identifier]
        set_extension(appointment, RECURRENCE_ID, {"valuePositiveInt": number})
        if found:
            # The template stands in the first one, from which the others follow.
            set_extension(appointment, RECURRENCE_TEMPLATE, None)
        when = visit_at(as_server(ctx), service, schedules, start, minutes=minutes, mode=visit.mode)
        found.append(replace(asked, appointment=appointment, visit=when))
    return found


def _copy(appointment: Resource) -> Resource:
    """The Appointment for another occurrence: what is changed in it below the top is made anew."""
    participants = [dict(each) for each in appointment.get("participant", ())]
    return {**appointment, "participant": participants}


def _check(ctx: Context, visit: Visit, earlier: Sequence[Visit], people: Sequence[Person], number: int) -> None:
    days = [each.start.astimezone(each.zone).date() for each in (visit, *earlier)]
    same_day = days[1:].count(days[0])
    same_week = [day.isocalendar()[:2] for day in days[1:]].count(days[0].isocalendar()[:2])
    try:
        booking.check(ctx, visit, people)
        if same_day or same_week:
            check_limits(as_server(ctx), visit, beside_day=same_day, beside_week=same_week)
    except FhirError as error:
        error.issues = [replace(each, text=f"{_named(visit, number)}: {each.text}") for each in error.issues]
        raise


def _named(visit: Visit, number: int) -> str:
    return f"Occurrence {number} ({visit.start.astimezone(visit.zone).strftime('%Y-%m-%d %H:%M')})"


def _explained(ctx: Context, conflict: Conflict, visits: Sequence[Visit], *, online: bool) -> list[dict[str, Any]]:
    """Name every occurrence whose time is taken in the conflict's issues; other times for the first few of them."""
    taken = [(number, visit) for number, visit in enumerate(visits, start=1) if _is_taken(ctx, visit)]
    if taken:
        conflict.issues = [
            Issue("error", "conflict", f"{_named(visit, number)} is taken.", "Appointment.start", "slot-taken")
            for number, visit in taken
        ]
    return [each for _, visit in taken[:_MOST_HELPED] for each in alternatives(ctx, visit, ALTERNATIVES, online=online)]


def _is_taken(ctx: Context, visit: Visit) -> bool:
    rids = list(stored_rids(ctx, visit))
    actors = claims.actors_of(ctx.db, ctx.tenant.id, rids)
    for found in actors.values():
        for actor, capacity in found:
            first = min(slot.start for slot in visit.slots)
            last = max(slot.end for slot in visit.slots)
            rows = claims.taken(ctx.db, ctx.tenant.id, [actor], first, last, ctx.now)
            if len({row.seat for row in rows}) >= capacity:
                return True
    return False


def stored_rids(ctx: Context, visit: Visit) -> list[int]:
    """Rows of the Schedules of a visit."""
    pairs = [("_id", ",".join(str(each["id"]) for each in visit.schedules))]
    return list(stored.find_rows(as_server(ctx), "Schedule", pairs))
