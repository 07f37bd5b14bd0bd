"""is, as, ofType and type; children and descendants; values of primitives, and extensions.

https://hl7.org/fhirpath/N1/#types, https://hl7.org/fhir/R4/fhirpath.html#functions
"""

from collections.abc import Mapping
from dataclasses import replace

from fhir_server.fhirpath import chains
from fhir_server.fhirpath.compile import Build, Compiler
from fhir_server.fhirpath.compiled import Compiled, Run, condition, item_condition
from fhir_server.fhirpath.errors import FhirPathError
from fhir_server.fhirpath.functions.build import arity, collected, condition_of
from fhir_server.fhirpath.nodes import EMPTY, KINDS, QUANTITY, Env, Node, Nodes, single, string
from fhir_server.fhirpath.paths import TYPE_INFO, Types, any_of
from fhir_server.fhirpath.syntax import Literal, Tree, dotted
from fhir_server.fhirpath.xhtml import problems


def _wanted(compiler: Compiler, name: str, arguments: tuple[Tree, ...]) -> str:
    arity(name, arguments, 1)
    tree = arguments[0]
    named = dotted(tree) if not isinstance(tree, Literal) else str(tree.value)
    if named is None:
        raise FhirPathError(f"'{name}' needs the name of a type.")
    return compiler.paths.named_type(named)


def _is(compiler: Compiler, source: Compiled, arguments: tuple[Tree, ...], this: Types) -> Compiled:
    wanted, conforms, run = _wanted(compiler, "is", arguments), compiler.paths.conforms, source.run

    def test(this: Nodes, env: Env) -> bool | None:
        nodes = run(this, env)
        if len(nodes) != 1:
            single(nodes, "'is'")
            return None
        type_ = nodes[0][0]
        return type_ == wanted or conforms(type_, wanted)

    type_of = source.type_of
    if type_of is None:
        return condition(test)

    def item(node: Node, env: Env) -> bool | None:
        type_ = type_of(node, env)
        return None if type_ is None else type_ == wanted or conforms(type_, wanted)

    return item_condition(test, item)


def _as(compiler: Compiler, source: Compiled, arguments: tuple[Tree, ...], this: Types) -> Compiled:
    # R4's search parameters cast collections (`component.value as Quantity`), so `as` filters like ofType there.
    made = _of_type(compiler, source, arguments, this)
    if not compiler.strict:
        return made
    run, cast = source.run, _filter(compiler, _wanted(compiler, "as", arguments), source.types)

    def of_one(this: Nodes, env: Env) -> Nodes:
        nodes = run(this, env)
        single(nodes, "'as'")
        return cast(nodes, env)

    return Compiled(of_one, made.types, element=made.element)


def _of_type(compiler: Compiler, source: Compiled, arguments: tuple[Tree, ...], this: Types) -> Compiled:
    wanted = _wanted(compiler, "ofType", arguments)
    types = frozenset({wanted})
    if source.choice is not None:
        made = _of_choice(compiler, source, wanted)
        if made is not None:
            return made
    run, cast = source.run, _filter(compiler, wanted, source.types)
    return Compiled(
        lambda this, env: cast(run(this, env), env), types, element=source.element, ordered=source.ordered
    )


def _of_choice(compiler: Compiler, source: Compiled, wanted: str) -> Compiled | None:
    """`value.ofType(Quantity)` as a step to the properties that can hold it."""
    if source.choice is None or source.far:
        return None
    before, type_, name = source.choice
    options = compiler.paths.cast(type_, name, wanted)
    if _is_exact(wanted):
        options = tuple(option for option in options if option.type == wanted)
    if not options or any(option.type is None for option in options):
        return None
    types = frozenset({wanted})
    if len(options) == 1 and before.chain is not None:
        chain = (*before.chain, options[0])
        return Compiled(chains.fused(chain), types, chain=chain, element=source.element)
    run, level = before.run, any_of(options)
    return Compiled(lambda this, env: level(run(this, env)), types, element=source.element, ordered=source.ordered)


def _is_exact(wanted: str) -> bool:
    # R4 casts a primitive to exactly its own type: a code is not `as(string)`.
    return wanted in KINDS and KINDS[wanted] != QUANTITY


