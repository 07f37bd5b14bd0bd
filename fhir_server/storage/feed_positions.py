"""Statements on the readers of the change feed: how far each has come, and what it set aside (0006_events.sql)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from fhir_server.core.keys import key64
from fhir_server.storage import changes, clock, wire
from fhir_server.storage.changes import Change, Position, change_of
from fhir_server.storage.session import Session

_ARGUMENTS = "WHERE tenant_id = $1 AND reader = $2"
_SETTLED = (
    "c.tenant_id = $1 AND c.xid >= p.xid AND (c.xid, c.seq) > (p.xid, p.seq)"
    " AND c.xid < pg_snapshot_xmin(pg_current_snapshot())"
)
_DUE = (
    "SELECT p.reader, (p.retry_at IS NULL OR p.retry_at <= $3::timestamptz)"
    f" AND EXISTS (SELECT FROM change c WHERE {_SETTLED}),"
    " EXISTS (SELECT FROM feed_parked k WHERE k.tenant_id = $1 AND k.reader = p.reader AND k.retry_at <= $3)"
    " FROM feed_position p WHERE p.tenant_id = $1 AND p.reader = ANY($2::text[])"
)
_START = (
    "INSERT INTO feed_position (tenant_id, reader, xid, seq) VALUES ($1, $2, $3::xid8, $4) ON CONFLICT DO NOTHING"
)
# Not a lock on the row: that would take a transaction number at once, and all readers of the feed would wait behind it.
_TRY = "SELECT pg_try_advisory_xact_lock($1)"
_POSITION = f"SELECT xid, seq, failures, alone_xid, alone_seq FROM feed_position {_ARGUMENTS}"
_SAVE = (
    "UPDATE feed_position SET xid = $3::xid8, seq = $4, failures = 0, retry_at = NULL, changed_at = now()"
    f" {_ARGUMENTS}"
)
# Up to the first change of a type that the reader wants. A reader that failed lately goes on change by change. Who
# moved the reader meanwhile wins.
_SKIP = (
    "UPDATE feed_position p SET xid = s.xid, seq = s.seq, changed_at = now() FROM ("
    " SELECT p.reader, p.xid AS old_xid, p.seq AS old_seq, n.xid, n.seq"
    " FROM jsonb_each($2::jsonb) AS w(reader, types) JOIN feed_position p ON p.tenant_id = $1 AND p.reader = w.reader"
    " CROSS JOIN LATERAL (SELECT f.xid, f.seq FROM (SELECT c.xid, c.seq,"
    "  bool_or(w.types @> to_jsonb(c.type_id)) OVER (ORDER BY c.xid, c.seq) AS wanted"
    f"  FROM (SELECT c.xid, c.seq, c.type_id FROM change c WHERE {_SETTLED} ORDER BY c.xid, c.seq LIMIT $3) c) f"
    "  WHERE NOT f.wanted ORDER BY f.xid DESC, f.seq DESC LIMIT 1) n WHERE p.failures = 0) s"
    " WHERE p.tenant_id = $1 AND p.reader = s.reader AND p.xid = s.old_xid AND p.seq = s.old_seq"
)
_FAILED = (
    "UPDATE feed_position SET failures = failures + 1, retry_at = $3, alone_xid = $4::xid8, alone_seq = $5,"
    f" changed_at = now() {_ARGUMENTS}"
)
_PARK = (
    "INSERT INTO feed_parked AS k (tenant_id, reader, xid, seq, error, retry_at)"
    " VALUES ($1, $2, $3::xid8, $4, $5, $6::timestamptz)"
    " ON CONFLICT (tenant_id, reader, xid, seq) DO UPDATE"
    " SET attempts = k.attempts + 1, error = excluded.error, retry_at = excluded.retry_at"
)
_PARKED = (
    "SELECT c.xid, c.seq, c.rid, c.type_id, c.version, c.method, k.attempts FROM feed_parked k"
    " JOIN change c ON c.tenant_id = $1 AND c.seq = k.seq"
    " WHERE k.tenant_id = $1 AND k.reader = $2 AND k.retry_at <= $3::timestamptz ORDER BY k.retry_at LIMIT 1"
)
_UNPARK = "DELETE FROM feed_parked WHERE tenant_id = $1 AND reader = $2 AND xid = $3::xid8 AND seq = $4"
_STATE = (
    "SELECT p.reader, p.failures, (SELECT count(*) FROM feed_parked k WHERE k.tenant_id = $1 AND k.reader = p.reader),"
    f" (SELECT c.seq FROM change c WHERE {_SETTLED} ORDER BY c.xid, c.seq LIMIT 1)"
    " FROM feed_position p WHERE p.tenant_id = $1 ORDER BY p.reader"
)


@dataclass(frozen=True, slots=True)
class Taken:
    """Where a reader stands that is locked for us. `alone`: up to where changes are given one by one."""

    position: Position
    failures: int
    alone: Position


@dataclass(frozen=True, slots=True)
class State:
    """How a reader is doing. `waiting_since`: when what it has not seen yet began (microseconds since 1970), or None;
    `failures` in a row; `parked`: changes set aside."""

    reader: str
    failures: int
    parked: int
    waiting_since: int | None


def due(db: Session, tenant_id: int, readers: Sequence[str], now: datetime) -> tuple[list[str], list[str]]:
    """Of these readers, those that have something to read, and those that have a parked change to try again. Readers
    that are new begin here: at the end of the feed."""
    values = (tenant_id, wire.texts(readers), now.isoformat())
    rows = db.run([(_DUE, values)], final=True)[0]
    known = {(row[0] or b"").decode(): row for row in rows}
    for reader in readers:
        if reader not in known:
            (xid, seq), _ = changes.end(db, tenant_id)
            db.run([(_START, (tenant_id, reader, str(xid), seq))], final=True)
    ready = [reader for reader in readers if reader in known]
    return [each for each in ready if known[each][1] == b"t"], [each for each in ready if known[each][2] == b"t"]


def skip(db: Session, tenant_id: int, wanted: Mapping[str, Sequence[int]], limit: int) -> None:
    """Move readers past the next changes, at most `limit`, that they do not want to be told of. `wanted`: type ids by
    reader."""
    types = msgspec.json.encode(wanted).decode()
    db.run([(_SKIP, (tenant_id, types, limit))], final=True)


def take(db: Session, tenant_id: int, reader: str) -> Taken | None:
    """Lock a reader until the transaction ends and say where it stands; None when another process is at it."""
    lock = key64(f"{tenant_id}|feed|{reader}")
    held, rows = db.run([(_TRY, (lock,)), (_POSITION, (tenant_id, reader))])
    if held[0][0] != b"t" or not rows:
        return None
    xid, seq, failures, alone_xid, alone_seq = (int(value or 0) for value in rows[0])
    return Taken((xid, seq), failures, (alone_xid, alone_seq))


def save(db: Session, tenant_id: int, reader: str, position: Position) -> None:
    """Move a reader on; its failures are over. The transaction stays open."""
    db.run([(_SAVE, (tenant_id, reader, str(position[0]), position[1]))])


def failed(db: Session, tenant_id: int, reader: str, retry_at: datetime, alone: Position) -> None:
    """Count a failure: nobody tries before `retry_at`; up to `alone`, changes are then given one by one."""
    db.run([(_FAILED, (tenant_id, reader, retry_at.isoformat(), str(alone[0]), alone[1]))], final=True)


def park(
    db: Session, tenant_id: int, reader: str, change: Change, error: str, retry_at: datetime | None
) -> None:
    """Set a change aside, or count one more attempt at it. `retry_at` None: it is not tried again by itself."""
    until = None if retry_at is None else retry_at.isoformat()
    db.run([(_PARK, (tenant_id, reader, str(change.xid), change.seq, error, until))])


def parked(db: Session, tenant_id: int, reader: str, now: datetime) -> tuple[Change, int] | None:
    """A change that was set aside and is due to be tried again, and how often it was tried."""
    rows = db.run([(_PARKED, (tenant_id, reader, now.isoformat()))])[0]
    return (change_of(rows[0]), int(rows[0][6] or 0)) if rows else None


def unpark(db: Session, tenant_id: int, reader: str, change: Change) -> None:
    """Forget a parked change: it was dealt with. The transaction stays open."""
    db.run([(_UNPARK, (tenant_id, reader, str(change.xid), change.seq))])


def states(db: Session, tenant_id: int) -> list[State]:
    """How every reader of the tenant is doing, by name."""
    found = []
    for reader, failures, set_aside, seq in db.run([(_STATE, (tenant_id,))], final=True)[0]:
        since = None if seq is None else clock.micros(int(seq))
        found.append(State((reader or b"").decode(), int(failures or 0), int(set_aside or 0), since))
    return found
