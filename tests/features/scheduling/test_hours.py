"""Sets of minutes, weekly hours and the clock on the wall: brute force is the judge."""

from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.features.scheduling.holidays import known, public_holidays
from fhir_server.features.scheduling.hours import (
    DAY,
    Spans,
    WallClock,
    Weekly,
    complement,
    contains,
    day_of,
    difference,
    intersection,
    merged,
    moment_of,
    week,
    weekday,
)

raw = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=8)
MONDAY = day_of(date(2026, 11, 23))
ALL = frozenset(range(7))


def minutes(spans: Spans) -> set[int]:
    return {minute for lo, hi in spans for minute in range(lo, hi)}


@given(raw, raw)
def test_the_algebra_of_sets(one: Spans, other: Spans) -> None:
    a, b = merged(one), merged(other)
    assert minutes(a) == minutes(one)
    assert all(x[1] < y[0] for x, y in zip(a, a[1:], strict=False))
    assert minutes(intersection(a, b)) == minutes(a) & minutes(b)
    assert minutes(difference(a, b)) == minutes(a) - minutes(b)
    assert minutes(complement(a, 10, 50)) == set(range(10, 50)) - minutes(a)
    assert all(contains(a, minute) == (minute in minutes(a)) for minute in range(61))


def test_days_are_those_of_the_calendar() -> None:
    for number in range(0, 4000, 37):
        day = date(2020, 1, 1) + timedelta(days=number)
        assert weekday(day_of(day)) == day.weekday()


def test_hours_across_midnight_belong_to_the_day_on_which_they_begin() -> None:
    night = Weekly(frozenset({0}), 22 * 60, 6 * 60)
    assert week([night], MONDAY - 7, MONDAY + 6) == [
        (day * DAY + 22 * 60, (day + 1) * DAY + 6 * 60) for day in (MONDAY - 7, MONDAY)
    ]


def test_hours_hold_between_their_dates() -> None:
    summer = Weekly(ALL, 540, 600, first=MONDAY + 1, last=MONDAY + 2)
    assert [lo // DAY - MONDAY for lo, _ in week([summer], MONDAY, MONDAY + 6)] == [1, 2]


def test_hours_that_touch_are_one() -> None:
    assert week([Weekly(ALL, 480, 720), Weekly(ALL, 720, 1440), Weekly(ALL, 0, 480)], MONDAY, MONDAY + 1) == [
        (MONDAY * DAY, (MONDAY + 2) * DAY)
    ]


@pytest.mark.parametrize("zone", ["UTC", "Europe/Paris", "Africa/Casablanca", "Africa/Dakar", "Asia/Kathmandu",
                                  "Australia/Lord_Howe", "America/St_Johns"])  # fmt: skip
def test_the_clock_agrees_with_the_zone_database_over_two_years(zone: str) -> None:
    first = day_of(date(2026, 1, 1)) * DAY
    clock = WallClock(ZoneInfo(zone), first, first + 730 * DAY)
    for minute in range(first, first + 730 * DAY, 611):
        local = moment_of(minute, ZoneInfo(zone))
        wall = day_of(local.date()) * DAY + local.hour * 60 + local.minute
        assert clock.wall(minute) == wall
        # Back again: the same instant, or the first of the two that the clock shows.
        back = clock.utc(wall)
        assert back == minute or (local.fold == 1 and back < minute and clock.wall(back) == wall)


@given(st.integers(1, 180), st.integers(0, 1439), st.integers(0, 3000), st.integers(1, 3000))
def test_the_grid_is_every_multiple_after_midnight(interval: int, offset: int, lo: int, length: int) -> None:
    lo += MONDAY * DAY
    clock = WallClock(ZoneInfo("Africa/Casablanca"), lo - DAY, lo + length + DAY)
    found = [at for steps in clock.grid(lo, lo + length, interval, offset) for at in steps]
    wanted = [at for at in range(lo, lo + length) if (clock.wall(at) % DAY - offset) % interval == 0]
    assert found == wanted


def test_holidays_of_morocco_senegal_and_france() -> None:
    first, last = day_of(date(2026, 1, 1)), day_of(date(2026, 12, 31))
    found = {country: public_holidays(country, first, last) for country in ("MA", "SN", "FR")}
    assert day_of(date(2026, 7, 30)) in found["MA"]
    assert day_of(date(2026, 4, 4)) in found["SN"]
    assert day_of(date(2026, 7, 14)) in found["FR"] and day_of(date(2026, 7, 14)) not in found["MA"]
    # Those of the moon too, and those of two years where a window crosses the new year.
    assert day_of(date(2026, 3, 20)) in found["MA"]
    assert public_holidays("FR", day_of(date(2026, 12, 20)), day_of(date(2027, 1, 5))) == [
        day_of(date(2026, 12, 25)), day_of(date(2027, 1, 1))
    ]  # fmt: skip
    assert not known("Morocco") and not known("") and not known("XX")
