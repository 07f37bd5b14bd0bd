"""Statements on grants, authorization codes and refresh tokens.

Whoever changes the tokens of a grant first locks the grant's row (`lock`, `end_*` by their UPDATE), so a refresh and a
revocation of one family come one after the other: the later one sees what the earlier one did.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from fhir_server.storage import wire
from fhir_server.storage.session import Row, Session, Statement


@dataclass(frozen=True, slots=True)
class Grant:
    """What a user, or for a back-end system the operator, let a client do. `live`: neither revoked, nor is the user
    disabled, nor the session ended that the grant lives in. `role`, `subject` and `fhir_user` are the user's."""

    grant_id: str
    client_id: str
    user_id: str | None
    scope: str
    context: Mapping[str, Any]
    purpose: str
    nonce: str | None
    amr: tuple[str, ...]
    auth_time: int | None
    live: bool
    role: str | None
    subject: str | None
    fhir_user: str | None
    bound_to_session: bool


@dataclass(frozen=True, slots=True)
class Code:
    """A code that was just used up. `fresh`: it had not expired."""

    grant_id: str
    client_id: str
    redirect_uri: str
    challenge: str
    fresh: bool


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A refresh token. `just_used`: it was used within the time in which an answer may have been lost."""

    grant_id: str
    fresh: bool
    used: bool
    just_used: bool
    successor: bytes | None


_OPEN = (
    "INSERT INTO oauth_grant (tenant_id, grant_id, client_id, user_id, session_hash, scope, context, purpose, nonce,"
    " amr, auth_time) VALUES ($1, $2, $3, $4, $5, $6, $7::jsonb, $8, $9, $10, to_timestamp($11::bigint))"
)


def open_grant(
    tenant_id: int,
    grant_id: str,
    *,
    client_id: str,
    user_id: str | None,
    session_hash: bytes | None,
    scope: str,
    context: Mapping[str, Any],
    purpose: str,
    nonce: str | None,
    amr: Sequence[str],
    auth_time: int | None,
) -> Statement:
    """The statement that makes a grant. auth_time: seconds since 1970."""
    held = None if session_hash is None else wire.Binary(session_hash)
    text = msgspec.json.encode(context).decode()
    return _OPEN, (
        tenant_id, grant_id, client_id, user_id, held, scope, text, purpose, nonce, wire.texts(amr), auth_time,
    )  # fmt: skip


_ISSUE_CODE = (
    "INSERT INTO oauth_code (tenant_id, hash, grant_id, client_id, redirect_uri, challenge, expires_at)"
    " VALUES ($1, $2, $3, $4, $5, $6, now() + make_interval(secs => $7::integer))"
)


def issue_code(
    tenant_id: int, digest: bytes, *, grant_id: str, client_id: str, redirect_uri: str, challenge: str, seconds: int
) -> Statement:
    """The statement that keeps the digest of a new code."""
    return _ISSUE_CODE, (tenant_id, wire.Binary(digest), grant_id, client_id, redirect_uri, challenge, seconds)


_USE_CODE = (
    "UPDATE oauth_code SET used_at = now() WHERE tenant_id = $1 AND hash = $2 AND used_at IS NULL"
    " RETURNING grant_id, client_id, redirect_uri, challenge, expires_at > now()"
)


def use_code(db: Session, tenant_id: int, digest: bytes) -> Code | None:
    """Use a code up and say what it was good for; None when it does not exist or was used before. Of many that try at
    once, one gets it."""
    rows = db.run([(_USE_CODE, (tenant_id, wire.Binary(digest)))])[0]
    if not rows:
        return None
    grant_id, client_id, redirect_uri, challenge, fresh = ((value or b"").decode() for value in rows[0])
    return Code(grant_id, client_id, redirect_uri, challenge, fresh == "t")


def grant_of_code(db: Session, tenant_id: int, digest: bytes) -> str | None:
    """The grant of a code, used or not."""
    sql = "SELECT grant_id FROM oauth_code WHERE tenant_id = $1 AND hash = $2"
    rows = db.run([(sql, (tenant_id, wire.Binary(digest)))])[0]
    return (rows[0][0] or b"").decode() if rows else None


_GRANT = (
    "SELECT g.grant_id, g.client_id, g.user_id, g.scope, g.context, g.purpose, g.nonce, to_json(g.amr),"
    " extract(epoch FROM g.auth_time)::bigint, g.revoked_at IS NULL"
    "  AND (g.user_id IS NULL OR u.user_id IS NOT NULL)"
    "  AND (g.session_hash IS NULL OR EXISTS (SELECT FROM web_session w WHERE w.tenant_id = $1"
    "       AND w.hash = g.session_hash AND w.ended_at IS NULL AND w.expires_at > now())),"
    " u.role, u.subject, u.fhir_user, g.session_hash IS NOT NULL"
    " FROM oauth_grant g LEFT JOIN user_account u"
    "  ON u.tenant_id = $1 AND u.user_id = g.user_id AND u.status = 'active'"
    " WHERE g.tenant_id = $1 AND g.grant_id = "
)
_OF_TOKEN = "(SELECT grant_id FROM refresh_token WHERE tenant_id = $1 AND hash = $2)"


def lock(db: Session, tenant_id: int, grant_id: str) -> Grant | None:
    """The grant, locked until the transaction ends."""
    rows = db.run([(f"{_GRANT}$2 FOR UPDATE OF g", (tenant_id, grant_id))])[0]
    return _grant(rows[0]) if rows else None


_READ_REFRESH = (
    "SELECT grant_id, expires_at > now(), used_at IS NOT NULL, used_at > now() - make_interval(secs => $3::integer),"
    " successor_sealed FROM refresh_token WHERE tenant_id = $1 AND hash = $2"
)


def lock_refresh(
    db: Session, tenant_id: int, digest: bytes, grace_seconds: int
) -> tuple[Grant, RefreshToken] | None:
    """A refresh token and its grant, whose row is locked first, so that what the token's row says is the newest."""
    key = wire.Binary(digest)
    grants, tokens = db.run(
        [
            (f"{_GRANT}{_OF_TOKEN} FOR UPDATE OF g", (tenant_id, key)),
            (_READ_REFRESH, (tenant_id, key, grace_seconds)),
        ]
    )
    if not grants or not tokens:
        return None
    return _grant(grants[0]), _refresh(tokens[0])


