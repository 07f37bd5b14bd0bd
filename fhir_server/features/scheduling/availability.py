"""When a visit can begin: set algebra on minutes, no I/O.

A set of starts is a sorted list of half-open pairs of UTC minutes at which a visit of the asked length may begin as far
as one reason is concerned. What is free is the intersection of such sets, cut to the grid of the clinic's clock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from fhir_server.core.dates import stored_range
from fhir_server.features.scheduling.holidays import public_holidays
from fhir_server.features.scheduling.hours import (
    DAY,
    Span,
    Spans,
    WallClock,
    Weekly,
    complement,
    difference,
    intersection,
    merged,
    week,
    weekday,
)
from fhir_server.features.scheduling.parameters import Rules

_MINUTE_US = 60_000_000
_EVER = (-(1 << 60), 1 << 60)


class Busy(NamedTuple):
    """Time of an actor that is taken, in UTC minutes. `visit`: rid of the Appointment, 0 for an absence."""

    start: int
    end: int
    seat: int = 0
    visit: int = 0


@dataclass(frozen=True, slots=True)
class Hours:
    """When an actor works besides what the rules say. `weekly`: sets of weekly hours all of which must hold; `absent`:
    (start, end) as FHIR text; `horizons`: likewise, outside of which nothing is planned; `always`: open where no hours
    are said at all (a room)."""

    weekly: tuple[tuple[Weekly, ...], ...] = ()
    absent: tuple[tuple[str, str], ...] = ()
    horizons: tuple[tuple[str, str], ...] = ()
    always: bool = False

    def said(self, rules: Rules) -> tuple[tuple[Weekly, ...], ...]:
        """The sets of weekly hours that hold together: those of the rules come before any others."""
        return self.weekly if rules.available is None else (rules.available,)


@dataclass(slots=True)
class Window:
    """The time that is looked at, and the clinic's clock around it."""

    lo: int
    hi: int
    clock: WallClock
    first: int = field(init=False)
    last: int = field(init=False)

    def __post_init__(self) -> None:
        # Hours that began on the day before, and the reserve of whole days, matter too.
        self.first = self.clock.day(self.lo) - 1
        self.last = self.clock.day(self.hi) + 1


