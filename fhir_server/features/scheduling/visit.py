"""A visit that could be booked: which service, with whom, when, and by which rules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from fhir_server.core.context import Context
from fhir_server.core.dates import moment
from fhir_server.core.errors import NotFound, Unprocessable
from fhir_server.features.scheduling import bookable, meant, proposals
from fhir_server.features.scheduling.fields import E, instant, wall_time
from fhir_server.features.scheduling.free import FreeTime, Question
from fhir_server.features.scheduling.hours import DAY, minutes_of, moment_of
from fhir_server.features.scheduling.offers import Offer, Place, codings, load
from fhir_server.features.scheduling.parameters import Rules
from fhir_server.features.scheduling.proposals import Proposal
from fhir_server.features.scheduling.visited import load_visited
from fhir_server.interactions.stored import by_rid

SERVICE_MODE = f"{E}service-mode"
_MODES = "urn:salam:CodeSystem:service-mode"
# How far alternatives are looked for: near first, because it costs less.
_AHEAD = (2 * DAY, 28 * DAY)


@dataclass(frozen=True, slots=True)
class PlannedSlot:
    """A Slot to create. `schedule`: `Schedule/id`; `status`: `busy` (the visit) or `busy-unavailable` (a buffer)."""

    schedule: str
    start: datetime
    end: datetime
    status: str


@dataclass(frozen=True, slots=True)
class Visit:
    """`start`, `end`: aware, UTC, without buffers; `offer`: what is visited; `rooms`: the Schedules taken besides its
    main one; `mode`: a code of service-mode, or None where it is not settled."""

    offer: Offer
    rooms: tuple[Place, ...]
    start: datetime
    end: datetime
    mode: str | None = None

    @property
    def service(self) -> Mapping[str, Any] | None:
        """The HealthcareService, or None."""
        return self.offer.service

    @property
    def schedules(self) -> tuple[Mapping[str, Any], ...]:
        """The Schedules it takes, the main one first."""
        return tuple(place.schedule for place in self.places)

    @property
    def places(self) -> tuple[Place, ...]:
        """The same with whose time they are about."""
        return (self.offer.main, *self.rooms)

    @property
    def rules(self) -> Rules:
        """The rules it is booked by."""
        return self.offer.rules

    @property
    def zone(self) -> ZoneInfo:
        """The clinic's zone."""
        return ZoneInfo(self.rules.zone)

    @property
    def slots(self) -> tuple[PlannedSlot, ...]:
        """What stands for it in the agendas: the visit and its buffers on each of its Schedules."""
        return tuple(slot for place in self.places for slot in _slots(place, self.start, self.end))


def _slots(place: Place, start: datetime, end: datetime) -> Iterator[PlannedSlot]:
    before, after = timedelta(minutes=place.rules.before), timedelta(minutes=place.rules.after)
    yield PlannedSlot(place.name, start, end, "busy")
    if before:
        yield PlannedSlot(place.name, start - before, start, "busy-unavailable")
    if after:
        yield PlannedSlot(place.name, end, end + after, "busy-unavailable")


# -- which visit is meant ----------------------------------------------------------------------------------------------


def visit_of(ctx: Context, appointment: Mapping[str, Any]) -> Visit:
    """The visit that an Appointment is about: one that $find proposed, one that is stored, or somebody else's.

    By its id `proposal-…`; else by its slots, else by the Schedules of its participants, and start and end. Raises
    `Unprocessable` when they name no active Schedule, `NotFound` when what was proposed is not offered any more.
    """
    if str(appointment.get("id", "")).startswith(proposals.PREFIX):
        visit = visit_by_proposal(ctx, appointment["id"])
        if "start" in appointment and moment(appointment["start"]) != visit.start:
            raise Unprocessable(
                "The start is not that of the proposal whose id the Appointment has. Call $find again, or send it"
                " without an id.",
                expression="Appointment.start",
                code="business-rule",
            )
        return _in_mode(visit, appointment)
    start, end = meant.times(appointment)
    named, slots = meant.named_service(appointment), meant.of_slots(ctx, appointment)
    catalogue = load_visited(ctx, named, slots, [] if slots else meant.booked(appointment))
    names = meant.in_order(catalogue, appointment, slots)
    if not named:
        # Which service it is, all that the Schedule offers must tell.
        catalogue = load(ctx, catalogue.people(names[0]), names)
    service = meant.service(catalogue, names[0], appointment)
    offer = catalogue.offer(service, names[0])
    length = timedelta(minutes=appointment.get("minutesDuration", offer.rules.duration))
    end = end or start + length
    if len(names) > 1 or "slot" in appointment or not offer.groups:
        offer = catalogue.offer(service, names[0], [[name] for name in names[1:]])
        rooms = tuple(group[0] for group in offer.groups)
    else:
        rooms = _any_rooms(ctx, offer, minutes_of(start), minutes_of(end))
    return _in_mode(Visit(offer, rooms, start, end, _mode(offer)), appointment)


