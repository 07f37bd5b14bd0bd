"""Statements on emergency accesses: rows of `break_glass`."""

from collections.abc import Sequence
from dataclasses import dataclass

from fhir_server.core.keys import self_key, token_key
from fhir_server.storage import wire
from fhir_server.storage.session import Row, Session, Statement


@dataclass(frozen=True, slots=True)
class Opening:
    """An emergency access. Times are FHIR instants, "" when it did not happen; `user`: the account's e-mail address."""

    id: str
    user: str
    patient: str
    purpose: str
    reason_sealed: bytes
    started: str
    expires: str
    ended: str
    reviewed: str
    reviewed_by: str


_INSERT = (
    "INSERT INTO break_glass (tenant_id, break_id, user_id, patient_id, purpose, reason_sealed, expires_at)"
    " VALUES ($1, $2, $3, $4, $5, $6, now() + make_interval(mins => $7::integer))"
    " RETURNING extract(epoch FROM expires_at)::bigint"
)


def insert(
    tenant_id: int, break_id: str, user_id: str, patient_id: str, purpose: str, reason_sealed: bytes, minutes: int
) -> Statement:
    """The statement that opens a record; gives the second since 1970 at which it closes."""
    return _INSERT, (tenant_id, break_id, user_id, patient_id, purpose, wire.Binary(reason_sealed), minutes)


def end(tenant_id: int, user_id: str, patient_id: str) -> Statement:
    """The statement that closes a record that the user has open; gives the ids of what it ended."""
    sql = (
        "UPDATE break_glass SET ended_at = now() WHERE tenant_id = $1 AND user_id = $2 AND patient_id = $3"
        " AND ended_at IS NULL AND expires_at > now() RETURNING break_id"
    )
    return sql, (tenant_id, user_id, patient_id)


def review(tenant_id: int, break_id: str, by: str) -> Statement:
    """The statement that notes a review, once; gives the id when there was one to note."""
    sql = (
        "UPDATE break_glass SET reviewed_at = now(), reviewed_by = $3 WHERE tenant_id = $1 AND break_id = $2"
        " AND reviewed_at IS NULL RETURNING break_id"
    )
    return sql, (tenant_id, break_id, by)


_TIMES = ", ".join(
    f"to_char(b.{column}, 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
    for column in ("started_at", "expires_at", "ended_at", "reviewed_at")
)
_LIST = (
    f"SELECT b.break_id, coalesce(u.email, b.user_id), b.patient_id, b.purpose, {_TIMES}, b.reviewed_by,"
    " encode(b.reason_sealed, 'hex') FROM break_glass b"
    " LEFT JOIN user_account u ON u.tenant_id = $1 AND u.user_id = b.user_id"
    " WHERE b.tenant_id = $1 AND ($2::boolean OR b.reviewed_at IS NULL) ORDER BY b.started_at, b.break_id"
)


def every(db: Session, tenant_id: int, *, reviewed: bool) -> list[Opening]:
    """The emergency accesses that wait for their review, oldest first; with `reviewed` also the others."""
    return [_opening(row) for row in db.run([(_LIST, (tenant_id, reviewed))], final=True)[0]]


def _opening(row: Row) -> Opening:
    id_, user, patient, purpose, started, expires, ended, reviewed, by, reason = ((v or b"").decode() for v in row)
    return Opening(id_, user, patient, purpose, bytes.fromhex(reason), started, expires, ended, reviewed, by)


def patient(db: Session, tenant_id: int, type_id: int, patient_id: str) -> int | None:
    """The rid of a patient, whatever consents say; None when there is none."""
    sql = "SELECT rid FROM resource WHERE tenant_id = $1 AND self_key = $2 AND type_id = $3 AND id = $4 AND NOT deleted"
    rows = db.run([(sql, (tenant_id, self_key("Patient", patient_id), type_id, patient_id))])[0]
    return int(rows[0][0] or b"0") if rows else None


def identified(db: Session, tenant_id: int, identifier: str) -> list[str]:
    """The ids of up to two patients with an identifier (`value` or `system|value`), whatever consents say."""
    sql = (
        "SELECT r.id FROM token t JOIN resource r ON r.tenant_id = $1 AND r.rid = t.rid"
        " WHERE t.tenant_id = $1 AND t.key = $2 AND NOT r.deleted AND $3::bigint = ANY(r.keys) LIMIT 2"
    )
    bare = token_key("Patient", "identifier", identifier.rpartition("|")[2])
    rows = db.run([(sql, (tenant_id, bare, token_key("Patient", "identifier", identifier)))])[0]
    return [(row[0] or b"").decode() for row in rows]


def reviewers(db: Session, tenant_id: int, roles: Sequence[str]) -> list[tuple[str, str]]:
    """(e-mail address, language) of the active accounts of these roles."""
    sql = (
        "SELECT email, language FROM user_account WHERE tenant_id = $1 AND role = ANY($2::text[])"
        " AND status = 'active' ORDER BY user_id LIMIT 50"
    )
    rows = db.run([(sql, (tenant_id, wire.texts(roles)))])[0]
    return [((row[0] or b"").decode(), (row[1] or b"").decode()) for row in rows]
