"""Reading resources inside an operation or a job: parsed, without a page, within what the context may see.

What is shown to the caller in the end is logged by the operation as a whole.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.errors import NotFound
from fhir_server.core.resource_json import decode
from fhir_server.interactions.search import Pairs, matches
from fhir_server.search.values.reference import local_target
from fhir_server.security import policy
from fhir_server.storage import resources

MOST = 1000


def get(ctx: Context, resource_type: str, resource_id: str) -> dict[str, Any]:
    """The resource as it is now. Raises `NotFound` when it is missing, deleted or hidden."""
    rule = policy.rule(ctx, (resource_type,), "r")
    type_id = ctx.registry.type_ids[resource_type]
    with ctx.db.hold():
        found = resources.read(ctx.db, ctx.tenant.id, type_id, resource_type, resource_id, rule)
    if found is None or found.deleted:
        raise NotFound(f"{resource_type}/{resource_id} is not known here.")
    resource: dict[str, Any] = decode(found.body)
    return resource


def find(ctx: Context, resource_type: str, pairs: Pairs, limit: int = MOST) -> list[dict[str, Any]]:
    """The resources that meet search parameters, the latest first, at most `limit`."""
    return list(find_rows(ctx, resource_type, pairs, limit).values())


def find_rows(ctx: Context, resource_type: str, pairs: Pairs, limit: int = MOST) -> dict[int, dict[str, Any]]:
    """The same by row (rid)."""
    if not policy.access(ctx).rule(resource_type, "s"):
        return {}
    with ctx.db.hold():
        return {match.rid: decode(match.body) for match in matches(ctx, resource_type, pairs, limit)}


def by_rid(ctx: Context, rids: Sequence[int]) -> dict[int, dict[str, Any]]:
    """The current content of these rows, without deleted ones. Not limited to what the context may see."""
    with ctx.db.hold():
        return {rid: decode(body) for rid, body in resources.bodies(ctx.db, ctx.tenant.id, rids)}


def by_name(ctx: Context, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The current content of these `Type/id`, without missing and deleted ones. Not limited to what the context may
    see."""
    with ctx.db.hold():
        found = resources.bodies_of(ctx.db, ctx.tenant.id, [name for name in names if "/" in name])
    return {f"{resource['resourceType']}/{resource['id']}": resource for resource in map(decode, found)}


def local(ctx: Context, reference: Mapping[str, Any] | None) -> str | None:
    """`Type/id` of a Reference to a resource of this tenant; None for any other."""
    _, kind, id_ = local_target((reference or {}).get("reference", ""), ctx.base)
    return f"{kind}/{id_}" if kind is not None and id_ is not None else None
