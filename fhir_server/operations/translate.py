"""ConceptMap/$translate. https://hl7.org/fhir/R4/conceptmap-operation-translate.html"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.errors import Invalid, NotFound
from fhir_server.interactions.terminologies import of_caller
from fhir_server.operations.call import OperationCall
from fhir_server.operations.canonical import goes_with, instance
from fhir_server.terminology import implicit_maps
from fhir_server.terminology import translate as terminology
from fhir_server.terminology.definitions import Definitions
from fhir_server.terminology.translate import Translation


def translate(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """What a code, Coding or CodeableConcept is in another system, by one concept map or by all that there are."""
    here = of_caller(ctx)
    asked = call.parameters
    wanted = Translation(
        _codings(asked),
        asked.get("source"),
        asked.get("target"),
        asked.get("targetsystem"),
        _dependencies(asked.get("dependency", ())),
        asked.get("reverse", False),
    )
    for name in ("system", "version"):
        goes_with(call, name, "code")
    goes_with(call, "conceptMapVersion", "url")
    return terminology.parameters(terminology.translate(here, _maps(ctx, call, here, wanted), wanted))


def _maps(ctx: Context, call: OperationCall, here: Definitions, wanted: Translation) -> Iterable[Mapping[str, Any]]:
    url, given = call.parameters.get("url"), call.parameters.get("conceptMap")
    version = call.parameters.get("conceptMapVersion")
    if len([source for source in (call.id, url, given) if source is not None]) > 1:
        raise Invalid("Name one concept map: by the URL's id, by url, or as conceptMap.", expression="http.url")
    if call.id is not None:
        return [instance(ctx, "ConceptMap", call.id).resource]
    if given is not None:
        return [given]
    if url is not None:
        if version and "|" in url:
            raise Invalid("url says a version; conceptMapVersion says it again.", expression="http.conceptMapVersion")
        found = here.definition("ConceptMap", f"{url}|{version}" if version else url)
        if found is None and not version:
            found = implicit_maps.concept_map(here, url, wanted.codings, reverse=wanted.reverse)
        if found is None:
            raise NotFound(f"There is no concept map {url} on this server.", expression="http.url")
        return [found]
    if wanted.target is None and wanted.target_system is None and wanted.source is None:
        raise Invalid(
            "Name a concept map (url), or what to translate to: target (a value set) or targetsystem.",
            expression="http.target", code="required",
        )  # fmt: skip
    return here.concept_maps()


def _codings(asked: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    given = [name for name in ("code", "coding", "codeableConcept") if name in asked]
    if len(given) != 1:
        raise Invalid("Give one of code, coding and codeableConcept.", expression="http.code", code="required")
    if given == ["code"]:
        if "system" not in asked:
            raise Invalid("A code needs its system.", expression="http.system", code="required")
        version = {"version": asked["version"]} if "version" in asked else {}
        return [{"system": asked["system"], **version, "code": asked["code"]}]
    codings = [asked["coding"]] if given == ["coding"] else asked["codeableConcept"].get("coding", [])
    return [coding for coding in codings if "code" in coding]


def _dependencies(given: Sequence[Mapping[str, Any]]) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    """{element: codings} of the parts `element` and `concept`."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for parts in given:
        if "element" in parts and "concept" in parts:
            found.setdefault(parts["element"], []).extend(parts["concept"].get("coding", ()))
    return found
