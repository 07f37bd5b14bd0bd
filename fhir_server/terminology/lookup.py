"""CodeSystem/$lookup. https://hl7.org/fhir/R4/codesystem-operation-lookup.html"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fhir_server.core.errors import NotFound
from fhir_server.terminology.definitions import Definitions
from fhir_server.terminology.expansion import typed_properties
from fhir_server.terminology.grammars import described
from fhir_server.terminology.languages import in_language
from fhir_server.terminology.systems import Concept, System

_ALWAYS = frozenset({"url", "name", "version", "display", "designation", "system", "code"})
_EVERY = "*"
# Before a language: the designations in it.
_LANG = "lang."
_MOST_CHILDREN = 1000


def lookup(
    definitions: Definitions,
    system: str,
    code: str,
    properties: frozenset[str] = frozenset(),
    languages: Sequence[str] = (),
) -> dict[str, Any]:
    """A Parameters resource of what is known of a code: name, version, display, designation, property (parent, child,
    definition, inactive and the system's own; only those named in `properties` when any are; at most 1,000 children).
    Raises `NotFound` for an unknown code and `NotLocal` for a system without codes here."""
    unit = described(system, code)
    table = definitions.require(system) if unit is None else None
    concept = table.find(code) if table is not None else unit
    if concept is None:
        raise NotFound(f"The code system {system} has no code {code!r}.", expression="http.code")
    parameters: list[dict[str, Any]] = [{"name": "name", "valueString": table.name if table else "UCUM"}]
    if table is not None and table.version:
        parameters.append({"name": "version", "valueString": table.version})
    main = table.language if table is not None else ""
    display = in_language(concept.display, concept.designations, languages, main) or concept.code
    parameters.append({"name": "display", "valueString": display})
    every = not properties or properties & {"designation", _EVERY}
    spoken = {name.removeprefix(_LANG).lower() for name in properties if name.startswith(_LANG)}
    for designation in concept.designations:
        if every or designation.get("language", "").lower() in spoken:
            parameters.append({"name": "designation", "part": _designation(designation)})
    wanted = None if not properties or _EVERY in properties else properties - _ALWAYS
    for name, kind, value in _properties(table, concept, wanted):
        if wanted is None or name in wanted:
            parameters.append(
                {"name": "property", "part": [{"name": "code", "valueCode": name}, {"name": "value", kind: value}]}
            )
    return {"resourceType": "Parameters", "parameter": parameters}


def _designation(designation: Mapping[str, Any]) -> list[dict[str, Any]]:
    kinds = (("language", "valueCode"), ("use", "valueCoding"), ("value", "valueString"))
    return [{"name": name, kind: designation[name]} for name, kind in kinds if name in designation]


def _properties(
    system: System | None, concept: Concept, wanted: frozenset[str] | None
) -> Iterator[tuple[str, str, Any]]:
    yield from typed_properties(system.properties if system else {}, concept)
    if system is None:
        return
    if concept.abstract and not any(name == "notSelectable" for name, _ in concept.properties):
        yield "notSelectable", "valueBoolean", True
    if wanted is None or "child" in wanted:
        for child in system.page(system.children(concept.code).page(0, _MOST_CHILDREN)):
            yield "child", "valueCode", child.code
