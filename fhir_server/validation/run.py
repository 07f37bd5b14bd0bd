"""Validation of a resource against the base definitions of R4: on every write, and for `$validate`.

https://hl7.org/fhir/R4/validation.html
"""

from typing import Any

import jsonschema_rs

from fhir_server.conformance.registry import Registry
from fhir_server.core.errors import Invalid, Issue, Unprocessable
from fhir_server.validation.attachments import ATTACHMENTS
from fhir_server.validation.bindings import BINDINGS
from fhir_server.validation.bundles import BUNDLE_REMARKS, BUNDLES
from fhir_server.validation.choices import CHOICES
from fhir_server.validation.codings import CODINGS
from fhir_server.validation.extensions import own_issues
from fhir_server.validation.invariants import invariants
from fhir_server.validation.issues import gap, schema_issues
from fhir_server.validation.narrative import NARRATIVE
from fhir_server.validation.questionnaires.definitions import QUESTIONNAIRE_REMARKS, QUESTIONNAIRES
from fhir_server.validation.references import REFERENCES
from fhir_server.validation.schema import validator
from fhir_server.validation.uris import URIS
from fhir_server.validation.walk import Path, Plans, Rule, Walk, expression

# What is checked once the schema has accepted the shape, in this order at every place.
RULES: tuple[Rule, ...] = (
    CHOICES, invariants(frozenset({"error"})), REFERENCES, BINDINGS, NARRATIVE, ATTACHMENTS, BUNDLES, QUESTIONNAIRES,
)  # fmt: skip

# What is only remarked on when somebody asks: best practice.
REMARKS: tuple[Rule, ...] = (invariants(frozenset({"warning"})), BUNDLE_REMARKS, QUESTIONNAIRE_REMARKS, CODINGS, URIS)


def validate(registry: Registry, resource: Any, *, expected_type: str | None = None) -> None:
    """Accept a resource that is valid R4, else raise with every issue found.

    Raises `Invalid` (400) for what is no resource of a known type or not of `expected_type`, `Unprocessable` (422)
    for a resource that is not valid. Does not change the resource.
    """
    issues = faults(registry, resource, expected_type=expected_type)
    if issues:
        raise Unprocessable(issues=issues)


def faults(registry: Registry, resource: Any, *, expected_type: str | None = None) -> list[Issue]:
    """Every error of a resource; [] for a valid one. Raises `Invalid` as `validate` does."""
    resource_type = known_type(registry, resource)
    if expected_type is not None and resource_type != expected_type:
        text = f"The body is a resource of type {resource_type}, but the request is about {expected_type}."
        raise Invalid(text, expression="resourceType")
    return _validator(registry).issues(resource)


def check(registry: Registry, resource: Any) -> list[Issue]:
    """Every issue of a resource, errors first and then warnings; [] for a valid one. For `$validate`.

    Raises `Invalid` (400) for what is no resource of a known type.
    """
    known_type(registry, resource)
    return _validator(registry).issues(resource, remarks=True)


def known_type(registry: Registry, resource: Any) -> str:
    """The resource's type. Raises `Invalid` (400) when it is not a resource of R4."""
    if not isinstance(resource, dict):
        raise Invalid("The body must be a FHIR resource: a JSON object with 'resourceType'.", code="structure")
    resource_type = resource.get("resourceType")
    if not isinstance(resource_type, str):
        raise Invalid("The body has no 'resourceType'.", expression="resourceType", code="structure")
    if resource_type not in registry.type_ids:
        text = "'resourceType' does not name a resource type of FHIR R4."
        raise Invalid(text, expression="resourceType", code="not-supported")
    return resource_type


class _Validator:
    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._schemas: dict[str, jsonschema_rs.Draft202012Validator] = {}
        self._holding: dict[str, frozenset[str]] = {}
        self._shapes = Plans(registry, (), self._nested_shape)
        self._plans = Plans(registry, RULES, self._nested)
        self._remarks = Plans(registry, REMARKS, self._nested_remarks)

    def issues(self, resource: dict[str, Any], remarks: bool = False) -> list[Issue]:
        found: list[Issue] = []
        path: Path = (None, resource["resourceType"], None)
        # The rules rely on the shape, so a resource that has another is not looked at further.
        self._shape(resource, path, found)
        if not found or _is_sound(found):
            self._resource(resource, path, resource, found)
            if "extension" in resource:
                found.extend(own_issues(resource))
        if remarks and all(issue.code == "invariant" or gap(issue) for issue in found):
            walk = Walk(resource, resource, found)
            self._remarks.walk(self._remarks.plan(resource["resourceType"]), resource, path, walk)
        return found

    def _shape(self, resource: dict[str, Any], path: Path, found: list[Issue]) -> None:
        resource_type: str = resource["resourceType"]
        schema = self._schemas.get(resource_type)
        if schema is None:
            schema = self._schemas[resource_type] = validator(self._registry, resource_type)
        if not schema.is_valid(resource):
            errors = schema.iter_errors(resource)
            found.extend(schema_issues(self._registry, resource_type, errors, expression(path)))
        if (not found or _is_sound(found)) and not self._holders(resource_type).isdisjoint(resource):
            self._shapes.walk(self._shapes.plan(resource_type), resource, path, Walk(resource, resource, found))

    def _holders(self, resource_type: str) -> frozenset[str]:
        """The properties of a type in which other resources can stand, at any depth."""
        found = self._holding.get(resource_type)
        if found is None:
            elements = self._registry.structures[resource_type].elements.values()
            found = self._holding[resource_type] = frozenset(e.name for e in elements if self._holds(e.type, set()))
        return found

    def _holds(self, type_: str, seen: set[str]) -> bool:
        structure = self._registry.structures[type_]
        if structure.kind == "resource" or type_ in seen:
            return structure.kind == "resource"
        seen.add(type_)
        return any(self._holds(element.type, seen) for element in structure.elements.values())

    def _resource(self, resource: dict[str, Any], path: Path, root: dict[str, Any], found: list[Issue]) -> None:
        plan = self._plans.plan(resource["resourceType"])
        self._plans.walk(plan, resource, path, Walk(resource, root, found))

    def _nested_shape(self, resource: Any, path: Path, walk: Walk) -> None:
        if resource["resourceType"] in self._registry.type_ids:
            self._shape(resource, path, walk.issues)
        else:
            walk.fail((path, "resourceType", None), "value", "This is not a resource type of FHIR R4.")

    def _nested(self, resource: Any, path: Path, walk: Walk) -> None:
        contained = path[1] == "contained"
        if contained and "id" not in resource:
            walk.fail((path, "id", None), "required", "A contained resource needs an 'id' to be referred to.")
        self._resource(resource, path, walk.root if contained else resource, walk.issues)

    def _nested_remarks(self, resource: Any, path: Path, walk: Walk) -> None:
        root = walk.root if path[1] == "contained" else resource
        inner = Walk(resource, root, walk.issues)
        self._remarks.walk(self._remarks.plan(resource["resourceType"]), resource, path, inner)


def _is_sound(found: list[Issue]) -> bool:
    """Whether nothing is wrong with the shape of what is there: codes are no shape, and a gap has none."""
    return all(issue.code == "code-invalid" or gap(issue) for issue in found)


_validators: dict[int, tuple[Registry, _Validator]] = {}


def _validator(registry: Registry) -> _Validator:
    # Tenants share the structures of the base, and with them the compiled rules.
    key = id(registry.structures)
    found = _validators.get(key)
    if found is None or found[0].structures is not registry.structures:
        found = _validators[key] = (registry, _Validator(registry))
    return found[1]
