"""How long somebody still waits to be called: model `fluid-1`, a range that holds about four times in five.

The tickets that are called before, in the order of the policy, flow through the desks that are at work now; each takes
what such visits have taken today, and the configured minutes until there are enough of those. Expected emergencies and
no-shows are in it; people who come later with an earlier appointment are not.
"""

import heapq
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

from fhir_server.core.dates import format_instant
from fhir_server.features.queue import policy
from fhir_server.features.queue.configuration import QueueConfig
from fhir_server.storage.tickets import Ticket

EXTENSION = "urn:salam:StructureDefinition:wait-estimate"
MODEL = "fluid-1"
STEP = 5
_RECENT = 30
_DECAY = 0.93
# How many visits the configured minutes, and the mean of all kinds, count for beside those of a kind.
_PRIOR, _SHRINK = 3.0, 5.0
# For how long a desk that does nothing counts as being there; how soon one that is there calls somebody who waits; and
# for how long one is away.
_ACTIVE, _CALLS_WITHIN, _AWAY = timedelta(minutes=240), timedelta(minutes=4), 30.0
# Minutes that a call costs to which nobody comes.
_ABSENT_COST = 2.0
# Spread of a visit around its mean, of the rest of one that is under way, and of what nobody knows beforehand: the pace
# of the day, desks that come and go.
_VISIT_CV, _REST_CV, _DAY_CV = 0.55, 0.9, 0.22
_BELOW, _ABOVE = 1.3, 1.2
# Until that much of a day was seen, its emergencies are counted as if it had been.
_LEAST_SEEN = 120.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """Minutes until the call. `low` and `high` in steps of five, `low` < `high`; `ahead`: tickets called before."""

    low: int
    median: int
    high: int
    ahead: int
    computed_at: datetime
    model: str = MODEL


@dataclass(frozen=True, slots=True)
class Pace:
    """What the day shows so far. `minutes`: of a desk's time by kind, "" for all; `free`: minutes until each desk at
    work is free; `absent`: share of calls to which nobody comes; `emergencies`, `paid`: how many come a minute."""

    minutes: dict[str, float]
    free: tuple[float, ...]
    absent: float
    emergencies: float
    paid: float

    def of(self, kind: str) -> float:
        """Expected minutes of a desk for a waiting ticket of this kind, who may not come."""
        comes = self.minutes.get(kind, self.minutes[""])
        return comes * (1 - self.absent) + _ABSENT_COST * self.absent


def of(ahead: Sequence[Ticket], day: Iterable[Ticket], config: QueueConfig, now: datetime) -> Estimate:
    """The estimate for whoever is called after `ahead`. `day`: the queue's open tickets and those of today."""
    return _flow(ahead, pace(day, config, now), config, now)[-1]


def all_waiting(ordered: Sequence[Ticket], day: Iterable[Ticket], config: QueueConfig, now: datetime) -> list[Estimate]:
    """The estimate for each ticket of the order."""
    return with_next(ordered, day, config, now)[:-1]


def with_next(ordered: Sequence[Ticket], day: Iterable[Ticket], config: QueueConfig, now: datetime) -> list[Estimate]:
    """The estimate for each ticket of the order, and last the one for whoever comes now."""
    return _flow(ordered, pace(day, config, now), config, now)


def extension(estimate: Estimate) -> dict[str, Any]:
    """The extension `wait-estimate` of a ticket."""
    return {"url": EXTENSION, "extension": [{"url": name, element: value} for name, element, value in parts(estimate)]}


def parts(estimate: Estimate) -> list[tuple[str, str, Any]]:
    """An estimate as (name, element, value), for extensions and Parameters."""
    at = format_instant(round(estimate.computed_at.astimezone(UTC).timestamp() * 1_000_000))
    return [
        ("low", "valueUnsignedInt", estimate.low),
        ("median", "valueUnsignedInt", estimate.median),
        ("high", "valueUnsignedInt", estimate.high),
        ("ahead", "valueUnsignedInt", estimate.ahead),
        ("computedAt", "valueInstant", at),
        ("model", "valueString", estimate.model),
    ]


def pace(day: Iterable[Ticket], config: QueueConfig, now: datetime) -> Pace:
    """What the day's tickets say about how fast it goes."""
    tickets = list(day)
    minutes = _service_minutes(tickets, config)
    called = [t for t in tickets if t.called_at is not None]
    missed = sum(1 for t in called if t.state == "no-show" or t.absent_until is not None)
    taken = [t.taken_at for t in tickets]
    seen = max(_minutes(now - min(taken)) if taken else 0.0, _LEAST_SEEN)
    emergencies = sum(1 for t in tickets if t.kind == "emergency") / seen
    paid = sum(1 for t in tickets if policy.is_paid(t, config)) / seen
    return Pace(minutes, _desks(tickets, minutes, now), missed / (len(called) + 10), emergencies, paid)


