"""Statements on the tenants' data keys. They stand here only wrapped: the database alone cannot read what they seal."""

from dataclasses import dataclass
from typing import Any

from fhir_server.storage import wire
from fhir_server.storage.session import Row, Session, Statement

_COLUMNS = (
    "key_id, encode(wrapped, 'hex'), wrapped_by, coalesce(xmin <> pg_current_xact_id_if_assigned()::xid, true),"
    " destroyed_at IS NOT NULL"
)


@dataclass(frozen=True, slots=True)
class DataKey:
    """A key as it stands. `lasting`: it does not go away when the present transaction is rolled back."""

    key_id: int
    wrapped: bytes
    wrapped_by: str
    lasting: bool
    destroyed: bool


_NEWEST = f"SELECT {_COLUMNS} FROM data_key WHERE tenant_id = $1 ORDER BY key_id DESC LIMIT 1"


def newest(db: Session, tenant_id: int) -> DataKey | None:
    """The tenant's last key, which seals unless it is destroyed; None when there is none yet."""
    return _one(db, (_NEWEST, (tenant_id,)))


def find(db: Session, tenant_id: int, key_id: int) -> DataKey | None:
    """One key, also a retired or destroyed one."""
    return _one(db, (f"SELECT {_COLUMNS} FROM data_key WHERE tenant_id = $1 AND key_id = $2", (tenant_id, key_id)))


_ADD = (
    "INSERT INTO data_key (tenant_id, key_id, wrapped, wrapped_by) VALUES ($1, $2, $3, $4)"
    " ON CONFLICT (tenant_id, key_id) DO NOTHING"
)
_RETIRE = (
    "UPDATE data_key SET retired_at = now() WHERE tenant_id = $1 AND retired_at IS NULL"
    " AND key_id < (SELECT max(key_id) FROM data_key WHERE tenant_id = $1)"
)


def add(db: Session, tenant_id: int, key_id: int, wrapped: bytes, wrapped_by: str) -> None:
    """Add a key and retire the older ones. Of several that add the same id at once, one does."""
    _read(db, (_ADD, (tenant_id, key_id, wire.Binary(wrapped), wrapped_by)), (_RETIRE, (tenant_id,)))


_REWRAP = (
    "UPDATE data_key SET wrapped = $3, wrapped_by = $4 WHERE tenant_id = $1 AND key_id = $2 AND wrapped_by = $5"
    " AND destroyed_at IS NULL"
)


def rewrap(db: Session, tenant_id: int, old: DataKey, wrapped: bytes, wrapped_by: str) -> None:
    """Replace how a key is wrapped, unless somebody else did or it was destroyed meanwhile."""
    _read(db, (_REWRAP, (tenant_id, old.key_id, wire.Binary(wrapped), wrapped_by, old.wrapped_by)))


def wrapped_keys(db: Session, tenant_id: int) -> list[DataKey]:
    """Every key of the tenant that is not destroyed, oldest first."""
    sql = f"SELECT {_COLUMNS} FROM data_key WHERE tenant_id = $1 AND destroyed_at IS NULL ORDER BY key_id"
    return [_key(row) for row in _read(db, (sql, (tenant_id,)))]


_DESTROY = (
    "UPDATE data_key SET wrapped = NULL, destroyed_at = now(), retired_at = coalesce(retired_at, now())"
    " WHERE tenant_id = $1 AND destroyed_at IS NULL AND key_id <= $2 RETURNING key_id"
)


def destroy(db: Session, tenant_id: int, upto: int = 2**31 - 1) -> list[int]:
    """Delete the material of the tenant's keys (up to an id); the ids of those that still had any."""
    return [int(row[0] or 0) for row in _read(db, (_DESTROY, (tenant_id, upto)))]


_LIST = (
    "SELECT key_id, wrapped_by, to_char(created_at, 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'),"
    " CASE WHEN destroyed_at IS NOT NULL THEN 'destroyed' WHEN retired_at IS NOT NULL THEN 'retired' ELSE 'current' END"
    " FROM data_key WHERE tenant_id = $1 ORDER BY key_id"
)


def listed(db: Session, tenant_id: int) -> list[dict[str, Any]]:
    """What the operator may know of a tenant's keys."""
    found = []
    for row in _read(db, (_LIST, (tenant_id,))):
        key_id, wrapped_by, created, status = ((value or b"").decode() for value in row)
        found.append({"key": int(key_id), "wrapped_by": wrapped_by, "created": created, "status": status})
    return found


def _read(db: Session, *statements: Statement) -> list[Row]:
    # An open transaction is the caller's and stays open; one that this would open is closed again.
    return db.run(statements, final=not db.open)[0]


def _one(db: Session, statement: Statement) -> DataKey | None:
    rows = _read(db, statement)
    return _key(rows[0]) if rows else None


def _key(row: Row) -> DataKey:
    key_id, wrapped, wrapped_by, lasting, destroyed = (value or b"" for value in row)
    return DataKey(
        int(key_id), bytes.fromhex(wrapped.decode()), wrapped_by.decode(), lasting == b"t", destroyed == b"t"
    )
