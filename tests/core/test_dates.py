"""Dates as ranges: the table of forms, and properties over all years."""

from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.core.dates import DAY_US, MAX_US, MIN_US, format_instant, moment, parse_range, parse_time

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def us(text: str) -> int:
    return (datetime.fromisoformat(text) - EPOCH) // timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("1970", "1970-01-01T00:00:00Z", "1971-01-01T00:00:00Z"),
        ("2024-02", "2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z"),
        ("2023-02", "2023-02-01T00:00:00Z", "2023-03-01T00:00:00Z"),
        ("1900-02", "1900-02-01T00:00:00Z", "1900-03-01T00:00:00Z"),
        ("2024-12", "2024-12-01T00:00:00Z", "2025-01-01T00:00:00Z"),
        ("2024-02-29", "2024-02-29T00:00:00Z", "2024-03-01T00:00:00Z"),
        ("2024-02-29T10:00", "2024-02-29T10:00:00Z", "2024-02-29T10:01:00Z"),
        ("2024-02-29T10:00Z", "2024-02-29T10:00:00Z", "2024-02-29T10:01:00Z"),
        ("2024-02-29T10:00+05:30", "2024-02-29T04:30:00Z", "2024-02-29T04:31:00Z"),
        ("2024-02-29T10:00:07-14:00", "2024-03-01T00:00:07Z", "2024-03-01T00:00:08Z"),
        ("2024-02-29T10:00:07", "2024-02-29T10:00:07Z", "2024-02-29T10:00:08Z"),
        ("2024-02-29T10:00:07.5Z", "2024-02-29T10:00:07.5Z", "2024-02-29T10:00:07.6Z"),
        ("2024-02-29T10:00:07.123456789Z", "2024-02-29T10:00:07.123456Z", "2024-02-29T10:00:07.123457Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "0001-01-01T00:00:01Z"),
    ],
)
def test_range_of_each_precision(text: str, low: str, high: str) -> None:
    assert parse_range(text) == (us(low), us(high))


def test_the_last_year_and_day_have_an_end() -> None:
    end = us("9999-12-31T00:00:00Z") + DAY_US
    assert parse_range("9999")[1] == parse_range("9999-12")[1] == parse_range("9999-12-31")[1] == end
    assert parse_range("9999", ZoneInfo("America/New_York"))[1] == end + 5 * DAY_US // 24
    assert MIN_US < parse_range("0001-01-01T00:00:00+14:00")[0]
    assert parse_range("9999-12-31T23:59:59-14:00")[1] < MAX_US


@pytest.mark.parametrize(
    "text",
    [
        "", "24", "0000", "2024-", "2024-1", "2024-13", "2024-00", "2023-02-29", "2024-04-31", "2024-04-3", "20240401",
        "2024-W01-1", "2024-04-01T", "2024-04-01T10", "2024-04-01T24:00:00Z", "2024-04-01T10:60:00Z",
        "2016-12-31T23:59:60Z", "2024-04-01T10:00:00+15:00", "2024-04-01T10:00:00+14:30", "2024-04-01 10:00:00Z",
        "2024-04-01T10:00:00.Z", "2024-04-01T10:00:00z", "2024-04-01T10:00:00Z\n", "2024-04-01\n", "-2024", "２０２４",
        "2023-02-29T10:00:00Z", "2024-04-01T10:00:00,5Z", "2024-04-01T10:00:00+0100",
    ],
)  # fmt: skip
def test_what_is_not_a_date_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_range(text)


def test_zone_applies_only_to_text_without_an_offset() -> None:
    zone = ZoneInfo("Asia/Kolkata")
    assert parse_range("2024-04-01", zone) == (us("2024-03-31T18:30:00Z"), us("2024-04-01T18:30:00Z"))
    assert parse_range("2024-04-01T10:00:00", zone)[0] == us("2024-04-01T04:30:00Z")
    assert parse_range("2024-04-01T10:00:00Z", zone)[0] == us("2024-04-01T10:00:00Z")


