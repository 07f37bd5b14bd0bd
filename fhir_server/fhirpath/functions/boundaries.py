"""Precision and boundaries of imprecise values, and whether quantities compare.

https://build.fhir.org/ig/HL7/FHIRPath/#lowboundaryprecision-integer-decimal--date--datetime--time
"""

from calendar import monthrange
from collections.abc import Mapping
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal, DecimalException
from typing import Any

from fhir_server.fhirpath import quantities, temporal
from fhir_server.fhirpath.compile import Build
from fhir_server.fhirpath.functions.build import collected, condition_of
from fhir_server.fhirpath.nodes import (
    DATE,
    DATETIME,
    DECIMAL,
    EMPTY,
    KINDS,
    NUMBERS,
    QUANTITY,
    TIME,
    Nodes,
    integer,
    number,
)
from fhir_server.fhirpath.nodes import single as one

_DATE_DIGITS = {4: 1, 6: 2, 8: 3, 10: 4, 12: 5, 14: 6, 17: 6}
_TIME_DIGITS = {2: 1, 4: 2, 6: 3, 9: 3}
_DEFAULT = {DATE: 8, DATETIME: 17, TIME: 9}


def _boundary(name: str, high: bool) -> Build:
    def on_nodes(nodes: Nodes, digits: Nodes = EMPTY) -> Nodes:
        node = one(nodes, f"'{name}'")
        if node is None or node[1] is None:
            return EMPTY
        kind, places = KINDS.get(node[0]), integer(digits, f"'{name}'")
        if kind in NUMBERS:
            edge = _edge_of_number(Decimal(node[1]), 8 if places is None else places, high)
            return EMPTY if edge is None else [(DECIMAL, edge, None)]
        if kind == QUANTITY:
            amount = quantities.value_of(node)
            edge = None if amount is None else _edge_of_number(amount[0], 8 if places is None else places, high)
            return EMPTY if edge is None or amount is None else [(QUANTITY, (edge, amount[1]), None)]
        if kind in _DEFAULT:
            text = _edge_of_moment(node[1], kind, _DEFAULT[kind] if places is None else places, high)
            return EMPTY if text is None else [(kind, text, None)]
        return EMPTY

    return collected(name, on_nodes, 0, 1)


def _edge_of_number(value: Decimal, places: int, high: bool) -> Decimal | None:
    exponent = value.as_tuple().exponent
    if not 0 <= places <= 28 or not isinstance(exponent, int):
        return None
    half = Decimal(5).scaleb(min(exponent, 0) - 1)
    try:
        edge = value + half if high else value - half
        # An edge away from zero is rounded, one towards zero is cut off.
        away = high == (edge > 0)
        return edge.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP if away else ROUND_DOWN)
    except DecimalException:
        return None


def _edge_of_moment(text: str, kind: str, digits: int, high: bool) -> str | None:
    is_time = kind == TIME
    wanted = (_TIME_DIGITS if is_time else _DATE_DIGITS).get(digits)
    moment = temporal.read(text, is_time)
    if wanted is None or moment is None:
        return None
    full = _filled(list(moment.parts), is_time, high)
    if wanted == (3 if is_time else 6):
        millis = digits in (9, 17)
        seconds = f"{Decimal(full[-1]):06.3f}" if millis else f"{int(full[-1]):02}"
    shown = [f"{int(p):0{4 if i == 0 and not is_time else 2}}" for i, p in enumerate(full)]
    if wanted == len(full):
        shown[-1] = seconds
    if is_time:
        return ":".join(shown[:wanted])
    date = "-".join(shown[: min(wanted, 3)])
    if wanted < 4:
        return date
    return f"{date}T{':'.join(shown[3:wanted])}{_zone(text, moment.offset, high)}"


def _zone(text: str, offset: int | None, high: bool) -> str:
    if offset is None:
        return "-12:00" if high else "+14:00"
    return "Z" if text.endswith("Z") else text[-6:]


def _filled(parts: list[Any], is_time: bool, high: bool) -> list[Any]:
    """All parts down to the millisecond, those not given at their least or greatest."""
    parts = ([2000, 1, 1] if is_time else []) + parts
    given = len(parts)
    if given < 2:
        parts.append(12 if high else 1)
    if given < 3:
        parts.append(monthrange(int(parts[0]), int(parts[1]))[1] if high else 1)
    while len(parts) < 5:
        parts.append((23, 59)[len(parts) - 3] if high else 0)
    top = Decimal("59.999") if high else Decimal("0.000")
    if len(parts) < 6:
        parts.append(top)
    elif high and Decimal(parts[5]) == int(parts[5]) and "." not in str(parts[5]):
        parts[5] = Decimal(int(parts[5])) + Decimal("0.999")
    return parts[3:] if is_time else parts


def _precision(nodes: Nodes) -> Nodes:
    node = one(nodes, "'precision'")
    if node is None or node[1] is None:
        return EMPTY
    kind = KINDS.get(node[0])
    if kind in NUMBERS:
        exponent = Decimal(node[1]).as_tuple().exponent
        return number(max(0, -exponent) if isinstance(exponent, int) else 0)
    if kind in _DEFAULT:
        clock = node[1].split("Z")[0]
        clock = clock[:11] + clock[11:].split("+")[0].split("-")[0] if kind != TIME else clock
        return number(sum(char.isdigit() for char in clock))
    return EMPTY


def _comparable(nodes: Nodes, others: Nodes) -> bool | None:
    a, b = one(nodes, "'comparable'"), one(others, "'comparable'")
    return None if a is None or b is None else quantities.comparable(a, b)


FUNCTIONS: Mapping[str, Build] = {
    "lowBoundary": _boundary("lowBoundary", high=False),
    "highBoundary": _boundary("highBoundary", high=True),
    "precision": collected("precision", _precision),
    "comparable": condition_of("comparable", _comparable, 1),
}
