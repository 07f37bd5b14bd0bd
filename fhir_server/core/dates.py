"""FHIR date, dateTime, instant and time text as half-open ranges of microseconds since 1970-01-01T00:00:00Z.

A partial date is a range: `2024` is all of that year. https://hl7.org/fhir/R4/datatypes.html#dateTime
and https://hl7.org/fhir/R4/search.html#date
"""

import re
from datetime import UTC, date, datetime, timedelta, tzinfo

# Open ends of a period. Finite, so that they fit a bigint and arithmetic and `extract(epoch)` work on them, and
# outside everything that years 0001..9999 with any offset can reach.
MIN_US = -62_200_000_000_000_000
MAX_US = 253_500_000_000_000_000

DAY_US = 86_400_000_000
_SECOND_US = 1_000_000
_MINUTE_US = 60_000_000
_FRACTION_US = (1_000_000, 100_000, 10_000, 1_000, 100, 10, 1)
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAIVE_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 (wall clocks without a zone are compared with it)

_LEAP = re.compile("(:[0-5][0-9]):60")
_DATE = re.compile(r"(?!0000)[0-9]{4}(?:-(?:0[1-9]|1[0-2])(?:-(?:0[1-9]|[12][0-9]|3[01]))?)?\Z").match
_DATE_TIME = re.compile(
    r"(?!0000)[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]"
    r"(?::[0-5][0-9](?:\.(?P<fraction>[0-9]{1,18}))?)?(?P<zone>Z|[+-](?:0[0-9]|1[0-3]):[0-5][0-9]|[+-]14:00)?\Z"
).match
_TIME = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.(?P<fraction>[0-9]{1,18}))?)?\Z").match


def parse_range(text: str, zone: tzinfo = UTC) -> tuple[int, int]:
    """`[lo, hi)` in microseconds of a date, dateTime or instant, as wide as its precision.

    Year, month, day, minute (search values only), second and fraction; a fraction beyond microseconds is cut.
    `zone` applies to text that carries no offset. Raises ValueError for anything else, impossible days and leap
    seconds included. https://hl7.org/fhir/R4/search.html#date
    """
    if len(text) <= 10:
        return _parse_date(text, zone)
    match = _DATE_TIME(text)
    if match is None:
        raise ValueError("not a FHIR date or dateTime")
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        lo = _wall_us(moment, zone)
    else:
        since = moment - _EPOCH
        lo = (since.days * 86_400 + since.seconds) * _SECOND_US + since.microseconds
    return lo, lo + _width(text, 16, match["fraction"])


def stored_range(text: str, zone: tzinfo = UTC) -> tuple[int, int]:
    """What `parse_range` gives, of a text that is stored: a leap second, which R4 allows there, is the second before
    it."""
    return parse_range(_LEAP.sub(r"\1:59", text), zone)


def moment(text: str, zone: tzinfo = UTC) -> datetime:
    """The beginning of a stored date, dateTime or instant, aware, in `zone`, which also applies to text without an
    offset. What an offset puts before the year 1 or after 9999 is the first or the last that there is."""
    try:
        return in_zone(_EPOCH + timedelta(microseconds=stored_range(text, zone)[0]), zone)
    except OverflowError:
        last = text.startswith("9")
        return datetime.max.replace(tzinfo=zone) if last else datetime.min.replace(tzinfo=zone)


def in_zone(moment: datetime, zone: tzinfo) -> datetime:
    """An aware moment on the clock of a zone; one that has no place on the calendar there is as on its own clock."""
    try:
        return moment.astimezone(zone)
    except OverflowError:
        return moment.replace(tzinfo=zone)


def parse_time(text: str) -> tuple[int, int]:
    """`[lo, hi)` in microseconds since midnight of a FHIR time (`hh:mm`, `hh:mm:ss`, with a fraction).

    Raises ValueError. https://hl7.org/fhir/R4/datatypes.html#time
    """
    match = _TIME(text)
    if match is None:
        raise ValueError("not a FHIR time")
    seconds = int(text[6:8]) if len(text) > 5 else 0
    lo = (int(text[:2]) * 3600 + int(text[3:5]) * 60 + seconds) * _SECOND_US
    fraction = match["fraction"]
    if fraction:
        lo += int(fraction[:6].ljust(6, "0"))
    return lo, lo + _width(text, 5, fraction)


def format_instant(us: int) -> str:
    """The instant as FHIR text in UTC with milliseconds: `2026-11-21T04:00:40.123Z` (cut, not rounded)."""
    moment = _NAIVE_EPOCH + timedelta(microseconds=us)
    return moment.isoformat(timespec="milliseconds") + "Z"


def _width(text: str, minute_end: int, fraction: str | None) -> int:
    if fraction:
        return _FRACTION_US[min(len(fraction), 6)]
    # A second is always written `:ss` straight after the minute; anything else there is the offset or the end.
    with_second = len(text) > minute_end + 2 and text[minute_end] == ":"
    return _SECOND_US if with_second else _MINUTE_US


def _parse_date(text: str, zone: tzinfo) -> tuple[int, int]:
    if _DATE(text) is None:
        raise ValueError("not a FHIR date or dateTime")
    year = int(text[:4])
    if len(text) == 10:
        low = date(year, int(text[5:7]), int(text[8:])).toordinal()
        high = low + 1
    elif len(text) == 7:
        month = int(text[5:])
        low = date(year, month, 1).toordinal()
        high = low + _DAYS[month] + (month == 2 and _leap(year))
    else:
        low = date(year, 1, 1).toordinal()
        high = low + 365 + _leap(year)
    if zone is UTC:
        return (low - _EPOCH_ORDINAL) * DAY_US, (high - _EPOCH_ORDINAL) * DAY_US
    return _midnight_us(low, zone), _midnight_us(high, zone)


_DAYS = (0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def _leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def _midnight_us(ordinal: int, zone: tzinfo) -> int:
    # The day after 9999-12-31 has no datetime; the zone's offset on the last day stands in for it.
    inside = min(ordinal, date.max.toordinal())
    day = datetime.fromordinal(inside)
    return _wall_us(day, zone) + (ordinal - inside) * DAY_US


def _wall_us(wall: datetime, zone: tzinfo) -> int:
    since = wall - _NAIVE_EPOCH
    us = (since.days * 86_400 + since.seconds) * _SECOND_US + since.microseconds
    if zone is UTC:
        return us
    offset = wall.replace(tzinfo=zone).utcoffset()
    return us if offset is None else us - offset // timedelta(microseconds=1)