def read_refresh(db: Session, tenant_id: int, digest: bytes) -> RefreshToken | None:
    """A refresh token, whatever its state."""
    rows = db.run([(_READ_REFRESH, (tenant_id, wire.Binary(digest), 0))])[0]
    return _refresh(rows[0]) if rows else None


_USE_REFRESH = (
    "UPDATE refresh_token SET used_at = now(), successor_sealed = $3 WHERE tenant_id = $1 AND hash = $2"
    " AND used_at IS NULL RETURNING 1"
)


def use_refresh(db: Session, tenant_id: int, digest: bytes, successor: bytes) -> bool:
    """Use a refresh token up, keeping its sealed successor; whether it was unused."""
    rows = db.run([(_USE_REFRESH, (tenant_id, wire.Binary(digest), wire.Binary(successor)))])[0]
    return bool(rows)


_SAVE_REFRESH = (
    "INSERT INTO refresh_token (tenant_id, hash, grant_id, scope, expires_at)"
    " VALUES ($1, $2, $3, $4, now() + make_interval(secs => $5::integer))"
)


def save_refresh(tenant_id: int, digest: bytes, *, grant_id: str, scope: str, seconds: int) -> Statement:
    """The statement that keeps the digest of a new refresh token."""
    return _SAVE_REFRESH, (tenant_id, wire.Binary(digest), grant_id, scope, seconds)


def touch(tenant_id: int, grant_id: str) -> Statement:
    """The statement that notes that the grant was used now."""
    return "UPDATE oauth_grant SET last_used_at = now() WHERE tenant_id = $1 AND grant_id = $2", (tenant_id, grant_id)


