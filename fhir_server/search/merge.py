"""Conditions that name a range together, `birthdate=ge1960-01-01&birthdate=lt1960-02-01`, joined into one.

Each alone may match half of all resources; an index can only begin and end where both hold. They may be joined when one
row must meet both: the resource has at most one value of the parameter.
"""

from collections.abc import Sequence
from dataclasses import replace

from fhir_server.search.leaves import Updated
from fhir_server.search.ranges import DateIs, QuantityIs
from fhir_server.search.tree import Node

_FROM = frozenset({"ge", "gt", "sa"})
_UNTIL = frozenset({"le", "lt", "eb"})


def merged(nodes: Sequence[Node]) -> list[Node]:
    """The same conditions, with lower and upper bounds of one value joined."""
    out: list[Node] = []
    for node in nodes:
        for i, other in enumerate(out):
            joined = _join(other, node) or _join(node, other)
            if joined is not None:
                out[i] = joined
                break
        else:
            out.append(node)
    return out


def _join(lower: Node, upper: Node) -> Node | None:
    if isinstance(lower, Updated) and isinstance(upper, Updated) and lower.type_ids == upper.type_ids:
        los = [each for each in (lower.lo, upper.lo) if each is not None]
        his = [each for each in (lower.hi, upper.hi) if each is not None]
        return Updated(lower.type_ids, max(los, default=None), min(his, default=None))
    if isinstance(lower, DateIs) and isinstance(upper, DateIs):
        return replace(lower, until=upper) if _fit(lower, upper) else None
    if isinstance(lower, QuantityIs) and isinstance(upper, QuantityIs) and lower.unit == upper.unit:
        return replace(lower, until=upper) if _fit(lower, upper) else None
    return None


def _fit(lower: DateIs | QuantityIs, upper: DateIs | QuantityIs) -> bool:
    return (
        lower.single
        and lower.param == upper.param
        and lower.op in _FROM
        and upper.op in _UNTIL
        and lower.until is None
        and upper.until is None
    )
