"""count() and sums of it, as integers until somebody asks for a collection."""

from collections.abc import Callable

from fhir_server.fhirpath.compiled import Compiled, Run
from fhir_server.fhirpath.nodes import INTEGER, Env, Nodes


def count(run: Run) -> Compiled:
    """How many items there are."""
    return _integer(lambda this, env: len(run(this, env)))


def total(left: Callable[[Nodes, Env], int], right: Callable[[Nodes, Env], int]) -> Compiled:
    """The sum of two integers."""
    return _integer(lambda this, env: left(this, env) + right(this, env))


def _integer(value: Callable[[Nodes, Env], int]) -> Compiled:
    return Compiled(lambda this, env: [(INTEGER, value(this, env), None)], frozenset({INTEGER}), integer=value)
