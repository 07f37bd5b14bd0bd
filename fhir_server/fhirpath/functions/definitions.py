"""Profiles and definitions: conformsTo, elementDefinition, slice, checkModifiers.

https://hl7.org/fhir/R4/fhirpath.html#functions
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from fhir_server.conformance import base_definitions
from fhir_server.fhirpath.compile import Build, Compiler
from fhir_server.fhirpath.compiled import Compiled, condition
from fhir_server.fhirpath.errors import CannotTell, FhirPathError
from fhir_server.fhirpath.functions.build import arity
from fhir_server.fhirpath.nodes import EMPTY, Env, Node, Nodes, single, string
from fhir_server.fhirpath.paths import Types
from fhir_server.fhirpath.services import Slices
from fhir_server.fhirpath.syntax import Tree

_BASE = "http://hl7.org/fhir/StructureDefinition/"


def _conforms_to(compiler: Compiler, source: Compiled, arguments: tuple[Tree, ...], this: Types) -> Compiled:
    arity("conformsTo", arguments, 1)
    run, url = source.run, compiler.scoped(arguments[0], this).run
    paths = compiler.paths
    compiler.needs_env = True

    def test(this: Nodes, env: Env) -> bool | None:
        node, wanted = single(run(this, env), "'conformsTo'"), string(url(this, env), "'conformsTo'")
        if node is None or wanted is None:
            return None
        name = wanted.partition("|")[0].removeprefix(_BASE)
        if wanted.startswith(_BASE) and name in paths.structures:
            return paths.conforms(node[0], name)
        answer = env.ask("conformsTo").conforms_to(node, wanted)
        if answer is None:
            raise CannotTell("'conformsTo' was given a profile that is not known here.")
        return answer

    return condition(test)


def _element_definition(compiler: Compiler, source: Compiled, arguments: tuple[Tree, ...], this: Types) -> Compiled:
    arity("elementDefinition", arguments, 0)
    run, path = source.run, source.element

    def defined(this: Nodes, env: Env) -> Nodes:
        found = [_definition(path or node[0]) for node in run(this, env)]
        return [("ElementDefinition", element, None) for element in found if element is not None]

    return Compiled(defined, frozenset({"ElementDefinition"}))


@lru_cache(maxsize=2048)
def _definition(path: str) -> dict[str, Any] | None:
    url = _BASE + path.partition(".")[0]
    definition = base_definitions.find("StructureDefinition", url) or {}
    elements = definition.get("snapshot", {}).get("element", ())
    return next((element for element in elements if element["path"] == path), None)


def _slice(compiler: Compiler, source: Compiled, arguments: tuple[Tree, ...], this: Types) -> Compiled:
    arity("slice", arguments, 2)
    run, urls, names = source.run, *[compiler.scoped(argument, this).run for argument in arguments]
    compiler.needs_env = True

    def chosen(this: Nodes, env: Env) -> Nodes:
        profile, name = string(urls(this, env), "'slice'"), string(names(this, env), "'slice'")
        nodes = run(this, env)
        if profile is None or name is None:
            return EMPTY
        return [node for node in nodes if _in_slice(node, profile, name, env)]

    return Compiled(chosen, source.types, element=source.element, ordered=source.ordered)


def _in_slice(node: Node, profile: str, name: str, env: Env) -> bool:
    services = env.ask("slice")
    answer = services.in_slice(node, profile, name) if isinstance(services, Slices) else None
    if answer is None:
        raise CannotTell("'slice' was given a profile that is not known here, or a slice that it does not have.")
    return answer


def _check_modifiers(compiler: Compiler, source: Compiled, arguments: tuple[Tree, ...], this: Types) -> Compiled:
    arity("checkModifiers", arguments, 0, 100)
    run, urls = source.run, [compiler.scoped(argument, this).run for argument in arguments]

    def checked(this: Nodes, env: Env) -> Nodes:
        known = {string(url(this, env), "'checkModifiers'") for url in urls}
        nodes = run(this, env)
        for node in nodes:
            extensions = node[1].get("modifierExtension", ()) if isinstance(node[1], dict) else ()
            if any(extension.get("url") not in known for extension in extensions):
                raise FhirPathError("'checkModifiers' found a modifier extension that it was not given.")
        return nodes

    return Compiled(checked, source.types, element=source.element, ordered=source.ordered)


FUNCTIONS: Mapping[str, Build] = {
    "conformsTo": _conforms_to,
    "elementDefinition": _element_definition,
    "slice": _slice,
    "checkModifiers": _check_modifiers,
}
