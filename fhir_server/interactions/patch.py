"""patch: JSON Patch and FHIRPath Patch. https://hl7.org/fhir/R4/http.html#patch"""

from collections.abc import Callable, Sequence
from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.errors import NotFound
from fhir_server.core.resource_json import decode
from fhir_server.interactions.conditional import find_one
from fhir_server.interactions.result import Written
from fhir_server.interactions.stage import PATCH
from fhir_server.interactions.validated import accept
from fhir_server.interactions.write import check_id, existing, lock_one, update_head
from fhir_server.security import policy

Change = Callable[[dict[str, Any]], dict[str, Any]]


def patch(
    ctx: Context, resource_type: str, resource_id: str, change: Change, *, if_match: str | None = None
) -> Written:
    """Apply `change` to the current version and store the result, which must be valid R4 again."""
    policy.allow(ctx, "patch", resource_type)
    head = existing(lock_one(ctx, resource_type, resource_id), resource_type, resource_id)
    resource = change(decode(head.body))
    accept(ctx, resource, expected_type=resource_type)
    check_id(resource, resource_type, resource_id)
    return update_head(ctx, resource_type, resource_id, resource, head, if_match=if_match, method=PATCH)


def conditional_patch(
    ctx: Context,
    resource_type: str,
    query: Sequence[tuple[str, str]],
    change: Change,
    *,
    if_match: str | None = None,
) -> Written:
    """Patch the one resource that meets a condition. Raises `NotFound` for none."""
    policy.allow(ctx, "patch", resource_type)
    with ctx.db.hold():
        match = find_one(ctx, resource_type, query)
        if match is None:
            raise NotFound(f"No {resource_type} meets the condition.", expression="http.query")
        written = patch(ctx, resource_type, match.id, change, if_match=if_match)
    if not ctx.db.held:
        ctx.db.commit()
    return written
