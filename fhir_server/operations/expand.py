"""ValueSet/$expand. https://hl7.org/fhir/R4/valueset-operation-expand.html"""

from collections.abc import Mapping
from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.dates import format_instant
from fhir_server.core.errors import Invalid
from fhir_server.core.resource_json import decode
from fhir_server.interactions.read import read
from fhir_server.operations.call import OperationCall
from fhir_server.operations.canonical import definitions, refuse
from fhir_server.storage import clock
from fhir_server.terminology import expand as terminology
from fhir_server.terminology.definitions import Definitions

_REFUSED: Mapping[str, str] = {
    "context": "name the value set by url.",
    "contextDirection": "name the value set by url.",
    "date": "definitions are held in one version, the present one.",
    "designation": "includeDesignations gives all of them.",
}
_VERSIONS = ("system-version", "check-system-version", "force-system-version")
_ECHOED: Mapping[str, str] = {
    "filter": "valueString",
    "offset": "valueInteger",
    "count": "valueInteger",
    "includeDesignations": "valueBoolean",
    "includeDefinition": "valueBoolean",
    "activeOnly": "valueBoolean",
    "excludeNested": "valueBoolean",
    "excludeNotForUI": "valueBoolean",
    "excludePostCoordinated": "valueBoolean",
    "displayLanguage": "valueCode",
}


def expand(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """The codes of a value set: the instance's, the one named by `url`, or the one given as `valueSet`."""
    refuse(call, _REFUSED)
    here = definitions(ctx)
    asked = call.parameters
    for name in _VERSIONS:
        for canonical in asked.get(name, ()):
            here.table(canonical)
    for name in ("offset", "count"):
        if asked.get(name, 0) < 0:
            raise Invalid(f"{name} takes a whole number from 0.", expression=f"http.{name}", code="value")
    wanted = terminology.Expansion(
        filter=asked.get("filter", ""),
        offset=asked.get("offset", 0),
        count=asked.get("count"),
        include_designations=asked.get("includeDesignations", False),
        include_definition=asked.get("includeDefinition", False),
        active_only=asked.get("activeOnly", False),
        exclude_nested=asked.get("excludeNested", True),
        exclude_not_for_ui=asked.get("excludeNotForUI", False),
        display_language=asked.get("displayLanguage"),
        exclude_systems=frozenset(system.partition("|")[0] for system in asked.get("exclude-system", ())),
        asked=[{"name": name, kind: asked[name]} for name, kind in _ECHOED.items() if name in asked],
    )
    timestamp = format_instant(clock.micros(clock.tick()))
    return {
        "resourceType": "ValueSet",
        **terminology.expand(here, value_set_of(ctx, call, here), wanted, timestamp),
    }


def value_set_of(ctx: Context, call: OperationCall, here: Definitions) -> Mapping[str, Any]:
    """The value set that a call is about. Raises `Invalid` when it names none or several."""
    url, given = call.parameters.get("url"), call.parameters.get("valueSet")
    named = [source for source in (call.id, url, given) if source is not None]
    if len(named) != 1:
        raise Invalid(
            "Name one value set: by the URL's id, by url, or as valueSet.", expression="http.url", code="required"
        )
    if call.id is not None:
        stored: Mapping[str, Any] = decode(read(ctx, "ValueSet", call.id).body)
        return stored
    if given is not None:
        return dict(given)
    version = call.parameters.get("valueSetVersion")
    return here.value_set(f"{url}|{version}" if version and "|" not in str(url) else str(url), "http.url")
