"""$explain-access (profiles/operations/): whether a user would see a resource, and what decides it."""

from typing import Any

from fhir_server.core.context import Context
from fhir_server.operations.call import OperationCall
from fhir_server.security.explain import Asked, explain


def explain_access(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """Parameters with the decision and what denies. Raises what `explain` raises."""
    given = call.parameters
    asked = Asked(given["role"], given.get("actor"), given.get("client", ""), given.get("purpose"))
    found = explain(ctx, call.type or "", call.id or "", asked)
    causes = [_cause("role")] if not found.by_role else []
    causes += [_cause("label")] if not found.by_labels else []
    causes += [_cause("consent", each) for each in found.consents]
    decision = {"name": "decision", "valueCode": "permit" if found.permitted else "deny"}
    return {"resourceType": "Parameters", "parameter": [decision, *causes]}


def _cause(by: str, consent: str | None = None) -> dict[str, Any]:
    parts: list[dict[str, Any]] = [{"name": "by", "valueCode": by}]
    if consent is not None:
        parts.append({"name": "consent", "valueReference": {"reference": f"Consent/{consent}"}})
    return {"name": "cause", "part": parts}
