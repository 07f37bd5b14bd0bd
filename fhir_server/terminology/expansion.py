"""What is asked of an expansion, and one code as it stands in it.

https://hl7.org/fhir/R4/valueset-definitions.html#ValueSet.expansion.contains
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fhir_server.terminology.languages import in_language
from fhir_server.terminology.systems import Concept, System
from fhir_server.terminology.value_set import Said

# How R5's elements stand in an R4 resource: https://hl7.org/fhir/R5/versions.html#extensions
_R5 = "http://hl7.org/fhir/5.0/StructureDefinition/extension-ValueSet.expansion."
_LANGUAGE_TAGS = "urn:ietf:bcp:47"


@dataclass(frozen=True, slots=True)
class Expansion:
    """What a caller asks of an expansion; the fields are the operation's parameters. `languages`: of the displays, the
    preferred one first; `designations`: uses and languages as tokens `system|code`, those wanted; `limited`: what is
    too large may be cut off; `exclude_systems`: canonicals; `asked`: the parameters as the answer repeats them."""

    filter: str = ""
    offset: int = 0
    count: int | None = None
    include_designations: bool = False
    designations: frozenset[str] = frozenset()
    properties: Collection[str] = ()
    include_definition: bool = False
    active_only: bool = False
    exclude_nested: bool = True
    exclude_not_for_ui: bool = False
    languages: Sequence[str] = ()
    exclude_systems: frozenset[str] = frozenset()
    limited: bool = False
    asked: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class Item:
    """A code of an expansion. `home` and `concept` are None when its system is not here; `said`: what the value set
    calls it."""

    home: System | None
    system: str
    code: str
    concept: Concept | None
    said: Said | None


def item_of(item: Item, wanted: Expansion, *, with_version: bool) -> dict[str, Any]:
    """The entry of `expansion.contains`."""
    own_display, own_designations = item.said or (None, ())
    concept = item.concept
    display = own_display or (concept.display if concept else None)
    entry: dict[str, Any] = {"system": item.system}
    if wanted.properties and (properties := list(_properties(item, wanted.properties))):
        entry = {"extension": properties, **entry}
    if concept is not None and concept.abstract:
        entry["abstract"] = True
    if concept is not None and concept.inactive:
        entry["inactive"] = True
    if with_version and item.home is not None and item.home.version:
        entry["version"] = item.home.version
    entry["code"] = item.code
    plain = not (wanted.languages or wanted.include_designations or wanted.designations)
    designations = () if plain else [*own_designations, *(concept.designations if concept else ())]
    if display := in_language(display, designations, wanted.languages, item.home.language if item.home else ""):
        entry["display"] = display
    if designations and (wanted.include_designations or wanted.designations):
        shown = [dict(d) for d in designations if not wanted.designations or _is_wanted(d, wanted.designations)]
        if shown:
            entry["designation"] = shown
    return entry


def property_definitions(names: Collection[str]) -> list[dict[str, Any]]:
    """What tells of an expansion which properties its codes have."""
    return [{"url": f"{_R5}property", "extension": [{"url": "code", "valueCode": name}]} for name in names]


def typed_properties(kinds: Mapping[str, str], concept: Concept) -> Iterator[tuple[str, str, Any]]:
    """What is known of a concept: (property, name of its value[x], value); `child` is not among it. `kinds`: the types
    of its system's properties."""
    if concept.definition:
        yield "definition", "valueString", concept.definition
    yield "inactive", "valueBoolean", concept.inactive
    for parent in concept.parents:
        yield "parent", "valueCode", parent
    for name, value in concept.properties:
        if name not in ("parent", "child", "inactive"):
            yield name, _kind(kinds.get(name), value), value


def _kind(declared: str | None, value: Any) -> str:
    kind = declared or ("boolean" if isinstance(value, bool) else "string")
    if isinstance(value, Mapping):
        kind = "Coding"
    return "value" + kind[0].upper() + kind[1:]


def _properties(item: Item, names: Collection[str]) -> Iterator[dict[str, Any]]:
    if item.home is not None and item.concept is not None:
        for name, kind, value in typed_properties(item.home.properties, item.concept):
            if name in names:
                parts = [{"url": "code", "valueCode": name}, {"url": "value", kind: value}]
                yield {"url": f"{_R5}contains.property", "extension": parts}


def _is_wanted(designation: Mapping[str, Any], tokens: frozenset[str]) -> bool:
    use = designation.get("use", {})
    said = {use.get("code"), f"{use.get('system', '')}|{use.get('code')}"} if "code" in use else set()
    if "language" in designation:
        said |= {designation["language"], f"{_LANGUAGE_TAGS}|{designation['language']}"}
    return not tokens.isdisjoint(said)
