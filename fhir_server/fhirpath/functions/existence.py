"""empty, exists, all, count, distinct and their kin. https://hl7.org/fhirpath/N1/#existence"""

from collections.abc import Mapping

from fhir_server.fhirpath.compile import Build, Compiled, Compiler, Test, condition
from fhir_server.fhirpath.errors import FhirPathError
from fhir_server.fhirpath.functions.build import arity, collected, condition_of
from fhir_server.fhirpath.nodes import INTEGER, Env, Nodes
from fhir_server.fhirpath.operators import distinct, same
from fhir_server.fhirpath.paths import Types
from fhir_server.fhirpath.syntax import Tree


def criteria(compiler: Compiler, source: Compiled, tree: Tree) -> Test:
    """A lambda that decides on one item, kept in step with `$index` where it asks for that."""
    test = compiler.compile(tree, source.types).condition()
    if not compiler.uses_loop(tree):
        return test
    compiler.needs_env = True

    def counted(this: Nodes, env: Env) -> bool | None:
        value = test(this, env)
        env.index += 1
        return value

    return counted


def _exists(compiler: Compiler, source: Compiled, arguments: tuple[Tree, ...], this: Types) -> Compiled:
    arity("exists", arguments, 0, 1)
    run = source.run
    if not arguments:
        return condition(lambda this, env: bool(run(this, env)))
    test = criteria(compiler, source, arguments[0])

    def any_item(this: Nodes, env: Env) -> bool:
        nodes = run(this, env)
        outer, env.index = env.index, 0
        found = any(test([node], env) for node in nodes)
        env.index = outer
        return found

    return condition(any_item)


def _all(compiler: Compiler, source: Compiled, arguments: tuple[Tree, ...], this: Types) -> Compiled:
    arity("all", arguments, 1)
    run, test = source.run, criteria(compiler, source, arguments[0])

    def every_item(this: Nodes, env: Env) -> bool:
        nodes = run(this, env)
        outer, env.index = env.index, 0
        found = all(test([node], env) for node in nodes)
        env.index = outer
        return found

    return condition(every_item)


def _not(compiler: Compiler, source: Compiled, arguments: tuple[Tree, ...], this: Types) -> Compiled:
    arity("not", arguments, 0)
    test = source.condition()

    def negated(this: Nodes, env: Env) -> bool | None:
        value = test(this, env)
        return None if value is None else not value

    return condition(negated)


def _booleans(nodes: Nodes, name: str) -> list[bool]:
    values = [node[1] for node in nodes]
    if not all(isinstance(value, bool) for value in values):
        raise FhirPathError(f"'{name}' works on booleans.")
    return values


def _subset(nodes: Nodes, others: Nodes) -> bool:
    return all(any(same(node, other) for other in others) for node in nodes)


FUNCTIONS: Mapping[str, Build] = {
    "empty": condition_of("empty", lambda nodes: not nodes),
    "exists": _exists,
    "all": _all,
    "not": _not,
    "allTrue": condition_of("allTrue", lambda nodes: all(_booleans(nodes, "allTrue"))),
    "anyTrue": condition_of("anyTrue", lambda nodes: any(_booleans(nodes, "anyTrue"))),
    "allFalse": condition_of("allFalse", lambda nodes: not any(_booleans(nodes, "allFalse"))),
    "anyFalse": condition_of("anyFalse", lambda nodes: not all(_booleans(nodes, "anyFalse"))),
    "subsetOf": condition_of("subsetOf", _subset, 1),
    "supersetOf": condition_of("supersetOf", lambda nodes, others: _subset(others, nodes), 1),
    "isDistinct": condition_of("isDistinct", lambda nodes: len(distinct(nodes)) == len(nodes)),
    "count": collected("count", lambda nodes: [(INTEGER, len(nodes), None)], types=frozenset({INTEGER})),
    "distinct": collected("distinct", distinct, same_types=True),
}
