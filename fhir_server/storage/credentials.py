"""Statements on passkeys and on what is good once: six-digit codes, links, challenges."""

from dataclasses import dataclass

from fhir_server.storage import wire
from fhir_server.storage.session import Session, Statement


@dataclass(frozen=True, slots=True)
class Passkey:
    """A WebAuthn credential. `created` and `last_used` in seconds since 1970 (0: never)."""

    credential_id: bytes
    user_id: str
    public_key: bytes
    sign_count: int
    name: str
    created: int
    last_used: int


_PASSKEYS = (
    "SELECT encode(credential_id, 'hex'), user_id, encode(public_key, 'hex'), sign_count, name,"
    " extract(epoch FROM created_at)::bigint, coalesce(extract(epoch FROM last_used_at)::bigint, 0)"
    " FROM user_passkey WHERE tenant_id = $1"
)


def passkeys_of(db: Session, tenant_id: int, user_id: str) -> list[Passkey]:
    """The passkeys of a user, oldest first."""
    rows = db.run([(f"{_PASSKEYS} AND user_id = $2 ORDER BY created_at", (tenant_id, user_id))])[0]
    return [_passkey([(value or b"").decode() for value in row]) for row in rows]


def passkey(db: Session, tenant_id: int, credential_id: bytes) -> Passkey | None:
    """The passkey of an id."""
    rows = db.run([(f"{_PASSKEYS} AND credential_id = $2", (tenant_id, wire.Binary(credential_id)))])[0]
    return _passkey([(value or b"").decode() for value in rows[0]]) if rows else None


def _passkey(row: list[str]) -> Passkey:
    return Passkey(
        bytes.fromhex(row[0]), row[1], bytes.fromhex(row[2]), int(row[3]), row[4], int(row[5]), int(row[6])
    )  # fmt: skip


def add_passkey(
    tenant_id: int, user_id: str, credential_id: bytes, public_key: bytes, sign_count: int, name: str
) -> Statement:
    """The statement that keeps a new passkey."""
    sql = (
        "INSERT INTO user_passkey (tenant_id, credential_id, user_id, public_key, sign_count, name)"
        " VALUES ($1, $2, $3, $4, $5, $6)"
    )
    return sql, (tenant_id, wire.Binary(credential_id), user_id, wire.Binary(public_key), sign_count, name)


def use_passkey(tenant_id: int, credential_id: bytes, sign_count: int) -> Statement:
    """The statement that notes a use; gives a row unless the counter says that the key was copied.

    https://www.w3.org/TR/webauthn-3/#sctn-sign-counter: a counter that stays 0 does not count.
    """
    sql = (
        "UPDATE user_passkey SET sign_count = $3::bigint, last_used_at = now() WHERE tenant_id = $1"
        " AND credential_id = $2 AND (sign_count < $3::bigint OR (sign_count = 0 AND $3::bigint = 0)) RETURNING user_id"
    )
    return sql, (tenant_id, wire.Binary(credential_id), sign_count)


def remove_passkey(tenant_id: int, user_id: str, credential_id: bytes) -> Statement:
    """The statement that removes a user's passkey; gives a row when there was one."""
    sql = "DELETE FROM user_passkey WHERE tenant_id = $1 AND user_id = $2 AND credential_id = $3 RETURNING user_id"
    return sql, (tenant_id, user_id, wire.Binary(credential_id))


_SAVE = (
    "INSERT INTO user_code (tenant_id, user_id, purpose, hash, expires_at)"
    " VALUES ($1, $2, $3, $4, now() + make_interval(secs => $5::integer))"
    " ON CONFLICT (tenant_id, user_id, purpose) DO UPDATE SET hash = excluded.hash, expires_at = excluded.expires_at,"
    " attempts = 0, used_at = NULL"
)


def save_code(tenant_id: int, holder: str, purpose: str, digest: bytes, seconds: int) -> Statement:
    """The statement that keeps a code in place of the holder's earlier one for the purpose."""
    return _SAVE, (tenant_id, holder, purpose, wire.Binary(digest), seconds)


_TRY = (
    "UPDATE user_code SET attempts = attempts + 1, used_at = CASE WHEN hash = $4 THEN now() END"
    " WHERE tenant_id = $1 AND user_id = $2 AND purpose = $3 AND used_at IS NULL AND attempts < $5::integer"
    " AND expires_at > now() RETURNING used_at IS NOT NULL"
)


def try_code(tenant_id: int, holder: str, purpose: str, digest: bytes, attempts: int) -> Statement:
    """The statement that tries a code: one row, true for the one caller who used the right one up."""
    return _TRY, (tenant_id, holder, purpose, wire.Binary(digest), attempts)


def peek_code(tenant_id: int, holder: str, purpose: str, digest: bytes) -> Statement:
    """The statement that says whether a code would be taken, without using it: a row when so."""
    sql = (
        "SELECT 1 FROM user_code WHERE tenant_id = $1 AND user_id = $2 AND purpose = $3 AND hash = $4"
        " AND used_at IS NULL AND expires_at > now()"
    )
    return sql, (tenant_id, holder, purpose, wire.Binary(digest))


def drop_codes(tenant_id: int, holder: str) -> Statement:
    """The statement that makes every open code of a holder worthless."""
    return "DELETE FROM user_code WHERE tenant_id = $1 AND user_id = $2", (tenant_id, holder)
