"""Whether the rules of a service allow a visit. What is refused has a code in `details` (issue.json)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.errors import Unprocessable
from fhir_server.features.scheduling import availability
from fhir_server.features.scheduling.free import agendas, visits, window
from fhir_server.features.scheduling.hours import DAY, Span, contains, weekday
from fhir_server.features.scheduling.offers import Offer, Place
from fhir_server.fhirpath.errors import FhirPathError
from fhir_server.fhirpath.expression import compile_expression


def check_online(offer: Offer, rooms: Sequence[Place], span: Span, now: int) -> None:
    """Raise `Unprocessable` unless a visit from `span[0]` to `span[1]` (UTC minutes) may be booked online."""
    rules, (start, end) = offer.rules, span
    if offer.service is None or not rules.online:
        raise _refused("This service cannot be booked online. Please call the clinic.", "not-bookable-online")
    if end - start != rules.duration:
        raise _refused(f"A visit to this service takes {rules.duration} minutes.", "wrong-duration", "end")
    soonest, furthest = availability.online_bounds(rules, now)
    if start < soonest:
        text = f"It can be booked until {rules.min_notice} minutes before." if rules.min_notice else "It is over."
        raise _refused(f"This time is too soon. {text}", "too-soon")
    if start >= furthest:
        raise _refused(f"It can be booked at most {rules.max_advance} days ahead.", "too-far")
    _check_company(offer, rooms)
    here = window(rules.zone, start, end)
    for place in (offer.main, *rooms):
        open_ = availability.opening(place.rules, place.hours, here)
        if not contains(availability.within(open_, end - start), start):
            raise _refused("This time is outside of the opening hours.", "outside-hours")
    if start not in availability.on_grid([(start, start + 1)], rules, here.clock):
        raise _refused(f"Visits to this service begin every {rules.interval} minutes.", "not-aligned")
    open_ = availability.opening(rules, offer.main.hours, here)
    if contains(availability.reserved(rules, open_, rules.duration, here, now), start):
        raise _refused("This time is kept for emergencies. Please call the clinic.", "reserved")


def _check_company(offer: Offer, rooms: Sequence[Place]) -> None:
    """What is visited offers the service, and takes the time of nobody who is not needed for it."""
    needed = offer.rules.resources
    for each in needed:
        if not any(room.name in each.schedules for room in rooms):
            what = each.role or "a room or somebody else"
            raise _refused(f"The service needs {what} besides.", "resource-missing", "participant")
    known = {name for each in needed for name in each.schedules}
    if not offer.offered or len(rooms) > len(needed) or any(room.name not in known for room in rooms):
        raise _refused("The participants do not offer this service together.", "not-offered", "participant")


def check_patient(ctx: Context, offer: Offer, patient: Mapping[str, Any] | None) -> None:
    """Raise `Unprocessable` unless a known patient meets the condition of the service."""
    if patient is not None and not is_eligible(ctx, offer, patient):
        raise _refused("The patient does not meet the conditions of this service.", "not-eligible", "participant")


def is_eligible(ctx: Context, offer: Offer, patient: Mapping[str, Any]) -> bool:
    """Whether the condition of the service is true for a patient; what cannot be told from his data is not."""
    if not offer.rules.eligibility:
        return True
    try:
        nodes = compile_expression(offer.rules.eligibility, "Patient", ctx.registry)(dict(patient))
    except FhirPathError:
        return False
    return len(nodes) == 1 and nodes[0][1] is True


def check_limits(
    ctx: Context, offer: Offer, start: int, own: int = 0, beside_day: int = 0, beside_week: int = 0
) -> None:
    """Raise `Unprocessable` when the Schedule has as many visits on the day or in the week as it may."""
    rules = offer.rules
    if not (rules.limit_day or rules.limit_week):
        return
    clock = window(rules.zone, start, start).clock
    day = clock.day(start)
    monday = day - weekday(day)
    lo, hi = clock.utc(monday * DAY), clock.utc((monday + 7) * DAY)
    taken = agendas(ctx, [offer.main.lead], lo, hi).busy.get(offer.main.lead, ())
    starts = [at for rid, at in visits(taken).items() if rid != own]
    if rules.limit_day and sum(clock.day(at) == day for at in starts) + beside_day >= rules.limit_day:
        raise _refused(f"At most {rules.limit_day} visits are booked on one day.", "limit-reached")
    if rules.limit_week and sum(lo <= at < hi for at in starts) + beside_week >= rules.limit_week:
        raise _refused(f"At most {rules.limit_week} visits are booked in one week.", "limit-reached")


def _refused(text: str, detail: str, element: str = "start") -> Unprocessable:
    return Unprocessable(text, expression=f"Appointment.{element}", code="business-rule", detail=detail)
