"""Statements that read the change feed: every committed version once, in the order (xid, seq).

`seq` alone does not do, because a slow writer commits after a fast one that began later. A transaction below
`pg_snapshot_xmin` is finished for good: no row can appear there any more.
https://www.postgresql.org/docs/18/functions-info.html#FUNCTIONS-INFO-SNAPSHOT
"""

from collections.abc import Sequence
from dataclasses import dataclass

from fhir_server.storage import clock, wire
from fhir_server.storage.session import Row, Session

# A place in the feed: everything up to and with this (xid, seq) has been seen.
Position = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Change:
    """A version that was written. `method`: C, U, P or D, as in the history."""

    xid: int
    seq: int
    rid: int
    type_id: int
    version: int
    method: str

    @property
    def position(self) -> Position:
        """The place in the feed right after this change."""
        return self.xid, self.seq


_XMIN = "pg_snapshot_xmin(pg_current_snapshot())"
_COLUMNS = "c.xid, c.seq, c.rid, c.type_id, c.version, c.method"
_AFTER = (
    " FROM change c WHERE c.tenant_id = $1 AND c.xid >= $2::xid8 AND (c.xid, c.seq) > ($2::xid8, $3::bigint){until}"
    " ORDER BY c.xid, c.seq LIMIT $4"
)
_READ = f"SELECT {_COLUMNS}" + _AFTER.format(until=f" AND c.xid < {_XMIN}")
_VISIBLE = f"SELECT {_COLUMNS}" + _AFTER.format(until="")
_END = f"SELECT {_XMIN}, pg_snapshot_xmax(pg_current_snapshot()) WHERE $1::integer IS NOT NULL"


def change_of(row: Row) -> Change:
    """A row of the columns of a change."""
    xid, seq, rid, type_id, version, method = (value or b"" for value in row[:6])
    return Change(int(xid), int(seq), int(rid), int(type_id), int(version), method.decode())


def read(db: Session, tenant_id: int, after: Position, limit: int) -> list[Change]:
    """The next changes of finished transactions, in feed order.

    Of one resource a later version can stand before an earlier one: its transaction began first and waited for the
    other's lock.
    """
    rows = db.run([(_READ, (tenant_id, str(after[0]), after[1], limit))], final=True)[0]
    return [change_of(row) for row in rows]


def visible(db: Session, tenant_id: int, after: Position, limit: int) -> tuple[list[Change], Position]:
    """The next committed changes, and the end of the feed when they were asked for: up to it they are settled.

    What is not settled is final too, but something may still appear before it, so the next call has to begin at the
    last settled place again. This is how a watcher need not wait for others' long transactions.
    """
    # In this order: what the end stands behind is visible to the second statement.
    asked = [(_END, (tenant_id,)), (_VISIBLE, (tenant_id, str(after[0]), after[1], limit))]
    (last,), rows = db.run(asked, final=True)
    return [change_of(row) for row in rows], _before(last[0])


def end(db: Session, tenant_id: int) -> tuple[Position, int]:
    """The end of the feed (all of what may still appear stands after it), and the first transaction number that is not
    given yet."""
    first, following = db.run([(_END, (tenant_id,))], final=True)[0][0]
    return _before(first), int(following or 0)


def _before(first: bytes | None) -> Position:
    # All that there will ever be of earlier transactions than the first open one was written before now.
    return int(first or 0) - 1, clock.tick()


# -- contents ----------------------------------------------------------------------------------------------------------

_BODY = "(SELECT body FROM resource_history WHERE tenant_id = $1 AND rid = n.rid AND version = n.version{0} OFFSET 0)"
_FROM = (
    " FROM unnest($2::bigint[], $3::int[]) WITH ORDINALITY AS n(rid, version, number)"
    " CROSS JOIN LATERAL (SELECT * FROM resource WHERE tenant_id = $1 AND rid = n.rid OFFSET 0) r"
)
_BODIES = (
    f"SELECT n.number, {_BODY.format(' - 1')}, CASE WHEN r.version = n.version THEN r.body"
    f" ELSE {_BODY.format('')} END, r.id{_FROM}"
)
# What a watcher is judged by: the keys of the resource as it is now, and what it was before.
_HEADS = (
    "SELECT n.number, r.id, r.self_key, r.deleted, (extract(epoch FROM r.ts) * 1000000)::bigint, r.keys,"
    f" {_BODY.format(' - 1')}, CASE WHEN r.version <> n.version THEN {_BODY.format('')} END{_FROM}"
)


@dataclass(frozen=True, slots=True)
class Bodies:
    """The JSON texts of a change: the version itself and the one before; None where there was none or it was deleted.
    `id`: the resource's."""

    id: str
    before: bytes | None
    after: bytes | None


def bodies(db: Session, tenant_id: int, changes: Sequence[Change]) -> dict[Change, Bodies]:
    """What changes wrote and what stood there before, in one statement. Erased resources are left out."""
    found = {}
    for number, before, after, id_ in _of_each(db, tenant_id, _BODIES, changes):
        found[changes[int(number or 0) - 1]] = Bodies((id_ or b"").decode(), before or None, after or None)
    return found


@dataclass(frozen=True, slots=True)
class Head:
    """The resource of a change as it is now: `keys` and `ts` (microseconds since 1970) say who may see it. `past`: the
    JSON texts of the changed version, where it is not the present one, and of the version before it."""

    id: str
    self_key: int
    deleted: bool
    ts: int
    keys: frozenset[int]
    past: tuple[bytes, ...]


def heads(db: Session, tenant_id: int, changes: Sequence[Change]) -> dict[Change, Head]:
    """The resources of changes. Erased ones are left out."""
    found = {}
    for number, id_, own, deleted, ts, keys, *past in _of_each(db, tenant_id, _HEADS, changes):
        text = (keys or b"").strip(b"{}")
        found[changes[int(number or 0) - 1]] = Head(
            (id_ or b"").decode(), int(own or 0), deleted == b"t", int(ts or 0),
            frozenset(map(int, text.split(b","))) if text else frozenset(), tuple(body for body in past if body),
        )  # fmt: skip
    return found


def _of_each(db: Session, tenant_id: int, sql: str, changes: Sequence[Change]) -> list[Row]:
    if not changes:
        return []
    rids, versions = wire.bigints([c.rid for c in changes]), wire.integers([c.version for c in changes])
    return db.run([(sql, (tenant_id, rids, versions))], final=True)[0]
