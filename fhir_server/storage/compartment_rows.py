"""Statements of $everything: a compartment in index order, and what its resources refer to.

A member stands under exactly one key (compartment and type), so an ordered walk of those keys meets it once. Columns of
a row: `key, ts (µs), rid, type_id, id, body`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from fhir_server.core.keys import self_key
from fhir_server.storage import wire
from fhir_server.storage.resources import Log, as_it_is
from fhir_server.storage.session import Row, Session, Statement
from fhir_server.storage.writer import Rule, Writer


@dataclass(frozen=True, slots=True)
class Members:
    """Which members are wanted. `keys`: compartment keys, one per type; `since`: µs; `period`: [lo, hi) in µs that the
    dates of the parameters `dates` must meet where a resource has them; `rule`: which rows may be seen."""

    keys: Sequence[int]
    since: int | None = None
    period: tuple[int, int] | None = None
    dates: Sequence[int] = ()
    rule: Rule | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page of members ended."""

    key: int
    ts: int
    rid: int


_FOCUS = (
    "SELECT rid, deleted, version, (extract(epoch FROM last_updated) * 1000000)::bigint, body FROM resource"
    " WHERE tenant_id = $1 AND self_key = $2 AND type_id = $3 AND id = $4"
)


@dataclass(frozen=True, slots=True)
class Focus:
    """The resource whose compartment it is."""

    rid: int
    deleted: bool
    version: int
    last_updated: int
    body: bytes


def first_page(
    db: Session, tenant_id: int, focus: tuple[int, str, str], rule: Rule | None, members: Members, limit: int
) -> tuple[Focus | None, list[Row]]:
    """The compartment's own resource (type id, type, id) as it stands (None: none is to be seen), and first rows."""
    type_id, name, resource_id = focus
    w = Writer(tenant_id, self_key(name, resource_id), type_id, resource_id)
    own = _FOCUS + (f" AND {rule(w, 'resource')}" if rule else "")
    found, rows = db.run([(own, w.params), _page(tenant_id, members, None, limit)])
    if not found:
        return None, rows
    rid, deleted, version, last_updated, body = (value or b"" for value in found[0])
    return Focus(int(rid), deleted == b"t", int(version), int(last_updated), body), rows


def next_page(db: Session, tenant_id: int, members: Members, after: Place | None, limit: int) -> list[Row]:
    """The rows after a place, from the first one for None."""
    return db.run([_page(tenant_id, members, after, limit)])[0]


def referenced(
    db: Session,
    tenant_id: int,
    rids: Sequence[int],
    sources: Members | None,
    shown: Members,
    types: Sequence[int],
    *,
    without: Sequence[int],
    after: int,
    limit: int,
    log: Log = as_it_is,
) -> list[Row]:
    """Resources of `types` that the rids and the `sources` refer to, by rid, each once, under the `since` and
    the rule of `shown`; those that have a key of `without` are left out."""
    w = Writer(tenant_id)
    origin = f"SELECT unnest({w.p(wire.bigints(rids), 'bigint[]')}) AS rid"
    if sources is not None:
        origin += (
            f" UNION SELECT m.rid FROM ({_walk(w, sources, None)}) m"
            f" CROSS JOIN LATERAL ({_row(w, sources, 'm.rid', '1')}) r"
        )
    checks = _visible(w, shown)
    if without:
        checks += f" AND NOT z.keys && {w.p(wire.bigints(without), 'bigint[]')}"
    sql = (
        "SELECT 0, 0, r.rid, r.type_id, r.id, r.body FROM (SELECT DISTINCT f.target FROM"
        f" ({origin}) s CROSS JOIN LATERAL"
        " (SELECT target FROM reference WHERE tenant_id = $1 AND rid = s.rid OFFSET 0) f) x"
        " CROSS JOIN LATERAL (SELECT z.rid, z.type_id, z.id, z.body FROM resource z WHERE z.tenant_id = $1"
        f" AND z.self_key = x.target AND NOT z.deleted{checks} OFFSET 0) r"
        f" WHERE r.type_id = ANY({w.p(wire.smallints(types), 'smallint[]')}) AND r.rid > {w.p(after, 'bigint')}"
        f" ORDER BY r.rid LIMIT {w.p(limit, 'int')}"
    )
    return db.run([log((sql, w.params))], final=True)[0]


def _page(tenant_id: int, members: Members, after: Place | None, limit: int) -> Statement:
    w = Writer(tenant_id)
    sql = (
        "SELECT m.key, (extract(epoch FROM m.ts) * 1000000)::bigint, m.rid, r.type_id, r.id, r.body FROM"
        f" ({_walk(w, members, after)} ORDER BY key, ts, rid OFFSET 0) m"
        f" CROSS JOIN LATERAL ({_row(w, members, 'm.rid', 'z.type_id, z.id, z.body')}) r"
        f" ORDER BY m.key, m.ts, m.rid LIMIT {w.p(limit, 'int')}"
    )
    return sql, w.params


def _walk(w: Writer, members: Members, after: Place | None) -> str:
    keys = w.p(wire.bigints(members.keys), "bigint[]")
    sql = f"SELECT key, ts, rid FROM token WHERE tenant_id = $1 AND key = ANY({keys})"
    if after is not None:
        place = (
            f"{w.p(after.key, 'bigint')}, {w.p(wire.timestamp(after.ts), 'timestamptz')}, {w.p(after.rid, 'bigint')}"
        )
        sql += f" AND (key, ts, rid) > ({place})"
    return sql


def _row(w: Writer, members: Members, rid: str, columns: str) -> str:
    return (
        f"SELECT {columns} FROM resource z WHERE z.tenant_id = $1 AND z.rid = {rid} AND NOT z.deleted"
        f"{_visible(w, members)}{_within(w, members)} OFFSET 0"
    )


def _visible(w: Writer, members: Members) -> str:
    sql = ""
    if members.since is not None:
        sql += f" AND z.last_updated >= {w.p(wire.timestamp(members.since), 'timestamptz')}"
    if members.rule is not None:
        sql += f" AND {members.rule(w, 'z')}"
    return sql


def _within(w: Writer, members: Members) -> str:
    if members.period is None:
        return ""
    lo, hi = (w.p(wire.timestamp(us), "timestamptz") for us in members.period)
    dates = (
        "SELECT 1 FROM date d WHERE d.tenant_id = $1 AND d.rid = z.rid"
        f" AND d.param = ANY({w.p(wire.integers(members.dates), 'int[]')})"
    )
    return f" AND (EXISTS ({dates} AND d.lo < {hi} AND d.hi > {lo}) OR NOT EXISTS ({dates}))"
