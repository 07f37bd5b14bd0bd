"""Who comes on a simulated day."""

from collections import Counter
from statistics import mean

import pytest

from fhir_server.simulation.plan import people


def test_the_same_seed_is_the_same_day() -> None:
    assert people(7, 480, 3, [30.0, 60.0]) == people(7, 480, 3, [30.0, 60.0])
    assert people(7, 480, 3, []) != people(8, 480, 3, [])


@pytest.mark.parametrize("minutes", [30.0, 90.0, 480.0, 720.0])
@pytest.mark.parametrize("desks", [1, 3, 10])
def test_a_day_has_a_believable_load(minutes: float, desks: int) -> None:
    days = [people(seed, minutes, desks, []) for seed in range(20)]
    work = mean(sum(person.visit for person in day) for day in days)
    assert 0.5 * desks * minutes < work < 1.3 * desks * minutes + 60


def test_everybody_comes_in_order_and_while_doors_are_open() -> None:
    day = people(1, 480, 3, [float(n) for n in range(10, 400, 20)])
    assert [p.arrives for p in day] == sorted(p.arrives for p in day)
    assert all(0 < p.arrives < 480 and p.visit > 0 for p in day)
    assert len({p.number for p in day}) == len(day)


def test_everything_happens_in_a_week() -> None:
    week = [p for seed in range(7) for p in people(seed, 480, 3, [float(n) for n in range(10, 400, 20)])]
    assert {p.at_call for p in week} == {"comes", "late", "returns", "gone", "never"}
    assert Counter(p.kind for p in week)["emergency"] == 14
    assert any(p.home for p in week) and any(p.leaves for p in week) and any(p.sent_on for p in week)
    assert any(p.first for p in week)


def test_the_booked_are_the_first_numbers() -> None:
    day = people(1, 240, 2, [20.0, 40.0, 60.0])
    assert sorted(p.number for p in day if p.kind == "appointment") == [0, 1, 2]
