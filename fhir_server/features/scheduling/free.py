"""Free time: what the claims leave of the hours of those who offer a service."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from fhir_server.core.context import Context
from fhir_server.core.keys import self_key
from fhir_server.features.scheduling import availability
from fhir_server.features.scheduling.availability import Busy, Window
from fhir_server.features.scheduling.hours import (
    DAY,
    Span,
    Spans,
    WallClock,
    contains,
    difference,
    intersection,
    merged,
    moment_of,
)
from fhir_server.features.scheduling.offers import Offer, Place
from fhir_server.features.scheduling.parameters import Rules
from fhir_server.features.scheduling.timing import wanted_starts
from fhir_server.storage import claims
from fhir_server.storage.agendas import taken_minutes


@dataclass(frozen=True, slots=True)
class Agendas:
    """What is taken of some actors' time. `seats`: by key of the actor, only of those whose time is booked."""

    seats: Mapping[int, int]
    busy: Mapping[int, list[Busy]]


@dataclass(slots=True)
class Question:
    """What is asked. `lo`, `hi`: UTC minutes in which the visit lies; `online`: by the public's rules;
    `timing`: preferred times (a Timing); `barred`: time at which the patient cannot come."""

    lo: int
    hi: int
    now: int
    online: bool
    timing: Mapping[str, Any] | None = None
    barred: Spans = field(default_factory=list)


def window(zone: str, lo: int, hi: int) -> Window:
    """A window with the zone's clock around it, weeks at its ends included."""
    return Window(lo, hi, WallClock(ZoneInfo(zone), lo - 9 * DAY, hi + 9 * DAY))


def agendas(ctx: Context, keys: Iterable[int], lo: int, hi: int) -> Agendas:
    """What is taken between two minutes of the time of these actors (core.keys.self_key), in two statements."""
    with ctx.db.hold():
        seats = claims.capacities(ctx.db, ctx.tenant.id, sorted(set(keys)))
        taken = taken_minutes(ctx.db, ctx.tenant.id, sorted(seats), moment_of(lo), moment_of(hi), ctx.now)
    busy = {key: list(map(Busy, *taken[key])) if key in taken else [] for key in seats}
    return Agendas(seats, busy)


def keys_of(offer: Offer) -> set[int]:
    """Keys of all whose time a visit may take."""
    named = {self_key(*actor["reference"].split("/")) for actor in offer.actors}
    return named.union(offer.main.keys, *(place.keys for group in offer.groups for place in group))


def reach(offers: Sequence[Offer], question: Question) -> Span:
    """The time of which the claims must be known: buffers before and after, weeks where there are limits."""
    before = max((offer.rules.before for offer in offers), default=0)
    after = max((offer.rules.duration + offer.rules.after for offer in offers), default=0)
    if any(offer.rules.limit_day or offer.rules.limit_week for offer in offers):
        before, after = before + 8 * DAY, after + 8 * DAY
    return question.lo - before, question.hi + after


class FreeTime:
    """Where the offers have room, as asked. What is computed once is remembered for all offers."""

    def __init__(self, ctx: Context, offers: Sequence[Offer], question: Question) -> None:
        self.question = question
        keys = set().union(*map(keys_of, offers))
        self._agendas = agendas(ctx, keys, *reach(offers, question)) if offers else Agendas({}, {})
        self._windows: dict[str, Window] = {}
        self._free: dict[tuple[int, int, int, int], Spans] = {}
        self._timed: dict[str, Spans] = {}
        self._led: dict[int, dict[int, int]] = {}

    def window(self, zone: str) -> Window:
        """The asked window on a zone's clock."""
        if zone not in self._windows:
            self._windows[zone] = window(zone, self.question.lo, self.question.hi)
        return self._windows[zone]

    def starts(self, offer: Offer) -> list[int]:
        """When a visit can begin, UTC minutes, sorted."""
        rules, asked, here = offer.rules, self.question, self.window(offer.rules.zone)
        minutes = rules.duration
        if not any(key in self._agendas.seats for key in offer.main.keys):
            return []
        open_ = availability.opening(rules, offer.main.hours, here)
        starts = intersection(availability.within(open_, minutes), [(asked.lo, asked.hi - minutes + 1)])
        starts = self._allowed(starts, rules, open_, here, self._visits(offer))
        if asked.timing is not None:
            starts = intersection(starts, self._wanted(offer.rules.zone))
        starts = difference(starts, availability.avoiding(asked.barred, minutes))
        named = {self_key(*actor["reference"].split("/")) for actor in offer.actors}
        starts = intersection(starts, self._all(named.union(offer.main.keys), rules, minutes, here))
        for group in offer.groups:
            starts = intersection(starts, merged(span for place in group for span in self._room(place, minutes, here)))
        return availability.on_grid(starts, rules, here.clock)

    def rooms(self, offer: Offer, start: int) -> tuple[Place, ...]:
        """The Schedules that the visit takes besides the main one: of each group the first that is free, none twice."""
        chosen: list[Place] = []
        here = self.window(offer.rules.zone)
        for group in offer.groups:
            free = [each for each in group if contains(self._room(each, offer.rules.duration, here), start)]
            apart = [each for each in free if each not in chosen]
            chosen += (apart or free)[:1]
        return tuple(chosen)

    def load(self, offer: Offer) -> int:
        """How many visits the Schedule has in what was looked at: the fewer, the sooner it is offered."""
        return len(self._visits(offer))

    def _wanted(self, zone: str) -> Spans:
        if zone not in self._timed:
            self._timed[zone] = wanted_starts(self.question.timing or {}, self.window(zone))
        return self._timed[zone]

    def _allowed(self, starts: Spans, rules: Rules, open_: Spans, here: Window, visits: Mapping[int, int]) -> Spans:
        asked = self.question
        starts = difference(starts, availability.full_days(rules, visits, here.clock))
        if not asked.online:
            return intersection(starts, [(asked.now, 1 << 60)])
        starts = intersection(starts, [availability.online_bounds(rules, asked.now)])
        return difference(starts, availability.reserved(rules, open_, rules.duration, here, asked.now))

    def _visits(self, offer: Offer) -> dict[int, int]:
        lead = offer.main.lead
        if lead not in self._led:
            self._led[lead] = visits(self._agendas.busy.get(lead, ()))
        return self._led[lead]

    def _all(self, keys: Iterable[int], rules: Rules, minutes: int, here: Window) -> Spans:
        """The starts at which all of these actors are free; who cannot be booked always is."""
        starts: Spans = [(here.lo, here.hi)]
        for key in keys:
            if key in self._agendas.seats:
                starts = intersection(starts, self._free_of(key, rules, minutes, here))
        return starts

    def _free_of(self, key: int, rules: Rules, minutes: int, here: Window) -> Spans:
        name = (key, rules.before, rules.after, minutes)
        if name not in self._free:
            seats = self._agendas.seats[key]
            self._free[name] = availability.free(self._agendas.busy[key], seats, rules, minutes, here)
        return self._free[name]

    def _room(self, place: Place, minutes: int, here: Window) -> Spans:
        open_ = availability.within(availability.opening(place.rules, place.hours, here), minutes)
        return intersection(open_, self._all(place.keys, place.rules, minutes, here))


def visits(busy: Iterable[Busy]) -> dict[int, int]:
    """The first minute that each visit takes, by Appointment."""
    found: dict[int, int] = {}
    for each in busy:
        if each.visit and each.start < found.get(each.visit, 1 << 60):
            found[each.visit] = each.start
    return found
