"""CodeSystem/$lookup. https://hl7.org/fhir/R4/codesystem-operation-lookup.html"""

from collections.abc import Iterator, Mapping
from typing import Any

from fhir_server.core.errors import NotFound
from fhir_server.terminology.code_system import CodeSystemTable, Concept
from fhir_server.terminology.definitions import Definitions
from fhir_server.terminology.expand import in_language

_ALWAYS = frozenset({"url", "name", "version", "display", "designation", "system"})


def lookup(
    definitions: Definitions,
    system: str,
    code: str,
    properties: frozenset[str] = frozenset(),
    language: str | None = None,
) -> dict[str, Any]:
    """A Parameters resource of what is known of a code: name, version, display, designation, property (parent, child,
    definition, inactive and the system's own; only those named in `properties` when any are). Raises `NotFound` for an
    unknown code and `NotLocal` for a system without codes here."""
    table = definitions.require(system)
    concept = table.find(code)
    if concept is None:
        raise NotFound(f"The code system {table.url} has no code {code!r}.", expression="http.code")
    parameters: list[dict[str, Any]] = [{"name": "name", "valueString": table.name}]
    if table.version:
        parameters.append({"name": "version", "valueString": table.version})
    display = in_language(concept.display, concept.designations, language) or concept.code
    parameters.append({"name": "display", "valueString": display})
    if not properties or "designation" in properties:
        parameters += [{"name": "designation", "part": _designation(d)} for d in concept.designations]
    wanted = properties - _ALWAYS
    for name, kind, value in _properties(table, concept):
        if name in wanted if properties else True:
            parameters.append(
                {"name": "property", "part": [{"name": "code", "valueCode": name}, {"name": "value", kind: value}]}
            )
    return {"resourceType": "Parameters", "parameter": parameters}


def _designation(designation: Mapping[str, Any]) -> list[dict[str, Any]]:
    kinds = (("language", "valueCode"), ("use", "valueCoding"), ("value", "valueString"))
    return [{"name": name, kind: designation[name]} for name, kind in kinds if name in designation]


def _properties(table: CodeSystemTable, concept: Concept) -> Iterator[tuple[str, str, Any]]:
    if concept.definition:
        yield "definition", "valueString", concept.definition
    yield "inactive", "valueBoolean", concept.inactive
    for parent in concept.parents:
        yield "parent", "valueCode", parent
    for child in concept.children:
        yield "child", "valueCode", child
    for name, value in concept.properties:
        if name not in ("parent", "child", "inactive"):
            kind = table.property_types.get(name) or ("boolean" if isinstance(value, bool) else "string")
            yield name, "value" + kind[0].upper() + kind[1:], value
