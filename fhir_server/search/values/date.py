"""Date parameters: every date is a half-open range of microseconds. https://hl7.org/fhir/R4/search.html#date"""

from collections.abc import Sequence
from typing import Any

from fhir_server.core.dates import MAX_US, MIN_US, parse_range
from fhir_server.search.rows import Emit, IndexRows
from fhir_server.search.values.leaf import Leaf


def emitter(leaves: Sequence[Leaf], fhir_type: str) -> Emit | None:
    """The emitter of date parameters for date, dateTime, instant, Period and Timing; else None."""
    if fhir_type not in ("date", "dateTime", "instant", "Period", "Timing"):
        return None
    params = [leaf.param for leaf in leaves]
    range_of = _RANGES.get(fhir_type, moment)

    def emit(value: Any, rows: IndexRows, base: str) -> None:
        found = range_of(value)
        if found is not None:
            rows.dates.extend([(param, *found) for param in params])

    return emit


def span(fhir_type: str, value: Any) -> tuple[int, int] | None:
    """`[lo, hi)` of a date value of any FHIR date type; None when it has no readable date."""
    return _RANGES.get(fhir_type, moment)(value)


def moment(value: Any) -> tuple[int, int] | None:
    """`[lo, hi)` of a date, dateTime or instant; None when it is none."""
    try:
        return parse_range(value)
    except (ValueError, TypeError):
        return None


def _period(value: Any) -> tuple[int, int] | None:
    start, end = moment(value.get("start")), moment(value.get("end"))
    if start is None and end is None:
        return None
    return start[0] if start else MIN_US, end[1] if end else MAX_US


def _timing(value: Any) -> tuple[int, int] | None:
    found = [moment(event) for event in value.get("event", ())]
    bounds = value.get("repeat", {}).get("boundsPeriod")
    if bounds:
        found.append(_period(bounds))
    ranges = [each for each in found if each is not None]
    return (min(lo for lo, _ in ranges), max(hi for _, hi in ranges)) if ranges else None


_RANGES = {"Period": _period, "Timing": _timing}
