"""Statements on boards and kiosks: accounts that belong to a Device, and the codes with which a browser becomes one."""

from collections.abc import Sequence
from dataclasses import dataclass

from fhir_server.storage import wire
from fhir_server.storage.session import Session, Statement


@dataclass(frozen=True, slots=True)
class SignIn:
    """The account of a device and its latest session. `device`: `Device/id`; `since`, `last_seen`: seconds since 1970,
    0 when it is not signed in; `coded`: a code waits to be used."""

    device: str
    kind: str
    status: str
    since: int
    last_seen: int
    browser: str
    coded: bool


def account_of(db: Session, tenant_id: int, device: str) -> str | None:
    """The id of the account of a `Device/id`, in whatever status."""
    sql = (
        "SELECT user_id FROM user_account WHERE tenant_id = $1 AND fhir_user = $2 ORDER BY created_at, user_id LIMIT 1"
    )
    rows = db.run([(sql, (tenant_id, device))])[0]
    return (rows[0][0] or b"").decode() if rows else None


_LIST = (
    "SELECT u.fhir_user, u.role, u.status, coalesce(extract(epoch FROM s.created_at)::bigint, 0),"
    " coalesce(extract(epoch FROM s.last_seen_at)::bigint, 0), coalesce(s.agent, ''),"
    " EXISTS (SELECT 1 FROM user_code c WHERE c.tenant_id = $1 AND c.user_id = u.user_id AND c.purpose = 'pairing'"
    "  AND c.used_at IS NULL AND c.expires_at > now())"
    " FROM user_account u LEFT JOIN LATERAL (SELECT created_at, last_seen_at, agent FROM web_session"
    "  WHERE tenant_id = $1 AND user_id = u.user_id AND NOT pending AND ended_at IS NULL AND expires_at > now()"
    "  ORDER BY last_seen_at DESC LIMIT 1) s ON true"
    " WHERE u.tenant_id = $1 AND u.role = ANY($2) AND u.fhir_user LIKE 'Device/%' ORDER BY u.fhir_user"
)


def sign_ins(db: Session, tenant_id: int, roles: Sequence[str]) -> list[SignIn]:
    """The devices that have an account of one of these roles, by their ids."""
    rows = db.run([(_LIST, (tenant_id, wire.texts(roles)))])[0]
    found = [[(value or b"").decode() for value in row] for row in rows]
    return [
        SignIn(device, kind, status, int(since), int(seen), browser, coded == "t")
        for device, kind, status, since, seen, browser, coded in found
    ]


def use_code(tenant_id: int, digest: bytes) -> Statement:
    """The statement that uses a code up: the id of its account, once, for one caller."""
    sql = (
        "UPDATE user_code SET used_at = now() WHERE tenant_id = $1 AND purpose = 'pairing' AND hash = $2"
        " AND used_at IS NULL AND expires_at > now() RETURNING user_id"
    )
    return sql, (tenant_id, wire.Binary(digest))


def peek_code(db: Session, tenant_id: int, digest: bytes) -> str | None:
    """The id of the account whose code it is, as long as it is good."""
    sql = (
        "SELECT user_id FROM user_code WHERE tenant_id = $1 AND purpose = 'pairing' AND hash = $2"
        " AND used_at IS NULL AND expires_at > now()"
    )
    rows = db.run([(sql, (tenant_id, wire.Binary(digest)))])[0]
    return (rows[0][0] or b"").decode() if rows else None
