"""The operators on two collections. https://hl7.org/fhirpath/N1/#operations"""

from collections.abc import Callable, Mapping
from decimal import ROUND_DOWN, Decimal, DecimalException, localcontext
from typing import Any

from fhir_server.fhirpath import quantities, temporal
from fhir_server.fhirpath.errors import FhirPathError
from fhir_server.fhirpath.nodes import (
    DATE,
    DATETIME,
    DECIMAL,
    EMPTY,
    INTEGER,
    KINDS,
    QUANTITY,
    STRING,
    TIME,
    Node,
    Nodes,
    single,
    text,
)

TEMPORAL = frozenset({DATE, DATETIME, TIME})
NUMBERS = frozenset({INTEGER, DECIMAL})


def same(a: Node, b: Node) -> bool | None:
    """Equality (`=`) of two items; None when it cannot be told (dates of different precision)."""
    if a == b:
        return True
    kind, other = KINDS.get(a[0]), KINDS.get(b[0])
    if kind in TEMPORAL and other in TEMPORAL:
        return temporal.equal(a[1], b[1], kind == TIME, other == TIME)
    if kind == QUANTITY or other == QUANTITY:
        return quantities.equal(a, b)
    if kind is None or other is None:
        return kind is other and bool(a[1] == b[1])
    if a[1] is None or b[1] is None:
        return a[1] is b[1] and a[2] == b[2]
    if kind != other and not (kind in NUMBERS and other in NUMBERS):
        return False
    return bool(a[1] == b[1])


def equal(left: Nodes, right: Nodes) -> bool | None:
    """`=`: same items in the same order; None when either side is empty."""
    if not left or not right:
        return None
    if len(left) != len(right):
        return False
    unknown = False
    for a, b in zip(left, right, strict=True):
        result = same(a, b)
        if result is False:
            return False
        unknown = unknown or result is None
    return None if unknown else True


def unequal(left: Nodes, right: Nodes) -> bool | None:
    """`!=`."""
    result = equal(left, right)
    return None if result is None else not result


def alike(a: Node, b: Node) -> bool:
    """Equivalence (`~`) of two items: strings without case and spacing, decimals to the lesser precision."""
    kind, other = KINDS.get(a[0]), KINDS.get(b[0])
    if kind == STRING and other == STRING:
        return _folded(a[1]) == _folded(b[1])
    if kind in NUMBERS and other in NUMBERS:
        return _rounded_equal(Decimal(a[1]), Decimal(b[1]))
    if kind == QUANTITY or other == QUANTITY:
        return quantities.equivalent(a, b)
    if kind is None and other is None:
        special = _EQUIVALENT.get(a[0]) if a[0] == b[0] else None
        return special(a[1], b[1]) if special else _alike_json(a[1], b[1])
    return same(a, b) is True


def equivalent(left: Nodes, right: Nodes) -> bool:
    """`~`: equivalent items in any order; two empty collections are equivalent."""
    if len(left) != len(right):
        return False
    rest = list(right)
    for a in left:
        at = next((i for i, b in enumerate(rest) if alike(a, b)), None)
        if at is None:
            return False
        del rest[at]
    return True


def _folded(value: str | None) -> str | None:
    return None if value is None else " ".join(value.casefold().split())


def _rounded_equal(a: Decimal, b: Decimal) -> bool:
    places = min(_places(a), _places(b))
    unit = Decimal(1).scaleb(-places)
    try:
        return a.quantize(unit) == b.quantize(unit)
    except DecimalException:
        return a == b


def _places(value: Decimal) -> int:
    exponent = value.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _same_code(a: dict[str, Any], b: dict[str, Any]) -> bool:
    return a.get("system") == b.get("system") and a.get("code") == b.get("code")


def _same_concept(a: dict[str, Any], b: dict[str, Any]) -> bool:
    first, second = a.get("coding") or (), b.get("coding") or ()
    if not first and not second:
        return _alike_json(a, b)
    return any(_same_code(x, y) for x in first for y in second)


# https://hl7.org/fhir/R4/fhirpath.html#changes: what else they hold says nothing.
_EQUIVALENT: Mapping[str, Callable[[Any, Any], bool]] = {"Coding": _same_code, "CodeableConcept": _same_concept}


