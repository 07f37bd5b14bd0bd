"""Opening hours and visits where the clock is changed: Casablanca around Ramadan, Paris twice a year, Dakar never.

shared/reference: section 8. Casablanca goes back on 2026-02-15 at 03:00 and forward on 2026-03-22 at 02:00.
"""

from datetime import date
from zoneinfo import ZoneInfo

import pytest

from fhir_server.features.scheduling.availability import Hours, on_grid, opening, within
from fhir_server.features.scheduling.free import window
from fhir_server.features.scheduling.hours import DAY, Weekly, day_of, minutes_of, moment_of
from fhir_server.features.scheduling.parameters import Rules

ALL = frozenset(range(7))
WHOLE = (Weekly(ALL, 0, DAY),)
CASABLANCA, PARIS, DAKAR = "Africa/Casablanca", "Europe/Paris", "Africa/Dakar"


def offered(zone: str, day: date, weekly: tuple[Weekly, ...], duration: int = 60, interval: int = 60) -> list[str]:
    """The starts of a local day, as local times with the offset."""
    rules = Rules(duration=duration, interval=interval, zone=zone, available=weekly)
    lo = minutes_of(moment_of(day_of(day) * DAY).replace(tzinfo=ZoneInfo(zone)))
    hi = minutes_of(moment_of((day_of(day) + 1) * DAY).replace(tzinfo=ZoneInfo(zone)))
    here = window(zone, lo, hi)
    starts = [at for at in on_grid(within(opening(rules, Hours(), here), duration), rules, here.clock) if lo <= at < hi]
    return [moment_of(at, ZoneInfo(zone)).isoformat(timespec="minutes")[11:] for at in starts]


@pytest.mark.parametrize(
    ("zone", "day", "number"),
    [
        (CASABLANCA, date(2026, 2, 15), 24),
        (CASABLANCA, date(2026, 3, 22), 23),
        (PARIS, date(2026, 3, 29), 23),
        (PARIS, date(2026, 10, 25), 24),
        (DAKAR, date(2026, 2, 15), 24),
        (DAKAR, date(2026, 3, 29), 24),
        (CASABLANCA, date(2026, 3, 29), 24),
    ],
)
def test_how_many_hours_a_day_offers(zone: str, day: date, number: int) -> None:
    """A wall time in the gap is not offered; of a wall time that comes twice, the first is."""
    assert len(offered(zone, day, WHOLE)) == number


def test_what_is_offered_in_the_night_of_the_change() -> None:
    night = (Weekly(ALL, 60, 300),)
    assert offered(PARIS, date(2026, 3, 29), night) == ["01:00+01:00", "03:00+02:00", "04:00+02:00"]
    assert offered(CASABLANCA, date(2026, 3, 22), night) == ["01:00+00:00", "03:00+01:00", "04:00+01:00"]
    assert offered(PARIS, date(2026, 10, 25), night) == ["01:00+02:00", "02:00+02:00", "03:00+01:00", "04:00+01:00"]
    assert offered(CASABLANCA, date(2026, 2, 15), night) == ["01:00+01:00", "02:00+01:00", "03:00+00:00", "04:00+00:00"]


def test_half_past_two_is_missing_or_the_first_of_two() -> None:
    half = (Weekly(ALL, 150, 180),)
    assert offered(PARIS, date(2026, 3, 29), half, 30, 30) == []
    assert offered(CASABLANCA, date(2026, 3, 22), half, 30, 30) == []
    assert offered(PARIS, date(2026, 10, 25), half, 30, 30) == ["02:30+02:00"]
    assert offered(CASABLANCA, date(2026, 2, 15), half, 30, 30) == ["02:30+01:00"]


def test_hours_that_begin_in_the_gap_begin_when_it_ends() -> None:
    assert offered(PARIS, date(2026, 3, 29), (Weekly(ALL, 150, 240),), 30, 30) == ["03:00+02:00", "03:30+02:00"]


def test_a_visit_lasts_its_minutes_across_the_change() -> None:
    # From 01:00 to 04:00 on the clock there are two hours in spring and four in autumn.
    night = (Weekly(ALL, 60, 240),)
    assert offered(PARIS, date(2026, 3, 29), night, duration=120) == ["01:00+01:00"]
    assert offered(PARIS, date(2026, 3, 29), night, duration=180) == []
    assert offered(PARIS, date(2026, 10, 25), night, duration=240) == ["01:00+02:00"]


@pytest.mark.parametrize(
    ("zone", "weeks"),
    [
        (CASABLANCA, [date(2026, 2, 9), date(2026, 2, 16), date(2026, 3, 16), date(2026, 3, 23)]),
        (PARIS, [date(2026, 3, 23), date(2026, 3, 30), date(2026, 10, 19), date(2026, 10, 26)]),
        (DAKAR, [date(2026, 2, 9), date(2026, 2, 16)]),
    ],
)
def test_nine_stays_nine(zone: str, weeks: list[date]) -> None:
    morning = (Weekly(frozenset({0}), 9 * 60, 11 * 60),)
    assert all([text[:5] for text in offered(zone, day, morning)] == ["09:00", "10:00"] for day in weeks)


def test_the_night_shift_over_the_change_keeps_its_end_on_the_clock() -> None:
    shift = (Weekly(frozenset({5}), 22 * 60, 6 * 60),)
    # Sunday's part of Saturday's shift: until 06:00.
    assert offered(PARIS, date(2026, 3, 29), shift)[-1] == "05:00+02:00"
    assert offered(PARIS, date(2026, 10, 25), shift)[-1] == "05:00+01:00"


def test_a_clock_that_moves_by_half_an_hour() -> None:
    assert offered("Australia/Lord_Howe", date(2026, 10, 4), (Weekly(ALL, 60, 240),), 30, 30) == [
        "01:00+10:30", "01:30+10:30", "02:30+11:00", "03:00+11:00", "03:30+11:00"
    ]  # fmt: skip