def test_a_day_of_summer_time_change_is_not_24_hours() -> None:
    low, high = parse_range("2024-03-31", ZoneInfo("Europe/Paris"))
    assert high - low == 23 * 3_600_000_000


def test_time_of_day() -> None:
    assert parse_time("00:00:00") == (0, 1_000_000)
    assert parse_time("14:30") == (52_200_000_000, 52_260_000_000)
    assert parse_time("23:59:59.25") == (86_399_250_000, 86_399_260_000)
    for bad in ("24:00:00", "14", "14:30:60", "14:30:00Z", "2:30:00"):
        with pytest.raises(ValueError):
            parse_time(bad)


def test_format_instant() -> None:
    assert format_instant(us("2026-11-21T04:00:40.123999Z")) == "2026-11-21T04:00:40.123Z"
    assert format_instant(0) == "1970-01-01T00:00:00.000Z"
    assert format_instant(-1) == "1969-12-31T23:59:59.999Z"


@given(st.dates())
def test_day_lies_in_its_month_and_year(day: date) -> None:
    text = day.isoformat()
    (year_lo, year_hi), (month_lo, month_hi), (lo, hi) = parse_range(text[:4]), parse_range(text[:7]), parse_range(text)
    assert year_lo <= month_lo <= lo < hi <= month_hi <= year_hi
    assert hi - lo == DAY_US
    assert lo == (day.toordinal() - date(1970, 1, 1).toordinal()) * DAY_US


offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(timezones=offsets))
def test_instants_of_any_offset(moment: datetime) -> None:
    expected = (moment - EPOCH) // timedelta(microseconds=1)
    lo, hi = parse_range(moment.isoformat(timespec="microseconds"))
    assert (lo, hi) == (expected, expected + 1)
    second = parse_range(moment.isoformat(timespec="seconds"))
    assert second[0] <= lo < second[1] == second[0] + 1_000_000


@given(st.datetimes())
def test_format_and_parse_are_inverse_to_the_millisecond(moment: datetime) -> None:
    lo = (moment.replace(tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)
    assert parse_range(format_instant(lo)) == (lo - lo % 1000, lo - lo % 1000 + 1000)


@given(st.text(max_size=30))
def test_any_text_is_a_range_or_a_value_error(text: str) -> None:
    try:
        lo, hi = parse_range(text)
    except ValueError:
        return
    assert MIN_US < lo < hi < MAX_US


CASABLANCA, AUCKLAND = ZoneInfo("Africa/Casablanca"), ZoneInfo("Pacific/Auckland")
MOMENTS = [
    ("2026-11-24T09:30:00Z", CASABLANCA, "2026-11-24T10:30:00+01:00"),
    ("2026-11-24", CASABLANCA, "2026-11-24T00:00:00+01:00"),
    ("2026", UTC, "2026-01-01T00:00:00+00:00"),
    ("2016-12-31T23:59:60Z", UTC, "2016-12-31T23:59:59+00:00"),
    ("9999-12-31T23:59:59Z", AUCKLAND, "9999-12-31T23:59:59+13:00"),
    ("9999-12-31T23:59:59-12:00", AUCKLAND, "9999-12-31T23:59:59.999999+13:00"),
    ("0001-01-01T00:00:00+14:00", UTC, "0001-01-01T00:00:00+00:00"),
]


@pytest.mark.parametrize(("text", "zone", "expected"), MOMENTS)
def test_a_stored_moment_is_always_on_the_calendar(text: str, zone: tzinfo, expected: str) -> None:
    found = moment(text, zone)
    assert found == datetime.fromisoformat(expected)
    assert found.isoformat() == expected


def test_a_stored_moment_is_one() -> None:
    with pytest.raises(ValueError, match="not a FHIR"):
        moment("tomorrow")
