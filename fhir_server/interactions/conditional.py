"""Conditional interactions. Racers on the same condition wait for one another, so that exactly one of them acts.

https://hl7.org/fhir/R4/http.html#ccreate, #cond-update, #cdelete
"""

from collections.abc import Sequence
from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.errors import Conflict, Invalid, NotFound, PreconditionFailed, TooCostly
from fhir_server.core.keys import key64
from fhir_server.interactions.result import Written
from fhir_server.interactions.search import Match, matches
from fhir_server.interactions.stage import stage_deletion
from fhir_server.interactions.validated import accept
from fhir_server.interactions.write import (
    check_head,
    check_id,
    create,
    lock_heads,
    lock_one,
    log_unchanged,
    store,
    update_head,
)
from fhir_server.security import policy
from fhir_server.storage import locks, resources
from fhir_server.storage.versions import Version

Query = Sequence[tuple[str, str]]
MAX_DELETED = 1000


def find(ctx: Context, resource_type: str, query: Query, *, limit: int = 2) -> list[Match]:
    """At most `limit` resources that meet a condition, under a lock on the condition until the transaction ends."""
    policy.allow(ctx, "search", resource_type)
    if not query:
        raise PreconditionFailed("A condition needs at least one search parameter.", expression="http.query")
    normal = "&".join(sorted(f"{name}={value}" for name, value in query))
    locks.lock(ctx.db, key64(f"{ctx.tenant.id}\x1f{resource_type}\x1f{normal}"))
    return matches(ctx, resource_type, query, limit=limit)


def find_one(ctx: Context, resource_type: str, query: Query) -> Match | None:
    """The one resource that meets a condition, or None. Raises `PreconditionFailed` for several."""
    found = find(ctx, resource_type, query)
    if len(found) > 1:
        raise PreconditionFailed(
            f"The condition matches more than one {resource_type}; it must match at most one.",
            expression="http.query",
            code="multiple-matches",
        )
    return found[0] if found else None


def conditional_create(ctx: Context, resource_type: str, resource: dict[str, Any], query: Query) -> Written:
    """Create unless a resource meets the condition (If-None-Exist); then that one is the answer."""
    policy.allow(ctx, "create", resource_type)
    with ctx.db.hold():
        match = find_one(ctx, resource_type, query)
        if match is None:
            written = create(ctx, resource_type, resource)
        else:
            head = existing_version(ctx, resource_type, match)
            log_unchanged(ctx, "create", resource_type, head)
            written = Written(resource_type, head, created=False, changed=False)
    if not ctx.db.held:
        ctx.db.commit()
    return written


def conditional_update(
    ctx: Context, resource_type: str, resource: dict[str, Any], query: Query, *, if_match: str | None = None
) -> Written:
    """Update the one match; create when there is none, under the body's id if it has one."""
    policy.allow(ctx, "update", resource_type)
    with ctx.db.hold():
        match = find_one(ctx, resource_type, query)
        written = update_match(ctx, resource_type, resource, match, if_match)
    if not ctx.db.held:
        ctx.db.commit()
    return written


def update_match(
    ctx: Context, resource_type: str, resource: dict[str, Any], match: Match | None, if_match: str | None
) -> Written:
    """What a conditional update does once its condition is resolved."""
    given = resource.get("id")
    if match is None and given is None:
        return create(ctx, resource_type, resource)
    resource_id = match.id if match else str(given)
    if match is not None and given not in (None, match.id):
        raise Invalid(
            "The resource's id is not that of the resource which the condition matches.",
            expression=f"{resource_type}.id",
        )
    resource = {**resource, "id": resource_id}
    accept(ctx, resource, expected_type=resource_type)
    check_id(resource, resource_type, resource_id)
    head = lock_one(ctx, resource_type, resource_id)
    if match is None:
        check_new(head, resource_type)
    return update_head(ctx, resource_type, resource_id, resource, head, if_match=if_match)


def check_new(head: Version | None, resource_type: str) -> None:
    """Raise `Conflict` when a condition matches nothing, but there is a resource with the id of the body: it would be
    lost. R4 says "Update as Create", and R5 that this is refused. https://hl7.org/fhir/R5/http.html#cond-update"""
    if head is not None and not head.deleted and not head.hidden:
        raise Conflict(
            "The condition matches nothing, but there is a resource with this id, which it would replace.",
            expression=f"{resource_type}.id",
        )


def conditional_delete(ctx: Context, resource_type: str, query: Query) -> list[str]:
    """Delete every match (at most 1,000); their ids."""
    policy.allow(ctx, "delete", resource_type)
    with ctx.db.hold():
        found = find(ctx, resource_type, query, limit=MAX_DELETED + 1)
        if len(found) > MAX_DELETED:
            raise TooCostly(f"The condition matches more than {MAX_DELETED} resources. Narrow it.")
        heads = lock_heads(ctx, [(resource_type, match.id) for match in found], "d")
        for head in heads.values():
            check_head(ctx, head, resource_type, head.id)
        deletions = [stage_deletion(ctx, head) for head in heads.values() if not head.deleted]
        if deletions:
            store(ctx, deletions)
    if not ctx.db.held:
        ctx.db.commit()
    return [deletion.id for deletion in deletions]


def existing_version(ctx: Context, resource_type: str, match: Match) -> Version:
    """The current version of a match."""
    type_id = ctx.registry.type_ids[resource_type]
    version = resources.read(ctx.db, ctx.tenant.id, type_id, resource_type, match.id)
    if version is None or version.deleted:
        raise NotFound(f"The {resource_type} that the condition matched is gone.")
    return version