def _alike_json(a: Any, b: Any) -> bool:
    if isinstance(a, dict) and isinstance(b, dict):
        keys = (a.keys() | b.keys()) - {"id"}
        return all(key in a and key in b and _alike_json(a[key], b[key]) for key in keys)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(any(_alike_json(x, y) for y in b) for x in a)
    if isinstance(a, str) and isinstance(b, str):
        return _folded(a) == _folded(b)
    return bool(a == b)


def key_of(node: Node) -> Any:
    """A hashable stand-in for an item: equal keys where `=` is true."""
    kind = KINDS.get(node[0])
    value = node[1]
    if kind is None or value is None:
        return (kind, _frozen(value), _frozen(node[2]))
    if kind in NUMBERS:
        return (DECIMAL, value)
    if kind in TEMPORAL:
        return temporal.key_of(value, kind == TIME)
    if kind == QUANTITY:
        return quantities.key_of(node) or (node[0], _frozen(value))
    return (kind, value)


def _frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return tuple(sorted((key, _frozen(value[key])) for key in value))
    return tuple([_frozen(item) for item in value]) if isinstance(value, list) else value


def distinct(nodes: Nodes) -> Nodes:
    """The items without repetition, first ones kept."""
    if len(nodes) < 2:
        return nodes
    found: dict[Any, Node] = {}
    for node in nodes:
        found.setdefault(key_of(node), node)
    return nodes if len(found) == len(nodes) else list(found.values())


def union(left: Nodes, right: Nodes) -> Nodes:
    """`|`: both without repetition."""
    if not right:
        return distinct(left)
    return distinct(left + right) if left else distinct(right)


def is_in(left: Nodes, right: Nodes) -> bool | None:
    """`in`: whether the one item on the left is among those on the right."""
    node = single(left, "'in'")
    if node is None:
        return None
    return any(same(node, other) for other in right)


def subset(nodes: Nodes, others: Nodes) -> bool:
    """Whether every item is among the others."""
    if len(nodes) == 1:
        return any(same(nodes[0], other) for other in others)
    return {key_of(node) for node in nodes} <= {key_of(node) for node in others}


def contains(left: Nodes, right: Nodes) -> bool | None:
    """`contains`: the converse of `in`."""
    return is_in(right, left)


def compare(left: Nodes, right: Nodes) -> int | None:
    """-1, 0 or 1; None when either side is empty or precision does not tell. Raises for things without an order."""
    a, b = single(left, "A comparison"), single(right, "A comparison")
    if a is None or b is None or a[1] is None or b[1] is None:
        return None
    kind, other = KINDS.get(a[0]), KINDS.get(b[0])
    if (kind in NUMBERS and other in NUMBERS) or (kind == STRING and other == STRING):
        return int(a[1] > b[1]) - int(a[1] < b[1])
    if kind in TEMPORAL and other in TEMPORAL and (kind == TIME) == (other == TIME):
        return temporal.compare(a[1], b[1], kind == TIME)
    if kind == QUANTITY and other == QUANTITY:
        return quantities.compare(a, b)
    raise FhirPathError(f"{a[0]} and {b[0]} cannot be compared.")


def _ordered(accept: Callable[[int], bool]) -> Callable[[Nodes, Nodes], bool | None]:
    def operator(left: Nodes, right: Nodes) -> bool | None:
        order = compare(left, right)
        return None if order is None else accept(order)

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


def concatenate(left: Nodes, right: Nodes) -> Nodes:
    """`&`: strings joined, empty counts as the empty string."""
    texts = []
    for nodes in (left, right):
        node = single(nodes, "'&'")
        if node is not None and KINDS.get(node[0]) != STRING:
            raise FhirPathError(f"'&' joins strings, not {node[0]}.")
        texts.append(node[1] or "" if node else "")
    return text("".join(texts))


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
    "<": (_ordered(lambda order: order < 0), True),
    "<=": (_ordered(lambda order: order <= 0), True),
    ">": (_ordered(lambda order: order > 0), True),
    ">=": (_ordered(lambda order: order >= 0), True),
    "in": (is_in, True),
    "contains": (contains, True),
    "|": (union, False),
    "+": (add, False),
    "-": (subtract, False),
    "&": (concatenate, False),
    "*": (_arithmetic("*", lambda a, b: a * b, None), False),
    "/": (_arithmetic("/", lambda a, b: a / b, False), False),
    "div": (_arithmetic("div", _quotient, True), False),
    "mod": (_arithmetic("mod", lambda a, b: a % b, None), False),
}