def _filter(compiler: Compiler, wanted: str, types: Types) -> Run:
    """Those items that are of a type."""
    conforms = compiler.paths.conforms
    exact = _is_exact(wanted)
    if not exact and types is not None and wanted in types:
        exact = not any(type_ != wanted and conforms(type_, wanted) for type_ in types)
    if exact:
        return lambda nodes, env: [node for node in nodes if node[0] == wanted]
    return lambda nodes, env: [node for node in nodes if conforms(node[0], wanted)]


def _type(compiler: Compiler, source: Compiled, arguments: tuple[Tree, ...], this: Types) -> Compiled:
    run = source.run

    def described(this: Nodes, env: Env) -> Nodes:
        found: Nodes = []
        for node in run(this, env):
            space, _, name = node[0].partition(".") if node[0].startswith("System.") else ("FHIR", "", node[0])
            found.append((TYPE_INFO, {"namespace": space, "name": name}, None))
        return found

    return Compiled(described, frozenset({TYPE_INFO}))


def _extension(compiler: Compiler, source: Compiled, arguments: tuple[Tree, ...], this: Types) -> Compiled:
    arity("extension", arguments, 1)
    inside = compiler.paths.dynamic("extension")
    if source.types is not None and len(source.types) == 1:
        known = compiler.paths.level(next(iter(source.types)), "extension")
        inside = known[0] if known else inside
    run, url = source.run, compiler.scoped(arguments[0], this).run

    def named(this: Nodes, env: Env) -> Nodes:
        wanted = string(url(this, env), "'extension'")
        return [node for node in inside(run(this, env)) if node[1].get("url") == wanted]

    return Compiled(named, frozenset({"Extension"}))


def _has_extension(compiler: Compiler, source: Compiled, arguments: tuple[Tree, ...], this: Types) -> Compiled:
    run = _extension(compiler, source, arguments, this).run
    return condition(lambda this, env: bool(run(this, env)))


def _has_value(nodes: Nodes) -> bool:
    return len(nodes) == 1 and nodes[0][0] in KINDS and not isinstance(nodes[0][1], dict) and nodes[0][1] is not None


def _has_value_of(compiler: Compiler, source: Compiled, arguments: tuple[Tree, ...], this: Types) -> Compiled:
    arity("hasValue", arguments, 0)
    run, chain = source.run, source.chain
    if chain is None or len(chain) != 1 or chain[0].type not in KINDS or not chain[0].primitive:
        return condition(lambda this, env: _has_value(run(this, env)))
    json = chain[0].json

    def item(node: Node, env: Env) -> bool:
        child = node[1].get(json)
        return child is not None and (type(child) is not list or _has_value(run([node], env)))

    def opposite(node: Node, env: Env) -> bool:
        child = node[1].get(json)
        return child is None or (type(child) is list and not _has_value(run([node], env)))

    return replace(item_condition(lambda this, env: _has_value(run(this, env)), item), opposite=opposite)


def _get_value(nodes: Nodes) -> Nodes:
    return [(KINDS[nodes[0][0]], nodes[0][1], None)] if _has_value(nodes) else EMPTY


def _html_checks(nodes: Nodes) -> bool | None:
    node = single(nodes, "'htmlChecks'")
    return None if node is None or node[0] != "xhtml" else not problems(node[1])


def _children(compiler: Compiler, source: Compiled, arguments: tuple[Tree, ...], this: Types) -> Compiled:
    arity("children", arguments, 0)
    run, children = source.run, compiler.paths.children
    compiler.needs_env = True
    return Compiled(lambda this, env: env.spend(children(run(this, env))), None, ordered=False)


def _descendants(compiler: Compiler, source: Compiled, arguments: tuple[Tree, ...], this: Types) -> Compiled:
    arity("descendants", arguments, 0)
    run, children = source.run, compiler.paths.children
    compiler.needs_env = True

    def below(this: Nodes, env: Env) -> Nodes:
        found: Nodes = []
        layer = children(run(this, env))
        while layer:
            found.extend(env.spend(layer))
            layer = children(layer)
        return found

    return Compiled(below, None, ordered=False)


FUNCTIONS: Mapping[str, Build] = {
    "is": _is,
    "as": _as,
    "ofType": _of_type,
    "type": _type,
    "extension": _extension,
    "hasExtension": _has_extension,
    "hasValue": _has_value_of,
    "getValue": collected("getValue", _get_value),
    "children": _children,
    "descendants": _descendants,
    # Published constraints number the checks; they are one.
    **{name: condition_of(name, _html_checks) for name in ("htmlChecks", "htmlChecks1", "htmlChecks2", "htmlChecks3")},
}
