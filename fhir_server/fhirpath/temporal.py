"""Dates, dateTimes and times as text with a precision: order, equality, calendar arithmetic.

https://hl7.org/fhirpath/N1/#datetime-equality and https://hl7.org/fhirpath/N1/#datetime-arithmetic
"""

import re
from calendar import monthrange
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

from fhir_server.fhirpath.errors import FhirPathError

_DATE_TIME = re.compile(
    r"(?P<Y>[0-9]{4})(?:-(?P<M>[0-9]{2})(?:-(?P<D>[0-9]{2}))?)?"
    r"(?:T(?P<time>[0-9:.]+)(?P<zone>Z|[+-][0-9]{2}:[0-9]{2})?)?\Z"
)
_TIME = re.compile(r"(?P<h>[0-9]{2})(?::(?P<m>[0-9]{2})(?::(?P<s>[0-9]{2}(?:\.[0-9]+)?))?)?\Z")
# R4 allows leap seconds: https://hl7.org/fhir/R4/datatypes.html#dateTime
_LIMITS = ((1, 9999), (1, 12), (1, 31), (0, 23), (0, 59), (0, 60))
_SECONDS = {
    "week": Decimal(604800),
    "day": Decimal(86400),
    "hour": Decimal(3600),
    "minute": Decimal(60),
    "second": Decimal(1),
    "millisecond": Decimal("0.001"),
}
_UCUM = {"d": "day", "h": "hour", "min": "minute", "s": "second", "ms": "millisecond", "wk": "week"}
_PART_SECONDS = (Decimal(31536000), Decimal(2592000), Decimal(86400), Decimal(3600), Decimal(60))


class Moment(NamedTuple):
    """parts: year, month, day, hour, minute, second (a Decimal with its fraction), as many as are given.

    For a time the parts start at the hour. offset: minutes east of UTC, None if not given.
    """

    parts: tuple[int | Decimal, ...]
    offset: int | None


@lru_cache(maxsize=4096)
def parse(text: str, is_time: bool = False) -> Moment:
    """Read a date, dateTime, instant or time, an hour alone included. Raises `FhirPathError`."""
    found = read(text, is_time)
    if found is None:
        raise FhirPathError(f"A {'time' if is_time else 'date or dateTime'} was expected.")
    return found


def read(text: str, is_time: bool = False) -> Moment | None:
    """Like `parse`, with None for text of another form or an impossible value."""
    offset = None
    if is_time:
        numbers = _clock(text)
    else:
        match = _DATE_TIME.match(text)
        if match is None or (match["time"] and not match["D"]):
            return None
        clock = _clock(match["time"]) if match["time"] else ()
        numbers = None if clock is None else (*(int(match[p]) for p in "YMD" if match[p]), *clock)
        if match["zone"]:
            zone = match["zone"]
            offset = 0 if zone == "Z" else (int(zone[1:3]) * 60 + int(zone[4:])) * (-1 if zone[0] == "-" else 1)
    if numbers is None:
        return None
    limits = _LIMITS[3:] if is_time else _LIMITS
    if any(not low <= int(n) <= high for n, (low, high) in zip(numbers, limits, strict=False)):
        return None
    if not is_time and len(numbers) > 2 and numbers[2] > monthrange(int(numbers[0]), int(numbers[1]))[1]:
        return None
    return Moment(numbers, offset)


def _clock(text: str) -> tuple[int | Decimal, ...] | None:
    match = _TIME.match(text)
    if match is None:
        return None
    numbers: list[int | Decimal] = [int(match[p]) for p in "hm" if match[p]]
    return (*numbers, Decimal(match["s"])) if match["s"] else tuple(numbers)


@lru_cache(maxsize=4096)
def compare(a: str, b: str, is_time: bool) -> int | None:
    """-1, 0, 1, or None when precision does not tell: one ends where they are equal, or only one has an offset."""
    first, second = parse(a, is_time), parse(b, is_time)
    left, right = first.parts, second.parts
    if not is_time and len(left) > 3 and len(right) > 3 and first.offset != second.offset:
        if first.offset is None or second.offset is None:
            return None
        left, right = utc(first), utc(second)
    if len(left) == len(right):
        return (left > right) - (left < right)
    for x, y in zip(left, right, strict=False):
        if x != y:
            return -1 if x < y else 1
    return None


def equal(a: str, b: str, a_is_time: bool, b_is_time: bool) -> bool | None:
    """Equality; None when precision does not tell."""
    if a is None or b is None or a_is_time != b_is_time:
        return False
    order = compare(a, b, a_is_time)
    return None if order is None else order == 0


