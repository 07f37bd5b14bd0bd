"""Statements on access tokens: what they allow, issuing, revoking, and raising their stamp."""

from dataclasses import dataclass

import msgspec

from fhir_server.core.context import User
from fhir_server.storage import wire
from fhir_server.storage.session import Session, Statement


@dataclass(frozen=True, slots=True)
class AccessToken:
    """What a valid token allows, as its row, its grant, its user and open break-glass say now."""

    scope: str
    client_id: str
    stamp: int
    token_id: str
    user: User | None
    patient: str | None
    purpose: str
    auth_time: int | None
    opened: tuple[tuple[str, int], ...]


_FIND = (
    "SELECT a.scope, a.client_id, a.stamp, a.token_id, u.user_id, u.role, u.fhir_user, to_json(u.patients),"
    " g.context ->> 'patient', g.purpose, extract(epoch FROM g.auth_time)::bigint,"
    " (SELECT json_agg(json_build_array(b.patient_id, extract(epoch FROM b.expires_at)::bigint)) FROM break_glass b"
    "  WHERE b.tenant_id = $1 AND b.user_id = a.user_id AND b.ended_at IS NULL AND b.expires_at > now())"
    " FROM access_token a LEFT JOIN oauth_grant g ON g.tenant_id = $1 AND g.grant_id = a.grant_id"
    " LEFT JOIN user_account u ON u.tenant_id = $1 AND u.user_id = a.user_id AND u.status = 'active'"
    " WHERE a.tenant_id = $1 AND a.hash = $2 AND a.revoked_at IS NULL AND a.expires_at > now()"
    " AND (a.user_id IS NULL OR u.user_id IS NOT NULL)"
)


def find(db: Session, tenant_id: int, digest: bytes) -> AccessToken | None:
    """What a token allows, or None when it is not valid; the session must have entered the tenant."""
    rows = db.run([(_FIND, (tenant_id, wire.Binary(digest)))], final=True)[0]
    if not rows:
        return None
    scope, client, stamp, token_id, user_id, role, fhir_user, patients, patient, purpose, auth_time, opened = (
        None if value is None else value.decode() for value in rows[0]
    )
    user = None
    if user_id is not None:
        user = User(user_id, role or "", fhir_user, tuple(msgspec.json.decode(patients or "[]")))
    return AccessToken(
        scope or "", client or "", int(stamp or 0), token_id or "", user, patient, purpose or "TREAT",
        None if auth_time is None else int(auth_time),
        tuple((p, until) for p, until in msgspec.json.decode(opened)) if opened else (),
    )  # fmt: skip


_SAVE = (
    "INSERT INTO access_token (tenant_id, hash, scope, client_id, expires_at, token_id, grant_id, user_id)"
    " VALUES ($1, $2, $3, $4, now() + make_interval(secs => $5::integer), $6, $7, $8)"
)


def save(
    tenant_id: int,
    digest: bytes,
    *,
    scope: str,
    client_id: str,
    seconds: int,
    token_id: str,
    grant_id: str | None = None,
    user_id: str | None = None,
) -> Statement:
    """The statement that keeps the digest of a new access token."""
    return _SAVE, (tenant_id, wire.Binary(digest), scope, client_id, seconds, token_id, grant_id, user_id)


_RENEW = (
    f"{_SAVE} ON CONFLICT (tenant_id, hash) DO UPDATE SET scope = excluded.scope, expires_at = excluded.expires_at,"
    " grant_id = excluded.grant_id, user_id = excluded.user_id, revoked_at = NULL, stamp = access_token.stamp + 1"
)


def renew(
    tenant_id: int, digest: bytes, *, scope: str, client_id: str, seconds: int, grant_id: str, user_id: str
) -> Statement:
    """The statement that keeps an access token which always has the same text, also after it had ended."""
    token_id = digest.hex()[:32]
    return _RENEW, (
        tenant_id, wire.Binary(digest), scope, client_id, seconds, token_id, grant_id, user_id,
    )  # fmt: skip


def revoke_user(tenant_id: int, user_id: str) -> Statement:
    """The statement that ends every access token of a user."""
    sql = "UPDATE access_token SET revoked_at = now() WHERE tenant_id = $1 AND user_id = $2 AND revoked_at IS NULL"
    return sql, (tenant_id, user_id)


def raise_stamps(tenant_id: int, user_id: str) -> Statement:
    """The statement that makes every process read anew what the user's tokens allow."""
    sql = "UPDATE access_token SET stamp = stamp + 1 WHERE tenant_id = $1 AND user_id = $2 AND revoked_at IS NULL"
    return sql, (tenant_id, user_id)
