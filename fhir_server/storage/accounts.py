"""Statements on the accounts of people: rows of `user_account`."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from fhir_server.core.context import User
from fhir_server.storage import wire
from fhir_server.storage.session import Row, Session, Statement


@dataclass(frozen=True, slots=True)
class Account:
    """A person's account. `subject`: the `sub` of id_tokens, never the id; `recovery_codes`, `passkeys`: how many;
    `email`, `phone` (E.164, proved): at least one, "" for none."""

    id: str
    subject: str
    email: str
    name: str
    language: str
    role: str
    fhir_user: str | None
    patients: tuple[str, ...]
    status: str
    password_hash: str | None
    verified: bool
    totp_sealed: bytes | None
    recovery_codes: int
    passkeys: int
    created: str
    phone: str = ""

    @property
    def user(self) -> User:
        """The person as the engine knows them."""
        return User(self.id, self.role, self.fhir_user, self.patients)

    @property
    def second_factor(self) -> bool:
        """Whether a password alone does not sign in."""
        return self.totp_sealed is not None or self.passkeys > 0


_COLUMNS = (
    "SELECT u.user_id, u.subject, u.email, u.name, u.language, u.role, u.fhir_user, to_json(u.patients), u.status,"
    " u.password_hash, u.email_verified_at IS NOT NULL, encode(u.totp_sealed, 'hex'), cardinality(u.recovery_hashes),"
    " (SELECT count(*) FROM user_passkey p WHERE p.tenant_id = $1 AND p.user_id = u.user_id),"
    " to_char(u.created_at, 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), u.phone FROM user_account u WHERE u.tenant_id = $1"
)


def by_email(db: Session, tenant_id: int, email: str) -> Account | None:
    """The account of a (normalised) address, in any status."""
    return _one(db, f"{_COLUMNS} AND u.email = $2", tenant_id, email)


def by_phone(db: Session, tenant_id: int, phone: str) -> Account | None:
    """The account of a number (E.164), in any status."""
    return _one(db, f"{_COLUMNS} AND u.phone = $2", tenant_id, phone)


def by_id(db: Session, tenant_id: int, user_id: str) -> Account | None:
    """The account of an id, in any status."""
    return _one(db, f"{_COLUMNS} AND u.user_id = $2", tenant_id, user_id)


def every(db: Session, tenant_id: int) -> list[Account]:
    """All accounts of a tenant by address; not those of guests, who are nobody."""
    sql = f"{_COLUMNS} AND u.role <> 'guest' ORDER BY u.email, u.phone"
    return [_account(row) for row in db.run([(sql, (tenant_id,))])[0]]


def _one(db: Session, sql: str, tenant_id: int, key: str) -> Account | None:
    rows = db.run([(sql, (tenant_id, key))])[0]
    return _account(rows[0]) if rows else None


def _account(row: Row) -> Account:
    text = [None if value is None else value.decode() for value in row]
    return Account(
        id=text[0] or "",
        subject=text[1] or "",
        email=text[2] or "",
        name=text[3] or "",
        language=text[4] or "",
        role=text[5] or "",
        fhir_user=text[6],
        patients=tuple(msgspec.json.decode(text[7] or "[]")),
        status=text[8] or "",
        password_hash=text[9],
        verified=text[10] == "t",
        totp_sealed=None if text[11] is None else bytes.fromhex(text[11]),
        recovery_codes=int(text[12] or 0),
        passkeys=int(text[13] or 0),
        created=text[14] or "",
        phone=text[15] or "",
    )


_INSERT = (
    "INSERT INTO user_account (tenant_id, user_id, subject, email, name, language, role, fhir_user, patients, status,"
    " password_hash, password_changed_at, email_verified_at, phone, phone_verified_at)"
    " VALUES ($1, $2, $3, nullif($4, ''), $5, $6, $7, $8, $9, $10, $11::text,"
    " CASE WHEN $11::text IS NOT NULL THEN now() END, CASE WHEN $12::boolean AND $4 <> '' THEN now() END,"
    " nullif($13::text, ''), CASE WHEN $13::text <> '' THEN now() END)"
)


def insert(tenant_id: int, made: Account) -> Statement:
    """The statement that keeps a new account."""
    return _INSERT, (
        tenant_id, made.id, made.subject, made.email, made.name, made.language, made.role, made.fhir_user,
        wire.texts(made.patients), made.status, made.password_hash, made.verified, made.phone,
    )  # fmt: skip


def add_patient(tenant_id: int, user_id: str, patient_id: str) -> Statement:
    """The statement that opens one more patient's record to a personal account."""
    sql = (
        "UPDATE user_account SET patients = array_append(patients, $3::text) WHERE tenant_id = $1 AND user_id = $2"
        " AND NOT patients @> ARRAY[$3::text]"
    )
    return sql, (tenant_id, user_id, patient_id)


# -- guests ------------------------------------------------------------------------------------------------------------

_GUEST = (
    "INSERT INTO user_account (tenant_id, user_id, subject, role, origin) VALUES ($1, $2, $3, 'guest', $4)"
    " ON CONFLICT DO NOTHING"
)


def insert_guest(tenant_id: int, user_id: str, origin: bytes) -> Statement:
    """The statement that keeps a guest, unless he is known. `origin`: a keyed hash of where he comes from."""
    return _GUEST, (tenant_id, user_id, f"guest/{user_id}", wire.Binary(origin))


def origin_of(db: Session, tenant_id: int, user_id: str) -> str:
    """Where a guest came from, as a text to count by; "" for who is no guest."""
    sql = "SELECT encode(origin, 'hex') FROM user_account WHERE tenant_id = $1 AND user_id = $2"
    rows = db.run([(sql, (tenant_id, user_id))])[0]
    return (rows[0][0] or b"").decode() if rows else ""


