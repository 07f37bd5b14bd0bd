"""Statements that read and lock resources."""

from collections.abc import Iterable

from fhir_server.core.keys import self_key
from fhir_server.storage import wire
from fhir_server.storage.session import Row, Session
from fhir_server.storage.versions import Version

_US = "(extract(epoch FROM {0}) * 1000000)::bigint"
_HEAD_COLUMNS = (
    f"rid, version, deleted, method, {_US.format('last_updated')}, {_US.format('ts')}, seq, body, type_id, id"
)


def version_of(row: Row) -> Version:
    """A row of the head columns as a `Version`."""
    rid, version, deleted, method, last_updated, ts, seq, body, type_id, id_ = (v or b"" for v in row[:10])
    return Version(
        int(rid), int(version), deleted == b"t", method.decode(), int(last_updated), int(ts), int(seq), body,
        int(type_id), id_.decode(),
    )  # fmt: skip


_READ = (
    f"SELECT {_HEAD_COLUMNS} FROM resource WHERE tenant_id = $1 AND self_key = $2 AND type_id = $3 AND id = $4"
)


def read(db: Session, tenant_id: int, type_id: int, type_name: str, resource_id: str) -> Version | None:
    """The current version (possibly a deletion), or None when there never was one."""
    rows = db.run([(_READ, (tenant_id, self_key(type_name, resource_id), type_id, resource_id))], final=True)[0]
    return version_of(rows[0]) if rows else None


_LOCK = (
    f"SELECT {_HEAD_COLUMNS} FROM resource WHERE tenant_id = $1 AND self_key = ANY($2)"
    " ORDER BY rid FOR NO KEY UPDATE"
)


def lock(db: Session, tenant_id: int, names: Iterable[tuple[str, str]]) -> dict[tuple[int, str], Version]:
    """Lock the heads of these (type, id) for writing, in rid order; keyed by (type_id, id); absent ones left out."""
    wanted = wire.bigints([self_key(*name) for name in names])
    heads = [version_of(row) for row in db.run([(_LOCK, (tenant_id, wanted))])[0]]
    return {(head.type_id, head.id): head for head in heads}


_VREAD = (
    f"SELECT h.rid, h.version, h.body = '', h.method, {_US.format('h.last_updated')}, 0, h.seq,"
    " h.body, r.type_id, r.id FROM resource r JOIN resource_history h ON h.tenant_id = r.tenant_id AND h.rid = r.rid"
    " WHERE r.tenant_id = $1 AND r.self_key = $2 AND r.type_id = $3 AND r.id = $4"
    " AND h.tenant_id = $1 AND h.version = $5"
    f" UNION ALL SELECT {_HEAD_COLUMNS} FROM resource"
    " WHERE tenant_id = $1 AND self_key = $2 AND type_id = $3 AND id = $4 AND version = $5"
)


def vread(
    db: Session, tenant_id: int, type_id: int, type_name: str, resource_id: str, version: int
) -> Version | None:
    """One version of a resource, current or superseded."""
    args = (tenant_id, self_key(type_name, resource_id), type_id, resource_id, version)
    rows = db.run([(_VREAD, args)], final=True)[0]
    return version_of(rows[0]) if rows else None
