"""Days of a clinic, drawn from a seed, with the real policy: to see how good estimates are.

One to three desks of different pace, late starts, a break, four kinds of visits, five kinds of tickets, no-shows; the
parameters are those of the wait-prediction study that the project follows, which found a mean wait of 45 minutes.
"""

import heapq
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from fhir_server.features.queue import policy
from fhir_server.features.queue.configuration import QueueConfig
from fhir_server.features.queue.estimate import Estimate
from fhir_server.storage.tickets import Ticket
from tests.features.queue.made import at, ticket

CONFIG = QueueConfig(kinds=("normal", "vip", "appointment", "express", "emergency"), service_minutes=14)
_VISITS = ((14, 0.45, 50), (9, 0.40, 30), (26, 0.50, 10), (5, 0.50, 10))
_KINDS = (("normal", 60), ("appointment", 28), ("express", 6), ("vip", 3), ("emergency", 3))
_HOURS = (1.5, 1.3, 1.3, 0.6, 0.6, 1.0, 1.0, 0.5)
_MEAN_VISIT = 13.6
Guess = Callable[[Sequence[Ticket], Sequence[Ticket], QueueConfig, float], Estimate]


@dataclass(slots=True)
class Day:
    """The tickets of a day and, for those who were called, estimate and actual minutes until the call."""

    tickets: dict[int, Ticket] = field(default_factory=dict)
    guessed: dict[int, Estimate] = field(default_factory=dict)
    waited: dict[int, float] = field(default_factory=dict)


def run(seed: int, guess: Guess) -> Day:
    """One day. `guess`: (ahead, day, config, minute) -> estimate, asked when somebody takes a ticket."""
    rng = random.Random(seed)
    desks = rng.choice([1, 2, 2, 3])
    pace = [math.exp(rng.gauss(0, 0.18) + _day_effect(rng, seed)) for _ in range(desks)]
    day, since_paid = Day(), 0
    events: list[tuple[float, int, str, int]] = []
    for desk in range(desks):
        heapq.heappush(events, (max(0.0, rng.gauss(8, 10)), len(events), "free", desk))
    for number, minute in enumerate(_arrivals(rng, desks), 1):
        heapq.heappush(events, (minute, len(events), "comes", number))
    breaks = [rng.gauss(240, 15) for _ in range(desks)]
    sequence, idle = len(events), set[int]()
    while events:
        minute, _, what, which = heapq.heappop(events)
        if what == "comes":
            _take(rng, day, which, minute, since_paid, guess)
        else:
            _finish(day, which, minute)
            idle.add(which)
            if minute > breaks[which]:
                breaks[which], sequence = 1e9, sequence + 1
                idle.discard(which)
                heapq.heappush(events, (minute + rng.uniform(25, 50), sequence, "free", which))
        for desk in sorted(idle):
            called = policy.next_ticket(day.tickets.values(), CONFIG, since_paid)
            if called is None:
                break
            idle.discard(desk)
            since_paid = policy.after_call(since_paid, called, CONFIG)
            for rid in policy.passed_over(called, day.tickets.values(), CONFIG):
                day.tickets[rid] = replace(day.tickets[rid], passed=day.tickets[rid].passed + 1)
            sequence += 1
            heapq.heappush(events, (minute + _call(rng, day, called, desk, minute, pace[desk]), sequence, "free", desk))
    return day


def _day_effect(rng: random.Random, seed: int) -> float:
    return random.Random(seed * 7919).gauss(0, 0.10)


def _arrivals(rng: random.Random, desks: int) -> list[float]:
    load = rng.uniform(0.72, 1.02) * desks * 60 / _MEAN_VISIT
    minutes = []
    for hour, share in enumerate(_HOURS):
        minute = hour * 60.0
        while (minute := minute + rng.expovariate(load * share / 60)) < (hour + 1) * 60:
            minutes.append(minute)
    return minutes


def _take(rng: random.Random, day: Day, number: int, minute: float, since_paid: int, guess: Guess) -> None:
    (kind,) = rng.choices([k for k, _ in _KINDS], [w for _, w in _KINDS])
    appointed = round(minute / 10) * 10 + rng.choice([0, 0, 10]) if kind == "appointment" else None
    new = ticket(number, kind, minute, appointed=appointed, config=CONFIG)
    everybody = [*day.tickets.values(), new]
    ordered = policy.order(everybody, CONFIG, since_paid)
    ahead = ordered[: [t.rid for t in ordered].index(new.rid)]
    day.guessed[new.rid] = guess(ahead, everybody, CONFIG, minute)
    day.tickets[new.rid] = new


def _call(rng: random.Random, day: Day, called: Ticket, desk: int, minute: float, pace: float) -> float:
    """Minutes until the desk is free again."""
    day.waited[called.rid] = max(minute - (called.taken_at - at(0)).total_seconds() / 60, 0.0)
    now = replace(called, called_at=at(minute), desk=f"desk {desk}")
    if called.kind != "emergency" and rng.random() < 0.08:
        day.tickets[called.rid] = replace(now, state="no-show", absent_until=at(minute + 2))
        return 2.0
    ((mean, sigma, _),) = rng.choices(_VISITS, [share for *_, share in _VISITS])
    day.tickets[called.rid] = replace(now, state="serving", started_at=at(minute + 0.5))
    return mean * math.exp(rng.gauss(-sigma * sigma / 2, sigma)) * pace + rng.uniform(0.3, 1.5)


def _finish(day: Day, desk: int, minute: float) -> None:
    for found in day.tickets.values():
        if found.state == "serving" and found.desk == f"desk {desk}":
            day.tickets[found.rid] = replace(found, state="served", ended_at=at(minute))
