"""The time between two moments, in calendar units.

https://build.fhir.org/ig/HL7/FHIRPath/#date-and-time-interval-functions
"""

from datetime import date
from decimal import Decimal

from fhir_server.fhirpath.temporal import Moment, utc

# How many parts of a dateTime are needed to count a unit, and how long it is.
_PARTS = {"year": 1, "month": 2, "week": 3, "day": 3, "hour": 4, "minute": 5, "second": 6, "millisecond": 6}
_MILLISECONDS = {
    "week": 604_800_000, "day": 86_400_000, "hour": 3_600_000, "minute": 60_000, "second": 1000, "millisecond": 1,
}  # fmt: skip
_Parts = tuple[int | Decimal, ...]


def between(first: Moment, second: Moment, unit: str, is_time: bool, *, whole: bool) -> int | None:
    """How many units lie between two moments, negative when the second is earlier.

    whole: whole units; else how often the unit changes on the way (31 December to 1 January is a year then). None when
    one of the moments is not given down to the unit.
    """
    if min(len(first.parts), len(second.parts)) < _PARTS[unit] - (3 if is_time else 0):
        return None
    a, b = first.parts, second.parts
    if first.offset != second.offset and first.offset is not None and second.offset is not None:
        a, b = utc(first), utc(second)
    if unit in ("year", "month"):
        return _months(a, b, unit, whole=whole)
    length = _MILLISECONDS[unit]
    if whole:
        return int(Decimal(_milliseconds(b, is_time) - _milliseconds(a, is_time)) / length)
    # Weeks begin on Sunday, as the ordinal of the first day of year 1, a Monday, is 1.
    return _milliseconds(b, is_time) // length - _milliseconds(a, is_time) // length


def _months(a: _Parts, b: _Parts, unit: str, *, whole: bool) -> int:
    if unit == "year" and not whole:
        return int(b[0]) - int(a[0])
    months = (int(b[0]) - int(a[0])) * 12 + (int(b[1]) - int(a[1]) if len(a) > 1 and len(b) > 1 else 0)
    if whole:
        both = min(len(a), len(b))
        if months > 0 and b[2:both] < a[2:both]:
            months -= 1
        elif months < 0 and b[2:both] > a[2:both]:
            months += 1
    return months if unit == "month" else int(Decimal(months) / 12)


def _milliseconds(parts: _Parts, is_time: bool) -> int:
    days = 0
    if not is_time:
        days, parts = date(int(parts[0]), int(parts[1]), int(parts[2])).toordinal(), parts[3:]
    hour, minute, second = (*parts, 0, 0, 0)[:3]
    return ((days * 24 + int(hour)) * 60 + int(minute)) * 60_000 + int(Decimal(second) * 1000)
