"""Statements of the operator's commands: tenants, tokens, and how far a load has come."""

from collections.abc import Mapping
from typing import Any

import msgspec

from fhir_server.core.errors import Conflict, NotFound
from fhir_server.storage.errors import UniqueViolation
from fhir_server.storage.session import Row, Session

_LIST = 'SELECT tenant_id, slug, name, status, to_char(created_at, \'YYYY-MM-DD"T"HH24:MI:SS"Z"\') FROM tenant'
_RETURN = ' RETURNING tenant_id, slug, name, status, to_char(created_at, \'YYYY-MM-DD"T"HH24:MI:SS"Z"\')'


def create_tenant(db: Session, slug: str, name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Make a tenant and give its row. Raises `Conflict` when the slug is taken."""
    insert = "INSERT INTO tenant (slug, name, settings) VALUES ($1, $2, $3::jsonb)" + _RETURN
    try:
        return _tenant(db.plain([(insert, (slug, name, msgspec.json.encode(settings).decode()))])[0][0])
    except UniqueViolation:
        raise Conflict(f"There is already a tenant {slug}.") from None


def list_tenants(db: Session) -> list[dict[str, Any]]:
    """Every tenant by slug, suspended ones too."""
    return [_tenant(row) for row in db.plain([(f"{_LIST} ORDER BY slug", ())])[0]]


def set_status(db: Session, slug: str, status: str) -> dict[str, Any]:
    """Suspend or resume a tenant; requests see it from their next transaction on. Raises `NotFound`."""
    rows = db.plain([("UPDATE tenant SET status = $2 WHERE slug = $1" + _RETURN, (slug, status))])[0]
    if not rows:
        raise NotFound(f"There is no tenant {slug}.")
    return _tenant(rows[0])


def change_settings(db: Session, slug: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Set some of a tenant's settings; every process knows with its next request. Raises `NotFound`."""
    sql = "UPDATE tenant SET settings = settings || $2::jsonb, registry_version = registry_version + 1 WHERE slug = $1"
    rows = db.plain([(sql + _RETURN, (slug, msgspec.json.encode(settings).decode()))])[0]
    if not rows:
        raise NotFound(f"There is no tenant {slug}.")
    return _tenant(rows[0])


def load_position(db: Session, tenant_id: int, source: str) -> tuple[int, dict[str, Any]]:
    """How many units of a source are stored (0 for a new one), and its outcome so far."""
    select = "SELECT position, outcome FROM load_progress WHERE tenant_id = $1 AND source = $2"
    rows = db.run([(select, (tenant_id, source))], final=True)[0]
    return (int(rows[0][0] or b"0"), msgspec.json.decode(rows[0][1] or b"{}")) if rows else (0, {})


def save_load_position(db: Session, tenant_id: int, source: str, position: int, outcome: Mapping[str, Any]) -> None:
    """Remember how far a source is stored."""
    upsert = (
        "INSERT INTO load_progress (tenant_id, source, position, outcome) VALUES ($1, $2, $3, $4::jsonb)"
        " ON CONFLICT (tenant_id, source) DO UPDATE SET position = excluded.position, outcome = excluded.outcome"
    )
    db.run([(upsert, (tenant_id, source, position, msgspec.json.encode(outcome).decode()))], final=True)


def _tenant(row: Row) -> dict[str, Any]:
    tenant_id, slug, name, status, created = ((value or b"").decode() for value in row)
    return {"id": int(tenant_id), "slug": slug, "name": name, "status": status, "created": created}
