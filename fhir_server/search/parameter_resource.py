"""Whether a SearchParameter resource that a tenant writes can be indexed.

https://hl7.org/fhir/R4/searchparameter.html
"""

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from fhir_server.conformance.registry import Registry, base_registry
from fhir_server.conformance.search_parameters import (
    BASE_URL,
    SearchDefinition,
    SearchParam,
    place,
    split_union,
    tenant_search_definition,
)
from fhir_server.core.errors import FhirError, Issue
from fhir_server.core.keys import param_id
from fhir_server.fhirpath.errors import FhirPathError
from fhir_server.search.paths import simple_paths
from fhir_server.search.plan import compile_params
from fhir_server.search.types.composite import KINDS
from fhir_server.search.values import TYPES, indexes

_CODE = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}\Z")


def check_search_parameter(
    resource: dict[str, Any], registry: Registry, fresh: Mapping[str, str] = MappingProxyType({})
) -> list[Issue]:
    """What keeps a SearchParameter from being indexed, in words for its author; [] when nothing does.

    Checks the code, the type, collisions with parameters that each base already has, that the expression compiles and
    selects elements which the type can index, and the components. `registry`: the tenant's; the resource's own earlier
    version, known by its url, does not count as a collision. `fresh`: types by url of the parameters that are written
    together with this one.
    """
    try:
        definition = tenant_search_definition(resource, registry.type_ids)
    except FhirError as error:
        return error.issues
    issues = list(_own(definition, registry, {**fresh, definition.url: definition.type}))
    if issues:
        return issues
    bases = registry.resource_types if "Resource" in definition.bases else definition.bases
    for base in bases:
        issues.extend(_on_type(place(definition, base, registry.searches.get, registry.structures), registry))
        if issues:
            # The same words about another hundred types help nobody.
            return issues
    return issues


def _error(code: str, text: str, element: str) -> Issue:
    return Issue("error", code, text, f"SearchParameter.{element}")


def _own(definition: SearchDefinition, registry: Registry, fresh: Mapping[str, str]) -> Iterator[Issue]:
    """Faults that do not depend on the base type."""
    if not _CODE.match(definition.code):
        text = "A search parameter's code is a letter followed by at most 63 letters, digits or hyphens."
        yield _error("value", text, "code")
    if definition.type not in TYPES - {"special"} | {"composite"}:
        yield _error("not-supported", f"Parameters of type {definition.type} cannot be defined here.", "type")
    if definition.url.startswith(BASE_URL):
        yield _error("duplicate", "The url belongs to a search parameter of FHIR itself.", "url")
    elif definition.url in base_registry().searches:
        yield _error("duplicate", "The url belongs to a search parameter of this server itself.", "url")
    if definition.type == "composite":
        yield from _components(definition, registry, fresh)


def _components(definition: SearchDefinition, registry: Registry, fresh: Mapping[str, str]) -> Iterator[Issue]:
    kinds = []
    for url, _ in definition.components:
        component = registry.searches.get(url)
        kind = fresh.get(url) or (component.type if component else None)
        if kind is None:
            yield _error("not-found", "A component's definition is not a search parameter known here.", "component")
            return
        kinds.append(kind)
    if "token" in kinds:
        kinds.remove("token")
        kinds.insert(0, "token")
    if tuple(kinds) not in KINDS:
        known = ", ".join(sorted(" and ".join(each) for each in KINDS))
        yield _error("not-supported", f"These components cannot be combined. Possible are: {known}.", "component")


def _on_type(param: SearchParam, registry: Registry) -> Iterator[Issue]:
    """Faults of the parameter on one resource type."""
    own = param_id(param.resource_type, param.code)
    for code, other in registry.search_params(param.resource_type).items():
        if other.url == param.url:
            continue
        if code == param.code:
            text = f"{param.resource_type} already has a search parameter {code}."
            yield _error("duplicate", text, "code")
        elif param_id(param.resource_type, code) == own:
            text = f"The code has the same short hash as {code} of {param.resource_type}; choose another one."
            yield _error("duplicate", text, "code")
    try:
        compile_params(param.resource_type, [param], registry)
    except FhirPathError as error:
        yield _error("invalid", f"The expression cannot be used on {param.resource_type}: {error}", "expression")
        return
    if not _selects(param, registry):
        text = f"The expression selects no element of {param.resource_type} that a {param.type} parameter can index."
        yield _error("invalid", text, "expression")


def _selects(param: SearchParam, registry: Registry) -> bool:
    """Whether some element can be indexed, as far as the types of the expression are known."""
    for alternative in split_union(param.expression):
        paths = simple_paths(alternative, param.resource_type, registry)
        if param.type == "composite":
            return bool(paths)
        if paths is None or any(indexes(param.type, path.type) for path in paths):
            return True
    return False
