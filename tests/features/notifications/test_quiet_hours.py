"""Quiet hours on the wall clock: through midnight, through changes of the clock, in Ramadan."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.features.notifications.quiet_hours import Quiet, allowed_from, parsed, zone_of

NIGHT = Quiet(time(21), time(8))
CASABLANCA = ZoneInfo("Africa/Casablanca")
PARIS = ZoneInfo("Europe/Paris")


def at(text: str, zone: ZoneInfo) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone)


@pytest.mark.parametrize(
    ("moment", "allowed", "zone"),
    [
        ("2026-06-01T12:00", "2026-06-01T12:00", PARIS),
        ("2026-06-01T20:59:59", "2026-06-01T20:59:59", PARIS),
        ("2026-06-01T21:00", "2026-06-02T08:00", PARIS),
        ("2026-06-02T07:59:59", "2026-06-02T08:00", PARIS),
        ("2026-06-02T08:00", "2026-06-02T08:00", PARIS),
        # The night of the change of the clock is an hour shorter, or longer, and ends at eight all the same.
        ("2026-03-28T23:00", "2026-03-29T08:00", PARIS),
        ("2026-10-24T23:00", "2026-10-25T08:00", PARIS),
        # Morocco leaves UTC+1 for Ramadan on 15 February 2026 and comes back on 22 March.
        ("2026-02-14T22:00", "2026-02-15T08:00", CASABLANCA),
        ("2026-03-21T22:00", "2026-03-22T08:00", CASABLANCA),
    ],
)
def test_allowed_from(moment: str, allowed: str, zone: ZoneInfo) -> None:
    assert allowed_from(at(moment, zone), zone, NIGHT) == at(allowed, zone)


def test_the_night_before_ramadan_in_instants() -> None:
    before, during = at("2026-02-13T22:00", CASABLANCA), at("2026-02-14T22:00", CASABLANCA)
    assert allowed_from(before, CASABLANCA, NIGHT) == datetime(2026, 2, 14, 7, tzinfo=UTC)
    assert allowed_from(during, CASABLANCA, NIGHT) == datetime(2026, 2, 15, 8, tzinfo=UTC)


def test_an_end_that_the_clock_leaps_over_or_passes_twice() -> None:
    odd = Quiet(time(21), time(2, 30))
    # 02:30 does not exist in Paris on 29 March: quiet until the clock is past it.
    assert allowed_from(at("2026-03-29T01:00", PARIS), PARIS, odd) == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    # 02:30 is twice there on 25 October: the first one ends the quiet.
    assert allowed_from(at("2026-10-25T01:00", PARIS), PARIS, odd) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    second = datetime(2026, 10, 25, 1, 10, tzinfo=UTC)
    assert allowed_from(second, PARIS, odd) == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)


def test_within_a_day_and_never() -> None:
    siesta = Quiet(time(13), time(15))
    assert allowed_from(at("2026-06-01T14:00", PARIS), PARIS, siesta) == at("2026-06-01T15:00", PARIS)
    assert allowed_from(at("2026-06-01T23:00", PARIS), PARIS, siesta) == at("2026-06-01T23:00", PARIS)
    never = Quiet(time(21), time(21))
    assert allowed_from(at("2026-06-01T23:00", PARIS), PARIS, never) == at("2026-06-01T23:00", PARIS)


@given(
    st.integers(600_000_000, 4_000_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
    st.sampled_from(["Africa/Casablanca", "Europe/Paris", "America/New_York", "Africa/Dakar", "Asia/Kolkata"]),
    st.times(),
    st.times(),
)
def test_what_is_allowed_is_not_quiet_and_at_most_a_day_later(
    moment: datetime, zone_name: str, start: time, end: time
) -> None:
    zone, quiet = ZoneInfo(zone_name), Quiet(start, end)
    allowed = allowed_from(moment, zone, quiet)
    assert not quiet.holds(allowed.astimezone(zone).time())
    assert moment <= allowed <= moment + timedelta(hours=25)


def test_settings() -> None:
    assert parsed("21:00") == time(21)
    for wrong in ("9:00", "24:00", "", "09:00:00", "ab:cd"):
        with pytest.raises(ValueError):
            parsed(wrong)
    assert zone_of(None, "Mars/Base", "Africa/Dakar") == ZoneInfo("Africa/Dakar")
    assert zone_of("../etc/passwd") is UTC