def _any_rooms(ctx: Context, offer: Offer, lo: int, hi: int) -> tuple[Place, ...]:
    """Rooms for a visit whose writer named none: free ones, else any, so that the claims say what is taken."""
    free = FreeTime(ctx, [offer], Question(lo, hi, lo, online=False)).rooms(offer, lo)
    return free if len(free) == len(offer.groups) else tuple(group[0] for group in offer.groups if group)


def _in_mode(visit: Visit, appointment: Mapping[str, Any]) -> Visit:
    """The visit in the mode that an Appointment says. Raises `Unprocessable` when the service has no such mode."""
    found = (each.get("valueCode") for each in appointment.get("extension", ()) if each.get("url") == SERVICE_MODE)
    mode, known = next(found, None), modes_of(visit.service)
    if mode is None:
        return visit
    if known and mode not in known and "hybrid" not in known:
        raise Unprocessable(
            f"The service is given {' or '.join(known)}.", expression="Appointment.extension", code="business-rule"
        )
    return replace(visit, mode=mode)


def visit_by_proposal(ctx: Context, proposal_id: str) -> Visit:
    """The visit of a proposal's id, `proposal-…`. Raises `NotFound`."""
    proposal = proposals.decode(proposal_id)
    rows = by_rid(ctx, [rid for rid in (proposal.service, *proposal.schedules) if rid])
    wanted = {proposal.service: "HealthcareService", **dict.fromkeys(proposal.schedules, "Schedule")}
    if any(rid and rows.get(rid, {}).get("resourceType") != kind for rid, kind in wanted.items()):
        raise NotFound("What was proposed is not offered any more. Call $find again.")
    service = f"HealthcareService/{rows[proposal.service]['id']}" if proposal.service else None
    names = [f"Schedule/{rows[rid]['id']}" for rid in proposal.schedules]
    return visit_at(ctx, service, names, moment_of(proposal.start), minutes=proposal.minutes)


def visit_at(
    ctx: Context,
    service: str | None,
    schedules: Sequence[str],
    start: datetime,
    *,
    minutes: int | None = None,
    mode: str | None = None,
) -> Visit:
    """The visit to a service (`HealthcareService/id`) by these Schedules (`Schedule/id`, the main one first) at a time.

    `minutes`: its length, by default the service's. Raises `NotFound` when one of them is not active.
    """
    catalogue = load_visited(ctx, service, schedules)
    if any(name not in catalogue.schedules for name in schedules) or (service and service not in catalogue.services):
        raise NotFound("The service or one of the Schedules is not offered any more. Call $find again.")
    offer = catalogue.offer(service, schedules[0], [[name] for name in schedules[1:]])
    end = start + timedelta(minutes=minutes or offer.rules.duration)
    return Visit(offer, tuple(group[0] for group in offer.groups), start, end, mode or _mode(offer))


def _mode(offer: Offer) -> str | None:
    """The mode of a service that has only one."""
    modes = modes_of(offer.service)
    return modes[0] if len(modes) == 1 and modes[0] != "hybrid" else None


def modes_of(service: Mapping[str, Any] | None) -> list[str]:
    """The modes in which a service is given, codes of service-mode."""
    found = codings((service or {}).get("characteristic"))
    return sorted(code for system, code in found if system == _MODES)


# -- what becomes of it ------------------------------------------------------------------------------------------------


