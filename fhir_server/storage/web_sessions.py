"""Statements on sessions of signed-in people: rows of `web_session`, found by the SHA-256 of the session's id."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from fhir_server.core.context import User
from fhir_server.storage import wire
from fhir_server.storage.session import Row, Session, Statement

_TOUCH_SECONDS = 30


@dataclass(frozen=True, slots=True)
class WebSession:
    """A live session with its person. `pending`: the password was right, another proof is still to come.

    `auth_time` and `last_seen` are seconds since 1970; `amr` as in RFC 8176; `agent` names the device for people.
    """

    hash: bytes
    user: User
    name: str
    email: str
    language: str
    amr: tuple[str, ...]
    auth_time: int
    pending: bool


@dataclass(frozen=True, slots=True)
class Seen:
    """A session as its owner sees it in the list."""

    hash: bytes
    agent: str
    amr: tuple[str, ...]
    created: int
    last_seen: int


# A session that was made to last for months is a device's, whose power may be off over a holiday.
_LIVE = (
    " s.tenant_id = $1 AND s.ended_at IS NULL AND s.expires_at > now()"
    " AND (s.last_seen_at > now() - make_interval(secs => $3::integer)"
    "  OR s.expires_at > s.created_at + interval '90 days')"
)
_FIND = (
    "SELECT u.user_id, u.role, u.fhir_user, to_json(u.patients), u.name, u.email, u.language, to_json(s.amr),"
    " extract(epoch FROM s.auth_time)::bigint, s.pending"
    " FROM web_session s JOIN user_account u ON u.tenant_id = $1 AND u.user_id = s.user_id AND u.status = 'active'"
    " WHERE s.hash = $2 AND" + _LIVE
)
# Written at most twice a minute: a page that loads is not worth a write.
_TOUCH = (
    "UPDATE web_session s SET last_seen_at = now()"
    f" WHERE s.hash = $2 AND s.last_seen_at < now() - interval '{_TOUCH_SECONDS} seconds' AND" + _LIVE
)


def find(db: Session, tenant_id: int, digest: bytes, idle_seconds: int) -> WebSession | None:
    """The live session of a digest, pending or not; its time without a request begins anew."""
    params = (tenant_id, wire.Binary(digest), idle_seconds)
    rows = db.run([(_FIND, params), (_TOUCH, params)], final=True)[0]
    if not rows:
        return None
    user_id, role, fhir_user, patients, name, email, language, amr, auth_time, pending = (
        None if value is None else value.decode() for value in rows[0]
    )
    user = User(user_id or "", role or "", fhir_user, tuple(msgspec.json.decode(patients or "[]")))
    return WebSession(
        digest, user, name or "", email or "", language or "",
        tuple(msgspec.json.decode(amr or "[]")), int(auth_time or 0), pending == "t",
    )  # fmt: skip


_START = (
    "INSERT INTO web_session (tenant_id, hash, user_id, amr, agent, pending, expires_at)"
    " VALUES ($1, $2, $3, $4, $5, $6, now() + make_interval(secs => $7::integer))"
)


def start(
    tenant_id: int, digest: bytes, user_id: str, *, amr: Sequence[str], agent: str, pending: bool, seconds: int
) -> Statement:
    """The statement that keeps a new session. `seconds`: its longest life."""
    return _START, (tenant_id, wire.Binary(digest), user_id, wire.texts(amr), agent, pending, seconds)


def end(tenant_id: int, digest: bytes) -> Statement:
    """The statement that ends one session."""
    sql = "UPDATE web_session SET ended_at = now() WHERE tenant_id = $1 AND hash = $2 AND ended_at IS NULL"
    return sql, (tenant_id, wire.Binary(digest))


def end_user(tenant_id: int, user_id: str, but: bytes = b"") -> Statement:
    """The statement that ends every session of a user, except the one of digest `but`; gives the digests as hex."""
    sql = (
        "UPDATE web_session SET ended_at = now() WHERE tenant_id = $1 AND user_id = $2 AND hash <> $3"
        " AND ended_at IS NULL RETURNING encode(hash, 'hex')"
    )
    return sql, (tenant_id, user_id, wire.Binary(but))


def follow(tenant_id: int, old: bytes, new: bytes) -> Statement:
    """The statement that hands the grants of one session to the one that takes its place (signed in afresh)."""
    sql = (
        "UPDATE oauth_grant SET session_hash = $3 WHERE tenant_id = $1 AND session_hash = $2 AND revoked_at IS NULL"
        " AND user_id = (SELECT user_id FROM web_session WHERE tenant_id = $1 AND hash = $3)"
    )
    return sql, (tenant_id, wire.Binary(old), wire.Binary(new))


_LIST = (
    "SELECT encode(s.hash, 'hex'), s.agent, to_json(s.amr), extract(epoch FROM s.created_at)::bigint,"
    " extract(epoch FROM s.last_seen_at)::bigint FROM web_session s"
    " WHERE s.user_id = $2 AND NOT s.pending AND" + _LIVE + " ORDER BY s.last_seen_at DESC"
)


def of_user(db: Session, tenant_id: int, user_id: str, idle_seconds: int) -> list[Seen]:
    """The live sessions of a user, the last used first."""
    return [_seen(row) for row in db.run([(_LIST, (tenant_id, user_id, idle_seconds))])[0]]


def _seen(row: Row) -> Seen:
    digest, agent, amr, created, last_seen = ((value or b"").decode() for value in row)
    return Seen(bytes.fromhex(digest), agent, tuple(msgspec.json.decode(amr)), int(created), int(last_seen))
