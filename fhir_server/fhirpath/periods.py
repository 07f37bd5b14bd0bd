"""Dates compared with dates beside them, as `start <= end`, which every period asks."""

from collections.abc import Callable

from fhir_server.fhirpath import temporal
from fhir_server.fhirpath.compiled import Compiled, item_condition
from fhir_server.fhirpath.nodes import KINDS, TEMPORAL, TIME, Env, Node, Nodes

_ACCEPTED = {"<": (-1,), "<=": (-1, 0), ">": (1,), ">=": (0, 1)}


def ordered(
    symbol: str, left: Compiled, right: Compiled, general: Callable[[Nodes, Nodes], bool | None]
) -> Compiled | None:
    """`left symbol right` of two plain steps to dates; None where they are anything else."""
    first, second = _date(left), _date(right)
    if symbol not in _ACCEPTED or first is None or second is None:
        return None
    accepted, begin, end = _ACCEPTED[symbol], left.run, right.run

    def test(this: Nodes, env: Env) -> bool | None:
        return general(begin(this, env), end(this, env))

    def item(node: Node, env: Env) -> bool | None:
        a, b = node[1].get(first), node[1].get(second)
        if type(a) is not str or type(b) is not str:
            return test([node], env)
        order = temporal.compare(a, b, False)
        return None if order is None else order in accepted

    return item_condition(test, item)


def _date(source: Compiled) -> str | None:
    """The property that a plain step to a date leads to."""
    if source.chain is None or len(source.chain) != 1:
        return None
    kind = KINDS.get(source.chain[0].type or "")
    return source.chain[0].json if kind in TEMPORAL and kind != TIME else None