def end(tenant_id: int, column: str, value: str | bytes) -> Statement:
    """The statement that revokes the grants with this grant_id, user_id, client_id or session_hash, and gives the ids
    of those that were not revoked before."""
    if column not in ("grant_id", "user_id", "client_id", "session_hash"):
        raise ValueError(column)
    sql = (
        f"UPDATE oauth_grant SET revoked_at = now() WHERE tenant_id = $1 AND {column} = $2 AND revoked_at IS NULL"
        " RETURNING grant_id"
    )
    return sql, (tenant_id, wire.Binary(value) if isinstance(value, bytes) else value)


def client_of_refresh(db: Session, tenant_id: int, digest: bytes) -> str | None:
    """Whose refresh token it is, whatever its state."""
    sql = (
        "SELECT g.client_id FROM refresh_token r JOIN oauth_grant g ON g.tenant_id = $1 AND g.grant_id = r.grant_id"
        " WHERE r.tenant_id = $1 AND r.hash = $2"
    )
    rows = db.run([(sql, (tenant_id, wire.Binary(digest)))])[0]
    return (rows[0][0] or b"").decode() if rows else None


def end_access_tokens(tenant_id: int, grant_ids: Sequence[str]) -> Statement:
    """The statement that revokes every access token of the grants."""
    sql = (
        "UPDATE access_token SET revoked_at = now()"
        " WHERE tenant_id = $1 AND grant_id = ANY($2::text[]) AND revoked_at IS NULL"
    )
    return sql, (tenant_id, wire.texts(grant_ids))


_GONE = (
    "WITH gone AS (DELETE FROM {table} WHERE tenant_id = $1 AND hash IN (SELECT hash FROM {table} WHERE tenant_id = $1"
    " AND expires_at < now() - interval '{after}' LIMIT 500) RETURNING grant_id)"
    # What is left of the grant: a code, token or refresh token that may still count.
    " DELETE FROM oauth_grant g WHERE g.tenant_id = $1 AND g.grant_id IN (SELECT grant_id FROM gone)"
    " AND NOT EXISTS (SELECT FROM refresh_token t WHERE t.tenant_id = $1 AND t.grant_id = g.grant_id"
    "  AND t.expires_at > now())"
    " AND NOT EXISTS (SELECT FROM access_token t WHERE t.tenant_id = $1 AND t.grant_id = g.grant_id"
    "  AND t.expires_at > now() - interval '1 day')"
)
_OLD = (
    "DELETE FROM {table} WHERE tenant_id = $1 AND hash IN (SELECT hash FROM {table} WHERE tenant_id = $1"
    " AND expires_at < now() - interval '{after}' LIMIT 500)"
)
_SWEEP = (
    _GONE.format(table="oauth_code", after="1 day"),
    _GONE.format(table="access_token", after="1 day"),
    _GONE.format(table="refresh_token", after="0"),
    _OLD.format(table="oauth_assertion", after="0"),
    _OLD.format(table="oauth_launch", after="1 day"),
)


def sweep(tenant_id: int) -> list[Statement]:
    """Statements that delete what expired long ago, some at a time, and the grants of which nothing is left."""
    return [(sql, (tenant_id,)) for sql in _SWEEP]


def _grant(row: Row) -> Grant:
    found = [None if value is None else value.decode() for value in row]
    auth_time = found[8]
    return Grant(
        found[0] or "", found[1] or "", found[2], found[3] or "", msgspec.json.decode(found[4] or "{}"),
        found[5] or "TREAT", found[6], tuple(msgspec.json.decode(found[7] or "[]")),
        None if auth_time is None else int(auth_time), found[9] == "t", found[10], found[11], found[12],
        found[13] == "t",
    )  # fmt: skip


def _refresh(row: Row) -> RefreshToken:
    grant_id, fresh, used, just_used, sealed = row
    successor = bytes.fromhex(sealed[2:].decode()) if sealed else None
    return RefreshToken((grant_id or b"").decode(), fresh == b"t", used == b"t", just_used == b"t", successor)
