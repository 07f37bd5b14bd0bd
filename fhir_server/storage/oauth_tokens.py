"""Statements on single access tokens for introspection, userinfo and revocation, and on who may call from a browser."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from fhir_server.storage import wire
from fhir_server.storage.session import Session


@dataclass(frozen=True, slots=True)
class LiveToken:
    """A valid access token. `expires`, `issued`: seconds since 1970; `context`: of its grant; `subject` and
    `fhir_user`: the user's, None for a back-end system."""

    token_id: str
    client_id: str
    scope: str
    expires: int
    issued: int
    context: Mapping[str, Any]
    subject: str | None
    fhir_user: str | None


_FIND = (
    "SELECT a.token_id, a.client_id, a.scope, extract(epoch FROM a.expires_at)::bigint,"
    " extract(epoch FROM a.created_at)::bigint, g.context, u.subject, u.fhir_user"
    " FROM access_token a LEFT JOIN oauth_grant g ON g.tenant_id = $1 AND g.grant_id = a.grant_id"
    " LEFT JOIN user_account u ON u.tenant_id = $1 AND u.user_id = a.user_id AND u.status = 'active'"
    " WHERE a.tenant_id = $1 AND a.hash = $2 AND a.revoked_at IS NULL AND a.expires_at > now()"
    " AND (a.user_id IS NULL OR u.user_id IS NOT NULL)"
)


def find(db: Session, tenant_id: int, digest: bytes) -> LiveToken | None:
    """A valid access token of the tenant."""
    rows = db.run([(_FIND, (tenant_id, wire.Binary(digest)))])[0]
    if not rows:
        return None
    token_id, client, scope, expires, issued, context, subject, fhir_user = (
        None if value is None else value.decode() for value in rows[0]
    )
    return LiveToken(
        token_id or "", client or "", scope or "", int(expires or 0), int(issued or 0),
        msgspec.json.decode(context or "{}"), subject, fhir_user,
    )  # fmt: skip


_REVOKE = (
    "UPDATE access_token SET revoked_at = now() WHERE tenant_id = $1 AND hash = $2 AND client_id = $3"
    " AND revoked_at IS NULL RETURNING token_id"
)


def revoke(db: Session, tenant_id: int, digest: bytes, client_id: str) -> str | None:
    """Revoke one access token, if it is the client's; its id when it was live."""
    rows = db.run([(_REVOKE, (tenant_id, wire.Binary(digest), client_id))])[0]
    return (rows[0][0] or b"").decode() if rows else None


_GRANT_OF_REFRESH = (
    "SELECT r.grant_id FROM refresh_token r JOIN oauth_grant g ON g.tenant_id = $1 AND g.grant_id = r.grant_id"
    " WHERE r.tenant_id = $1 AND r.hash = $2 AND g.client_id = $3"
)


def grant_of_refresh(db: Session, tenant_id: int, digest: bytes, client_id: str) -> str | None:
    """The grant of a refresh token, used or not, if it is the client's."""
    rows = db.run([(_GRANT_OF_REFRESH, (tenant_id, wire.Binary(digest), client_id))])[0]
    return (rows[0][0] or b"").decode() if rows else None


_ORIGIN = (
    "SELECT 1 FROM oauth_client c, jsonb_array_elements_text(c.metadata -> 'redirect_uris') AS uri"
    " WHERE c.tenant_id = $1 AND c.status = 'active' AND c.metadata ->> 'token_endpoint_auth_method' = 'none'"
    " AND (uri = $2::text OR starts_with(uri, $2::text || '/') OR starts_with(uri, $2::text || '?')) LIMIT 1"
)


def is_public_origin(db: Session, tenant_id: int, origin: str) -> bool:
    """Whether an active public client of the tenant has a redirect URI of this origin."""
    return bool(db.run([(_ORIGIN, (tenant_id, origin))])[0])
