"""is, as, ofType, type, and FHIR's own functions: extension, hasValue, resolve, children.

https://hl7.org/fhirpath/N1/#types, https://hl7.org/fhir/R4/fhirpath.html#functions
"""

from collections.abc import Mapping

from fhir_server.core.references import parse_literal
from fhir_server.fhirpath.compile import Build, Compiled, Compiler, condition
from fhir_server.fhirpath.errors import FhirPathError
from fhir_server.fhirpath.functions.build import arity, condition_of
from fhir_server.fhirpath.nodes import KINDS, QUANTITY, Env, Node, Nodes, single, string
from fhir_server.fhirpath.paths import TYPE_INFO, Types
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
        node = single(run(this, env), "'is'")
        return None if node is None else conforms(node[0], wanted)

    return condition(test)


def _as(compiler: Compiler, source: Compiled, arguments: tuple[Tree, ...], this: Types) -> Compiled:
    # Search expressions cast collections (`component.value as Quantity`), so `as` filters like ofType.
    wanted, conforms, run = _wanted(compiler, "as", arguments), compiler.paths.conforms, source.run
    if wanted in KINDS and KINDS[wanted] != QUANTITY:
        # R4 casts a primitive to exactly its own type: a code is not `as(string)`.
        return Compiled(lambda this, env: [n for n in run(this, env) if n[0] == wanted], frozenset({wanted}))
    if source.types is not None and len(source.types) > 1 and wanted in source.types:
        exact = not any(type_ != wanted and conforms(type_, wanted) for type_ in source.types)
        if exact:
            return Compiled(lambda this, env: [n for n in run(this, env) if n[0] == wanted], frozenset({wanted}))
    return Compiled(lambda this, env: [n for n in run(this, env) if conforms(n[0], wanted)], frozenset({wanted}))


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
    run, url = source.run, compiler.compile(arguments[0], this).run

    def named(this: Nodes, env: Env) -> Nodes:
        wanted = string(url(this, env), "'extension'")
        return [node for node in inside(run(this, env)) if node[1].get("url") == wanted]

    return Compiled(named, frozenset({"Extension"}))


def _has_extension(compiler: Compiler, source: Compiled, arguments: tuple[Tree, ...], this: Types) -> Compiled:
    run = _extension(compiler, source, arguments, this).run
    return condition(lambda this, env: bool(run(this, env)))


def _has_value(nodes: Nodes) -> bool:
    return len(nodes) == 1 and nodes[0][0] in KINDS and not isinstance(nodes[0][1], dict) and nodes[0][1] is not None


def _resolve(compiler: Compiler, source: Compiled, arguments: tuple[Tree, ...], this: Types) -> Compiled:
    arity("resolve", arguments, 0)
    compiler.needs_env = True
    run = source.run

    def resolved(this: Nodes, env: Env) -> Nodes:
        found = [resource_at(node, env, compiler) for node in run(this, env)]
        return [node for node in found if node is not None]

    return Compiled(resolved, None)


def resource_at(node: Node, env: Env, compiler: Compiler) -> Node | None:
    """What a Reference, uri or string points to, as far as this resource alone tells.

    A contained resource is found. Of any other target only `{resourceType, id}` is known, which is enough for
    `resolve() is Patient`: the literal's type, else Reference.type. None when even that is not known.
    """
    value = node[1]
    text = value.get("reference") if isinstance(value, dict) else value
    if isinstance(text, str):
        if text.startswith("#"):
            return _contained(text[1:], env)
        literal = parse_literal(text)
        if literal is not None and literal.type in compiler.paths.structures:
            return literal.type, {"resourceType": literal.type, "id": literal.id}, None
    named = value.get("type") if isinstance(value, dict) else None
    if isinstance(named, str) and named in compiler.paths.structures:
        return named, {"resourceType": named}, None
    return None


def _contained(wanted: str, env: Env) -> Node | None:
    root = env.root[1]
    if not wanted:
        return env.root
    for resource in root.get("contained", ()) if isinstance(root, dict) else ():
        if resource.get("id") == wanted:
            return resource.get("resourceType", ""), resource, None
    return None


def _children(compiler: Compiler, source: Compiled, arguments: tuple[Tree, ...], this: Types) -> Compiled:
    arity("children", arguments, 0)
    run, children = source.run, compiler.paths.children
    compiler.needs_env = True
    return Compiled(lambda this, env: env.spend(children(run(this, env))), None)


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

    return Compiled(below, None)


def _conforms_to(compiler: Compiler, source: Compiled, arguments: tuple[Tree, ...], this: Types) -> Compiled:
    arity("conformsTo", arguments, 1)
    run, url = source.run, compiler.compile(arguments[0], this).run
    paths, base = compiler.paths, "http://hl7.org/fhir/StructureDefinition/"

    def test(this: Nodes, env: Env) -> bool | None:
        node, wanted = single(run(this, env), "'conformsTo'"), string(url(this, env), "'conformsTo'")
        if node is None or wanted is None:
            return None
        name = wanted.removeprefix(base)
        if name not in paths.structures:
            raise FhirPathError("'conformsTo' knows only the base definitions here.")
        return paths.conforms(node[0], name)

    return condition(test)


FUNCTIONS: Mapping[str, Build] = {
    "is": _is,
    "as": _as,
    "ofType": _as,
    "type": _type,
    "extension": _extension,
    "hasExtension": _has_extension,
    "hasValue": condition_of("hasValue", _has_value),
    "resolve": _resolve,
    "children": _children,
    "descendants": _descendants,
    "conformsTo": _conforms_to,
    "htmlChecks": condition_of("htmlChecks", lambda nodes: all(not problems(node[1]) for node in nodes)),
}
