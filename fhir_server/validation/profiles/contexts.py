"""Where an extension may stand, as its definition says.

https://hl7.org/fhir/R4/defining-extensions.html#context
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from fhir_server.conformance.structures import Structure
from fhir_server.fhirpath import Env, FhirPathError, Node, compile_node_expression
from fhir_server.validation.walk import Path

# R4's abstract names for resources with a canonical url, which contexts of later extensions use.
_CANONICAL = ("CanonicalResource", "MetadataResource")

# Where R4's own resources have extensions whose published contexts leave that place out.
_ALSO: Mapping[str, tuple[str, ...]] = {
    "http://hl7.org/fhir/StructureDefinition/structuredefinition-fhir-type": ("ElementDefinition.type",),
    "http://hl7.org/fhir/StructureDefinition/structuredefinition-normative-version": (
        "DomainResource",
        "ElementDefinition",
    ),
    "http://hl7.org/fhir/StructureDefinition/regex": ("ElementDefinition.type",),
    "http://hl7.org/fhir/StructureDefinition/valueset-concept-comments": ("CodeSystem.concept",),
}


def names_of(structures: Mapping[str, Structure], path: Any, root: Path, type_: str) -> frozenset[str]:
    """All that an element is called: its path (`Patient.contact.name`), its types and what they derive from, and paths
    from the types on the way (`HumanName.given`). path: the element's place; root: that of its resource; type_: its
    resource's."""
    steps: list[str] = []
    while path is not root:
        steps.append(path[1])
        path = path[0]
    types = {type_}
    names = set(_lineage(structures, types))
    for step in reversed(steps):
        found = [element for type_ in types for element in _named(structures.get(type_), step)]
        below = {f"{name}.{step}" for name in names}
        below |= {f"{name}.{step}[x]" for name in names if any(element.choice for element in found)}
        types = {element.type for element in found}
        names = below | set(_lineage(structures, types))
    return frozenset(names)


def _named(structure: Structure | None, step: str) -> Iterator[Any]:
    if structure is None:
        return
    if step in structure.elements:
        yield structure.elements[step]
    for name in structure.choices.get(step, ()):
        yield structure.elements[name]


def _lineage(structures: Mapping[str, Structure], types: Iterable[str]) -> Iterator[str]:
    for type_ in types:
        structure = structures.get(type_)
        if structure is not None and {"url", "status"} <= structure.elements.keys():
            yield from _CANONICAL
        while structure is not None:
            yield structure.name
            structure = structures.get(structure.base or "")


def stands_right(
    definition: Mapping[str, Any], names: frozenset[str], parent: Node, env: Env, registry: Any
) -> bool:
    """Whether one of an extension's contexts is the element that has it; true when it has none."""
    contexts: Sequence[Mapping[str, Any]] = definition.get("context", ())
    if not contexts or not names.isdisjoint(_ALSO.get(definition["url"], ())):
        return True
    return any(_is_context(context, names, parent, env, registry) for context in contexts)


def _is_context(context: Mapping[str, Any], names: frozenset[str], parent: Node, env: Env, registry: Any) -> bool:
    expression = str(context.get("expression", ""))
    match context.get("type"):
        case "extension":
            return parent[0] == "Extension" and parent[1].get("url") == expression
        case "fhirpath":
            return _is_among(expression, parent, env, registry)
        case _:
            return expression in ("Element", "*") or expression.rpartition("#")[2] in names


def _is_among(expression: str, parent: Node, env: Env, registry: Any) -> bool:
    try:
        compiled, _ = compile_node_expression(expression, env.resource[0], registry)
        found = compiled.run([env.resource], env)
    except FhirPathError:
        # It cannot be told whether the extension stands wrong.
        return True
    held = parent[1] if parent[1] is not None else parent[2]
    return any(node[1] is held or (node[2] is not None and node[2] is parent[2]) for node in found)
