"""Statements of sealing the audit log and of checking the seals.

Rows are sealed in the order of their transactions' numbers. A transaction below `pg_snapshot_xmin` is finished for
good: no row can appear there any more, so an interval of such numbers is complete when it is sealed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from fhir_server.core.keys import key64
from fhir_server.storage import wire
from fhir_server.storage.session import Row, Session, Statement

# The fields that a seal covers, as text; sealed detail in hexadecimal.
_ROW = (
    "a.tenant_id, a.xid, a.seq, a.event, a.outcome, a.type_id, a.rids, a.agent, a.client_id, a.purpose, a.request_id,"
    " a.key_id, encode(a.sealed, 'hex')"
)
XID, SEQ, EVENT, RIDS, SEALED = 1, 2, 3, 6, 12


@dataclass(frozen=True, slots=True)
class Link:
    """A link of the chain: the rows of the transactions from `from_xid` up to (without) `to_xid`."""

    number: int
    from_xid: int
    to_xid: int
    events: int
    previous: bytes
    hash: bytes
    signature: bytes
    key_name: str


_LINK = (
    "SELECT number, from_xid, to_xid, events, encode(previous, 'hex'), encode(hash, 'hex'), encode(signature, 'hex'),"
    " key_name FROM audit_seal WHERE tenant_id = $1"
)


def _link(row: Row) -> Link:
    number, start, end, events, previous, digest, signature, name = ((v or b"").decode() for v in row)
    return Link(
        int(number), int(start), int(end), int(events), bytes.fromhex(previous), bytes.fromhex(digest),
        bytes.fromhex(signature), name,
    )  # fmt: skip


_TRY = "SELECT pg_try_advisory_xact_lock($1)"


def take(db: Session, tenant_id: int) -> tuple[bool, Link | None]:
    """Take the tenant's lock of sealing until the transaction ends; whether that worked, and the last link."""
    key = key64(f"{tenant_id}|audit seal")
    held, last = db.run([(_TRY, (key,)), (f"{_LINK} ORDER BY number DESC LIMIT 1", (tenant_id,))])
    return held[0][0] == b"t", _link(last[0]) if last else None


_READY = (
    f"SELECT {_ROW}, pg_snapshot_xmin(pg_current_snapshot()) FROM audit a WHERE a.tenant_id = $1 AND a.xid >= $2::xid8"
    " AND a.xid < pg_snapshot_xmin(pg_current_snapshot()) ORDER BY a.xid, a.seq LIMIT $3"
)


def ready(db: Session, tenant_id: int, from_xid: int, limit: int) -> list[Row]:
    """Rows of finished transactions from `from_xid` on, in order; the column after a row's own is the first
    transaction that is not finished."""
    return db.run([(_READY, (tenant_id, str(from_xid), limit))], custom=True)[0]


_BETWEEN = (
    f"SELECT {_ROW} FROM audit a WHERE a.tenant_id = $1 AND (a.xid, a.seq) > ($2::xid8, $3::bigint)"
    " AND a.xid >= $2::xid8 AND a.xid < $4::xid8 ORDER BY a.xid, a.seq LIMIT $5"
)


def between(db: Session, tenant_id: int, after: tuple[int, int], to_xid: int, limit: int) -> list[Row]:
    """Rows after `(xid, seq)` and before the transaction `to_xid`, in order."""
    return db.run([(_BETWEEN, (tenant_id, str(after[0]), after[1], str(to_xid), limit))], custom=True)[0]


_ADD = (
    "INSERT INTO audit_seal (tenant_id, number, from_xid, to_xid, events, previous, hash, signature, key_name)"
    " VALUES ($1, $2, $3::xid8, $4::xid8, $5, $6, $7, $8, $9)"
)
_ADD_PATIENTS = (
    "INSERT INTO audit_patient (tenant_id, patient, seq, xid) SELECT $1, patient, seq, xid::xid8"
    " FROM unnest($2::bigint[], $3::bigint[], $4::text[]) AS n(patient, seq, xid) ON CONFLICT DO NOTHING"
)


def add(db: Session, tenant_id: int, link: Link, patients: Sequence[tuple[int, int, int]]) -> None:
    """Store a link and which patients its rows concern, `(patient key, seq, xid)`; the transaction stays open."""
    statements: list[Statement] = [
        (
            _ADD,
            (
                tenant_id, link.number, str(link.from_xid), str(link.to_xid), link.events, wire.Binary(link.previous),
                wire.Binary(link.hash), wire.Binary(link.signature), link.key_name,
            ),
        )
    ]  # fmt: skip
    if patients:
        keys, seqs, xids = zip(*patients, strict=True)
        columns = (wire.bigints(keys), wire.bigints(seqs), wire.texts([str(xid) for xid in xids]))
        statements.append((_ADD_PATIENTS, (tenant_id, *columns)))
    db.run(statements)


def links(db: Session, tenant_id: int) -> list[Link]:
    """The whole chain, in order."""
    return [_link(row) for row in db.run([(f"{_LINK} ORDER BY number", (tenant_id,))])[0]]


_UNSEALED = "SELECT count(*) FROM audit WHERE tenant_id = $1 AND xid >= $2::xid8"
_WAITING = (
    "SELECT EXISTS (SELECT FROM audit WHERE tenant_id = $1 AND xid >= coalesce((SELECT to_xid FROM audit_seal"
    " WHERE tenant_id = $1 ORDER BY number DESC LIMIT 1), '0'::xid8) AND xid < pg_snapshot_xmin(pg_current_snapshot()))"
)


def unsealed(db: Session, tenant_id: int, to_xid: int) -> int:
    """How many rows are not sealed yet, when the last link ends before `to_xid`."""
    return int(db.run([(_UNSEALED, (tenant_id, str(to_xid)))])[0][0][0] or 0)


def waiting(db: Session, tenant_id: int) -> bool:
    """Whether there are rows to seal."""
    return db.run([(_WAITING, (tenant_id,))], final=True)[0][0][0] == b"t"
