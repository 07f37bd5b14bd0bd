"""Snapshots: what a profile says about every element, made of its base and its differential.

https://hl7.org/fhir/R4/profiling.html#snapshot, https://hl7.org/fhir/R4/elementdefinition.html#interpretation
"""

from fhir_server.conformance.differential import Entry, entries, refusal
from fhir_server.conformance.element_merge import merged
from fhir_server.conformance.element_tree import Element, Node, elements_of
from fhir_server.conformance.element_walk import Walk
from fhir_server.conformance.snapshot_sources import Definition, Find, Sources
from fhir_server.core.errors import Issue, Unprocessable

_MOST_ISSUES = 50


def snapshot_of(definition: Definition, find: Find) -> list[Element]:
    """The ElementDefinitions of a StructureDefinition's snapshot, each with `id` and `path`, in order: its own, or one
    made of its base and its differential. Nobody changes what he is given.

    `find` gives a definition by type and canonical. Raises `Unprocessable` with all that is wrong (at most 50 issues),
    each at `StructureDefinition.differential.element[n]`: an element that the base does not have, anything wider than
    the base, a slice without slicing, entries out of order; and for bases that are unknown or go in a circle.
    """
    return Sources(find, _made).elements(definition)


def _made(definition: Definition, sources: Sources) -> list[Element]:
    root = _base(definition, sources)
    walk = Walk(root, sources, grows=definition.get("derivation") == "specialization")
    issues: list[Issue] = []
    for entry in list(entries(definition)):
        try:
            _apply(walk, entry, definition)
        except Unprocessable as refused:
            if refused.issues[0].code == "too-costly" or refused.issues[0].expression != _at(entry):
                raise
            issues += refused.issues
            if len(issues) >= _MOST_ISSUES:
                break
    if issues:
        raise Unprocessable(issues=issues)
    return elements_of(root)


def _at(entry: Entry) -> str | None:
    return refusal(entry.index, "").issues[0].expression


def _apply(walk: Walk, entry: Entry, definition: Definition) -> None:
    node = walk.node(entry)
    node.element = merged(node.element, entry, walk.sources.is_a, str(definition.get("url", "")))
    walk.describe(node, entry)


def _base(definition: Definition, sources: Sources) -> Node:
    """The tree that the differential changes: the base's, under the name of the definition's type."""
    canonical = definition.get("baseDefinition", "")
    base = sources.definition(canonical) if canonical else None
    if base is None:
        what = f"The base {canonical} is not known here: store it first." if canonical else "A definition has a base."
        raise Unprocessable(what, expression="StructureDefinition.baseDefinition")
    type_, grows = str(definition.get("type", "")), definition.get("derivation") == "specialization"
    if not grows and base.get("type") != type_:
        raise Unprocessable(
            f"A profile is of its base's type: {base.get('type')}, not {type_}. (A new type is a specialization.)",
            expression="StructureDefinition.type",
        )
    root = sources.tree(base)
    if grows:
        root.name = type_.rpartition("/")[2]
        path = {"path": root.name, "base": {"path": root.name, "min": 0, "max": "*"}}
        root.element = {**root.element, **path}
    return root
