"""CapabilityStatement and TerminologyCapabilities, computed from the live registry and the wiring tables given.

https://hl7.org/fhir/R4/capabilitystatement.html, https://hl7.org/fhir/R4/terminologycapabilities.html
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from fhir_server.conformance.definitions import FHIR_VERSION
from fhir_server.conformance.own_definitions import own_definitions
from fhir_server.conformance.registry import Registry
from fhir_server.conformance.search_parameters import SearchParam
from fhir_server.interactions import audit_log
from fhir_server.interactions.audit_query import SUPPORTED

RELEASED = "2026-11-21"
STRUCTURE = "http://hl7.org/fhir/StructureDefinition/"

TYPE_INTERACTIONS = (
    "read", "vread", "update", "patch", "delete", "history-instance", "history-type", "create", "search-type",
)
SYSTEM_INTERACTIONS = ("transaction", "batch", "search-system", "history-system")
FORMATS = ("application/fhir+json", "application/fhir+xml", "json", "xml")
PATCH_FORMATS = ("application/json-patch+json", "application/fhir+json", "application/fhir+xml")
ABILITIES: Mapping[str, Any] = {
    "versioning": "versioned-update",
    "readHistory": True,
    "updateCreate": True,
    "conditionalCreate": True,
    "conditionalRead": "full-support",
    "conditionalUpdate": True,
    "conditionalDelete": "multiple",
    "referencePolicy": ["literal", "logical", "local"],
}
# Parameters of every type that have a grammar of their own instead of an expression.
GENERAL_PARAMETERS: Mapping[str, str] = {
    "_text": "string", "_content": "string", "_list": "token", "_has": "string", "_filter": "special",
}
GENERAL_DEFINITIONS: Mapping[str, str] = {
    "_text": "http://hl7.org/fhir/SearchParameter/DomainResource-text",
    "_content": "http://hl7.org/fhir/SearchParameter/Resource-content",
    "_filter": "http://hl7.org/fhir/SearchParameter/filter",
}
# Operations that guides publish, not the core package.
GUIDE_OPERATIONS: Mapping[tuple[str | None, str], str] = {
    (None, "export"): "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/export",
    ("Patient", "export"): "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/patient-export",
    ("Group", "export"): "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/group-export",
}
# Parameters that may point to any type could follow every type back; listing them all would triple the statement, and
# the list need not be complete. This is the one that guides ask for by name.
ANY_TARGET_REVINCLUDES = ("Provenance:target",)

Operations = Collection[tuple[str | None, str]]


def capability_statement(
    registry: Registry,
    *,
    base: str,
    software_version: str,
    operations: Operations,
    interactions: Sequence[str] = TYPE_INTERACTIONS,
    system_interactions: Sequence[str] = SYSTEM_INTERACTIONS,
    formats: Sequence[str] = FORMATS,
    patch_formats: Sequence[str] = PATCH_FORMATS,
    abilities: Mapping[str, Any] = ABILITIES,
    general_parameters: Mapping[str, str] = GENERAL_PARAMETERS,
    oauth: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """What the server at `base` does, as one CapabilityStatement of kind instance.

    Every fact is an argument or read from the registry, so that the statement follows the server. operations: those
    wired, as (resource type, `Resource` for all types, or None for system level; code); one without a published
    definition is left out. oauth: endpoints by name (`authorize`, `token` ...) once there is an authorization server.
    """
    named = operation_definitions(registry, operations)
    revincludes = _revincludes(registry)
    profiles = supported_profiles(registry)
    guides = implementation_guides(registry)
    rest: dict[str, Any] = {
        "mode": "server",
        "security": _security(oauth),
        "resource": [
            _resource(
                registry, name, interactions, abilities, revincludes.get(name, []), named.get(name, {}),
                profiles.get(name, []),
            )
            for name in registry.resource_types
        ],
        "interaction": [{"code": code} for code in system_interactions],
        "searchParam": _general(registry, general_parameters),
    }
    if named.get(None):
        rest["operation"] = _operations(named[None])
    rest["compartment"] = [
        f"http://hl7.org/fhir/CompartmentDefinition/{name[0].lower()}{name[1:]}" for name in registry.compartments
    ]
    return {
        "resourceType": "CapabilityStatement",
        **_published(base, software_version),
        "fhirVersion": FHIR_VERSION,
        "format": list(formats),
        "patchFormat": list(patch_formats),
        **({"implementationGuide": guides} if guides else {}),
        "rest": [rest],
    }


def implementation_guides(registry: Registry) -> list[str]:
    """The canonicals of the active guides that the tenant holds, each version of them."""
    rows = registry.canonicals.each("ImplementationGuide")
    return sorted(f"{row.url}|{row.version}" if row.version else row.url for row in rows if row.status == "active")


def supported_profiles(registry: Registry) -> dict[str, list[str]]:
    """The urls of the active profiles of each resource type, sorted: the tenant's, its packages' and this server's."""
    found: dict[str, set[str]] = {}
    for row in registry.canonicals.each("StructureDefinition"):
        if row.status == "active" and row.kind == "constraint":
            found.setdefault(row.subject, set()).add(row.url)
    for own in own_definitions("structures"):
        if own["derivation"] == "constraint":
            found.setdefault(own["type"], set()).add(own["url"])
    return {name: sorted(urls) for name, urls in found.items() if name in registry.type_ids}


def _published(base: str, software_version: str) -> dict[str, Any]:
    return {
        "status": "active",
        "date": RELEASED,
        "kind": "instance",
        "software": {"name": "Salam", "version": software_version},
        "implementation": {"description": "Salam FHIR R4 server", "url": base},
    }


