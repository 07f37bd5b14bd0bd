"""What $book, $hold and a series have in common: from what was asked to the Appointment and Slots that are written."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from fhir_server.core.context import Context
from fhir_server.features.scheduling import callers, patients, slots
from fhir_server.features.scheduling.asked import Asked
from fhir_server.features.scheduling.fields import (
    BOOKING,
    EXTENDED,
    GUESTS,
    HELD_FROM,
    HOLD_EXPIRES,
    HOLDER,
    OVERBOOKED,
    WALL_TIME,
    Resource,
    drop_tags,
    instant,
    set_extension,
    set_tag,
    wall_time,
)
from fhir_server.features.scheduling.patients import Person
from fhir_server.features.scheduling.visit import Visit, check_bookable, check_limits
from fhir_server.interactions.acting import as_server, is_staff, may_write
from fhir_server.interactions.changes import Changes


@dataclass(frozen=True, slots=True)
class Terms:
    """How a visit is booked. `status`: `booked` or `pending`; `expires`: until when it is held, None for no hold;
    `overbooked`: it may take a place beyond capacity, which a reason goes with; `comment`: said by the caller."""

    status: str
    expires: datetime | None = None
    overbooked: bool = False
    comment: str | None = None


def turns(visit: Visit, people: Sequence[Person]) -> list[str]:
    """Names under which bookings wait for one another that are counted, or are for the same patient. Only those: the
    claims need no turns."""
    names = patients.turns(people)
    local = visit.start.astimezone(visit.zone).date()
    main = "+".join(map(str, visit.offer.main.keys))
    if visit.rules.limit_week:
        names.append(f"week/{main}/{_monday(local)}")
    if visit.rules.limit_day:
        names.append(f"day/{main}/{local}")
    return names


def _monday(day: date) -> str:
    year, week, _ = day.isocalendar()
    return f"{year}-{week}"


def check(
    ctx: Context,
    visit: Visit,
    people: Sequence[Person],
    *,
    own: tuple[str, int] = ("", 0),
    also: Sequence[str] = (),
) -> None:
    """Raise unless this visit may be booked: by the rules of the service, its limits, and the patients' other visits.

    It waits for the caller's turn first, also under the names `also`. `own`: id and rid of the Appointment itself.
    """
    staff = is_staff(ctx)
    others = patients.visits_around(ctx, people, visit, [*also, *turns(visit, people)])
    patients_of: list[Resource | None] = [each.resource for each in people] or [None]
    for patient in patients_of:
        check_bookable(as_server(ctx), visit, online=not staff, patient=patient, now=ctx.now, own=own[1])
    if staff:
        check_limits(as_server(ctx), visit, own=own[1])
    patients.check_none_overlaps(ctx, others, visit, but=own[0])


def write(ctx: Context, unit: Changes, asked: Asked, people: Sequence[Person], terms: Terms) -> str:
    """Put the Appointment and its Slots among what is to be written; the Appointment's id. Raises `Forbidden` when the
    caller may not write such an Appointment."""
    appointment, visit = asked.appointment, asked.visit
    _say(ctx, appointment, visit, people, terms)
    if asked.before is None:
        may_write(ctx, appointment, "c")
        appointment["slot"] = slots.add(unit, visit, tentative=terms.status == "pending", overbooked=terms.overbooked)
        return unit.add(appointment)
    may_write(ctx, appointment, "u")
    settle_slots(ctx, unit, appointment, visit, tentative=terms.status == "pending", again=asked.lapsed)
    unit.put(appointment)
    return str(appointment["id"])


def settle_slots(
    ctx: Context, unit: Changes, appointment: Resource, visit: Visit, *, tentative: bool, again: bool
) -> None:
    """Let the Slots of a stored Appointment say what its status asks for. `again`: its hold has expired, so that the
    time must be claimed anew."""
    if not again and slots.settle(ctx, unit, appointment, tentative=tentative):
        return
    slots.remove(ctx, unit, appointment)
    appointment["slot"] = slots.add(unit, visit, tentative=tentative)


def _say(ctx: Context, appointment: Resource, visit: Visit, people: Sequence[Person], terms: Terms) -> None:
    """Complete the Appointment as it will be stored."""
    appointment["status"] = terms.status
    appointment["start"] = instant(visit.start, visit.zone)
    appointment["end"] = instant(visit.end, visit.zone)
    appointment["minutesDuration"] = int((visit.end - visit.start).total_seconds()) // 60
    appointment.setdefault("created", instant(ctx.now))
    set_extension(appointment, WALL_TIME, wall_time(visit.start, visit.zone))
    drop_tags(appointment, HOLDER)
    if terms.expires is None:
        set_extension(appointment, HOLD_EXPIRES, None)
        drop_tags(appointment, BOOKING, EXTENDED, *HELD_FROM.values())
    else:
        set_extension(appointment, HOLD_EXPIRES, {"valueInstant": instant(terms.expires)})
        set_tag(appointment, HOLDER, callers.holder(ctx))
    if terms.overbooked:
        set_tag(appointment, BOOKING, OVERBOOKED)
    if terms.comment:
        add_comment(appointment, terms.comment)
    _attend(ctx, appointment, people, terms)


def add_comment(appointment: Resource, comment: str | None) -> None:
    """Keep what the caller said, below what was said before."""
    before = appointment.get("comment")
    if comment and comment != before:
        appointment["comment"] = f"{before}\n{comment}" if before else comment


def _attend(ctx: Context, appointment: Resource, people: Sequence[Person], terms: Terms) -> None:
    """Put the patients among the participants; who has agreed so far."""
    found: list[dict[str, Any]] = list(appointment.get("participant", ()))
    if people:
        named = {f"Patient/{id_}" for id_ in callers.patients_of(ctx, appointment)}
        wanted = {each.reference for each in people}
        if named - wanted:
            # Somebody else comes than the one for whom the time was held.
            found = [each for each in found if "/Patient/" not in f"/{each.get('actor', {}).get('reference', '')}"]
            named = set()
        found += [_participant(each.reference) for each in people if each.reference not in named]
    relative = callers.related_person(ctx)
    if relative and not any(each.get("actor", {}).get("reference") == relative for each in found):
        found.append(_participant(relative))
    agreed = terms.status == "booked"
    for each in found:
        guest = each.get("actor", {}).get("reference", "").rsplit("/", 2)[-2:][0] in GUESTS
        if each.get("status") in (None, "needs-action", "tentative") and (agreed or (guest and terms.expires is None)):
            each["status"] = "accepted"
    appointment["participant"] = found


def _participant(reference: str) -> dict[str, Any]:
    return {"actor": {"reference": reference}, "required": "required", "status": "needs-action"}
