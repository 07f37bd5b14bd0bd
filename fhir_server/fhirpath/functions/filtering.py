"""where, select, repeat, subsetting, combining, sort. https://hl7.org/fhirpath/N1/#filtering-and-projection"""

from collections.abc import Mapping
from functools import cmp_to_key
from typing import Any

from fhir_server.fhirpath import chains
from fhir_server.fhirpath.compile import Build, Compiler
from fhir_server.fhirpath.compiled import Compiled, ItemTest, Run
from fhir_server.fhirpath.equality import distinct, key_of, union
from fhir_server.fhirpath.functions.build import (
    arity,
    collected,
    criteria,
    in_loop,
    loop_source,
    positional,
    some_of,
)
from fhir_server.fhirpath.nodes import EMPTY, Env, Node, Nodes, integer, single
from fhir_server.fhirpath.operators import compare
from fhir_server.fhirpath.paths import Option, Types
from fhir_server.fhirpath.syntax import Sign, Tree


def _where(compiler: Compiler, source: Compiled, arguments: tuple[Tree, ...], this: Types) -> Compiled:
    arity("where", arguments, 1)
    test, run = criteria(compiler, source, arguments[0]), loop_source(compiler, source, arguments[0])
    if run is source.run and source.chain and not source.chain[-1].primitive:
        return some_of(source, _of_children(source.chain, test))
    if not compiler.uses_loop(arguments[0]):
        return some_of(source, lambda this, env: [node for node in run(this, env) if test(node, env)])

    def chosen(this: Nodes, env: Env) -> Nodes:
        outer = env.index
        found = [node for node in run(this, env) if test(node, env)]
        env.index = outer
        return found

    return some_of(source, chosen)


def _of_children(chain: tuple[Option, ...], test: ItemTest) -> Run:
    """The criterion asked of each object as it is met, without collecting all of them."""
    json, type_ = chain[-1].json, chain[-1].type or ""
    parents = chains.fused(chain[:-1]) if len(chain) > 1 else None

    def chosen(this: Nodes, env: Env) -> Nodes:
        found: Nodes = []
        for node in this if parents is None else parents(this, env):
            held = node[1].get(json)
            if held is not None:
                for value in held if type(held) is list else (held,):
                    child = (type_, value, None)
                    if test(child, env):
                        found.append(child)
        return found

    return chosen


def _select(compiler: Compiler, source: Compiled, arguments: tuple[Tree, ...], this: Types) -> Compiled:
    arity("select", arguments, 1)
    inner = compiler.inner(arguments[0], source.types)
    run, each = source.run, in_loop(inner.run, compiler.uses_loop(arguments[0]))
    compiler.needs_env = True

    def projected(this: Nodes, env: Env) -> Nodes:
        return [n for part in each(env.spend(run(this, env)), env) for n in env.spend(part)]

    return Compiled(projected, inner.types, element=inner.element, ordered=source.ordered and inner.ordered)


def _repeat(compiler: Compiler, source: Compiled, arguments: tuple[Tree, ...], this: Types) -> Compiled:
    arity("repeat", arguments, 1)
    # What the projection yields is projected again, so the types of the first round do not hold for the later ones.
    inner = compiler.inner(arguments[0], None)
    run, step = source.run, inner.run
    compiler.needs_env = True

    def closure(this: Nodes, env: Env) -> Nodes:
        found: dict[Any, Node] = {}
        layer = run(this, env)
        while layer:
            fresh: Nodes = []
            for node in layer:
                for item in env.weigh(step([node], env)):
                    key = key_of(item)
                    if key not in found:
                        found[key] = item
                        fresh.append(item)
            layer = fresh
        return list(found.values())

    return Compiled(closure, None, ordered=source.ordered and inner.ordered)


