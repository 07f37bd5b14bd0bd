"""Imported code systems as CodeSystem resources without their concepts, for who looks for a system by its url.

https://hl7.org/fhir/R4/codesystem.html (`content`: not-present; the concepts answer to the operations)
"""

from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.dates import parse_range
from fhir_server.core.resource_json import encode
from fhir_server.storage.concepts import SystemRow
from fhir_server.storage.versions import Version
from fhir_server.terminology.stored import stored_systems

TYPE = "CodeSystem"
_ID = "imported-"


def by_id(ctx: Context, resource_type: str, resource_id: str) -> Version | None:
    """The system of that id, as the one version there is of it; None when there is none."""
    if resource_type != TYPE or not resource_id.startswith(_ID):
        return None
    return next((_version(ctx, row) for row in _active(ctx) if _id(row) == resource_id), None)


def by_url(ctx: Context, resource_type: str, url: str, version: str | None) -> Version | None:
    """The system of that url, in that version or the newest; the tenant's own before the site's."""
    if resource_type != TYPE:
        return None
    rows = (row for row in _active(ctx) if row.url == url and version in (None, row.version))
    return next((_version(ctx, row) for row in rows), None)


def _active(ctx: Context) -> list[SystemRow]:
    return [row for row in stored_systems(ctx.db, ctx.tenant.id) if row.status == "active"]


def _id(row: SystemRow) -> str:
    return f"{_ID}{row.system_id}"


def _version(ctx: Context, row: SystemRow) -> Version:
    time = parse_range(row.imported_at)[0]
    body = encode(_resource(row))
    return Version(0, 1, False, "U", time, time, 0, body, ctx.registry.type_ids[TYPE], _id(row))


def _resource(row: SystemRow) -> dict[str, Any]:
    said = row.described
    told = {
        "version": row.version, **{name: said.get(name) for name in ("name", "title", "copyright")},
        "hierarchyMeaning": "is-a" if said.get("hierarchical") else "",
        "property": [{"code": code, "type": type_} for code, type_ in said.get("properties", {}).items()],
    }  # fmt: skip
    return {
        "resourceType": TYPE, "id": _id(row), "meta": {"versionId": "1", "lastUpdated": row.imported_at},
        "url": row.url, "status": "active", "caseSensitive": bool(said.get("caseSensitive")), "content": "not-present",
        "count": row.concepts, **{name: value for name, value in told.items() if value},
    }  # fmt: skip
