"""Statements on the answers that are kept for requests with an Idempotency-Key."""

from dataclasses import dataclass

from fhir_server.storage import wire
from fhir_server.storage.session import Session, Statement

KEPT_HOURS = 24


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered to a request (given as a digest) under a key."""

    request: bytes
    status: int
    sealed: bytes


# Who comes second under a key waits here for the first one's transaction.
_TAKE = "INSERT INTO idempotency (tenant_id, hash, request) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING 1"
_FIND = (
    "SELECT encode(request, 'hex'), status, encode(sealed, 'hex') FROM idempotency WHERE tenant_id = $1 AND hash = $2"
)


def take(db: Session, tenant_id: int, hash_: bytes, request: bytes) -> Answer | None:
    """Take a key for a request: None when it was free, else what was answered under it."""
    if db.run([(_TAKE, (tenant_id, wire.Binary(hash_), wire.Binary(request)))])[0]:
        return None
    digest, status, sealed = db.run([(_FIND, (tenant_id, wire.Binary(hash_)))])[0][0]
    return Answer(_bytes(digest), int(status or b"0"), _bytes(sealed))


def _bytes(text: bytes | None) -> bytes:
    return bytes.fromhex((text or b"").decode())


def answered(tenant_id: int, hash_: bytes, status: int, sealed: bytes) -> Statement:
    """The statement that keeps an answer under its key."""
    sql = "UPDATE idempotency SET status = $3, sealed = $4 WHERE tenant_id = $1 AND hash = $2"
    return sql, (tenant_id, wire.Binary(hash_), status, wire.Binary(sealed))


def sweep(tenant_id: int) -> Statement:
    """The statement that forgets answers of the day before."""
    sql = f"DELETE FROM idempotency WHERE tenant_id = $1 AND created_at < now() - interval '{KEPT_HOURS} hours'"
    return sql, (tenant_id,)
