"""create, update, delete: decide on locked heads, then write in one round trip.

https://hl7.org/fhir/R4/http.html#create, #update, #delete
"""

from collections.abc import Collection
from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.errors import Forbidden, Invalid, NotFound, PreconditionFailed
from fhir_server.core.references import ID
from fhir_server.core.resource_json import decode
from fhir_server.interactions import claims, definitions, life_cycle
from fhir_server.interactions.result import Written
from fhir_server.interactions.stage import CREATE, UPDATE, new_id, stage, stage_deletion, unchanged
from fhir_server.interactions.validated import accept
from fhir_server.security import audit, consent, labels, policy
from fhir_server.security.consent_node import role_may
from fhir_server.storage import resources
from fhir_server.storage.versions import NewVersion, Version
from fhir_server.storage.write import write
from fhir_server.storage.writer import Rule


def create(ctx: Context, resource_type: str, resource: dict[str, Any]) -> Written:
    """Store a new resource under an id of the server's choosing. Raises `Unprocessable` when it is not valid R4."""
    policy.allow(ctx, "create", resource_type)
    accept(ctx, resource, expected_type=resource_type)
    new = stage(ctx, resource, new_id(), method=CREATE)
    policy.check_result(ctx, resource, "c", new.index.keys)
    store(ctx, [new])
    return Written(resource_type, new, created=True, changed=True)


def update(
    ctx: Context,
    resource_type: str,
    resource_id: str,
    resource: dict[str, Any],
    *,
    if_match: str | None = None,
    if_none_match: str | None = None,
) -> Written:
    """Store the next version of a resource, or the first one under the client's id.

    Raises `PreconditionFailed` when `if_match` (an ETag) is not the current version. An update that says nothing new
    makes no version.
    """
    policy.allow(ctx, "update", resource_type)
    accept(ctx, resource, expected_type=resource_type)
    check_id(resource, resource_type, resource_id)
    head = lock_one(ctx, resource_type, resource_id)
    return update_head(ctx, resource_type, resource_id, resource, head, if_match=if_match, if_none_match=if_none_match)


def update_head(
    ctx: Context,
    resource_type: str,
    resource_id: str,
    resource: dict[str, Any],
    head: Version | None,
    *,
    if_match: str | None = None,
    if_none_match: str | None = None,
    method: str = UPDATE,
) -> Written:
    """The second half of an update: the head is locked, the resource is valid."""
    new = stage_update(
        ctx, resource_type, resource_id, resource, head, if_match=if_match, if_none_match=if_none_match, method=method
    )
    if new is None:
        assert head is not None
        log_unchanged(ctx, "update", resource_type, head)
        return Written(resource_type, head, created=False, changed=False)
    store(ctx, [new])
    return Written(resource_type, new, created=head is None or head.deleted, changed=True)


def stage_update(
    ctx: Context,
    resource_type: str,
    resource_id: str,
    resource: dict[str, Any],
    head: Version | None,
    *,
    if_match: str | None = None,
    if_none_match: str | None = None,
    method: str = UPDATE,
) -> NewVersion | None:
    """The version that an update makes, or None when it changes nothing. Checks the preconditions."""
    check_head(ctx, head, resource_type, resource_id)
    check_match(head, if_match, if_none_match)
    before = decode(head.body) if head is not None and not head.deleted else None
    if before is not None and unchanged(before, resource):
        return None
    labels.check_change(before, resource, role_may(ctx.principal, "relabel") or ctx.principal.user is None)
    new = stage(ctx, resource, resource_id, head=head, before=before, method=method)
    policy.check_result(ctx, resource, "u", new.index.keys)
    return new


def delete(ctx: Context, resource_type: str, resource_id: str, *, if_match: str | None = None) -> Version | None:
    """Delete; the deletion's version, or None when there was nothing to delete (which is no error)."""
    policy.allow(ctx, "delete", resource_type)
    head = lock_one(ctx, resource_type, resource_id, "d")
    if head is not None and head.hidden:
        head = None
    if if_match is not None:
        check_match(head, if_match, None)
    if head is None or head.deleted:
        log_unchanged(ctx, "delete", resource_type, head)
        return head
    check_head(ctx, head, resource_type, resource_id)
    deletion = stage_deletion(ctx, head)
    store(ctx, [deletion])
    return as_version(deletion)


def lock_one(ctx: Context, resource_type: str, resource_id: str, letter: str = "u") -> Version | None:
    """Lock one head for writing, with what the caller may know and do of it."""
    heads = lock_heads(ctx, [(resource_type, resource_id)], letter)
    return heads.get((ctx.registry.type_ids[resource_type], resource_id))


