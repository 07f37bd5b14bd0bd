"""Statements on guests: their tokens, what they say about themselves, the codes that prove their address."""

from dataclasses import dataclass

from fhir_server.storage import access_tokens, wire
from fhir_server.storage.session import Session, Statement


@dataclass(frozen=True, slots=True)
class Proof:
    """A guest's row. `open`: its time is not over; `user_id`, `patient_id`, `appointment_id`: what came of it, "" for
    nothing."""

    sealed: bytes
    hash: bytes
    attempts: int
    open: bool
    proved: bool
    user_id: str
    patient_id: str
    appointment_id: str


def keep_token(tenant_id: int, digest: bytes, scope: str, client_id: str, seconds: int, user_id: str) -> Statement:
    """The statement that keeps an access token which another process may have kept already."""
    token_id = digest.hex()[:32]
    sql, values = access_tokens.save(
        tenant_id, digest, scope=scope, client_id=client_id, seconds=seconds, token_id=token_id, user_id=user_id
    )
    return f"{sql} ON CONFLICT DO NOTHING", values


def is_kept(db: Session, tenant_id: int, digest: bytes) -> bool:
    """Whether an access token is known already."""
    sql = "SELECT 1 FROM access_token WHERE tenant_id = $1 AND hash = $2"
    return bool(db.run([(sql, (tenant_id, wire.Binary(digest)))], final=True)[0])


_SAVE = (
    "INSERT INTO guest_proof (tenant_id, guest_id, sealed, hash, expires_at)"
    " VALUES ($1, $2, $3, $4, now() + make_interval(secs => $5::integer))"
    " ON CONFLICT (tenant_id, guest_id) DO UPDATE SET sealed = excluded.sealed, hash = excluded.hash, attempts = 0,"
    " expires_at = excluded.expires_at, proved_at = NULL, user_id = NULL, patient_id = NULL, appointment_id = NULL,"
    " ticket = NULL, ticket_until = NULL"
)


def save(tenant_id: int, guest_id: str, sealed: bytes, digest: bytes, seconds: int) -> Statement:
    """The statement that keeps what a guest says, and his code, in place of what he said before."""
    return _SAVE, (tenant_id, guest_id, wire.Binary(sealed), wire.Binary(digest), seconds)


_LOCK = (
    "SELECT encode(sealed, 'hex'), encode(hash, 'hex'), attempts, expires_at > now(), proved_at IS NOT NULL, user_id,"
    " patient_id, appointment_id FROM guest_proof WHERE tenant_id = $1 AND guest_id = $2 FOR UPDATE"
)


def lock(db: Session, tenant_id: int, guest_id: str) -> Proof | None:
    """A guest's row, locked: who asks twice waits for his own first request."""
    rows = db.run([(_LOCK, (tenant_id, guest_id))])[0]
    if not rows:
        return None
    sealed, digest, attempts, open_, proved, user_id, patient_id, appointment_id = (
        (value or b"").decode() for value in rows[0]
    )
    return Proof(
        bytes.fromhex(sealed), bytes.fromhex(digest), int(attempts), open_ == "t", proved == "t", user_id, patient_id,
        appointment_id,
    )  # fmt: skip


def missed(tenant_id: int, guest_id: str) -> Statement:
    """The statement that counts a wrong code."""
    sql = "UPDATE guest_proof SET attempts = attempts + 1 WHERE tenant_id = $1 AND guest_id = $2"
    return sql, (tenant_id, guest_id)


_PROVED = (
    "UPDATE guest_proof SET proved_at = coalesce(proved_at, now()), user_id = nullif($3, ''), patient_id = $4,"
    " appointment_id = nullif($5, ''), ticket = $6, ticket_until = now() + make_interval(secs => $7::integer)"
    " WHERE tenant_id = $1 AND guest_id = $2"
)


def proved(
    tenant_id: int, guest_id: str, user_id: str, patient_id: str, appointment_id: str, ticket: bytes, seconds: int
) -> Statement:
    """The statement that writes what came of a proof. `ticket`: the digest of the one that signs in."""
    return _PROVED, (tenant_id, guest_id, user_id, patient_id, appointment_id, wire.Binary(ticket), seconds)


_USE = (
    "UPDATE guest_proof SET ticket = NULL WHERE tenant_id = $1 AND guest_id = $2 AND ticket = $3"
    " AND ticket_until > now() AND user_id IS NOT NULL RETURNING user_id"
)


def use_ticket(db: Session, tenant_id: int, guest_id: str, ticket: bytes) -> str:
    """Use a ticket up: the id of the account that it signs in, once; "" for none."""
    rows = db.run([(_USE, (tenant_id, guest_id, wire.Binary(ticket)))])[0]
    return (rows[0][0] or b"").decode() if rows else ""
