"""Who comes on a simulated day, and how each behaves: drawn from a seed."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp
from random import Random

# Arrivals of an hour relative to the mean, over a day: mornings are full.
_HOURS = (1.4, 1.3, 1.2, 0.8, 0.7, 1.0, 1.0, 0.6)
_VISITS = ((14.0, 0.40, 5), (9.0, 0.35, 3), (22.0, 0.40, 1), (5.0, 0.40, 1))
_MEAN_VISIT = 12.4
_LOAD = 0.85


@dataclass(frozen=True, slots=True)
class Person:
    """Minutes are simulated ones. `at_call`: comes, late (within the grace period), returns (after a no-show), gone;
    `home`: how long before arriving the ticket is taken from home; `leaves`: after how long the ticket is given back;
    `sent_on`: goes on to the second queue; `first`: staff puts this one before all others."""

    number: int
    kind: str
    arrives: float
    visit: float
    at_call: str = "comes"
    home: float = 0.0
    leaves: float = 0.0
    sent_on: bool = False
    first: bool = False


def people(seed: int, minutes: float, desks: int, appointments: Sequence[float]) -> list[Person]:
    """Everybody who comes in a day of so many minutes, by arrival. `appointments`: minutes for which one is booked;
    one in twelve of those does not come."""
    random = Random(seed)
    found = [_booked(random, number, minute) for number, minute in enumerate(appointments)]
    walk_in = max(_LOAD * desks * minutes / _MEAN_VISIT - len(appointments), 4)
    profile = [_HOURS[int(quarter / 4 * 8 / max(minutes / 60, 1)) % 8] for quarter in range(int(minutes // 15))] or [
        1.0
    ]
    minute = 0.0
    while True:
        share = profile[min(int(minute // 15), len(profile) - 1)]
        minute += random.expovariate(walk_in / minutes * share)
        if minute >= minutes - min(20, minutes / 4):
            break
        found.append(_walk_in(random, len(found), minute))
    for number, part in enumerate((0.3, 0.7)):
        found.append(Person(len(found) + number, "emergency", minutes * part, _visit(random)))
    return sorted(found, key=lambda person: person.arrives)


def _walk_in(random: Random, number: int, minute: float) -> Person:
    behaviour = random.choices(["comes", "late", "returns", "gone"], [86, 5, 4, 5])[0]
    return Person(
        number,
        "normal",
        minute,
        _visit(random),
        at_call=behaviour,
        home=random.uniform(10, 30) if random.random() < 0.2 else 0.0,
        leaves=random.uniform(5, 25) if random.random() < 0.05 else 0.0,
        sent_on=random.random() < 0.08,
        first=random.random() < 0.02,
    )


def _booked(random: Random, number: int, minute: float) -> Person:
    behaviour = random.choices(["comes", "late", "returns"], [92, 5, 3])[0]
    comes = random.random() > 1 / 12
    arrives = max(minute + random.gauss(-8, 8), 0.5)
    return Person(number, "appointment", arrives, _visit(random), behaviour if comes else "never")


def _visit(random: Random) -> float:
    """Minutes of a visit."""
    ((mean, sigma, _),) = random.choices(_VISITS, [share for *_, share in _VISITS])
    return mean * exp(random.gauss(-sigma * sigma / 2, sigma))
