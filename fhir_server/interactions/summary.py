"""Parts of a resource: `_summary` and `_elements`. https://hl7.org/fhir/R4/search.html#summary"""

from collections.abc import Callable, Mapping
from typing import Any

from fhir_server.conformance.registry import Registry
from fhir_server.conformance.structures import Element, Structure

SUBSETTED = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "SUBSETTED",
    "display": "subsetted",
}
_ALWAYS = frozenset({"resourceType", "id", "meta"})

Keep = Callable[[Element], bool]


def subset(
    resource: dict[str, Any], registry: Registry, *, summary: str | None, elements: tuple[str, ...]
) -> dict[str, Any]:
    """The resource with only what was asked for and the tag SUBSETTED; the same object when that is all of it.

    summary: true (summary, mandatory and modifier elements, at every level), text (text and mandatory elements), data
    (all but the narrative), false, count or None (all). elements: names of top-level elements; `value` names every
    `value[x]`, `name.family` counts as `name`, `Patient.name` only concerns patients; mandatory and modifier elements
    come with them. With both, `elements` decides. The resource given is not changed.
    """
    structure = registry.structures.get(str(resource.get("resourceType")))
    if structure is None:
        return resource
    if elements:
        part = _top(resource, structure, _named(structure, elements))
    elif summary == "true":
        part = _summarised(resource, structure, registry.structures)
    elif summary == "text":
        part = _top(resource, structure, lambda element: element.name == "text" or element.min > 0)
    elif summary == "data":
        part = {key: value for key, value in resource.items() if key != "text"}
    else:
        return resource
    return _tagged(part, resource)


def _named(structure: Structure, elements: tuple[str, ...]) -> Keep:
    names = set()
    for asked in elements:
        head, _, rest = asked.partition(".")
        names.add((rest.partition(".")[0] if head == structure.name else head).removesuffix("[x]"))
    return lambda e: e.min > 0 or e.modifier or e.name in names or e.choice in names


def _top(resource: Mapping[str, Any], structure: Structure, keep: Keep) -> dict[str, Any]:
    return {key: value for key, value in resource.items() if key in _ALWAYS or _kept(key, structure, keep)}


def _kept(key: str, structure: Structure, keep: Keep) -> bool:
    element = structure.elements.get(key.removeprefix("_"))
    return element is not None and keep(element)


def _is_summary(element: Element) -> bool:
    # The package does not mark a resource's modifierExtension; without it the rest could be read wrongly.
    return element.summary or element.modifier or element.min > 0


def _summarised(
    value: Mapping[str, Any], structure: Structure, structures: Mapping[str, Structure]
) -> dict[str, Any]:
    """Summary elements of an object, and of the objects in them."""
    kept = {}
    for key, held in value.items():
        if key in _ALWAYS:
            kept[key] = held
        elif _kept(key, structure, _is_summary):
            kept[key] = _inner(held, structure.elements[key], structures) if key[0] != "_" else held
    return kept


def _inner(held: Any, element: Element, structures: Mapping[str, Structure]) -> Any:
    if isinstance(held, list):
        return [_inner(item, element, structures) for item in held]
    if not isinstance(held, dict):
        return held
    name = held.get("resourceType") if element.type == "Resource" else element.type
    inner = structures.get(str(name))
    # Extension and Narrative mark nothing as summary: where one is kept, it is kept whole.
    if inner is None or not any(e.summary for e in inner.elements.values()):
        return held
    return _summarised(held, inner, structures)


def _tagged(part: dict[str, Any], resource: Mapping[str, Any]) -> dict[str, Any]:
    """`part` with the tag SUBSETTED in a copy of its meta, which stands where it stood."""
    meta = dict(resource.get("meta") or {})
    tags = list(meta.get("tag") or ())
    if not any(tag.get("code") == SUBSETTED["code"] and tag.get("system") == SUBSETTED["system"] for tag in tags):
        tags.append(SUBSETTED)
    meta["tag"] = tags
    first: dict[str, Any] = {key: part[key] for key in ("resourceType", "id") if key in part}
    return {**first, "meta": meta, **{key: value for key, value in part.items() if key != "meta"}}