def _repeat_all(compiler: Compiler, source: Compiled, arguments: tuple[Tree, ...], this: Types) -> Compiled:
    arity("repeatAll", arguments, 1)
    inner = compiler.inner(arguments[0], None)
    run, step = source.run, inner.run
    compiler.needs_env = True

    def closure(this: Nodes, env: Env) -> Nodes:
        found: Nodes = []
        layer = run(this, env)
        while layer:
            env.work(len(layer))
            layer = [item for node in layer for item in env.spend(step([node], env))]
            found += layer
        return found

    return Compiled(closure, None, ordered=source.ordered and inner.ordered)


def _coalesce(compiler: Compiler, source: Compiled, arguments: tuple[Tree, ...], this: Types) -> Compiled:
    arity("coalesce", arguments, 1, 100)
    runs = [compiler.scoped(argument, this).run for argument in arguments]

    def first_there(this: Nodes, env: Env) -> Nodes:
        for run in runs:
            nodes = run(this, env)
            if nodes:
                return nodes
        return EMPTY

    return Compiled(first_there, None)


def _sort(compiler: Compiler, source: Compiled, arguments: tuple[Tree, ...], this: Types) -> Compiled:
    trees = [(tree.operand, -1) if isinstance(tree, Sign) and tree.operator == "-" else (tree, 1) for tree in arguments]
    keys = [(compiler.inner(tree, source.types).run, sign) for tree, sign in trees]
    run = source.run
    compiler.needs_env = True

    def ordered(this: Nodes, env: Env) -> Nodes:
        nodes = run(this, env)
        env.work(20 * len(nodes))
        rows = [(node, [key([node], env) for key, _ in keys] or [[node]]) for node in nodes]
        signs = [sign for _, sign in keys] or [1]

        def order(a: tuple[Node, list[Nodes]], b: tuple[Node, list[Nodes]]) -> int:
            for x, y, sign in zip(a[1], b[1], signs, strict=True):
                # What has no key comes first, whichever way the others go.
                result = bool(x) - bool(y) if not x or not y else sign * (compare(x, y) or 0)
                if result:
                    return result
            return 0

        return [node for node, _ in sorted(rows, key=cmp_to_key(order))]

    return Compiled(ordered, source.types, element=source.element)


def _single(nodes: Nodes) -> Nodes:
    node = single(nodes, "'single'")
    return EMPTY if node is None else [node]


def _skip(nodes: Nodes, count: Nodes) -> Nodes:
    return nodes[max(0, integer(count, "'skip'") or 0) :]


def _take(nodes: Nodes, count: Nodes) -> Nodes:
    return nodes[: max(0, integer(count, "'take'") or 0)]


def _intersect(nodes: Nodes, others: Nodes) -> Nodes:
    keys = {key_of(other) for other in others}
    return distinct([node for node in nodes if key_of(node) in keys])


def _exclude(nodes: Nodes, others: Nodes) -> Nodes:
    keys = {key_of(other) for other in others}
    return [node for node in nodes if key_of(node) not in keys]


def _combine(compiler: Compiler, source: Compiled, arguments: tuple[Tree, ...], this: Types) -> Compiled:
    arity("combine", arguments, 1, 2)
    # Whether the order is to be kept, the second argument, makes no difference: it always is.
    run, others = source.run, compiler.scoped(arguments[0], this).run
    compiler.needs_env = True
    return Compiled(lambda this, env: env.spend(run(this, env) + others(this, env)), None, ordered=source.ordered)


FUNCTIONS: Mapping[str, Build] = {
    "where": _where,
    "select": _select,
    "repeat": _repeat,
    "repeatAll": _repeat_all,
    "coalesce": _coalesce,
    "sort": _sort,
    "single": collected("single", _single, same_types=True),
    "first": positional("first", slice(1)),
    "last": positional("last", slice(-1, None)),
    "tail": positional("tail", slice(1, None)),
    "skip": positional("skip", _skip),
    "take": positional("take", _take),
    "intersect": collected("intersect", _intersect, 1, same_types=True, compares=True),
    "exclude": collected("exclude", _exclude, 1, same_types=True, compares=True),
    "union": collected("union", union, 1, compares=True),
    "combine": _combine,
}