def set_password(tenant_id: int, user_id: str, password_hash: str) -> Statement:
    """The statement that changes the password."""
    sql = (
        "UPDATE user_account SET password_hash = $3, password_changed_at = now()"
        " WHERE tenant_id = $1 AND user_id = $2"
    )
    return sql, (tenant_id, user_id, password_hash)


def drop_password(tenant_id: int, user_id: str) -> Statement:
    """The statement that takes the password away; the account waits for an invitation."""
    sql = (
        "UPDATE user_account SET password_hash = NULL, status = 'invited', password_changed_at = now()"
        " WHERE tenant_id = $1 AND user_id = $2"
    )
    return sql, (tenant_id, user_id)


def rehash(tenant_id: int, user_id: str, old: str, new: str) -> Statement:
    """The statement that stores the same password under today's parameters, unless it changed meanwhile."""
    sql = "UPDATE user_account SET password_hash = $4 WHERE tenant_id = $1 AND user_id = $2 AND password_hash = $3"
    return sql, (tenant_id, user_id, old, new)


def verify_email(tenant_id: int, user_id: str, email: str) -> Statement:
    """The statement that says the address is the person's (and makes it theirs when it is another one)."""
    sql = "UPDATE user_account SET email = $3, email_verified_at = now() WHERE tenant_id = $1 AND user_id = $2"
    return sql, (tenant_id, user_id, email)


def set_profile(tenant_id: int, user_id: str, name: str, language: str) -> Statement:
    """The statement that changes what the person is called and which language they read."""
    sql = "UPDATE user_account SET name = $3, language = $4 WHERE tenant_id = $1 AND user_id = $2"
    return sql, (tenant_id, user_id, name, language)


def set_status(tenant_id: int, user_id: str, status: str) -> Statement:
    """The statement that disables or enables; gives a row when there is such an account."""
    sql = "UPDATE user_account SET status = $3 WHERE tenant_id = $1 AND user_id = $2 RETURNING user_id"
    return sql, (tenant_id, user_id, status)


def set_rights(
    tenant_id: int, user_id: str, role: str, fhir_user: str | None, patients: Sequence[str]
) -> Statement:
    """The statement that changes role and links."""
    sql = (
        "UPDATE user_account SET role = $3, fhir_user = $4, patients = $5 WHERE tenant_id = $1 AND user_id = $2"
        " RETURNING user_id"
    )
    return sql, (tenant_id, user_id, role, fhir_user, wire.texts(patients))


# -- second factors ----------------------------------------------------------------------------------------------------


def set_totp(tenant_id: int, user_id: str, sealed: bytes | None, step: int, recovery: Sequence[bytes]) -> Statement:
    """The statement that begins (or, with None, ends) TOTP. `step`: the one that was used; `recovery`: hashes."""
    sql = (
        "UPDATE user_account SET totp_sealed = $3, totp_last_step = $4, recovery_hashes ="
        " ARRAY(SELECT decode(x, 'hex') FROM unnest($5::text[]) AS x) WHERE tenant_id = $1 AND user_id = $2"
    )
    sealed_param = None if sealed is None else wire.Binary(sealed)
    return sql, (tenant_id, user_id, sealed_param, step, wire.texts(h.hex() for h in recovery))


def take_totp_step(tenant_id: int, user_id: str, step: int) -> Statement:
    """The statement that uses a time step up; gives a row once, to one caller."""
    sql = (
        "UPDATE user_account SET totp_last_step = $3 WHERE tenant_id = $1 AND user_id = $2 AND totp_last_step < $3"
        " RETURNING user_id"
    )
    return sql, (tenant_id, user_id, step)


def take_recovery_code(tenant_id: int, user_id: str, digest: bytes) -> Statement:
    """The statement that uses a recovery code up; gives a row once, to one caller."""
    sql = (
        "UPDATE user_account SET recovery_hashes = array_remove(recovery_hashes, $3::bytea)"
        " WHERE tenant_id = $1 AND user_id = $2 AND recovery_hashes @> ARRAY[$3::bytea] RETURNING user_id"
    )
    return sql, (tenant_id, user_id, wire.Binary(digest))


# -- what is over ------------------------------------------------------------------------------------------------------

_SWEEP = (
    "DELETE FROM user_code WHERE tenant_id = $1 AND (user_id, purpose) IN (SELECT user_id, purpose FROM user_code"
    " WHERE tenant_id = $1 AND expires_at < now() - interval '1 day' LIMIT 500)",
    "DELETE FROM web_session WHERE tenant_id = $1 AND hash IN (SELECT hash FROM web_session WHERE tenant_id = $1"
    " AND expires_at < now() - interval '30 days' LIMIT 500)",
    "DELETE FROM mail WHERE tenant_id = $1 AND mail_id IN (SELECT mail_id FROM mail WHERE tenant_id = $1"
    " AND coalesce(sent_at, failed_at) < now() - interval '30 days' LIMIT 500)",
    "DELETE FROM guest_proof WHERE tenant_id = $1 AND guest_id IN (SELECT guest_id FROM guest_proof"
    " WHERE tenant_id = $1 AND expires_at < now() - interval '1 day' LIMIT 500)",
    # Tokens of guests last an hour. The shared one stays.
    "DELETE FROM user_account WHERE tenant_id = $1 AND user_id IN (SELECT user_id FROM user_account"
    " WHERE tenant_id = $1 AND role = 'guest' AND user_id <> 'visitor' AND created_at < now() - interval '2 days'"
    " LIMIT 500)",
)


def sweep(tenant_id: int) -> list[Statement]:
    """Statements that delete codes, sessions, letters and guests that were over long ago, some at a time."""
    return [(sql, (tenant_id,)) for sql in _SWEEP]
