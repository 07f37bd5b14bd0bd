"""Schedule/$open-hours: when agendas are open, for those who draw them (profiles/scheduling/operations/)."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

from fhir_server.core.context import Context
from fhir_server.core.dates import parse_range
from fhir_server.core.errors import Invalid, TooCostly, Unprocessable
from fhir_server.features.scheduling import availability, offers
from fhir_server.features.scheduling.availability import Window
from fhir_server.features.scheduling.fields import instant
from fhir_server.features.scheduling.free import window
from fhir_server.features.scheduling.holidays import public_holidays
from fhir_server.features.scheduling.hours import Spans, merged, moment_of
from fhir_server.features.scheduling.offers import Catalogue, Offer
from fhir_server.features.scheduling.parameters import Rules, rules_of
from fhir_server.interactions import stored
from fhir_server.operations.call import OperationCall

MOST_DAYS = 62
_MOST = 100
_MINUTE_US = 60_000_000
_DAY_US = 1440 * _MINUTE_US


def open_hours(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """When each of these Schedules is open: Parameters with a part `schedule` for each.

    Hours of all services that a Schedule offers, without closures, holidays and what its roles are absent; what is
    booked does not count. Raises `Invalid`, `TooCostly` for more than 62 days or 100 Schedules, `NotFound` for a
    Schedule that the caller may not see.
    """
    lo, hi = _span(ctx, call)
    names = _schedules(ctx, call)
    for name in names:
        stored.get(ctx, *name.split("/"))
    catalogue = offers.load(ctx, schedules=names) if names else Catalogue(ctx, {}, {}, ())
    parts = []
    for name in names:
        part = [{"name": "reference", "valueReference": {"reference": name}}]
        if name in catalogue.schedules:
            part += _said(ctx, catalogue, name, lo, hi)
        parts.append({"name": "schedule", "part": part})
    return {"resourceType": "Parameters", "parameter": parts} if parts else {"resourceType": "Parameters"}


def _span(ctx: Context, call: OperationCall) -> tuple[int, int]:
    """The asked time in UTC minutes."""
    zone = ZoneInfo(ctx.tenant.zone)
    lo, _ = parse_range(call.parameters["start"], zone)
    first, last = parse_range(call.parameters["end"], zone)
    hi = last if len(call.parameters["end"]) <= 10 else first
    if hi <= lo:
        raise Invalid("The end is not after the start.", expression="http.end", code="value")
    if hi - lo > MOST_DAYS * _DAY_US:
        raise TooCostly(f"$open-hours looks at {MOST_DAYS} days at most.", expression="http.end")
    return lo // _MINUTE_US, hi // _MINUTE_US


def _schedules(ctx: Context, call: OperationCall) -> list[str]:
    names = []
    for reference in call.parameters["schedule"]:
        name = stored.local(ctx, reference)
        if name is None or not name.startswith("Schedule/"):
            raise Invalid("schedule takes references to Schedules of this server.", expression="http.schedule")
        names.append(name)
    if len(names) > _MOST:
        raise TooCostly(f"$open-hours looks at {_MOST} Schedules at most.", expression="http.schedule")
    return list(dict.fromkeys(names))


def _said(ctx: Context, catalogue: Catalogue, name: str, lo: int, hi: int) -> Iterator[dict[str, Any]]:
    """The parts about one Schedule: `open`, `closed`, `holiday`."""
    schedule = catalogue.schedules[name][1]
    rules = rules_of(None, schedule, ctx.tenant.zone)
    here = window(rules.zone, lo, hi)
    for start, end in _open(catalogue, name, here):
        if start < hi and end > lo:
            yield {"name": "open", "valuePeriod": _period(max(start, lo), min(end, hi), here)}
    yield from _closures(rules, here)
    if rules.holidays:
        for day in public_holidays(rules.holidays, here.clock.day(lo), here.clock.day(hi - 1)):
            yield {"name": "holiday", "valueDate": f"{moment_of(day * 1440):%Y-%m-%d}"}


def _open(catalogue: Catalogue, name: str, here: Window) -> Spans:
    found: Spans = []
    for service in catalogue.services_of(name) or [None]:
        try:
            offer = catalogue.offer(service, name, ())
        except Unprocessable:
            continue
        found += availability.opening(offer.rules, _hours(catalogue, offer, name), here)
    return merged(found)


def _hours(catalogue: Catalogue, offer: Offer, name: str) -> availability.Hours:
    # As for a visit that needs it: a room is open unless it says when.
    return offer.main.hours if catalogue.people(name) else replace(offer.main.hours, always=True)


def _closures(rules: Rules, here: Window) -> Iterator[dict[str, Any]]:
    for text in rules.closed:
        start, end = availability.bounds(text, here.clock)
        if start < here.hi and end > here.lo:
            yield {"name": "closed", "valuePeriod": _period(max(start, here.lo), min(end, here.hi), here)}


def _period(lo: int, hi: int, here: Window) -> dict[str, str]:
    zone = here.clock.zone
    return {"start": instant(moment_of(lo), zone), "end": instant(moment_of(hi), zone)}