def _resource(
    registry: Registry, name: str, interactions: Sequence[str], abilities: Mapping[str, Any],
    revincludes: list[str], operations: Mapping[str, str], profiles: list[str],
) -> dict[str, Any]:
    params = registry.search_params(name)
    if name == audit_log.TYPE:
        return _log_entry(params)
    entry: dict[str, Any] = {
        "type": name,
        "profile": STRUCTURE + name,
        **({"supportedProfile": profiles} if profiles else {}),
        "interaction": [{"code": code} for code in interactions],
        **abilities,
    }
    includes = [f"{name}:{code}" for code, param in sorted(params.items()) if param.type == "reference"]
    if includes:
        entry["searchInclude"] = includes
    if revincludes:
        entry["searchRevInclude"] = revincludes
    entry["searchParam"] = [
        {"name": code, "definition": param.url, "type": param.type}
        for code, param in sorted(params.items())
        if (name, code) not in registry.pending
    ]
    if operations:
        entry["operation"] = _operations(operations)
    return entry


def _log_entry(params: Mapping[str, SearchParam]) -> dict[str, Any]:
    """What the audit log offers: it is read and searched, and it writes itself."""
    return {
        "type": audit_log.TYPE,
        "profile": STRUCTURE + audit_log.TYPE,
        "interaction": [{"code": code} for code in ("read", "vread", "search-type")],
        "versioning": "versioned",
        "searchParam": [
            {"name": code, "definition": params[code].url, "type": params[code].type}
            for code in SUPPORTED
            if code in params
        ],
    }


def _revincludes(registry: Registry) -> dict[str, list[str]]:
    """`Type:code` parameters by the type that they point to, sorted."""
    found: dict[str, list[str]] = {}
    for name in registry.resource_types:
        for code, param in sorted(registry.search_params(name).items()):
            if param.type == "reference" and name != audit_log.TYPE:
                follows = f"{name}:{code}"
                anywhere = registry.resource_types if follows in ANY_TARGET_REVINCLUDES else ()
                for target in param.targets or anywhere:
                    found.setdefault(target, []).append(follows)
    return found


def _general(registry: Registry, parameters: Mapping[str, str]) -> list[dict[str, str]]:
    common = [
        {"name": code, "definition": param.url, "type": param.type}
        for code, param in sorted(registry.search_params("Basic").items()) if code.startswith("_")
    ]
    for code, kind in parameters.items():
        defined = {"definition": GENERAL_DEFINITIONS[code]} if code in GENERAL_DEFINITIONS else {}
        common.append({"name": code, **defined, "type": kind})
    return common


def operation_definitions(registry: Registry, operations: Operations) -> dict[str | None, dict[str, str]]:
    """{resource type or None: {operation code: canonical of its definition}} of the operations that are defined."""
    named: dict[str | None, dict[str, str]] = {}
    for on, code in operations:
        types: Iterable[str | None] = registry.resource_types if on == "Resource" else (on,)
        for name in types:
            known = registry.operations.get((name, code))
            url = known.url if known else GUIDE_OPERATIONS.get((name, code))
            if url:
                named.setdefault(name, {})[code] = url
    return named


def _operations(named: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": code, "definition": url} for code, url in sorted(named.items())]


def _security(oauth: Mapping[str, str] | None) -> dict[str, Any]:
    security: dict[str, Any] = {
        "cors": True,
        "description": "Requests carry a bearer token (RFC 6750); its scopes limit what can be read and written.",
    }
    if oauth:
        uris = [{"url": name, "valueUri": uri} for name, uri in oauth.items()]
        system = "http://terminology.hl7.org/CodeSystem/restful-security-service"
        security["extension"] = [
            {"url": "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris", "extension": uris}
        ]
        security["service"] = [{"coding": [{"system": system, "code": "SMART-on-FHIR"}], "text": "SMART on FHIR"}]
    return security


def terminology_capabilities(
    registry: Registry, *, base: str, software_version: str, operations: Operations = ()
) -> dict[str, Any]:
    """What the terminology operations at `base` know: the complete code systems of the package, and of the operations
    given (as in `capability_statement`) what they can do. For `metadata?mode=terminology`."""
    codes = {code for _, code in operations}
    statement: dict[str, Any] = {
        "resourceType": "TerminologyCapabilities",
        **_published(base, software_version),
        "codeSystem": [_code_system(url, definition) for url, definition in _complete(registry)],
    }
    if "expand" in codes:
        asked = [{"name": name} for name in registry.operations["ValueSet", "expand"].inputs()]
        statement["expansion"] = {"hierarchical": True, "paging": True, "incomplete": False, "parameter": asked}
        statement["codeSearch"] = "explicit"
    if "validate-code" in codes:
        statement["validateCode"] = {"translations": False}
    if "translate" in codes:
        statement["translation"] = {"needsMap": True}
    if "closure" in codes:
        statement["closure"] = {"translation": False}
    return statement


def _complete(registry: Registry) -> list[tuple[str, dict[str, Any]]]:
    systems = registry.terminology.all("code-systems")
    return sorted((url, held) for url, held in systems.items() if held["content"] == "complete")


def _code_system(url: str, definition: Mapping[str, Any]) -> dict[str, Any]:
    version = definition.get("version")
    versions = {"version": [{"code": version, "isDefault": True}]} if version else {}
    return {"uri": url, **versions, "subsumption": definition.get("hierarchyMeaning") == "is-a"}
