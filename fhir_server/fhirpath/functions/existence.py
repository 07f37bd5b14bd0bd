"""empty, exists, all, count, distinct and their kin. https://hl7.org/fhirpath/N1/#existence"""

from collections.abc import Mapping
from dataclasses import replace

from fhir_server.fhirpath import presence
from fhir_server.fhirpath.compile import Build, Compiler
from fhir_server.fhirpath.compiled import Compiled, Test, condition, item_condition
from fhir_server.fhirpath.counts import count
from fhir_server.fhirpath.equality import distinct, subset
from fhir_server.fhirpath.errors import FhirPathError
from fhir_server.fhirpath.functions.build import arity, collected, condition_of, criteria, loop_source
from fhir_server.fhirpath.logic import negated
from fhir_server.fhirpath.nodes import Env, Node, Nodes
from fhir_server.fhirpath.paths import Types
from fhir_server.fhirpath.syntax import Tree


def _exists(compiler: Compiler, source: Compiled, arguments: tuple[Tree, ...], this: Types) -> Compiled:
    arity("exists", arguments, 0, 1)
    run = source.run
    if not arguments:
        there = presence.there(compiler.paths, source, True)
        if there is None:
            return condition(lambda this, env: bool(run(this, env)))
        found = item_condition(lambda this, env: bool(run(this, env)), there)
        absent = presence.there(compiler.paths, source, False)
        return replace(found, steps=presence.step_of(source), opposite=absent)
    return _decided(compiler, source, arguments[0], True)


def _empty(compiler: Compiler, source: Compiled, arguments: tuple[Tree, ...], this: Types) -> Compiled:
    arity("empty", arguments, 0)
    run, absent = source.run, presence.there(compiler.paths, source, False)
    if absent is None:
        return condition(lambda this, env: not run(this, env))
    return item_condition(lambda this, env: not run(this, env), absent)


def _all(compiler: Compiler, source: Compiled, arguments: tuple[Tree, ...], this: Types) -> Compiled:
    arity("all", arguments, 1)
    return _decided(compiler, source, arguments[0], False)


def _decided(compiler: Compiler, source: Compiled, criterion: Tree, by: bool) -> Compiled:
    """A condition that is `by` as soon as the criterion of one item is, and otherwise the opposite."""
    test, run = criteria(compiler, source, criterion), loop_source(compiler, source, criterion)

    def decided(this: Nodes, env: Env) -> bool:
        for node in run(this, env):  # (any and a generator cost twice as much)
            if (not test(node, env)) is not by:
                return by
        return not by

    if compiler.uses_loop(criterion):
        return condition(_counting(decided))
    if run is not source.run or source.chain is None or len(source.chain) != 1 or source.chain[0].primitive:
        return condition(decided)
    json, type_ = source.chain[0].json, source.chain[0].type or ""

    def of_children(node: Node, env: Env) -> bool:
        held = node[1].get(json)
        if held is not None:
            for value in held if type(held) is list else (held,):
                if (not test((type_, value, None), env)) is not by:
                    return by
        return not by

    return item_condition(decided, of_children)


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


def _count(compiler: Compiler, source: Compiled, arguments: tuple[Tree, ...], this: Types) -> Compiled:
    arity("count", arguments, 0)
    return count(source)


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
    "count": _count,
    "distinct": collected("distinct", distinct, same_types=True, compares=True),
}
