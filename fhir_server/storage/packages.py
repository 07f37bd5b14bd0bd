"""The packages that a tenant has installed (migrations/0008_conformance.sql)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from fhir_server.storage import wire
from fhir_server.storage.session import Session


@dataclass(frozen=True, slots=True)
class PackageRow:
    """`manifest`: what `interactions/packages.py` keeps of the package; `asked`: somebody wanted it, not only another
    package; `installed_at`: microseconds since 1970."""

    name: str
    version: str
    digest: bytes
    manifest: Mapping[str, Any]
    resources: int
    asked: bool
    installed_at: int = 0

    @property
    def label(self) -> str:
        """`name#version`."""
        return f"{self.name}#{self.version}"


_ALL = (
    "SELECT name, version, encode(digest, 'hex'), manifest, resources, asked,"
    " (extract(epoch FROM installed_at) * 1000000)::bigint FROM package WHERE tenant_id = $1 ORDER BY name, version"
)


def all_packages(db: Session, tenant_id: int) -> list[PackageRow]:
    """Every package of the tenant, by name and version."""
    found = []
    for row in db.run([(_ALL, (tenant_id,))])[0]:
        name, version, digest, manifest, resources, asked, at = (value or b"" for value in row)
        found.append(
            PackageRow(
                name.decode(),
                version.decode(),
                bytes.fromhex(digest.decode()),
                msgspec.json.decode(manifest),
                int(resources),
                asked == b"t",
                int(at),
            )  # fmt: skip
        )
    return found


_SAVE = (
    "INSERT INTO package (tenant_id, name, version, digest, manifest, resources, asked)"
    " VALUES ($1, $2, $3, $4, $5::text::jsonb, $6, $7)"
    " ON CONFLICT (tenant_id, name, version) DO UPDATE SET manifest = excluded.manifest, asked = excluded.asked"
)
_REMOVE = "DELETE FROM package WHERE tenant_id = $1 AND name = $2 AND version = $3"


def save(db: Session, tenant_id: int, row: PackageRow) -> None:
    """Keep a new package, or what changed of a known one (its content never does)."""
    manifest = msgspec.json.encode(row.manifest).decode()
    given = (tenant_id, row.name, row.version, wire.Binary(row.digest), manifest, row.resources, row.asked)
    db.run([(_SAVE, given)])


def remove(db: Session, tenant_id: int, name: str, version: str) -> None:
    """Forget a package."""
    db.run([(_REMOVE, (tenant_id, name, version))])