def _service_minutes(tickets: Iterable[Ticket], config: QueueConfig) -> dict[str, float]:
    """Mean minutes of a desk's time by kind: recent visits count more, outliers are drawn in."""
    ended = [(t.ended_at, t) for t in tickets if t.state == "served" and t.ended_at and (t.called_at or t.started_at)]
    ended.sort(key=lambda pair: pair[0], reverse=True)
    taken = [(t.kind, _minutes(at - (t.called_at or t.started_at or at))) for at, t in ended[:_RECENT]]
    prior = float(config.service_minutes)
    middle = median([minutes for _, minutes in taken] + [prior])
    recent = [(kind, min(max(minutes, 0.25 * middle), 3 * middle)) for kind, minutes in taken]
    overall = _mean(recent, None, prior, _PRIOR)
    kinds = {kind for kind, _ in recent}
    return {"": overall, **{kind: _mean(recent, kind, overall, _SHRINK) for kind in kinds}}


def _mean(recent: Sequence[tuple[str, float]], kind: str | None, prior: float, weight: float) -> float:
    total = prior * weight
    for age, (of_kind, minutes) in enumerate(recent):
        if kind is None or of_kind == kind:
            total += minutes * _DECAY**age
            weight += _DECAY**age
    return total / weight


def _desks(tickets: Sequence[Ticket], minutes: dict[str, float], now: datetime) -> tuple[float, ...]:
    """In how many minutes each desk at work is free. A desk without work is there when it was lately, but away when
    it calls nobody although somebody waits. At least one desk."""
    busy, last = _at_desks(tickets)
    left = {desk: _left(ticket, minutes, now) for desk, ticket in busy.items()}
    waits_since = min((t.taken_at for t in tickets if t.state == "waiting"), default=now)
    for desk, at in last.items():
        if desk in busy or now - at > _ACTIVE:
            continue
        away = now - max(at, waits_since) > _CALLS_WITHIN
        left[desk] = max(_AWAY - _minutes(now - at), _AWAY / 4) if away else 0.0
    return tuple(sorted(left.values())) or (0.0,)


def _at_desks(tickets: Iterable[Ticket]) -> tuple[dict[str, Ticket], dict[str, datetime]]:
    """Which ticket each busy desk has, and when each desk did something last. Who is served where no desk was named has
    one for himself."""
    busy: dict[str, Ticket] = {}
    last: dict[str, datetime] = {}
    for ticket in tickets:
        if ticket.state == "serving" or (ticket.state == "called" and ticket.absent_until is None):
            busy[ticket.desk or f"#{ticket.rid}"] = ticket
        for at in (ticket.called_at, ticket.started_at, ticket.ended_at):
            if at is not None and ticket.desk:
                last[ticket.desk] = max(at, last.get(ticket.desk, at))
    return busy, last


def _left(ticket: Ticket, minutes: dict[str, float], now: datetime) -> float:
    """Minutes that a visit still takes. Who is there longer than usual stays a while yet."""
    whole = minutes.get(ticket.kind, minutes[""])
    since = ticket.called_at or ticket.started_at or now
    return max(whole - _minutes(now - since), whole / 3)


def _flow(ordered: Sequence[Ticket], day: Pace, config: QueueConfig, now: datetime) -> list[Estimate]:
    """Estimates for each of the order, and for an unpaid ticket that would come after them all."""
    desks = list(day.free)
    heapq.heapify(desks)
    spread = _square(_REST_CV * desks[0])
    found: list[Estimate] = []
    for ahead, ticket in enumerate([*ordered, None]):
        wait = desks[0]
        found.append(_range(wait * _held_up(ticket, day, config), spread, ahead, now))
        if ticket is not None:
            minutes = day.of(ticket.kind)
            heapq.heapreplace(desks, wait + minutes)
            spread += _square(_VISIT_CV * minutes / len(desks))
    return found


def _held_up(ticket: Ticket | None, day: Pace, config: QueueConfig) -> float:
    """By what factor a wait grows for those who will come meanwhile and go before."""
    if ticket is not None and ticket.rank == 0:
        return 1.0
    share = day.emergencies * day.minutes.get("emergency", day.minutes[""])
    if ticket is None or not policy.is_paid(ticket, config):
        share += min(day.paid * day.minutes[""], len(day.free) / config.paid_every)
    return 1 / (1 - min(share / len(day.free), 0.5))


def _range(wait: float, spread: float, ahead: int, now: datetime) -> Estimate:
    """A range around the expected wait, wider above than below. `spread`: variance in minutes squared."""
    if wait < 1:
        return Estimate(0, 0, STEP, ahead, now)
    sigma = math.sqrt(math.log1p(spread / _square(wait) + _square(_DAY_CV)))
    low = STEP * math.floor(wait * math.exp(-_BELOW * sigma) / STEP)
    high = STEP * math.ceil(wait * math.exp(_ABOVE * sigma) / STEP)
    return Estimate(low, round(wait), max(high, low + STEP), ahead, now)


def _square(number: float) -> float:
    return number * number


def _minutes(span: timedelta) -> float:
    return max(span.total_seconds(), 0.0) / 60
