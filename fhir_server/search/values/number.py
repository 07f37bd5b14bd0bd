"""Number parameters, and the position of `near`, as rows of the quantity table without a unit.

https://hl7.org/fhir/R4/search.html#number and https://hl7.org/fhir/R4/location.html#positional
"""

from collections.abc import Sequence
from typing import Any

from fhir_server.core.keys import param_id, unit_key
from fhir_server.search.rows import Emit, IndexRows
from fhir_server.search.values.leaf import Leaf

ANY_UNIT = unit_key(None, None)
_NUMBERS = frozenset({"integer", "positiveInt", "unsignedInt", "decimal", "Range"})


def emitter(leaves: Sequence[Leaf], fhir_type: str) -> Emit | None:
    """The emitter of number parameters for numbers and Range; else None."""
    if fhir_type not in _NUMBERS:
        return None
    params = [leaf.param for leaf in leaves]

    def emit(value: Any, rows: IndexRows, base: str) -> None:
        found = span(value)
        if found is not None:
            rows.quantities.extend([(param, ANY_UNIT, *found) for param in params])

    return emit


def near(leaves: Sequence[Leaf], fhir_type: str) -> Emit | None:
    """The emitter of `near` for Location.position: latitude and longitude as two numbers."""
    codes = [
        (param_id(leaf.resource_type, f"{leaf.code}:lat"), param_id(leaf.resource_type, f"{leaf.code}:lon"))
        for leaf in leaves
    ]

    def emit(value: Any, rows: IndexRows, base: str) -> None:
        if not isinstance(value, dict):
            return
        latitude, longitude = number(value.get("latitude")), number(value.get("longitude"))
        if latitude is not None and longitude is not None:
            for lat, lon in codes:
                rows.quantities.append((lat, ANY_UNIT, latitude, latitude))
                rows.quantities.append((lon, ANY_UNIT, longitude, longitude))

    return emit


def number(value: Any) -> float | None:
    """A JSON number as a float; None when it is no number that a float can hold."""
    if value is None or isinstance(value, (str, bool, dict, list)):
        return None
    try:
        return float(value)
    except (OverflowError, ValueError):
        return None


def span(value: Any) -> tuple[float, float] | None:
    """(lo, hi) of a number or a Range, both included; an end that a Range leaves open is infinite."""
    if not isinstance(value, dict):
        found = number(value)
        return None if found is None else (found, found)
    low, high = (number(value.get(end, {}).get("value")) for end in ("low", "high"))
    if low is None and high is None:
        return None
    return float("-inf") if low is None else low, float("inf") if high is None else high