def bounds(text: tuple[str, str], clock: WallClock) -> Span:
    """The minutes of a period: a date as its end means all of that day on the clinic's clock."""
    start, end = text
    lo = stored_range(start, clock.zone)[0] // _MINUTE_US if start else _EVER[0]
    if not end:
        return lo, _EVER[1]
    first, last = stored_range(end, clock.zone)
    return lo, -(-(last if len(end) <= 10 else first) // _MINUTE_US)


def opening(rules: Rules, hours: Hours, window: Window) -> Spans:
    """When the actor works and may be booked: weekly hours without absences, closures and holidays, and extra ones."""
    clock, first, last = window.clock, window.first, window.last
    whole = (first * DAY, (last + 1) * DAY)
    said = hours.said(rules)
    walls: Spans = [whole] if said or hours.always else []
    for weekly in said:
        walls = intersection(walls, week(weekly, first - 1, last))
    open_ = clock.spans(walls)
    gone = [bounds(text, clock) for text in (*hours.absent, *rules.closed)]
    if rules.holidays:
        days = public_holidays(rules.holidays, first, last)
        gone += [(clock.utc(day * DAY), clock.utc((day + 1) * DAY)) for day in days]
    open_ = difference(open_, merged(gone))
    if rules.extra:
        extra = [bounds(text, clock) for text in rules.extra]
        open_ = merged([*open_, *intersection(merged(extra), clock.spans([whole]))])
    for horizon in hours.horizons:
        open_ = intersection(open_, [bounds(horizon, clock)])
    return open_


def within(spans: Iterable[Span], length: int) -> Spans:
    """The starts of what lasts `length` and lies within one of the spans."""
    return [(lo, hi - length + 1) for lo, hi in spans if hi - lo >= length]


def avoiding(spans: Iterable[Span], length: int) -> Spans:
    """The starts of what lasts `length` and touches one of the spans: to be taken away."""
    return merged((lo - length + 1, hi) for lo, hi in spans)


def free(busy: Sequence[Busy], capacity: int, rules: Rules, minutes: int, window: Window) -> Spans:
    """The starts at which an actor has a seat for the visit and its buffers, from the first to the last minute."""
    before, after = rules.before, rules.after
    lo, hi = window.lo - before, window.hi + minutes + after
    whole = minutes + before + after

    def starts(taken: Iterable[Span]) -> Spans:
        return [(from_ + before, to - minutes - after + 1) for from_, to in complement(merged(taken), lo, hi)
                if to - from_ >= whole]  # fmt: skip

    if capacity == 1:
        return starts([(each.start, each.end) for each in busy])
    full = _full(busy, capacity)
    seats: Spans = []
    for seat in range(min(capacity, 2 + max((each.seat for each in busy), default=-1))):
        seats += starts([*full, *((each.start, each.end) for each in busy if each.seat == seat)])
    return merged(seats)


def _full(busy: Sequence[Busy], capacity: int) -> Spans:
    """When as many visits run at once as there are seats, overbooked ones counted."""
    edges = sorted([(each.start, 1) for each in busy] + [(each.end, -1) for each in busy])
    out: Spans = []
    depth = since = 0
    for at, step in edges:
        if step > 0 and depth + 1 == capacity:
            since = at
        elif step < 0 and depth == capacity:
            out.append((since, at))
        depth += step
    return merged(out)


def reserved(rules: Rules, open_: Sequence[Span], minutes: int, window: Window, now: int) -> Spans:
    """The starts that would touch a visit kept for emergencies: the last ones of each day's hours, until released."""
    if not rules.reserve:
        return []
    clock = window.clock
    kept: Counter[int] = Counter()
    places: Spans = []
    for lo, hi in reversed(open_):
        for steps in reversed(clock.grid(lo, hi - rules.duration + 1, rules.interval, rules.offset)):
            end = hi if not places else min(hi, places[-1][0])
            for start in reversed(steps):
                day = clock.day(start)
                if start + rules.duration <= end and kept[day] < rules.reserve:
                    kept[day] += 1
                    places.append((start, start + rules.duration))
                    end = start
    return avoiding((place for place in places if place[0] - rules.reserve_release > now), minutes)


def full_days(rules: Rules, visits: Mapping[int, int], clock: WallClock) -> Spans:
    """The days and weeks (Monday first, on the clinic's clock) in which the Schedule has as many visits as it may.
    `visits`: their starts."""
    if not (rules.limit_day or rules.limit_week):
        return []
    days = Counter(clock.day(start) for start in visits.values())
    out: Spans = []
    if rules.limit_day:
        out += [_days(day, 1, clock) for day, number in days.items() if number >= rules.limit_day]
    if rules.limit_week:
        weeks: Counter[int] = Counter()
        for day, number in days.items():
            weeks[day - weekday(day)] += number
        out += [_days(monday, 7, clock) for monday, number in weeks.items() if number >= rules.limit_week]
    return merged(out)


def _days(day: int, number: int, clock: WallClock) -> Span:
    return clock.utc(day * DAY), clock.utc((day + number) * DAY)


def online_bounds(rules: Rules, now: int) -> Span:
    """When a visit booked online may begin: after minNotice, within maxAdvance."""
    furthest = now + rules.max_advance * DAY + 1 if rules.max_advance else _EVER[1]
    return now + rules.min_notice, furthest


def on_grid(starts: Iterable[Span], rules: Rules, clock: WallClock) -> list[int]:
    """The starts on the grid of the clinic's clock, sorted. Wall times that do not exist are left out, of those that
    come twice the first is meant."""
    out: list[int] = []
    for lo, hi in starts:
        for steps in clock.grid(lo, hi, rules.interval, rules.offset):
            out += steps
    return out
