"""$validate. https://hl7.org/fhir/R4/resource-operation-validate.html"""

from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.errors import Invalid, Issue, outcome
from fhir_server.core.resource_json import decode
from fhir_server.interactions.read import read
from fhir_server.operations.call import OperationCall
from fhir_server.security import policy
from fhir_server.validation.run import check

_MODES = ("create", "update", "delete", "profile")


def validate(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """What this server would say of a resource if it were written: an OperationOutcome of all issues, status 200.

    Without a resource, on an instance: what it says of the stored one. `mode` says what would be done with it; `delete`
    needs no resource. Raises `Invalid` when there is nothing to validate.
    """
    mode, resource = call.parameters.get("mode"), call.parameters.get("resource")
    if mode is not None and mode not in _MODES:
        raise Invalid(f"mode takes one of {', '.join(_MODES)}.", expression="http.mode", code="value")
    if mode in ("update", "delete") and call.id is None:
        raise Invalid(f"mode {mode} is asked of an instance: [type]/[id]/$validate.", expression="http.mode")
    resource_type = call.type or ""
    issues: list[Issue] = []
    if mode == "delete":
        issues += _deletable(ctx, resource_type, call.id or "")
    elif resource is None:
        if call.id is None:
            raise Invalid("There is no resource to validate.", expression="Parameters.parameter", code="required")
        resource = decode(read(ctx, resource_type, call.id).body)
    if resource is not None and mode != "delete":
        issues += _checked(ctx, call, resource)
    if "profile" in call.parameters:
        issues.append(_no_profiles())
    if not any(issue.severity in ("error", "fatal") for issue in issues):
        issues.append(Issue("information", "informational", "No errors were found against the base definition of R4."))
    return outcome(issues)


def _checked(ctx: Context, call: OperationCall, resource: dict[str, Any]) -> list[Issue]:
    given = resource.get("resourceType")
    if given != call.type:
        return [Issue("error", "invalid", f"The resource is not a {call.type}, as the URL says.", "Resource")]
    issues = list(check(ctx.registry, resource))
    mode = call.parameters.get("mode")
    if call.id is not None and mode == "update" and resource.get("id") != call.id:
        issues.append(Issue("error", "value", "The resource does not carry the id of the URL.", f"{call.type}.id"))
    letter = {"create": "create", "update": "update"}.get(mode or "")
    if letter is not None:
        policy.allow(ctx, letter, call.type or "")
    return issues


def _deletable(ctx: Context, resource_type: str, resource_id: str) -> list[Issue]:
    policy.allow(ctx, "delete", resource_type)
    read(ctx, resource_type, resource_id)
    return [Issue("information", "informational", f"The {resource_type} could be deleted.")]


def _no_profiles() -> Issue:
    return Issue(
        "information",
        "not-supported",
        "Only the base definition of the type was checked: profiles are not validated here yet.",
        "http.profile",
    )
