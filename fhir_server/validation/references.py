"""References: their form, the types they may point to, and contained resources at both ends.

https://hl7.org/fhir/R4/references.html (invariants ref-1 and dom-3)
"""

import re
from collections.abc import Iterator
from typing import Any

from fhir_server.conformance.registry import Registry
from fhir_server.conformance.structures import Element, Structure
from fhir_server.core.references import ID, parse_literal
from fhir_server.validation.walk import Path, Rule, Visit, Walk

# A URI with a scheme.
is_absolute = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:\S+\Z").match
_is_id = ID.match

# The keys of what is wrong with a reference; R4 itself names only ref-1 and dom-3.
_FORM, _TARGET, _TYPE, _CONTAINED = "reference-form", "reference-target", "reference-type", "ref-1"
REFERENCE_RULES = frozenset({_FORM, _TARGET, _TYPE, _CONTAINED})


def _on_element(registry: Registry, structure: Structure, element: Element) -> Visit | None:
    if element.type != "Reference":
        return None
    types = frozenset(registry.resource_types)
    targets = types if not element.targets or "Resource" in element.targets else frozenset(element.targets)

    def visit(value: Any, sibling: dict[str, Any] | None, path: Path, walk: Walk) -> None:
        text = value.get("reference")
        if text is None:
            return
        type_, _, rest = text.partition("/")
        if type_ in targets and _is_id(rest):
            named = value.get("type")
            if named is not None and named != type_ and named in types:
                _refuse(walk, path, _TYPE, f"'type' says {named}, but the reference is to {type_}.")
            return
        problem = _problem(text, types, targets, walk)
        if problem:
            _refuse(walk, path, *problem)

    return visit


def _refuse(walk: Walk, path: Path, rule: str, text: str) -> None:
    walk.fail((path, "reference", None), "value", text, rule=rule)


def _problem(text: str, types: frozenset[str], targets: frozenset[str], walk: Walk) -> tuple[str, str] | None:
    """(key of the rule, what is wrong), or None."""
    if text.startswith("#"):
        return _contained_problem(text[1:], targets, walk)
    literal = parse_literal(text)
    if literal is not None and literal.base is None and literal.type not in types:
        return _FORM, f"There is no resource type {literal.type} in FHIR R4."
    if literal is not None and literal.type in types:
        return _target_problem(literal.type, targets)
    if literal is not None or is_absolute(text):
        return None
    return _FORM, "The reference is neither [type]/[id], nor an absolute URL or urn, nor #[id] of a contained resource."


def _target_problem(type_: str, targets: frozenset[str]) -> tuple[str, str] | None:
    if type_ in targets:
        return None
    listed = ", ".join(sorted(targets)[:8]) + (", ..." if len(targets) > 8 else "")
    return _TARGET, f"A reference to {type_} cannot stand here; it must be to {listed}."


def _contained_problem(wanted: str, targets: frozenset[str], walk: Walk) -> tuple[str, str] | None:
    if not wanted:
        return None
    for resource in walk.root.get("contained", ()):
        if isinstance(resource, dict) and resource.get("id") == wanted:
            return _target_problem(resource.get("resourceType", ""), targets)
    return _CONTAINED, "There is no contained resource with this id (ref-1)."


def _contained(value: Any, sibling: dict[str, Any] | None, path: Path, walk: Walk) -> None:
    contained = value.get("contained")
    if not contained:
        return
    used, ids = set(_fragments(value)), set()
    for i, resource in enumerate(contained):
        if not isinstance(resource, dict):
            continue
        id_ = resource.get("id")
        if id_ is not None and id_ in ids:
            text = "Another contained resource has this id, so that nobody knows which one is meant."
            walk.fail(((path, "contained", i), "id", None), "invariant", text, rule="contained-id")
        ids.add(id_)
        if f"#{id_}" not in used and "#" not in _fragments(resource):
            text = "A contained resource must be referred to from the resource, or refer to it by '#' (dom-3)."
            walk.fail((path, "contained", i), "invariant", text, rule="dom-3")


def _fragments(value: Any) -> Iterator[str]:
    """Every string of the form `#id` anywhere below."""
    layer = [value]
    while layer:
        item = layer.pop()
        kind = type(item)
        if kind is str:
            if item[:1] == "#":
                yield item
        elif kind is dict:
            layer.extend(item.values())
        elif kind is list:
            layer.extend(item)


def _on_object(registry: Registry, structure: Structure) -> Visit | None:
    return _contained if "contained" in structure.elements else None


REFERENCES = Rule("references", on_object=_on_object, on_element=_on_element)
