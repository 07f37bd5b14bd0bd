"""Statements on tenants, their tokens and their definitions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from fhir_server.core.context import Tenant
from fhir_server.core.errors import NotFound
from fhir_server.core.keys import type_key
from fhir_server.storage import clock, wire
from fhir_server.storage.session import Session


@dataclass(frozen=True, slots=True)
class TenantState:
    """A tenant as the directory has it now."""

    tenant: Tenant
    registry_version: int
    status: str


_COLUMNS = "tenant_id, slug, name, settings, registry_version, status, has_consents"


def find(db: Session, slug: str) -> TenantState:
    """The tenant of a slug. Raises `NotFound`, also for a suspended one."""
    rows = db.plain([(f"SELECT {_COLUMNS} FROM tenant WHERE slug = $1", (slug,))])[0]
    if not rows or rows[0][5] != b"active":
        raise NotFound("There is no such tenant, or it is suspended.")
    return _state(rows[0])


def at_domain(db: Session, host: str) -> str | None:
    """The slug of the active tenant whose pages are at this host, or None."""
    where = "status = 'active' AND settings -> 'brand' ->> 'domain' = $1"
    sql = f"SELECT slug FROM tenant WHERE {where} ORDER BY slug LIMIT 1"
    rows = db.plain([(sql, (host,))])[0]
    return (rows[0][0] or b"").decode() if rows else None


def all_tenants(db: Session) -> list[TenantState]:
    """Every tenant, by slug."""
    return [_state(row) for row in db.plain([(f"SELECT {_COLUMNS} FROM tenant ORDER BY slug", ())])[0]]


def _state(row: tuple[bytes | None, ...]) -> TenantState:
    tenant_id, slug, name, settings, version, status, consents = (v or b"" for v in row)
    chosen = msgspec.json.decode(settings)
    tenant = Tenant(
        int(tenant_id), slug.decode(), name.decode(), chosen.get("zone", "UTC"), consents == b"t", chosen
    )
    return TenantState(tenant, int(version), status.decode())


_DEFINITIONS = (
    "SELECT r.body FROM token t JOIN resource r ON r.tenant_id = t.tenant_id AND r.rid = t.rid"
    " WHERE t.tenant_id = $1 AND t.key = $2 AND r.tenant_id = $1 AND NOT r.deleted ORDER BY r.rid"
)
_PENDING = "SELECT type, code FROM search_parameter_job WHERE tenant_id = $1 AND status <> 'done'"


def definitions(db: Session, tenant_id: int) -> tuple[list[bytes], list[tuple[str, str]]]:
    """The tenant's own SearchParameter resources (JSON), and the (type, code) that are still being indexed."""
    found, pending = db.run(
        [(_DEFINITIONS, (tenant_id, type_key("SearchParameter"))), (_PENDING, (tenant_id,))], final=True
    )
    return [row[0] or b"" for row in found], [((r[0] or b"").decode(), (r[1] or b"").decode()) for r in pending]


_QUEUE = (
    "INSERT INTO search_parameter_job (tenant_id, type, code, url, status)"
    " SELECT $1, type, $3, $4, 'waiting' FROM unnest($2::text[]) AS n(type)"
    " ON CONFLICT (tenant_id, type, code) DO UPDATE SET status = 'waiting', done_rows = 0, total_rows = 0,"
    " last_rid = 0, message = '', url = excluded.url, updated_at = now()"
)


def queue_backfill(db: Session, tenant_id: int, url: str, code: str, types: Sequence[str]) -> None:
    """Ask for the index rows of a parameter on existing resources of these types."""
    db.run([(_QUEUE, (tenant_id, wire.texts(types), code, url))])


def raise_registry_version(db: Session, tenant_id: int) -> None:
    """Make every process load the tenant's definitions anew before its next request."""
    db.run([("UPDATE tenant SET registry_version = registry_version + 1 WHERE tenant_id = $1", (tenant_id,))])


_HOLD = "SELECT settings -> $2 FROM tenant WHERE tenant_id = $1 FOR NO KEY UPDATE"


def held_setting(db: Session, tenant_id: int, name: str) -> Any:
    """One of a tenant's settings as it is now, None when it is not set. Until the open transaction ends nobody else
    changes it."""
    rows = db.run([(_HOLD, (tenant_id, name))])[0]
    return msgspec.json.decode(rows[0][0]) if rows and rows[0][0] else None


_SET = (
    "UPDATE tenant SET settings = settings || jsonb_build_object($2::text, $3::jsonb),"
    " registry_version = registry_version + 1 WHERE tenant_id = $1"
)


def change_setting(db: Session, tenant_id: int, name: str, value: Any) -> None:
    """Set one of a tenant's settings in the open transaction; every process knows with its next request."""
    db.run([(_SET, (tenant_id, name, msgspec.json.encode(value).decode()))])


def take_node(db: Session) -> None:
    """Give this process its number for `clock`, once."""
    if not clock.has_node():
        rows = db.plain([("SELECT nextval('clock_node')", ())])[0]
        clock.set_node(int(rows[0][0] or b"0"))
