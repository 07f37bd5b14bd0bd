"""Whether a StructureDefinition can be used: whoever validates by it must find it whole.

https://hl7.org/fhir/R4/structuredefinition.html, https://hl7.org/fhir/R4/profiling.html
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from fhir_server.conformance.element_tree import Element, tree_of
from fhir_server.conformance.element_types import STRUCTURE, type_code
from fhir_server.conformance.registry import Registry, base_registry
from fhir_server.conformance.snapshot_sources import Definition, Find
from fhir_server.conformance.snapshots import snapshot_of
from fhir_server.core.errors import FhirError, Issue, Unprocessable
from fhir_server.fhirpath import FhirPathError, compile_node_expression
from fhir_server.validation.profiles.tree import tree

_MOST_BASES = 20
_MOST_CONSTRAINTS = 1_000
_MOST_ISSUES = 50


def check_definition(definition: Definition, find: Find) -> list[Issue]:
    """What keeps a StructureDefinition from being used, in words for its author; [] when nothing does.

    `find` gives definitions by type and canonical. Looked at: that the bases are known and end, that the differential
    only narrows its base (or, where a snapshot is given, that its elements stand in order), that types are known and
    that constraints compile. Profiles and value sets that it names may come later.
    """
    issues = [*_bases(definition, find)] or [*_snapshot(definition, find)] or [*_constraints(definition)]
    return issues or list(islice(_elements(definition, find), _MOST_ISSUES))


def _bases(definition: Definition, find: Find) -> Iterator[Issue]:
    """https://hl7.org/fhir/R4/structuredefinition-definitions.html#StructureDefinition.baseDefinition"""
    passed = [str(definition.get("url", ""))]
    base = definition.get("baseDefinition", "")
    while base:
        url = base.partition("|")[0]
        if url in passed:
            way = " stands on ".join([*passed, url])
            yield _error("StructureDefinition.baseDefinition", f"The definitions go in a circle: {way}.")
            return
        found = find("StructureDefinition", base)
        if found is None:
            yield _error("StructureDefinition.baseDefinition", f"The base {base} is not known here: store it first.")
            return
        if len(passed) > _MOST_BASES:
            text = f"More than {_MOST_BASES} definitions stand on one another."
            yield _error("StructureDefinition.baseDefinition", text)
            return
        passed.append(url)
        base = found.get("baseDefinition", "")


def _snapshot(definition: Definition, find: Find) -> Iterator[Issue]:
    try:
        elements = snapshot_of(definition, find)
        tree_of(elements)
        yield from unreadable(elements)
    except FhirError as refused:
        yield from refused.issues
    except (KeyError, ValueError):
        yield _error("StructureDefinition.snapshot", "The elements of the snapshot do not stand in order.")


def unreadable(elements: Sequence[Element]) -> Iterator[Issue]:
    """What keeps the elements of a snapshot from being read as a tree: R4's invariants forbid it, but a definition that
    breaks them can be kept. https://hl7.org/fhir/R4/structuredefinition.html#snapshot"""
    for index, element in enumerate(elements):
        if "id" not in element:
            yield _error(f"StructureDefinition.snapshot.element[{index}].id", "Elements of a snapshot have ids.")
            return
    try:
        tree(elements)
    except Unprocessable as refused:
        yield from refused.issues


def _constraints(definition: Definition) -> Iterator[Issue]:
    """Each is compiled, here and wherever the definition is used."""
    own = definition.get("differential" if "differential" in definition else "snapshot", {}).get("element", ())
    if sum(len(element.get("constraint", ())) for element in own) > _MOST_CONSTRAINTS:
        yield _error("StructureDefinition", f"A definition has at most {_MOST_CONSTRAINTS:,} constraints of its own.")


def _elements(definition: Definition, find: Find) -> Iterator[Issue]:
    part = "differential" if "differential" in definition else "snapshot"
    held = {element["id"]: element for element in snapshot_of(definition, find)}
    for index, element in enumerate(definition.get(part, {}).get("element", ())):
        place = f"StructureDefinition.{part}.element[{index}]"
        for number, type_ in enumerate(element.get("type", ())):
            code = type_code(type_)
            if find("StructureDefinition", code if ":" in code else STRUCTURE + code) is None:
                yield _error(f"{place}.type[{number}].code", f"The type {code} is not known here.")
        whole = held.get(element.get("id", element["path"]), element)
        for number, constraint in enumerate(element.get("constraint", ())):
            yield from _constraint(definition, whole, constraint, f"{place}.constraint[{number}]")


def _constraint(definition: Definition, element: Element, constraint: dict[str, Any], place: str) -> Iterator[Issue]:
    """An expression has to mean something on one of the element's types at least."""
    text, registry = constraint.get("expression", ""), base_registry()
    types = [name for name in _contexts(definition, element, registry) if name in registry.structures]
    said = ""
    for name in types if text else ():
        try:
            compile_node_expression(text, name, registry)
        except FhirPathError as refused:
            said = said or str(refused)
        else:
            return
    if said:
        yield _error(f"{place}.expression", f"The constraint {constraint.get('key')} cannot be used: {said}")


def _contexts(definition: Definition, element: Element, registry: Registry) -> list[str]:
    """The types that the focus of an element's constraints can have."""
    path = element["path"]
    if "." not in path:
        return [str(definition.get("type", ""))]
    if path in registry.structures:
        return [path]
    return [type_code(type_) for type_ in element.get("type", ())]


def _error(place: str, text: str) -> Issue:
    return Issue("error", "processing", text, place)
