"""empty, exists, all, count, distinct and their kin. https://hl7.org/fhirpath/N1/#existence"""

from collections.abc import Mapping
from dataclasses import replace

from fhir_server.fhirpath import chains
from fhir_server.fhirpath.compile import Build, Compiler
from fhir_server.fhirpath.compiled import Compiled, Test, condition, item_condition
from fhir_server.fhirpath.errors import FhirPathError
from fhir_server.fhirpath.functions.build import arity, collected, condition_of, criteria, loop_source
from fhir_server.fhirpath.logic import negated
from fhir_server.fhirpath.nodes import INTEGER, Env, Nodes
from fhir_server.fhirpath.operators import distinct, subset
from fhir_server.fhirpath.paths import Types
from fhir_server.fhirpath.syntax import Tree


def _exists(compiler: Compiler, source: Compiled, arguments: tuple[Tree, ...], this: Types) -> Compiled:
    arity("exists", arguments, 0, 1)
    run = source.run
    if not arguments:
        steps = chains.step_of(source)
        if not steps:
            return condition(lambda this, env: bool(run(this, env)))
        found = item_condition(lambda this, env: bool(run(this, env)), chains.any_there(steps))
        return replace(found, steps=steps)
    test, run = criteria(compiler, source, arguments[0]), loop_source(compiler, source, arguments[0])

    def any_item(this: Nodes, env: Env) -> bool:
        for node in run(this, env):  # noqa: SIM110 (a generator costs twice as much)
            if test(node, env):
                return True
        return False

    return condition(_counting(any_item) if compiler.uses_loop(arguments[0]) else any_item)


def _empty(compiler: Compiler, source: Compiled, arguments: tuple[Tree, ...], this: Types) -> Compiled:
    arity("empty", arguments, 0)
    run, steps = source.run, chains.step_of(source)
    if not steps:
        return condition(lambda this, env: not run(this, env))
    there = chains.any_there(steps)
    return item_condition(lambda this, env: not run(this, env), lambda node, env: not there(node, env))


def _all(compiler: Compiler, source: Compiled, arguments: tuple[Tree, ...], this: Types) -> Compiled:
    arity("all", arguments, 1)
    test, run = criteria(compiler, source, arguments[0]), loop_source(compiler, source, arguments[0])

    def every_item(this: Nodes, env: Env) -> bool:
        for node in run(this, env):  # noqa: SIM110
            if not test(node, env):
                return False
        return True

    return condition(_counting(every_item) if compiler.uses_loop(arguments[0]) else every_item)


def _counting(test: Test) -> Test:
    """A loop whose lambda asks for `$index`: that counts from 0, and is afterwards what it was before."""

    def counted(this: Nodes, env: Env) -> bool | None:
        outer = env.index
        found = test(this, env)
        env.index = outer
        return found

    return counted


def _not(compiler: Compiler, source: Compiled, arguments: tuple[Tree, ...], this: Types) -> Compiled:
    arity("not", arguments, 0)
    return negated(source)


def _booleans(nodes: Nodes, name: str) -> list[bool]:
    values = [node[1] for node in nodes]
    if not all(isinstance(value, bool) for value in values):
        raise FhirPathError(f"'{name}' works on booleans.")
    return values


FUNCTIONS: Mapping[str, Build] = {
    "empty": _empty,
    "exists": _exists,
    "all": _all,
    "not": _not,
    "allTrue": condition_of("allTrue", lambda nodes: all(_booleans(nodes, "allTrue"))),
    "anyTrue": condition_of("anyTrue", lambda nodes: any(_booleans(nodes, "anyTrue"))),
    "allFalse": condition_of("allFalse", lambda nodes: not any(_booleans(nodes, "allFalse"))),
    "anyFalse": condition_of("anyFalse", lambda nodes: not all(_booleans(nodes, "anyFalse"))),
    "subsetOf": condition_of("subsetOf", subset, 1, compares=True),
    "supersetOf": condition_of("supersetOf", lambda nodes, others: subset(others, nodes), 1, compares=True),
    "isDistinct": condition_of("isDistinct", lambda nodes: len(distinct(nodes)) == len(nodes), compares=True),
    "count": collected("count", lambda nodes: [(INTEGER, len(nodes), None)], types=frozenset({INTEGER})),
    "distinct": collected("distinct", distinct, same_types=True, compares=True),
}