def check_bookable(
    ctx: Context, visit: Visit, *, online: bool, patient: Mapping[str, Any] | None, now: datetime, own: int = 0
) -> None:
    """Raise `Unprocessable` (business-rule, with a detail) when the rules do not allow this visit.

    `online`: booked by a patient or the public, who are bound by onlineBooking, opening hours, alignment, duration,
    minNotice, maxAdvance, emergencyReserve and limits. Staff may book out of hours and in the past. Eligibility holds
    for all, of a `patient` who is known. `own`: rid of the Appointment itself, whose time does not count.
    Whether the time is free is decided by the claims, not here.
    """
    bookable.check_patient(ctx, visit.offer, patient)
    if online:
        span = minutes_of(visit.start), minutes_of(visit.end)
        bookable.check_online(visit.offer, visit.rooms, span, minutes_of(now))
        check_limits(ctx, visit, own=own)


def check_limits(ctx: Context, visit: Visit, *, own: int = 0, beside_day: int = 0, beside_week: int = 0) -> None:
    """Raise `Unprocessable` (limit-reached) when the Schedule has as many visits that day or week as it may.

    `own`: rid of an Appointment that does not count; `beside_…`: visits that are about to be written besides. Who must
    be sure takes a lock first.
    """
    bookable.check_limits(ctx, visit.offer, minutes_of(visit.start), own, beside_day, beside_week)


def proposed(visit: Visit) -> dict[str, Any]:
    """The visit as a proposed Appointment (not stored; id `proposal-…`), with participants but without a patient."""
    offer, zone = visit.offer, visit.zone
    length = (visit.end - visit.start) // timedelta(minutes=1)
    rids = tuple(place.rid for place in visit.places)
    extensions: list[dict[str, Any]] = [{"url": f"{E}wall-time", **wall_time(visit.start, zone)}]
    if visit.mode:
        extensions.append({"url": SERVICE_MODE, "valueCode": visit.mode})
    if visit.rules.price:
        extensions.append({"url": f"{E}price", "valueMoney": visit.rules.price})
    service = visit.service or {}
    found: dict[str, Any] = {"resourceType": "Appointment", "extension": extensions, "status": "proposed"}
    found["id"] = proposals.encode(Proposal(offer.service_rid, rids, minutes_of(visit.start), length))
    for name, values in (
        ("serviceCategory", service.get("category")),
        ("serviceType", service.get("type") or offer.main.schedule.get("serviceType")),
        ("specialty", service.get("specialty") or (offer.role or offer.main.schedule).get("specialty")),
    ):
        if values:
            found[name] = values
    found |= {"start": instant(visit.start, zone), "end": instant(visit.end, zone), "minutesDuration": length}
    references = [*offer.actors, *(actor for room in visit.rooms for actor in room.actors)]
    unique = {each["reference"]: each for each in references}
    found["participant"] = [
        {"actor": dict(actor), "required": "required", "status": "needs-action"} for actor in unique.values()
    ]
    return found


def alternatives(ctx: Context, visit: Visit, count: int = 3, *, online: bool = True) -> list[dict[str, Any]]:
    """The next free proposals (Appointments, soonest first, the same Schedule preferred) instead of a visit that is
    taken. Needs a transaction that is not aborted: use FhirError.after_rollback."""
    service, main = visit.service, visit.offer.main.name
    catalogue = load(ctx, schedules=None if service else [main])
    offers = catalogue.offers([f"HealthcareService/{service['id']}"] if service else [None])
    now = minutes_of(ctx.now)
    lo = max(minutes_of(visit.start), now)
    for ahead in _AHEAD:
        free = FreeTime(ctx, offers, Question(lo, lo + ahead, now, online))
        found = sorted(
            (start, offer.main.name != main, free.load(offer), offer.main.rid, number)
            for number, offer in enumerate(offers)
            for start in free.starts(offer)[:count]
        )
        if len(found) >= count or ahead == _AHEAD[-1]:
            break
    return [proposed(at(free, offers[number], start)) for start, *_, number in found[:count]]


def at(free: FreeTime, offer: Offer, start: int) -> Visit:
    """The visit to an offer at a free start (UTC minutes)."""
    begin = moment_of(start)
    end = begin + timedelta(minutes=offer.rules.duration)
    return Visit(offer, free.rooms(offer, start), begin, end, _mode(offer))
