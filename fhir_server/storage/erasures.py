"""Statements that delete a patient's record for good, and the list of such erasures.

`patient` is `core.keys.patient_key`: it stands in `resource.keys` of every resource of the patient's compartment, also
of deleted ones. No index leads there; the record is found by walking the tenant's resources in windows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from fhir_server.storage import wire
from fhir_server.storage.session import Row, Session, Statement

_WINDOW = 20_000
_US = "(extract(epoch FROM {0}) * 1000000)::bigint"


@dataclass(frozen=True, slots=True)
class Erasure:
    """A row of the list. `status`: proposed, held (must not happen), done or rejected."""

    erasure_id: str
    patient: int
    reason: str
    proposed_by: str
    approved_by: str | None
    status: str
    created_at: str
    done_at: str | None


@dataclass(frozen=True, slots=True)
class Member:
    """A resource of the record. `keys`: which it has; `text`: its JSON text, of a deleted one its last; `ts`: clinical
    time and `last_updated` in µs."""

    rid: int
    type_id: int
    id: str
    deleted: bool
    keys: frozenset[int]
    ts: int
    last_updated: int
    text: str


_MEMBERS = (
    "WITH w AS MATERIALIZED (SELECT rid, type_id, id, deleted, keys, ts, last_updated, body FROM resource"
    " WHERE tenant_id = $1 AND rid > $2 ORDER BY rid LIMIT $4),"
    " m AS (SELECT * FROM w WHERE $3::bigint = ANY(keys))"
    f" SELECT rid, type_id, id, deleted, keys, {_US.format('ts')}, {_US.format('last_updated')}, CASE WHEN deleted THEN"
    " coalesce((SELECT string_agg(h.body, ' ') FROM resource_history h WHERE h.tenant_id = $1 AND h.rid = m.rid), '')"
    " ELSE body END FROM m"
    " UNION ALL SELECT max(rid), NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM w"
)


def members(db: Session, tenant_id: int, patient: int, after: int) -> tuple[list[Member], int | None]:
    """The resources of the record among the next window of rids, and where to go on (None at the end)."""
    rows = db.run([(_MEMBERS, (tenant_id, after, patient, _WINDOW))], final=True)[0]
    found = [_member(row) for row in rows if row[1] is not None]
    last = next(row[0] for row in rows if row[1] is None)
    return found, None if last is None else int(last)


_PAST = (
    "WITH w AS MATERIALIZED (SELECT rid, version, body FROM resource_history"
    " WHERE tenant_id = $1 AND (rid, version) > ($2, $3) ORDER BY rid, version LIMIT $5)"
    " SELECT rid, version, body FROM w WHERE position($4 IN body) > 0"
    " UNION ALL (SELECT rid, version, NULL FROM w ORDER BY rid DESC, version DESC LIMIT 1)"
)


def past(
    db: Session, tenant_id: int, mention: str, after: tuple[int, int]
) -> tuple[list[tuple[int, int, str]], tuple[int, int] | None]:
    """Superseded versions whose text holds `mention`: (rid, version, text), and where to go on (None at the end)."""
    rows = db.run([(_PAST, (tenant_id, *after, mention, _WINDOW))], final=True)[0]
    found = [(int(r or 0), int(v or 0), text.decode()) for r, v, text in rows if text is not None]
    last = [(int(r or 0), int(v or 0)) for r, v, text in rows if text is None]
    return found, last[0] if last else None


_LOCK = "SELECT rid FROM resource WHERE tenant_id = $1 AND rid = ANY($2::bigint[]) ORDER BY rid FOR UPDATE"
# In this order: index rows and change rows are found through the versions.
_DELETE = (
    "DELETE FROM token t USING resource r CROSS JOIN LATERAL unnest(r.keys) AS k(key) WHERE r.tenant_id = $1"
    " AND r.rid = ANY($2::bigint[]) AND t.tenant_id = $1 AND t.key = k.key AND t.ts = r.ts AND t.rid = r.rid",
    *(
        f"DELETE FROM {name} WHERE tenant_id = $1 AND rid = ANY($2::bigint[])"
        for name in (
            *("reference", "date", "string", "quantity", "consent_rule"),
            *("ticket", "ticket_event", "ticket_link", "message"),
        )
    ),
    "DELETE FROM slot_claim WHERE tenant_id = $1 AND (holder = ANY($2::bigint[]) OR appointment = ANY($2::bigint[]))",
    "DELETE FROM push_subscription WHERE tenant_id = $1 AND person IN ("
    "SELECT self_key FROM resource WHERE tenant_id = $1 AND rid = ANY($2::bigint[]))",
    "DELETE FROM change WHERE tenant_id = $1 AND seq IN ("
    "SELECT seq FROM resource WHERE tenant_id = $1 AND rid = ANY($2::bigint[]) UNION ALL"
    " SELECT seq FROM resource_history WHERE tenant_id = $1 AND rid = ANY($2::bigint[]))",
    "DELETE FROM resource_history WHERE tenant_id = $1 AND rid = ANY($2::bigint[])",
    "DELETE FROM resource WHERE tenant_id = $1 AND rid = ANY($2::bigint[])",
)


def delete(db: Session, tenant_id: int, rids: Sequence[int]) -> None:
    """Delete resources with all versions, index rows and change rows, in one transaction."""
    args = (tenant_id, wire.bigints(sorted(rids)))
    db.run([(sql, args) for sql in (_LOCK, *_DELETE)], final=True)


_DELETE_VERSIONS = (
    "DELETE FROM change c USING resource_history h, unnest($2::bigint[], $3::int[]) AS n(rid, version)"
    " WHERE h.tenant_id = $1 AND h.rid = n.rid AND h.version = n.version AND c.tenant_id = $1 AND c.seq = h.seq",
    "DELETE FROM resource_history h USING unnest($2::bigint[], $3::int[]) AS n(rid, version)"
    " WHERE h.tenant_id = $1 AND h.rid = n.rid AND h.version = n.version",
)


def delete_versions(db: Session, tenant_id: int, versions: Sequence[tuple[int, int]]) -> None:
    """Delete superseded versions (rid, version) of resources that stay."""
    rids, numbers = zip(*versions, strict=True)
    args = (tenant_id, wire.bigints(rids), wire.integers(numbers))
    db.run([(sql, args) for sql in _DELETE_VERSIONS], final=True)


_ACCOUNTS = (
    "SELECT user_id FROM user_account WHERE tenant_id = $1 AND status <> 'disabled'"
    " AND (fhir_user = 'Patient/' || $2::text OR $2::text = ANY(patients)) ORDER BY user_id"
)


def accounts(db: Session, tenant_id: int, patient_id: str) -> list[str]:
    """Ids of the accounts that belong to the patient or act for the patient."""
    return [(row[0] or b"").decode() for row in db.run([(_ACCOUNTS, (tenant_id, patient_id))], final=True)[0]]


# -- the list ----------------------------------------------------------------------------------------------------------

_TIME = "to_char({0}, 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
_COLUMNS = (
    "erasure_id, patient, reason, proposed_by, approved_by, status,"
    f" {_TIME.format('created_at')}, {_TIME.format('done_at')}"
)


def listed(db: Session, tenant_id: int) -> list[Erasure]:
    """Every erasure, oldest first."""
    sql = f"SELECT {_COLUMNS} FROM erasure WHERE tenant_id = $1 ORDER BY created_at, erasure_id"
    return [_erasure(row) for row in db.run([(sql, (tenant_id,))], final=not db.open)[0]]


_ADD = (
    "INSERT INTO erasure (tenant_id, erasure_id, patient, reason, proposed_by, approved_by, status, done_at)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, CASE WHEN $7 = 'done' THEN now() END) ON CONFLICT DO NOTHING"
)


def add(
    tenant_id: int, erasure_id: str, patient: int, reason: str, by: str, status: str, approved_by: str | None = None
) -> Statement:
    """The statement that adds an erasure to the list."""
    return _ADD, (tenant_id, erasure_id, patient, reason, by, approved_by, status)


_MOVE = (
    "UPDATE erasure SET status = $4, approved_by = coalesce($5, approved_by),"
    " done_at = CASE WHEN $4 = 'done' THEN now() END"
    f" WHERE tenant_id = $1 AND erasure_id = $2 AND status = $3 RETURNING {_COLUMNS}"
)


def move(tenant_id: int, erasure_id: str, before: str, status: str, approved_by: str | None = None) -> Statement:
    """The statement that changes an erasure's status if it still is `before`; it gives the row as it is then."""
    return _MOVE, (tenant_id, erasure_id, before, status, approved_by)


def place_of(db: Session, tenant_id: int) -> tuple[str, int | None]:
    """The tenant's country (lower case, "" for none) and its own number of years of retention, of its settings."""
    sql = "SELECT coalesce(settings->>'country', ''), settings->>'retention_years' FROM tenant WHERE tenant_id = $1"
    country, years = db.run([(sql, (tenant_id,))], final=not db.open)[0][0]
    return (country or b"").decode().lower(), None if years is None else int(years)


def _member(row: Row) -> Member:
    rid, type_id, id_, deleted, keys, ts, updated, text = (value or b"" for value in row)
    numbers = keys.strip(b"{}")
    present = frozenset(map(int, numbers.split(b","))) if numbers else frozenset[int]()
    return Member(
        int(rid), int(type_id), id_.decode(), deleted == b"t", present, int(ts), int(updated), text.decode()
    )


def _erasure(row: Row) -> Erasure:
    first = [(value or b"").decode() for value in row]
    return Erasure(
        first[0], int(first[1]), first[2], first[3], first[4] or None, first[5], first[6], first[7] or None
    )
