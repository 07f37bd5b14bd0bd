"""Transitive closure tables that clients keep up (migrations/0008_conformance.sql)."""

from collections.abc import Sequence
from dataclasses import dataclass

from fhir_server.storage import wire
from fhir_server.storage.session import Session


@dataclass(frozen=True, slots=True)
class ClosureConcept:
    """A concept of a closure table. `version`: that of the table at which it came in."""

    system: str
    code: str
    version: int


_COUNT = "SELECT count(*) FROM closure_name WHERE tenant_id = $1 AND starts_with(name, $2)"
_FORGET = "DELETE FROM closure_concept WHERE tenant_id = $1 AND name = $2"
_BEGIN = (
    "INSERT INTO closure_name (tenant_id, name) VALUES ($1, $2)"
    " ON CONFLICT (tenant_id, name) DO UPDATE SET version = 0"
)


def count(db: Session, tenant_id: int, beginning: str) -> int:
    """How many tables have names that begin so."""
    return int(db.run([(_COUNT, (tenant_id, beginning))])[0][0][0] or b"0")


def begin(db: Session, tenant_id: int, name: str) -> None:
    """Make the table, or empty it; either way its version is 0."""
    db.run([(_BEGIN, (tenant_id, name)), (_FORGET, (tenant_id, name))])


# Who adds at the same time waits here for the other's transaction.
_LOCK = "SELECT version FROM closure_name WHERE tenant_id = $1 AND name = $2 FOR UPDATE"


def lock(db: Session, tenant_id: int, name: str) -> int | None:
    """The table's version, nobody else changing it until the transaction ends; None when there is no such table."""
    rows = db.run([(_LOCK, (tenant_id, name))])[0]
    return int(rows[0][0] or b"0") if rows else None


_CONCEPTS = (
    "SELECT system, code, version FROM closure_concept WHERE tenant_id = $1 AND name = $2"
    " ORDER BY version, system, code"
)


def concepts(db: Session, tenant_id: int, name: str) -> list[ClosureConcept]:
    """The concepts of a table, the first that came in first."""
    rows = db.run([(_CONCEPTS, (tenant_id, name))])[0]
    return [ClosureConcept((s or b"").decode(), (c or b"").decode(), int(v or b"0")) for s, c, v in rows]


_RAISE = "UPDATE closure_name SET version = $3 WHERE tenant_id = $1 AND name = $2"
_ADD = (
    "INSERT INTO closure_concept (tenant_id, name, system, code, version)"
    " SELECT $1, $2, system, code, $3 FROM unnest($4::text[], $5::text[]) AS n(system, code)"
)


def add(db: Session, tenant_id: int, name: str, version: int, pairs: Sequence[tuple[str, str]]) -> None:
    """Add concepts, (system, code), at this version, which becomes the table's."""
    columns = wire.texts([system for system, _ in pairs]), wire.texts([code for _, code in pairs])
    db.run([(_RAISE, (tenant_id, name, version)), (_ADD, (tenant_id, name, version, *columns))])
