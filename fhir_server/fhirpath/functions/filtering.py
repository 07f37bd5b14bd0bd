"""where, select, repeat, subsetting, combining, sort. https://hl7.org/fhirpath/N1/#filtering-and-projection"""

from collections.abc import Mapping
from functools import cmp_to_key

from fhir_server.fhirpath.compile import Build, Compiled, Compiler
from fhir_server.fhirpath.errors import FhirPathError
from fhir_server.fhirpath.functions.build import arity, collected, in_loop
from fhir_server.fhirpath.functions.existence import criteria
from fhir_server.fhirpath.nodes import EMPTY, Env, Node, Nodes, integer, single
from fhir_server.fhirpath.operators import compare, distinct, same, union
from fhir_server.fhirpath.paths import Types
from fhir_server.fhirpath.syntax import Sign, Tree

_MOST = 5_000


def _where(compiler: Compiler, source: Compiled, arguments: tuple[Tree, ...], this: Types) -> Compiled:
    arity("where", arguments, 1)
    run, test = source.run, criteria(compiler, source, arguments[0])
    if not compiler.uses_loop(arguments[0]):
        return Compiled(lambda this, env: [n for n in run(this, env) if test([n], env)], source.types)

    def chosen(this: Nodes, env: Env) -> Nodes:
        nodes = run(this, env)
        outer, env.index = env.index, 0
        found = [node for node in nodes if test([node], env)]
        env.index = outer
        return found

    return Compiled(chosen, source.types)


def _select(compiler: Compiler, source: Compiled, arguments: tuple[Tree, ...], this: Types) -> Compiled:
    arity("select", arguments, 1)
    inner = compiler.compile(arguments[0], source.types)
    run, each = source.run, in_loop(inner.run, compiler.uses_loop(arguments[0]))
    compiler.needs_env = True

    def projected(this: Nodes, env: Env) -> Nodes:
        return [n for part in each(run(this, env), env) for n in env.spend(part)]

    return Compiled(projected, inner.types)


def _repeat(compiler: Compiler, source: Compiled, arguments: tuple[Tree, ...], this: Types) -> Compiled:
    arity("repeat", arguments, 1)
    # What the projection yields is projected again, so the types of the first round do not hold for the later ones.
    run, step = source.run, compiler.compile(arguments[0], None).run
    compiler.needs_env = True

    def closure(this: Nodes, env: Env) -> Nodes:
        found: Nodes = []
        layer = run(this, env)
        while layer:
            reached = [item for node in layer for item in env.spend(step([node], env))]
            layer = [item for item in distinct(reached) if not any(same(item, old) for old in found)]
            found.extend(layer)
            if len(found) > _MOST:
                raise FhirPathError("'repeat' does not come to an end.")
        return found

    return Compiled(closure, None)


def _aggregate(compiler: Compiler, source: Compiled, arguments: tuple[Tree, ...], this: Types) -> Compiled:
    arity("aggregate", arguments, 1, 2)
    run, step = source.run, compiler.compile(arguments[0], source.types).run
    start = compiler.compile(arguments[1], this).run if len(arguments) > 1 else None
    compiler.needs_env = True

    def folded(this: Nodes, env: Env) -> Nodes:
        nodes = run(this, env)
        outer = env.total, env.index
        env.total = start(this, env) if start else EMPTY
        for env.index, node in enumerate(nodes):
            env.total = step([node], env)
        result = env.total
        env.total, env.index = outer
        return result

    return Compiled(folded, None)


def _sort(compiler: Compiler, source: Compiled, arguments: tuple[Tree, ...], this: Types) -> Compiled:
    trees = [(tree.operand, -1) if isinstance(tree, Sign) and tree.operator == "-" else (tree, 1) for tree in arguments]
    keys = [(compiler.compile(tree, source.types).run, sign) for tree, sign in trees]
    run = source.run

    def ordered(this: Nodes, env: Env) -> Nodes:
        nodes = run(this, env)
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

    return Compiled(ordered, source.types)


def _single(nodes: Nodes) -> Nodes:
    node = single(nodes, "'single'")
    return EMPTY if node is None else [node]


def _skip(nodes: Nodes, count: Nodes) -> Nodes:
    return nodes[max(0, integer(count, "'skip'") or 0) :]


def _take(nodes: Nodes, count: Nodes) -> Nodes:
    return nodes[: max(0, integer(count, "'take'") or 0)]


def _intersect(nodes: Nodes, others: Nodes) -> Nodes:
    return distinct([node for node in nodes if any(same(node, other) for other in others)])


def _exclude(nodes: Nodes, others: Nodes) -> Nodes:
    return [node for node in nodes if not any(same(node, other) for other in others)]


def _combine(compiler: Compiler, source: Compiled, arguments: tuple[Tree, ...], this: Types) -> Compiled:
    arity("combine", arguments, 1)
    run, others = source.run, compiler.compile(arguments[0], this).run
    compiler.needs_env = True
    return Compiled(lambda this, env: env.spend(run(this, env) + others(this, env)), None)


FUNCTIONS: Mapping[str, Build] = {
    "where": _where,
    "select": _select,
    "repeat": _repeat,
    "aggregate": _aggregate,
    "sort": _sort,
    "single": collected("single", _single, same_types=True),
    "first": collected("first", lambda nodes: nodes[:1], same_types=True),
    "last": collected("last", lambda nodes: nodes[-1:], same_types=True),
    "tail": collected("tail", lambda nodes: nodes[1:], same_types=True),
    "skip": collected("skip", _skip, 1, same_types=True),
    "take": collected("take", _take, 1, same_types=True),
    "intersect": collected("intersect", _intersect, 1, same_types=True),
    "exclude": collected("exclude", _exclude, 1, same_types=True),
    "union": collected("union", union, 1),
    "combine": _combine,
}
