"""The operators on two collections. https://hl7.org/fhirpath/N1/#operations"""

from collections.abc import Callable, Mapping
from decimal import ROUND_DOWN, Decimal, DecimalException, localcontext
from typing import Any

from fhir_server.fhirpath import quantities, temporal
from fhir_server.fhirpath.equality import contains, equal, equivalent, is_in, unequal, union
from fhir_server.fhirpath.errors import FhirPathError
from fhir_server.fhirpath.nodes import (
    DATE,
    DECIMAL,
    EMPTY,
    INTEGER,
    KINDS,
    NUMBERS,
    QUANTITY,
    STRING,
    TEMPORAL,
    TIME,
    Node,
    Nodes,
    single,
    text,
)


def compare(left: Nodes, right: Nodes) -> int | None:
    """-1, 0 or 1; None when either side is empty or precision does not tell. Raises for things without an order."""
    if len(left) != 1 or len(right) != 1:
        single(left, "A comparison"), single(right, "A comparison")
        return None
    a, b = left[0], right[0]
    if a[1] is None or b[1] is None:
        return None
    kind, other = KINDS.get(a[0]), KINDS.get(b[0])
    if kind in TEMPORAL and other in TEMPORAL and (kind == TIME) == (other == TIME):
        return temporal.compare(a[1], b[1], kind == TIME)
    if (kind in NUMBERS and other in NUMBERS) or (kind == STRING and other == STRING):
        return int(a[1] > b[1]) - int(a[1] < b[1])
    if kind == QUANTITY and other == QUANTITY:
        return quantities.compare(a, b)
    raise FhirPathError(f"{a[0]} and {b[0]} cannot be compared.")


def _ordered(*accepted: int) -> Callable[[Nodes, Nodes], bool | None]:
    def operator(left: Nodes, right: Nodes) -> bool | None:
        order = compare(left, right)
        return None if order is None else order in accepted

    return operator


def _operands(left: Nodes, right: Nodes, symbol: str) -> tuple[Node, Node] | None:
    a, b = single(left, f"'{symbol}'"), single(right, f"'{symbol}'")
    return None if a is None or b is None or a[1] is None or b[1] is None else (a, b)


def _refused(a: Node, symbol: str, b: Node) -> FhirPathError:
    return FhirPathError(f"'{symbol}' does not work on {a[0]} and {b[0]}.")


def add(left: Nodes, right: Nodes) -> Nodes:
    """`+`: numbers, strings, quantities, a date and a duration."""
    return _sum(left, right, "+", 1)


def subtract(left: Nodes, right: Nodes) -> Nodes:
    """`-`."""
    return _sum(left, right, "-", -1)


def _sum(left: Nodes, right: Nodes, symbol: str, sign: int) -> Nodes:
    pair = _operands(left, right, symbol)
    if pair is None:
        return EMPTY
    a, b = pair
    kind, other = KINDS.get(a[0]), KINDS.get(b[0])
    if kind in NUMBERS and other in NUMBERS:
        try:
            return computed(a[1] + sign * b[1], kind, other)
        except DecimalException:
            return EMPTY
    if kind == STRING and other == STRING and sign > 0:
        return text(a[1] + b[1])
    if kind in TEMPORAL and other == QUANTITY:
        amount, unit = quantities.value_of(b) or (Decimal(0), "")
        return [(kind or DATE, temporal.shift(a[1], sign * amount, unit, kind == TIME), None)]
    if kind == QUANTITY and other == QUANTITY:
        return quantities.total(a, b, sign)
    raise _refused(a, symbol, b)


def computed(value: Any, *kinds: str | None) -> Nodes:
    """A number as a node: an integer when all its operands were. What is beyond 64 bits is no integer: empty."""
    if all(kind == INTEGER for kind in kinds):
        if abs(value) >= 1 << 63:
            return EMPTY
        return [(INTEGER, int(value), None)]
    return [(DECIMAL, value if isinstance(value, Decimal) else Decimal(value), None)]


def _arithmetic(symbol: str, apply: Callable[[Any, Any], Any], whole: bool | None) -> Callable[[Nodes, Nodes], Nodes]:
    """whole: True if the result is always an integer, None if it is when both operands are, False never."""

    def operator(left: Nodes, right: Nodes) -> Nodes:
        pair = _operands(left, right, symbol)
        if pair is None:
            return EMPTY
        a, b = pair
        kind, other = KINDS.get(a[0]), KINDS.get(b[0])
        if QUANTITY in (kind, other) and symbol in "*/":
            return quantities.scale(a, b, symbol)
        if kind not in NUMBERS or other not in NUMBERS:
            raise _refused(a, symbol, b)
        if symbol != "*" and b[1] == 0:
            return EMPTY
        try:
            with localcontext() as context:
                context.prec = 28
                value = apply(Decimal(a[1]), Decimal(b[1]))
        except DecimalException:
            return EMPTY
        if whole:
            return [(INTEGER, int(value), None)] if value.adjusted() < 19 else EMPTY
        return computed(value, *([DECIMAL] if whole is False else [kind, other]))

    return operator


def _quotient(a: Decimal, b: Decimal) -> Decimal:
    return (a / b).to_integral_value(ROUND_DOWN)


def negative(nodes: Nodes, sign: int) -> Nodes:
    """Unary plus and minus."""
    node = single(nodes, "A sign")
    if node is None:
        return EMPTY
    kind = KINDS.get(node[0])
    if kind in NUMBERS and node[1] is not None:
        return [(kind or DECIMAL, node[1] if sign > 0 else negated(node[1]), None)]
    value = quantities.value_of(node)
    if value is None:
        raise FhirPathError(f"{node[0]} cannot have a sign.")
    return [(QUANTITY, (value[0] if sign > 0 else negated(value[0]), value[1]), None)]


def negated(value: Any) -> Any:
    """The number with the other sign, exactly: Python's minus rounds a Decimal, or finds it too large."""
    return value.copy_negate() if isinstance(value, Decimal) else -value


# operator -> (what it does, whether it answers True/False/None instead of a collection)
BINARY: Mapping[str, tuple[Callable[[Nodes, Nodes], Any], bool]] = {
    "=": (equal, True),
    "!=": (unequal, True),
    "~": (equivalent, True),
    "!~": (lambda left, right: not equivalent(left, right), True),
    "<": (_ordered(-1), True),
    "<=": (_ordered(-1, 0), True),
    ">": (_ordered(1), True),
    ">=": (_ordered(0, 1), True),
    "in": (is_in, True),
    "contains": (contains, True),
    "|": (union, False),
    "+": (add, False),
    "-": (subtract, False),
    "*": (_arithmetic("*", lambda a, b: a * b, None), False),
    "/": (_arithmetic("/", lambda a, b: a / b, False), False),
    "div": (_arithmetic("div", _quotient, True), False),
    "mod": (_arithmetic("mod", lambda a, b: a % b, None), False),
}
