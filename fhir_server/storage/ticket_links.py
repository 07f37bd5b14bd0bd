"""Statements on the secret links of tickets, found by the SHA-256 of the secret."""

from datetime import datetime

from fhir_server.storage import wire
from fhir_server.storage.session import Session, Statement

_SAVE = "INSERT INTO ticket_link (tenant_id, hash, rid, expires_at) VALUES ($1, $2, $3, $4)"
_FIND = "SELECT rid FROM ticket_link WHERE tenant_id = $1 AND hash = $2 AND expires_at > $3"
_MOVE = "UPDATE ticket_link SET rid = $3 WHERE tenant_id = $1 AND rid = $2"
_SWEEP = (
    "DELETE FROM ticket_link WHERE tenant_id = $1 AND hash IN (SELECT hash FROM ticket_link WHERE tenant_id = $1"
    " AND expires_at < now() LIMIT 500)"
)


def save(tenant_id: int, digest: bytes, rid: int, expires_at: datetime) -> Statement:
    """The statement that keeps a new link to the Task in row `rid`."""
    return _SAVE, (tenant_id, wire.Binary(digest), rid, _timestamp(expires_at))


def find(db: Session, tenant_id: int, digest: bytes, now: datetime) -> int | None:
    """The row of the Task that a link leads to, or None when there is no such link or it has expired."""
    rows = db.run([(_FIND, (tenant_id, wire.Binary(digest), _timestamp(now)))])[0]
    return int(rows[0][0] or b"0") if rows else None


def move(tenant_id: int, rid: int, to: int) -> Statement:
    """The statement that lets the links of a ticket lead to the one that replaces it."""
    return _MOVE, (tenant_id, rid, to)


def sweep(tenant_id: int) -> list[Statement]:
    """Statements that delete expired links, some at a time."""
    return [(_SWEEP, (tenant_id,))]


def _timestamp(at: datetime) -> wire.Binary:
    return wire.timestamp(round(at.timestamp() * 1_000_000))
