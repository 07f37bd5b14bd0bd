"""Equality, equivalence, and what asks for them: membership, union, distinct items.

https://hl7.org/fhirpath/N1/#equality, https://hl7.org/fhirpath/N1/#collections-1
"""

from collections import Counter
from collections.abc import Callable, Mapping
from decimal import Decimal, DecimalException
from typing import Any

from fhir_server.fhirpath import quantities, temporal
from fhir_server.fhirpath.nodes import DECIMAL, KINDS, NUMBERS, QUANTITY, STRING, TEMPORAL, TIME, Node, Nodes, single

# So many items are compared as they are, each with each.
FEW = 8


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
    if a[1] is None or b[1] is None:
        return same(a, b) is True
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


def _folded(value: str) -> str:
    return " ".join(value.casefold().split())


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
    return bool(_code(a) == _code(b))


def _same_concept(a: dict[str, Any], b: dict[str, Any]) -> bool:
    first, second = a.get("coding") or (), b.get("coding") or ()
    if not first and not second:
        return _alike_json(a, b)
    return not set(map(_code, first)).isdisjoint(map(_code, second))


def _code(coding: dict[str, Any]) -> Any:
    return _frozen(coding.get("system")), _frozen(coding.get("code"))


# https://hl7.org/fhir/R4/fhirpath.html#changes: what else they hold says nothing.
_EQUIVALENT: Mapping[str, Callable[[Any, Any], bool]] = {"Coding": _same_code, "CodeableConcept": _same_concept}


def _alike_json(a: Any, b: Any) -> bool:
    return bool(_likeness(a) == _likeness(b))


def _likeness(value: Any) -> Any:
    """A hashable stand-in: equal where two JSON values are alike, in whichever order their lists are."""
    if isinstance(value, dict):
        return frozenset([(key, _likeness(item)) for key, item in value.items() if key != "id"])
    if isinstance(value, list):
        return "list", frozenset(Counter(map(_likeness, value)).items())
    return _folded(value) if isinstance(value, str) else value


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
    if len(nodes) <= FEW and (kept := _distinct_objects(nodes)) is not None:
        return kept
    found: dict[Any, Node] = {}
    for node in nodes:
        found.setdefault(key_of(node), node)
    return nodes if len(found) == len(nodes) else list(found.values())


def _distinct_objects(nodes: Nodes) -> Nodes | None:
    # To compare a few with one another takes less than to make keys of them.
    kept: Nodes = []
    for node in nodes:
        if node[0] in KINDS or type(node[1]) is not dict:
            return None
        for other in kept:
            if node[1] == other[1] and node[2] == other[2]:
                break
        else:
            kept.append(node)
    return kept


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
