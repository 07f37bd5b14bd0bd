"""Statements that read and lock resources."""

from collections.abc import Callable, Iterable, Sequence

from fhir_server.core.keys import self_key
from fhir_server.storage import wire
from fhir_server.storage.session import Row, Session, Statement
from fhir_server.storage.versions import Version
from fhir_server.storage.writer import Rule, Writer

# From the statement of a page to one that also logs what it gives.
Log = Callable[[Statement], Statement]


def as_it_is(page: Statement) -> Statement:
    """The statement of what is not shown to anybody, and so not logged."""
    return page


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


def read(
    db: Session,
    tenant_id: int,
    type_id: int,
    type_name: str,
    resource_id: str,
    rule: Rule | None = None,
    log: Log = as_it_is,
) -> Version | None:
    """The current version (possibly a deletion), or None when there never was one, or `rule` hides it."""
    params: Sequence[wire.Param] = (tenant_id, self_key(type_name, resource_id), type_id, resource_id)
    sql = _READ
    if rule is not None:
        w = Writer(*params)
        sql, params = f"{_READ} AND {rule(w, 'resource')}", w.params
    rows = db.run([log((sql, params))], final=True)[0]
    return version_of(rows[0]) if rows else None


_VISIBLE = (
    "SELECT 1 FROM resource WHERE tenant_id = $1 AND self_key = $2 AND type_id = $3 AND id = $4 AND NOT deleted"
)


def visible(db: Session, tenant_id: int, type_id: int, type_name: str, resource_id: str, rule: Rule) -> bool:
    """Whether a resource is there and `rule` does not hide it, without reading it."""
    w = Writer(tenant_id, self_key(type_name, resource_id), type_id, resource_id)
    return bool(db.run([(f"{_VISIBLE} AND {rule(w, 'resource')}", w.params)])[0])


_LOCK = (
    f"SELECT {_HEAD_COLUMNS}{{flags}}, CASE WHEN deleted THEN keys END FROM resource"
    " WHERE tenant_id = $1 AND self_key = ANY($2) ORDER BY rid FOR NO KEY UPDATE"
)


def lock(
    db: Session,
    tenant_id: int,
    names: Iterable[tuple[str, str]],
    seen: Rule | None = None,
    changeable: Rule | None = None,
) -> dict[tuple[int, str], Version]:
    """Lock the heads of these (type, id) for writing, in rid order; keyed by (type_id, id); absent ones left out.

    `seen` and `changeable` decide whether a head is `hidden` or `barred`.
    """
    w = Writer(tenant_id, wire.bigints([self_key(*name) for name in names]))
    flags = "".join([f", {rule(w, 'resource')}" if rule else ", true" for rule in (seen, changeable)])
    heads = []
    for row in db.run([(_LOCK.format(flags=flags), w.params)])[0]:
        head = version_of(row)
        head.hidden, head.barred = row[10] != b"t", row[11] != b"t"
        if row[12]:
            head.keys = [int(key) for key in row[12].strip(b"{}").split(b",") if key]
        heads.append(head)
    return {(head.type_id, head.id): head for head in heads}


_VREAD = (
    f"SELECT h.rid, h.version, h.method = 'D' AS deleted, h.method, {_US.format('h.last_updated')}, 0, h.seq,"
    " h.body, r.type_id, r.id FROM resource r JOIN resource_history h ON h.tenant_id = r.tenant_id AND h.rid = r.rid"
    " WHERE r.tenant_id = $1 AND r.self_key = $2 AND r.type_id = $3 AND r.id = $4"
    " AND h.tenant_id = $1 AND h.version = $5{check}"
    f" UNION ALL SELECT {_HEAD_COLUMNS} FROM resource r"
    " WHERE tenant_id = $1 AND self_key = $2 AND type_id = $3 AND id = $4 AND version = $5{check}"
)


def vread(
    db: Session,
    tenant_id: int,
    type_id: int,
    type_name: str,
    resource_id: str,
    version: int,
    rule: Rule | None = None,
    log: Log = as_it_is,
) -> Version | None:
    """One version of a resource, current or superseded; None also when `rule` hides the resource as it is now."""
    w = Writer(tenant_id, self_key(type_name, resource_id), type_id, resource_id, version)
    check = f" AND {rule(w, 'r')}" if rule else ""
    rows = db.run([log((_VREAD.format(check=check), w.params))], final=True)[0]
    return version_of(rows[0]) if rows else None


_BODIES = "SELECT rid, body FROM resource WHERE tenant_id = $1 AND rid = ANY($2) AND NOT deleted"
_BODIES_OF = (
    "SELECT body FROM resource WHERE tenant_id = $1 AND self_key = ANY($2) AND NOT deleted"
)


def bodies(db: Session, tenant_id: int, rids: Sequence[int]) -> list[tuple[int, bytes]]:
    """(rid, JSON text) of the current versions of these rows, without deleted ones, in no order."""
    if not rids:
        return []
    rows = db.run([(_BODIES, (tenant_id, wire.bigints(list(dict.fromkeys(rids)))))])[0]
    return [(int(rid or b"0"), body or b"") for rid, body in rows]


def bodies_of(db: Session, tenant_id: int, names: Sequence[str]) -> list[bytes]:
    """JSON text of the current versions of these `Type/id`, without deleted ones, in no order."""
    if not names:
        return []
    keys = [self_key(*name.split("/", 1)) for name in dict.fromkeys(names)]
    return [row[0] or b"" for row in db.run([(_BODIES_OF, (tenant_id, wire.bigints(keys)))])[0]]
