"""Statements on the tickets of event streams, and on the tokens that open streams rest on."""

from collections.abc import Collection

from fhir_server.storage import wire
from fhir_server.storage.session import Session, Statement

_SAVE = (
    "INSERT INTO event_ticket (tenant_id, hash, token, expires_at)"
    " VALUES ($1, $2, $3, now() + make_interval(secs => $4::integer))"
)
_USE = (
    "UPDATE event_ticket SET expires_at = now() + make_interval(secs => $3::integer)"
    " WHERE tenant_id = $1 AND hash = $2 AND expires_at > now() RETURNING encode(token, 'hex')"
)
_KEEP = (
    "UPDATE event_ticket SET expires_at = now() + make_interval(secs => $3::integer)"
    " WHERE tenant_id = $1 AND hash = ANY($2::bytea[])"
)
_VALID = (
    "SELECT encode(hash, 'hex'), stamp FROM access_token"
    " WHERE tenant_id = $1 AND hash = ANY($2::bytea[]) AND revoked_at IS NULL AND expires_at > now()"
)
_SWEEP = (
    "DELETE FROM event_ticket WHERE tenant_id = $1 AND hash IN (SELECT hash FROM event_ticket WHERE tenant_id = $1"
    " AND expires_at < now() ORDER BY expires_at LIMIT 1000 FOR UPDATE SKIP LOCKED)"
)


def save(tenant_id: int, digest: bytes, token_hash: bytes, seconds: int) -> Statement:
    """The statement that keeps the digest of a new ticket, which stands for a token."""
    return _SAVE, (tenant_id, wire.Binary(digest), wire.Binary(token_hash), seconds)


def use(db: Session, tenant_id: int, digest: bytes, seconds: int) -> bytes | None:
    """The hash of the token that a ticket stands for, which from now on is good for so many seconds more; None for a
    ticket that is not there or has expired."""
    rows = db.run([(_USE, (tenant_id, wire.Binary(digest), seconds))], final=True)[0]
    return bytes.fromhex((rows[0][0] or b"").decode()) if rows else None


def keep(db: Session, tenant_id: int, digests: Collection[bytes], seconds: int) -> None:
    """Let tickets live on whose streams are open."""
    db.run([(_KEEP, (tenant_id, _array(digests), seconds))], final=True)


def valid(db: Session, tenant_id: int, hashes: Collection[bytes]) -> dict[bytes, int]:
    """Of access tokens, those that are valid now, with the stamp of their rights."""
    rows = db.run([(_VALID, (tenant_id, _array(hashes)))], final=True)[0]
    return {bytes.fromhex((row[0] or b"").decode()): int(row[1] or 0) for row in rows}


def sweep(tenant_id: int) -> Statement:
    """The statement that deletes expired tickets, a thousand at a time."""
    return _SWEEP, (tenant_id,)


def _array(values: Collection[bytes]) -> str:
    return "{" + ",".join([f'"\\\\x{value.hex()}"' for value in values]) + "}"
