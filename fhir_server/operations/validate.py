"""$validate. https://hl7.org/fhir/R4/resource-operation-validate.html"""

from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.errors import Invalid, Issue, NotFound, outcome
from fhir_server.core.resource_json import decode
from fhir_server.interactions import rehearsal
from fhir_server.interactions.examined import examine
from fhir_server.interactions.read import read
from fhir_server.operations.call import OperationCall
from fhir_server.operations.readable_definitions import ReadableDefinitions
from fhir_server.security import policy

_MODES = ("create", "update", "delete", "profile")
_ERRORS = ("error", "fatal")


def validate(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """What this server would say of a resource if it were written: an OperationOutcome of all issues, status 200.

    Without a resource, on an instance: what it says of the stored one. `profile`: canonicals to check besides those
    that the resource claims and the tenant demands. `mode`: what would be done with it, and so what else would stand
    in its way. Raises `Invalid` when there is nothing to validate, `NotFound` for a profile that is not here.
    """
    mode, resource = call.parameters.get("mode"), call.parameters.get("resource")
    profiles = _profiles(ctx, call)
    _check_mode(call, mode, profiles)
    resource_type = call.type or ""
    if mode == "delete":
        policy.allow(ctx, "delete", resource_type)
        issues = rehearsal.delete(ctx, resource_type, call.id or "", call.if_match)
        return outcome(issues or [_said(f"The {resource_type} could be deleted.")])
    if resource is None:
        if call.id is None:
            raise Invalid("There is no resource to validate.", expression="Parameters.parameter", code="required")
        resource = decode(read(ctx, resource_type, call.id).body)
    if resource.get("resourceType") != resource_type:
        text = f"The resource is not a {resource_type}, as the URL says."
        return outcome([Issue("error", "invalid", text, "Resource")])
    if mode in ("create", "update"):
        policy.allow(ctx, mode, resource_type)
    issues = examine(ctx, resource, profiles)
    if mode in ("create", "update") and not _failed(issues):
        issues = [*rehearsal.write(ctx, resource, call.id if mode == "update" else None, call.if_match), *issues]
    if not _failed(issues):
        issues.append(_said("No errors were found."))
    return outcome(issues)


def _check_mode(call: OperationCall, mode: str | None, profiles: list[str]) -> None:
    if mode is not None and mode not in _MODES:
        raise Invalid(f"mode takes one of {', '.join(_MODES)}.", expression="http.mode", code="value")
    if mode in ("update", "delete", "profile") and call.id is None:
        raise Invalid(f"mode {mode} is asked of an instance: [type]/[id]/$validate.", expression="http.mode")
    if mode == "profile" and (not profiles or "resource" in call.parameters):
        raise Invalid("mode profile checks what is stored against a profile: give profile and no resource.",
                      expression="http.mode")  # fmt: skip


def _profiles(ctx: Context, call: OperationCall) -> list[str]:
    given = call.parameters.get("profile", ())
    asked = list(dict.fromkeys([given] if isinstance(given, str) else given))
    definitions = ReadableDefinitions(ctx)
    for canonical in asked:
        if definitions.find("StructureDefinition", canonical) is None:
            text = f"The profile {canonical} is not known here: store it, or install the package that has it."
            raise NotFound(text, expression="http.profile")
    return asked


def _failed(issues: list[Issue]) -> bool:
    return any(issue.severity in _ERRORS for issue in issues)


def _said(text: str) -> Issue:
    return Issue("information", "informational", text)
