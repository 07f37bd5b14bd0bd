"""From a resource to the version that will be stored: id, meta, JSON text, index rows. No I/O."""

import uuid
from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.dates import format_instant
from fhir_server.core.keys import gone_among, gone_key, self_key
from fhir_server.core.resource_json import decode, encode, encode_sorted
from fhir_server.search.extract import extract
from fhir_server.search.rows import IndexRows
from fhir_server.storage import clock
from fhir_server.storage.versions import NewVersion, Version

CREATE, UPDATE, PATCH, DELETE = "C", "U", "P", "D"


def new_id() -> str:
    """An id for a resource that the server names."""
    return str(uuid.uuid4())


def stage(
    ctx: Context,
    resource: dict[str, Any],
    resource_id: str,
    *,
    head: Version | None = None,
    before: dict[str, Any] | None = None,
    method: str = CREATE,
) -> NewVersion:
    """The next version of `resource`, which is valid and carries no urn or conditional references any more.

    `before` is the content of `head`, None when that is a deletion.
    """
    resource_type = resource["resourceType"]
    seq = _next_seq(head) if head else clock.tick()
    last_updated = clock.micros(seq) // 1000 * 1000
    version = head.version + 1 if head else 1
    rid = head.rid if head else seq
    stored = with_meta(resource, resource_id, version, last_updated)
    rows = extract(ctx.registry, stored, ctx.base)
    return NewVersion(
        type_id=ctx.registry.type_ids[resource_type],
        self_key=self_key(resource_type, resource_id),
        id=resource_id,
        rid=rid,
        version=version,
        deleted=False,
        method=method,
        last_updated=last_updated,
        ts=clock.micros(rid) if rows.ts is None else rows.ts,
        seq=seq,
        body=encode(stored),
        index=rows,
        old=head,
        old_index=_old_index(ctx, head, before),
    )


def _old_index(ctx: Context, head: Version | None, before: dict[str, Any] | None) -> IndexRows | None:
    if before is not None:
        return extract(ctx.registry, before, ctx.base)
    return IndexRows(tokens=gone_among(head.keys)) if head is not None else None


def stage_deletion(ctx: Context, head: Version) -> NewVersion:
    """The version that says: deleted. It has no body, keeps the keys by which it is decided who may know of it, and has
    index rows for the history of a record only."""
    seq = _next_seq(head)
    before = extract(ctx.registry, decode(head.body), ctx.base)
    gone = [gone_key(key) for key in dict.fromkeys(before.records)]
    resource_type = ctx.registry.type_names[head.type_id]
    return NewVersion(
        type_id=head.type_id,
        self_key=self_key(resource_type, head.id),
        id=head.id,
        rid=head.rid,
        version=head.version + 1,
        deleted=True,
        method=DELETE,
        last_updated=clock.micros(seq) // 1000 * 1000,
        ts=head.ts,
        seq=seq,
        body=b"",
        index=IndexRows(keys=[*before.keys, *gone], tokens=gone),
        old=head,
        old_index=before,
    )


def _next_seq(head: Version) -> int:
    # lastUpdated is shown in milliseconds and must grow from version to version.
    return clock.tick(max(head.seq, clock.first_seq(head.last_updated + 1000)))


def with_meta(resource: dict[str, Any], resource_id: str, version: int, last_updated: int) -> dict[str, Any]:
    """The resource with its server-set id, versionId and lastUpdated; everything else as the client wrote it."""
    meta = {
        **resource.get("meta", {}),
        "versionId": str(version),
        "lastUpdated": format_instant(last_updated),
    }
    stored = {"resourceType": resource["resourceType"], "id": resource_id, "meta": meta}
    stored.update((name, value) for name, value in resource.items() if name not in stored)
    return stored


def unchanged(before: dict[str, Any], resource: dict[str, Any]) -> bool:
    """Whether `resource` says nothing that the stored `before` does not say, to the last digit of its decimals.

    The order of JSON properties does not count, and neither do versionId and lastUpdated.
    """
    version, last_updated = before["meta"]["versionId"], before["meta"]["lastUpdated"]
    meta = {**resource.get("meta", {}), "versionId": version, "lastUpdated": last_updated}
    proposed = {**resource, "id": before["id"], "meta": meta}
    return before == proposed and encode_sorted(before) == encode_sorted(proposed)
