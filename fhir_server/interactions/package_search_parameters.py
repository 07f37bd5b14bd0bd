"""Which search parameters of a package this server needs: those that say something new, and that can be indexed."""

from collections.abc import Iterable, Mapping
from typing import Any

from fhir_server.conformance.registry import Registry
from fhir_server.conformance.search_parameters import expression_for, split_union, tenant_search_definition
from fhir_server.core.errors import FhirError
from fhir_server.search.parameter_resource import check_search_parameter

Definition = Mapping[str, Any]


def sort_out(given: Iterable[dict[str, Any]], registry: Registry) -> tuple[dict[str, str], Registry]:
    """Why some of the parameters are left out, in words by url; and the registry as it is with the others.

    Left out is what the types have already (guides repeat R4's parameters by the dozen, and indexing them again would
    take a job each), what has the code of another parameter, and what cannot be indexed. Only active ones are judged.
    """
    active = [each for each in given if each.get("status") == "active"]
    reasons: dict[str, str] = {}
    # A composite is judged when its components are known.
    for each in sorted(active, key=lambda each: each.get("type") == "composite"):
        reason = _taken(each, registry) or _unusable(each, registry)
        if reason:
            reasons[each.get("url", "")] = reason
        else:
            registry = _with(each, registry)
    return reasons, registry


def _taken(definition: Definition, registry: Registry) -> str:
    same = []
    for base in _bases(definition, registry):
        held = registry.search_params(base).get(definition.get("code", ""))
        if held is None or held.url == definition.get("url"):
            return ""
        alike = held.type == definition.get("type") and _operands(held.expression) == _operands(
            expression_for(base, definition.get("expression", ""))
        )
        same.append((base, alike))
    if same and all(alike for _, alike in same):
        return "the server has this search parameter already"
    other = next((base for base, alike in same if not alike), None)
    return f"{other} has another search parameter {definition.get('code')}, which stays" if other else ""


def _bases(definition: Definition, registry: Registry) -> tuple[str, ...]:
    bases = definition.get("base", [])
    anywhere = "Resource" in bases or "DomainResource" in bases
    return registry.resource_types if anywhere else tuple(base for base in bases if base in registry.type_ids)


def _operands(expression: str) -> frozenset[str]:
    return frozenset(operand.strip().strip("()").strip().replace(" ", "") for operand in split_union(expression))


def _unusable(definition: dict[str, Any], registry: Registry) -> str:
    try:
        issues = check_search_parameter(definition, registry)
    except FhirError as error:
        issues = error.issues
    errors = [issue.text for issue in issues if issue.severity == "error"]
    return f"it cannot be indexed here: {errors[0]}" if errors else ""


def _with(definition: dict[str, Any], registry: Registry) -> Registry:
    own = tenant_search_definition(definition, registry.type_ids)
    searches = {url: held for url, held in registry.searches.items() if url != own.url}
    return Registry(
        registry.version, registry.structures, {**searches, own.url: own}, registry.operations, registry.compartments,
        registry.terminology, registry.pending, registry.canonicals,
    )  # fmt: skip
