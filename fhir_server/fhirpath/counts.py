"""count() and sums of it, as integers until somebody asks for a collection."""

from collections.abc import Callable
from typing import Any

from fhir_server.fhirpath.compiled import Compiled, condition, item_condition
from fhir_server.fhirpath.nodes import INTEGER, Env, Node, Nodes

_Integer = Callable[[Nodes, Env], int]


def count(source: Compiled) -> Compiled:
    """How many items there are."""
    run, chain = source.run, source.chain
    if not chain or chain[-1].primitive:
        return _integer(lambda this, env: len(run(this, env)))
    names = tuple([step.json for step in chain])
    below = _below(names)
    return _integer(lambda this, env: sum([below(node[1]) for node in this]), (names,))


def total(left: Compiled, right: Compiled) -> Compiled | None:
    """The sum of two integers; None of anything else."""
    first, second = left.integer, right.integer
    if first is None or second is None:
        return None
    counted = (*left.counted, *right.counted) if left.counted and right.counted else ()
    return _integer(lambda this, env: first(this, env) + second(this, env), counted)


def compared(source: Compiled, compare: Callable[[int, int], bool], value: int) -> Compiled | None:
    """The condition `compare(integer, value)`; None where the source is no integer of that kind."""
    integer = source.integer
    if integer is None:
        return None
    made = condition(lambda this, env: compare(integer(this, env), value))
    if made.test is None or not source.counted:
        return made
    counters = [_below(names) for names in source.counted]
    if len(counters) == 1:
        below = counters[0]
        return item_condition(made.test, lambda node, env: compare(below(node[1]), value))

    def item(node: Node, env: Env) -> bool:
        held, found = node[1], 0
        for counter in counters:
            found += counter(held)
        return compare(found, value)

    return item_condition(made.test, item)


def _below(names: tuple[str, ...]) -> Callable[[dict[str, Any]], int]:
    """How many objects some plain steps lead to from one."""
    json = names[0]
    below = _below(names[1:]) if len(names) > 1 else None

    def last(value: dict[str, Any]) -> int:
        child = value.get(json)
        return 0 if child is None else len(child) if type(child) is list else 1

    def through(value: dict[str, Any]) -> int:
        child = value.get(json)
        if child is None or below is None:
            return 0
        return sum(map(below, child)) if type(child) is list else below(child)

    return last if below is None else through


def _integer(value: _Integer, counted: tuple[tuple[str, ...], ...] = ()) -> Compiled:
    def run(this: Nodes, env: Env) -> Nodes:
        return [(INTEGER, value(this, env), None)]

    return Compiled(run, frozenset({INTEGER}), integer=value, counted=counted)
