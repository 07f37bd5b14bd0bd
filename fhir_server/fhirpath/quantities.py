"""Quantities: FHIR's Quantity and FHIRPath's literal, compared across UCUM units.

https://hl7.org/fhirpath/N1/#quantity, https://hl7.org/fhir/R4/fhirpath.html#quantity
"""

from decimal import Decimal, DecimalException, localcontext

from fhir_server.core import ucum
from fhir_server.core.ucum.conversion import convert
from fhir_server.fhirpath.errors import FhirPathError
from fhir_server.fhirpath.nodes import DECIMAL, EMPTY, INTEGER, KINDS, QUANTITY, Node, Nodes

Amount = tuple[Decimal, str]

_CALENDAR = {" week": "wk", " day": "d", " hour": "h", " minute": "min", " second": "s", " millisecond": "ms"}
# A calendar month or year is only about as long as UCUM's: equivalent, not equal.
_ABOUT = {" year": "a", " month": "mo"}


def value_of(node: Node) -> Amount | None:
    """Value and unit of a quantity or a plain number (unit `1`); None for anything else or without a value.

    The unit is a UCUM code, a calendar unit with a blank before it, or whatever unit text there is.
    """
    kind = KINDS.get(node[0])
    if node[1] is None:
        return None
    if kind in (INTEGER, DECIMAL):
        return Decimal(node[1]), "1"
    if kind != QUANTITY:
        return None
    if node[0] == QUANTITY:
        return Decimal(node[1][0]), node[1][1]
    value = node[1].get("value")
    if value is None:
        return None
    return Decimal(value), node[1].get("code") or node[1].get("unit") or "1"


def _common(a: Node, b: Node, about: bool = False) -> tuple[Decimal, Decimal] | None:
    """Both values in one unit; None when the units are of different kinds."""
    first, second = value_of(a), value_of(b)
    if first is None or second is None:
        return None
    if first[1] == second[1]:
        return first[0], second[0]
    x, y = (_canonical(amount, about) for amount in (first, second))
    if x is None or y is None or x[1] != y[1]:
        return None
    return x[0], y[0]


def _canonical(amount: Amount, about: bool) -> Amount | None:
    unit = _CALENDAR.get(amount[1]) or (_ABOUT.get(amount[1]) if about else None) or amount[1]
    return None if unit.startswith(" ") else ucum.canonical(amount[0], unit)


def key_of(node: Node) -> tuple[object, ...] | None:
    """A hashable stand-in: equal keys where `equal` is true. None for a quantity without a value."""
    amount = value_of(node)
    if amount is None:
        return None
    value, unit = _canonical(amount, False) or amount
    return (DECIMAL, value) if unit == "1" else (QUANTITY, value, unit)


def compare(a: Node, b: Node) -> int | None:
    """-1, 0, 1; None for units of different kinds."""
    pair = _common(a, b)
    return None if pair is None else (pair[0] > pair[1]) - (pair[0] < pair[1])


def equal(a: Node, b: Node) -> bool | None:
    """Equality; None for units of different kinds, False when one is no quantity."""
    if value_of(a) is None or value_of(b) is None:
        return bool(a[0] == b[0] and a[1] == b[1])
    pair = _common(a, b)
    return None if pair is None else pair[0] == pair[1]


def equivalent(a: Node, b: Node) -> bool:
    """Equivalence: to the lesser precision, calendar months and years taken for UCUM's."""
    pair = _common(a, b, about=True)
    if pair is None:
        return False
    first, second = value_of(a), value_of(b)
    if first is None or second is None:
        return False
    if first[1] == second[1]:
        return pair[0] == pair[1]
    digits = min(len(first[0].as_tuple().digits), len(second[0].as_tuple().digits))
    with localcontext() as context:
        context.prec = max(digits, 1)
        return +pair[0] == +pair[1]


def comparable(a: Node, b: Node) -> bool:
    """Whether the units are of one kind."""
    return _common(a, b) is not None


def converted(amount: Amount, unit: str) -> Amount | None:
    """The same amount in another unit; None when the units are of different kinds."""
    source, target = (_CALENDAR.get(each, each) for each in (amount[1], unit))
    if source == target:
        return amount[0], unit
    if source.startswith(" ") or target.startswith(" "):
        return None
    try:
        return convert(amount[0], source, target), unit
    except (ValueError, ArithmeticError):
        return None


def total(a: Node, b: Node, sign: int) -> Nodes:
    """Sum or difference in the first one's unit when the units are equal, else in the canonical unit."""
    first, second = value_of(a), value_of(b)
    if first is None or second is None:
        return EMPTY
    x, y = (first, second) if first[1] == second[1] else (_canonical(first, False), _canonical(second, False))
    if x is None or y is None or x[1] != y[1]:
        return EMPTY
    try:
        return [(QUANTITY, (x[0] + sign * y[0], x[1]), None)]
    except DecimalException:
        return EMPTY


def scale(a: Node, b: Node, symbol: str) -> Nodes:
    """Product or quotient of two quantities, or of a quantity and a number."""
    first, second = value_of(a), value_of(b)
    if first is None or second is None:
        raise FhirPathError(f"'{symbol}' does not work on {a[0]} and {b[0]}.")
    if symbol == "/" and second[0] == 0:
        return EMPTY
    try:
        value = first[0] * second[0] if symbol == "*" else first[0] / second[0]
    except DecimalException:
        return EMPTY
    return [(QUANTITY, (value, _unit(first[1], second[1], symbol)), None)]


def _unit(first: str, second: str, symbol: str) -> str:
    first, second = _CALENDAR.get(first, first), _CALENDAR.get(second, second)
    if second == "1":
        return first
    if first == second and symbol == "/":
        return "1"
    if symbol == "*":
        return second if first == "1" else f"{first}2" if first == second else f"{first}.{second}"
    return f"{'' if first == '1' else first}/{second}"
