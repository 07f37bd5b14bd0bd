"""Where a tenant's definitions are, by canonical url (migrations/0008_conformance.sql)."""

from collections.abc import Sequence
from dataclasses import dataclass

from fhir_server.storage import wire
from fhir_server.storage.session import Session


@dataclass(frozen=True, slots=True)
class DefinitionRow:
    """One stored definition: `rid` and `revision` are its resource's and its version's; the other fields as the
    table's."""

    type_id: int
    url: str
    rid: int
    version: str
    revision: int
    id: str
    status: str
    kind: str
    subject: str
    package: str


_ALL = (
    "SELECT type_id, url, rid, version, revision, id, status, kind, subject, package FROM definition"
    " WHERE tenant_id = $1 ORDER BY type_id, url, rid"
)


def all_definitions(db: Session, tenant_id: int) -> list[DefinitionRow]:
    """Every definition of the tenant, by type, url and age, inside the open transaction."""
    found = []
    for row in db.run([(_ALL, (tenant_id,))])[0]:
        type_id, url, rid, version, revision, id_, *words = ((value or b"").decode() for value in row)
        found.append(DefinitionRow(int(type_id), url, int(rid), version, int(revision), id_, *words))
    return found


_FORGET = "DELETE FROM definition WHERE tenant_id = $1 AND rid = ANY($2::bigint[])"
_REMEMBER = (
    "INSERT INTO definition (tenant_id, type_id, url, rid, version, revision, id, status, kind, subject, package)"
    " SELECT $1, type_id, url, rid, version, revision, id, status, kind, subject, package FROM unnest($2::smallint[],"
    " $3::text[], $4::bigint[], $5::text[], $6::int[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[])"
    " AS n(type_id, url, rid, version, revision, id, status, kind, subject, package)"
)


def replace(db: Session, tenant_id: int, rids: Sequence[int], rows: Sequence[DefinitionRow]) -> None:
    """Forget what these resources defined and remember what they define now."""
    statements: list[tuple[str, tuple[wire.Param, ...]]] = [(_FORGET, (tenant_id, wire.bigints(rids)))]
    if rows:
        columns = (
            wire.smallints([r.type_id for r in rows]), wire.texts([r.url for r in rows]),
            wire.bigints([r.rid for r in rows]), wire.texts([r.version for r in rows]),
            wire.integers([r.revision for r in rows]), wire.texts([r.id for r in rows]),
            wire.texts([r.status for r in rows]), wire.texts([r.kind for r in rows]),
            wire.texts([r.subject for r in rows]), wire.texts([r.package for r in rows]),
        )  # fmt: skip
        statements.append((_REMEMBER, (tenant_id, *columns)))
    db.run(statements)


_BODY = (
    "SELECT body FROM resource WHERE tenant_id = $1 AND rid = $2 AND version = $3 AND NOT deleted UNION ALL"
    " SELECT body FROM resource_history WHERE tenant_id = $1 AND rid = $2 AND version = $3 AND body <> ''"
)


def body(db: Session, tenant_id: int, rid: int, revision: int) -> bytes | None:
    """The JSON text of a definition's version, also of one that was replaced meanwhile: whoever began with it goes on
    with it. None when it was erased."""
    rows = db.run([(_BODY, (tenant_id, rid, revision))])[0]
    return rows[0][0] if rows else None