def lock_heads(ctx: Context, names: Collection[tuple[str, str]], letter: str) -> dict[tuple[int, str], Version]:
    """Lock the heads of these (type, id) for an update (`u`) or a deletion (`d`), keyed by (type_id, id)."""
    types = tuple(dict.fromkeys([name for name, _ in names]))
    seen, changeable = policy.rule(ctx, types, "r"), policy.rule(ctx, types, letter)
    return resources.lock(ctx.db, ctx.tenant.id, names, _known(seen, changeable), changeable)


def _known(seen: Rule | None, changeable: Rule | None) -> Rule | None:
    """A caller knows of what he may read and of what he may change."""
    if seen is None or changeable is None:
        return None
    return lambda w, row: f"({seen(w, row)} OR {changeable(w, row)})"


def check_head(ctx: Context, head: Version | None, resource_type: str, resource_id: str) -> None:
    """Raise unless the caller may change this head, or make a first version under the id where there is none (the right
    to update includes that, SMART 2.2).

    To whom something of the type is hidden by patient, scope or label, an id that is taken looks like one that is free:
    both are not found, because he may not choose ids.
    """
    if head is None or head.hidden:
        if head is None and policy.chooses_ids(ctx, resource_type):
            return
        raise NotFound(f"{resource_type}/{resource_id} is not known here.")
    if head.barred:
        raise Forbidden(f"The token's scopes do not allow to change this {resource_type}.")


def store(ctx: Context, news: list[NewVersion], *, checked: bool = False) -> None:
    """Write versions, with what must follow from them in the same transaction. `checked`: by `life_cycle` already."""
    if not checked:
        life_cycle.check(ctx, news)
    followed, consents = definitions.concerns(ctx, news), consent.concerns(ctx, news)
    timed = claims.concerns(ctx, news)
    also = [audit.written(ctx, news), *(claims.statements(ctx, news) if timed else ())]
    final = not followed and not consents and not timed
    write(ctx.db, ctx.tenant.id, news, final=final, also=also)
    if timed:
        claims.after_write(ctx, news)
    if consents:
        consent.changed(ctx, news)
    if followed:
        definitions.after_write(ctx, news)
    elif not final and not ctx.db.held:
        ctx.db.commit()


def log_unchanged(ctx: Context, event: str, resource_type: str, head: Version | None) -> None:
    """Log a write that had nothing to change, and end its transaction."""
    rids = [head.rid] if head is not None else []
    ctx.db.run([audit.about(ctx, event, resource_type=resource_type, rids=rids)], final=True)


def check_id(resource: dict[str, Any], resource_type: str, resource_id: str) -> None:
    """The URL's id must be a FHIR id and the one in the body. https://hl7.org/fhir/R4/http.html#update"""
    if not ID.match(resource_id):
        raise Invalid(
            "An id is 1 to 64 characters of A-Z, a-z, 0-9, '-' and '.'.", expression=f"{resource_type}.id", code="value"
        )
    if resource.get("id") != resource_id:
        raise Invalid(
            "The resource must carry the same id as the URL.", expression=f"{resource_type}.id", code="value"
        )


def check_match(head: Version | None, if_match: str | None, if_none_match: str | None) -> None:
    """Compare ETags. https://hl7.org/fhir/R4/http.html#concurrency"""
    exists = head is not None and not head.deleted
    if if_none_match is not None and if_none_match.strip() == "*" and exists:
        raise PreconditionFailed("The resource exists already (If-None-Match: *).", expression="http.If-None-Match")
    if if_match is None:
        return
    wanted = {tag.strip().removeprefix("W/").strip('"') for tag in if_match.split(",")}
    if head is None:
        raise PreconditionFailed("There is no such resource to match (If-Match).", expression="http.If-Match")
    if "*" not in wanted and str(head.version) not in wanted:
        raise PreconditionFailed(
            f"The resource is at version {head.version}, not at the one in If-Match.", expression="http.If-Match"
        )


def as_version(new: NewVersion) -> Version:
    """A version that was just written, as reading it would give it."""
    return Version(
        new.rid, new.version, new.deleted, new.method, new.last_updated, new.ts, new.seq, new.body, new.type_id, new.id
    )  # fmt: skip


def existing(head: Version | None, resource_type: str, resource_id: str) -> Version:
    """The head of a resource that must exist."""
    if head is None or head.deleted or head.hidden:
        raise NotFound(f"{resource_type}/{resource_id} is not known here.")
    return head
