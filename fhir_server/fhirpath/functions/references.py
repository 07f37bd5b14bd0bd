"""resolve: what references point to. https://hl7.org/fhir/R4/fhirpath.html#functions"""

from collections.abc import Mapping

from fhir_server.core.references import ID, parse_literal
from fhir_server.fhirpath.bundles import entries_of
from fhir_server.fhirpath.compile import Build, Compiler
from fhir_server.fhirpath.compiled import Compiled
from fhir_server.fhirpath.functions.build import arity
from fhir_server.fhirpath.nodes import EMPTY, Env, Node, Nodes
from fhir_server.fhirpath.paths import Types
from fhir_server.fhirpath.syntax import Tree


def _resolve(compiler: Compiler, source: Compiled, arguments: tuple[Tree, ...], this: Types) -> Compiled:
    arity("resolve", arguments, 0)
    compiler.needs_env = True
    run = source.run

    def resolved(this: Nodes, env: Env) -> Nodes:
        nodes = run(this, env)
        if len(nodes) == 1:
            only = resource_at(nodes[0], env, compiler)
            return EMPTY if only is None else [only]
        found = [resource_at(node, env, compiler) for node in nodes]
        return [node for node in found if node is not None]

    def type_of(node: Node, env: Env) -> str | None:
        value = node[1]
        text = value.get("reference") if type(value) is dict else value
        plain = _plain(text, env, compiler) if type(text) is str else None
        if plain is not None:
            return plain[0]
        found = resource_at(node, env, compiler)
        return None if found is None else found[0]

    return Compiled(resolved, None, type_of=type_of if source.chain == () else None)


def resource_at(node: Node, env: Env, compiler: Compiler) -> Node | None:
    """What a Reference, uri or string points to: a contained resource, an entry of the Bundle around, or what the
    services know.

    Of any other target only `{resourceType, id}` is known, which is enough for `resolve() is Patient`: the literal's
    type, else Reference.type. None when even that is not known, or guesses are not wanted.
    """
    value = node[1]
    text = value.get("reference") if isinstance(value, dict) else value
    if isinstance(text, str):
        plain = _plain(text, env, compiler)
        if plain is not None:
            return plain[0], {"resourceType": plain[0], "id": plain[1]}, None
        found = _known(text, node, env)
        if found is not None or text.startswith("#"):
            return found
    return _guess(value, text, compiler) if env.guesses else None


def _plain(text: str, env: Env, compiler: Compiler) -> tuple[str, str] | None:
    """Type and id of a relative reference, where nothing else can be known: by far most are so."""
    if env.services is None and env.guesses and env.root[0] != "Bundle":
        type_, _, id_ = text.partition("/")
        if type_ in compiler.paths.resources and ID.match(id_):
            return type_, id_
    return None


def _known(text: str, node: Node, env: Env) -> Node | None:
    bundle = entries_of(env)
    if text.startswith("#"):
        holder = bundle.holder(node[1]) if bundle is not None else None
        return _contained(text[1:], holder or env.root)
    if bundle is not None:
        entry = bundle.target(text, node[1])
        if entry is not None:
            return entry
    return None if env.services is None else env.ask("resolve").resolve(text)


def _guess(value: object, text: object, compiler: Compiler) -> Node | None:
    structures = compiler.paths.structures
    literal = parse_literal(text) if isinstance(text, str) else None
    if literal is not None and literal.type in structures:
        return literal.type, {"resourceType": literal.type, "id": literal.id}, None
    named = value.get("type") if isinstance(value, dict) else None
    if isinstance(named, str) and named in structures:
        return named, {"resourceType": named}, None
    return None


def _contained(wanted: str, holder: Node) -> Node | None:
    root = holder[1]
    if not wanted:
        return holder
    for resource in root.get("contained", ()) if isinstance(root, dict) else ():
        if resource.get("id") == wanted:
            return resource.get("resourceType", ""), resource, None
    return None


FUNCTIONS: Mapping[str, Build] = {"resolve": _resolve}
