"""ValueSet/$expand. https://hl7.org/fhir/R4/valueset-operation-expand.html"""

from collections.abc import Mapping
from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.dates import format_instant
from fhir_server.core.errors import Invalid
from fhir_server.interactions.terminologies import of_caller
from fhir_server.operations.call import OperationCall
from fhir_server.operations.canonical import asked_end, goes_with, instance, languages, versions_of
from fhir_server.storage import clock
from fhir_server.terminology import expand as terminology
from fhir_server.terminology.bindings import bound
from fhir_server.terminology.definitions import Definitions, Versions
from fhir_server.terminology.expansion import Expansion

_DIRECTIONS = ("incoming", "outgoing")
_ECHOED: Mapping[str, str] = {
    "context": "valueUri",
    "contextDirection": "valueCode",
    "date": "valueDateTime",
    "filter": "valueString",
    "offset": "valueInteger",
    "count": "valueInteger",
    "includeDesignations": "valueBoolean",
    "designation": "valueString",
    "includeDefinition": "valueBoolean",
    "activeOnly": "valueBoolean",
    "excludeNested": "valueBoolean",
    "excludeNotForUI": "valueBoolean",
    "excludePostCoordinated": "valueBoolean",
    "displayLanguage": "valueCode",
    "property": "valueString",
    "limitedExpansion": "valueBoolean",
    "exclude-system": "valueUri",
    "system-version": "valueUri",
    "check-system-version": "valueUri",
    "force-system-version": "valueUri",
}


def expand(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """The codes of a value set: the instance's, the one named by `url` or by the element that is bound to it
    (`context`), or the one given as `valueSet`."""
    asked = call.parameters
    goes_with(call, "contextDirection", "context")
    # What is sent and what is received is bound alike.
    if asked.get("contextDirection", _DIRECTIONS[0]) not in _DIRECTIONS:
        raise Invalid("contextDirection is incoming or outgoing.", expression="http.contextDirection", code="value")
    for name in ("offset", "count"):
        if asked.get(name, 0) < 0:
            raise Invalid(f"{name} takes a whole number from 0.", expression=f"http.{name}", code="value")
    here = of_caller(ctx, versions=_versions(call), end=asked_end(call))
    wanted = Expansion(
        filter=asked.get("filter", ""),
        offset=asked.get("offset", 0),
        count=asked.get("count"),
        include_designations=asked.get("includeDesignations", False),
        designations=frozenset(asked.get("designation", ())),
        properties=dict.fromkeys(asked.get("property", ())),
        include_definition=asked.get("includeDefinition", False),
        active_only=asked.get("activeOnly", False),
        exclude_nested=asked.get("excludeNested", True),
        exclude_not_for_ui=asked.get("excludeNotForUI", False),
        languages=languages(call),
        exclude_systems=frozenset(asked.get("exclude-system", ())),
        limited=asked.get("limitedExpansion", False),
        asked=_echo(asked),
    )
    timestamp = format_instant(clock.micros(clock.tick()))
    return {
        "resourceType": "ValueSet",
        **terminology.expand(here, value_set_of(ctx, call, here), wanted, timestamp),
    }


def value_set_of(ctx: Context, call: OperationCall, here: Definitions) -> Mapping[str, Any]:
    """The value set that a call is about. Raises `Invalid` when it names none or several."""
    url, given = call.parameters.get("url"), call.parameters.get("valueSet")
    context = call.parameters.get("context")
    named = [source for source in (call.id, url, given, context) if source is not None]
    if len(named) != 1:
        raise Invalid(
            "Name one value set: by the URL's id, by url, by context, or as valueSet.", expression="http.url",
            code="required",
        )  # fmt: skip
    goes_with(call, "valueSetVersion", "url")
    if call.id is not None:
        return here.remember(instance(ctx, "ValueSet", call.id))
    if given is not None:
        return dict(given)
    if context is not None:
        return here.value_set(bound(here.definition, context), "http.context")
    version = call.parameters.get("valueSetVersion")
    if version and "|" in str(url):
        raise Invalid("url says a version; valueSetVersion says it again.", expression="http.valueSetVersion")
    return here.value_set(f"{url}|{version}" if version else str(url), "http.url")


def _versions(call: OperationCall) -> Versions:
    names = ("system-version", "check-system-version", "force-system-version")
    return Versions(*(versions_of(name, call.parameters.get(name, ())) for name in names))


def _echo(asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for name, kind in _ECHOED.items():
        values = asked[name] if isinstance(asked.get(name), list) else [asked[name]] if name in asked else []
        found += [{"name": name, kind: value} for value in values]
    return found
