"""Quantity parameters: one row per way in which a client may name the unit.

https://hl7.org/fhir/R4/search.html#quantity. Rows: without a unit; in UCUM's canonical unit, so that 1 g is found as
1000 mg, or, for other units, by code with and without the system; by the unit's text where that says something else.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from fhir_server.core.keys import unit_key
from fhir_server.core.ucum import SYSTEM, Unit, unit
from fhir_server.search.memo import Memo
from fhir_server.search.rows import Emit, IndexRows
from fhir_server.search.values.leaf import Leaf
from fhir_server.search.values.number import number

CANONICAL = "ucum:canonical"
CURRENCY = "urn:iso:std:iso:4217"

Amount = tuple[Decimal | int | None, Decimal | int | None, str | None, str | None, str | None]
_Units = tuple[tuple[int, ...], tuple[int, Unit] | None]
_INFINITE = (float("-inf"), float("inf"))


def emitter(leaves: Sequence[Leaf], fhir_type: str) -> Emit | None:
    """The emitter of quantity parameters for Quantity and its kin, Money, Range and SampledData; else None."""
    read = _READERS.get(fhir_type)
    if read is None:
        return None
    params = [leaf.param for leaf in leaves]

    def emit(value: Any, rows: IndexRows, base: str) -> None:
        for unit_of, lo, hi in _rows(read(value), ""):
            rows.quantities.extend([(param, unit_of, lo, hi) for param in params])

    return emit


def spans(fhir_type: str, value: Any, prefix: str = "") -> list[tuple[int, float, float]]:
    """The (unit key, lo, hi) of a value; `prefix` is the code part of a `code$quantity` composite."""
    read = _READERS.get(fhir_type)
    return [] if read is None else _rows(read(value), prefix)


def _rows(amount: Amount | None, prefix: str) -> list[tuple[int, float, float]]:
    if amount is None:
        return []
    low, high, system, code, text = amount
    lo, hi = _ends(low, high)
    if lo is None or hi is None:
        return []
    keys, canonical = _units[prefix, system, code, text]
    found = [(key, lo, hi) for key in keys]
    if canonical is not None:
        key, of = canonical
        converted = _convert(low, of)
        clo, chi = _ends(converted, converted if low is high else _convert(high, of))
        if clo is not None and chi is not None:
            found.append((key, clo, chi))
    return found


def _ends(low: Any, high: Any) -> tuple[float | None, float | None]:
    if low is high:
        both = number(low)
        return both, both
    return (
        _INFINITE[0] if low is None else number(low),
        _INFINITE[1] if high is None else number(high),
    )


def _convert(value: Decimal | int | None, of: Unit) -> Decimal | None:
    return None if value is None else (value + of.offset) * of.factor


def _unit_keys(named: tuple[str, str | None, str | None, str | None]) -> _Units:
    prefix, system, code, text = named
    names: list[tuple[str | None, str | None]] = [(None, None)]
    found = unit(code) if code and system == SYSTEM else None
    if code and found is None:
        # Where there is a canonical unit, a code is asked in that unit too; a row as coded would go unread.
        names.append((None, code))
        if system:
            names.append((system, code))
    if text and (found is None or text != code):
        names.append((None, text))
    keys = tuple(dict.fromkeys(unit_key(of, name, prefix) for of, name in names))
    return keys, None if found is None else (unit_key(CANONICAL, found.canonical, prefix), found)


_units: Memo[tuple[str, str | None, str | None, str | None], _Units] = Memo(_unit_keys, 16384)


def _quantity(value: Any) -> Amount | None:
    amount = value.get("value")
    if amount is None:
        return None
    comparator = value.get("comparator")
    low = None if comparator in ("<", "<=") else amount
    high = None if comparator in (">", ">=") else amount
    return low, high, value.get("system"), value.get("code"), value.get("unit")


def _money(value: Any) -> Amount | None:
    amount = value.get("value")
    return None if amount is None else (amount, amount, CURRENCY, value.get("currency"), None)


def _range(value: Any) -> Amount | None:
    low, high = value.get("low") or {}, value.get("high") or {}
    named = low if "code" in low or "unit" in low else high
    if low.get("value") is None and high.get("value") is None:
        return None
    return low.get("value"), high.get("value"), named.get("system"), named.get("code"), named.get("unit")


def _sampled(value: Any) -> Amount | None:
    """From the smallest to the largest sample; the letters E, U and L stand for samples without a value."""
    origin = value.get("origin") or {}
    try:
        samples = [Decimal(each) for each in value.get("data", "").split() if each not in ("E", "U", "L")]
        factor, zero = Decimal(value.get("factor", 1)), Decimal(origin.get("value", 0))
        ends = sorted((zero + min(samples) * factor, zero + max(samples) * factor))
    except (ArithmeticError, ValueError, TypeError):
        return None
    return ends[0], ends[1], origin.get("system"), origin.get("code"), origin.get("unit")


_READERS: dict[str, Callable[[Any], Amount | None]] = {
    **dict.fromkeys(("Quantity", "SimpleQuantity", "Age", "Count", "Distance", "Duration", "MoneyQuantity"), _quantity),
    "Money": _money,
    "Range": _range,
    "SampledData": _sampled,
}