def key_of(text: str, is_time: bool) -> tuple[object, ...]:
    """A hashable stand-in: equal keys where `equal` is true. The text itself where it cannot be read."""
    moment = read(text, is_time)
    if moment is None:
        return is_time, text
    if is_time or len(moment.parts) < 4:
        return is_time, moment.parts
    return is_time, moment.offset is None, utc(moment)


def utc(moment: Moment) -> tuple[int | Decimal, ...]:
    """The parts as they are in UTC; as given without an offset."""
    if not moment.offset:
        return moment.parts
    # Offsets move minutes at most: seconds stay, and only parts that were given come back.
    year, month, day, hour, *rest = (int(part) for part in moment.parts)
    try:
        shifted = datetime(year, month, day, hour, rest[0] if rest else 0, tzinfo=UTC)
        shifted -= timedelta(minutes=moment.offset)
    except OverflowError:
        return moment.parts
    whole = (shifted.year, shifted.month, shifted.day, shifted.hour, shifted.minute)
    return (*whole[: len(moment.parts)], *moment.parts[5:])


def shift(text: str, amount: Decimal, unit: str, is_time: bool) -> str:
    """The moment `amount` units later, in the same precision. unit: a calendar unit (` day`) or a UCUM code.

    Raises `FhirPathError` for a unit that is not one of time, and for UCUM's months and years.
    """
    name = _UCUM.get(unit) or unit.strip()
    if amount.adjusted() > 18:
        raise FhirPathError("The date leaves the years 1 to 9999.")
    moment = parse(text, is_time)
    if name not in ("second", "millisecond"):
        amount = Decimal(int(amount))
    if name in ("year", "month") and not is_time:
        return _format(_shift_months(moment, int(amount) * (12 if name == "year" else 1)), is_time)
    if name not in _SECONDS:
        raise FhirPathError("Only a calendar duration or a UCUM unit of time up to weeks can be added to a date.")
    return _format(_shift_seconds(moment, amount * _SECONDS[name], is_time), is_time)


def _shift_months(moment: Moment, months: int) -> Moment:
    parts = list(moment.parts)
    if len(parts) == 1:
        months = months // 12 * 12 if months >= 0 else -(-months // 12 * 12)
    total = int(parts[0]) * 12 + (int(parts[1]) - 1 if len(parts) > 1 else 0) + months
    parts[0] = total // 12
    if not 1 <= parts[0] <= 9999:
        raise FhirPathError("The date leaves the years 1 to 9999.")
    if len(parts) > 1:
        parts[1] = total % 12 + 1
    if len(parts) > 2:
        parts[2] = min(int(parts[2]), monthrange(int(parts[0]), int(parts[1]))[1])
    return Moment(tuple(parts), moment.offset)


def _shift_seconds(moment: Moment, seconds: Decimal, is_time: bool) -> Moment:
    given = len(moment.parts) + (3 if is_time else 0)
    if given < 3:
        # A year or a month moves by whole years or months of 365 and 30 days.
        return _shift_months(moment, int(seconds / _PART_SECONDS[given - 1]) * (12 if given == 1 else 1))
    if given < 6:
        seconds = Decimal(int(seconds / _PART_SECONDS[given - 1])) * _PART_SECONDS[given - 1]
    date = (2000, 1, 1) if is_time else tuple(int(part) for part in moment.parts[:3])
    clock = moment.parts if is_time else moment.parts[3:]
    hour, minute, second = (*clock, *(0, 0, 0))[:3]
    whole = datetime(date[0], date[1], date[2], int(hour), int(minute), tzinfo=UTC)
    exact = Decimal(second) + seconds
    minutes, second = divmod(exact, 60)
    if second < 0:
        minutes, second = minutes - 1, second + 60
    try:
        whole += timedelta(minutes=int(minutes))
    except OverflowError:
        raise FhirPathError("The date leaves the years 1 to 9999.") from None
    parts = (whole.year, whole.month, whole.day, whole.hour, whole.minute, second)
    return Moment(parts[3:given] if is_time else parts[:given], moment.offset)


def _format(moment: Moment, is_time: bool) -> str:
    parts = moment.parts
    date = "" if is_time else "-".join(f"{int(p):0{4 if i == 0 else 2}}" for i, p in enumerate(parts[:3]))
    clock = parts if is_time else parts[3:]
    if not clock:
        return date
    pieces = [f"{int(p):02}" for p in clock[:2]]
    if len(clock) > 2:
        second = Decimal(clock[2])
        pieces.append(f"{second:f}" if second >= 10 else f"0{second:f}")
    zone = ""
    if moment.offset is not None:
        hours, minutes = divmod(abs(moment.offset), 60)
        zone = "Z" if moment.offset == 0 else f"{'-' if moment.offset < 0 else '+'}{hours:02}:{minutes:02}"
    return (f"{date}T" if not is_time else "") + ":".join(pieces) + zone
