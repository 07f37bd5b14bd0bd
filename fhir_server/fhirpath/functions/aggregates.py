"""aggregate, sum, min, max and avg. https://hl7.org/fhirpath/N1/#aggregates"""

from collections.abc import Mapping
from functools import reduce

from fhir_server.fhirpath import operators
from fhir_server.fhirpath.compile import Build, Compiler
from fhir_server.fhirpath.compiled import Compiled
from fhir_server.fhirpath.functions.build import arity, collected
from fhir_server.fhirpath.nodes import EMPTY, INTEGER, Env, Nodes
from fhir_server.fhirpath.paths import Types
from fhir_server.fhirpath.syntax import Tree


def _aggregate(compiler: Compiler, source: Compiled, arguments: tuple[Tree, ...], this: Types) -> Compiled:
    arity("aggregate", arguments, 1, 2)
    run, step = source.run, compiler.inner(arguments[0], source.types).run
    start = compiler.scoped(arguments[1], this).run if len(arguments) > 1 else None
    compiler.needs_env = True

    def folded(this: Nodes, env: Env) -> Nodes:
        nodes = env.spend(run(this, env))
        first = start(this, env) if start else EMPTY
        outer = env.total, env.index
        env.total = first
        for env.index, node in enumerate(nodes):
            env.total = env.spend(step([node], env))
        result = env.total
        env.total, env.index = outer
        return result

    return Compiled(folded, None)


def _sum(nodes: Nodes) -> Nodes:
    return reduce(lambda total, node: operators.add(total, [node]), nodes[1:], nodes[:1])


def _extreme(nodes: Nodes, sign: int) -> Nodes:
    found = nodes[:1]
    for node in nodes[1:]:
        order = operators.compare([node], found)
        if order is None:
            return EMPTY
        found = [node] if order * sign > 0 else found
    return found


def _average(nodes: Nodes) -> Nodes:
    count: Nodes = [(INTEGER, len(nodes), None)]
    return operators.BINARY["/"][0](_sum(nodes), count) if nodes else EMPTY


FUNCTIONS: Mapping[str, Build] = {
    "aggregate": _aggregate,
    "sum": collected("sum", _sum),
    "min": collected("min", lambda nodes: _extreme(nodes, -1)),
    "max": collected("max", lambda nodes: _extreme(nodes, 1)),
    "avg": collected("avg", _average),
}
