"""Statements that find whose record a resource belongs to, for the audit log: all resources of a batch at once."""

from collections.abc import Iterable, Sequence

from fhir_server.storage import wire
from fhir_server.storage.session import Session

# A reference's target is the key of what it names; the Patient with that key says which id it is.
_REFERRED = (
    "SELECT f.rid, p.id FROM unnest($2::bigint[]) AS n(rid)"
    " JOIN reference f ON f.tenant_id = $1 AND f.rid = n.rid AND f.param = ANY($3::integer[])"
    " JOIN resource p ON p.tenant_id = $1 AND p.self_key = f.target AND p.type_id = $4"
    " UNION SELECT r.rid, r.id FROM unnest($2::bigint[]) AS n(rid)"
    " JOIN resource r ON r.tenant_id = $1 AND r.rid = n.rid AND r.type_id = $4"
)
_DELETED = (
    "SELECT r.rid, h.body FROM unnest($2::bigint[]) AS n(rid)"
    " JOIN resource r ON r.tenant_id = $1 AND r.rid = n.rid AND r.deleted"
    " CROSS JOIN LATERAL (SELECT body FROM resource_history h WHERE h.tenant_id = $1 AND h.rid = r.rid AND h.body <> ''"
    " ORDER BY h.version DESC LIMIT 1) h"
)
_IDS = "SELECT self_key, id FROM resource WHERE tenant_id = $1 AND self_key = ANY($2::bigint[]) AND type_id = $3"


def referred(
    db: Session, tenant_id: int, rids: Sequence[int], params: Sequence[int], patient_type: int
) -> list[tuple[int, str]]:
    """`(rid, id of a patient)` of resources that belong to patients by one of the reference parameters `params`."""
    rows = db.run([(_REFERRED, (tenant_id, wire.bigints(rids), wire.integers(params), patient_type))])[0]
    return [(int(rid or 0), (id_ or b"").decode()) for rid, id_ in rows]


def deleted(db: Session, tenant_id: int, rids: Sequence[int]) -> list[tuple[int, bytes]]:
    """`(rid, last content)` of those resources that are deleted: their index rows are gone."""
    return [(int(rid or 0), body or b"") for rid, body in db.run([(_DELETED, (tenant_id, wire.bigints(rids)))])[0]]


def ids(db: Session, tenant_id: int, keys: Iterable[int], type_id: int) -> dict[int, str]:
    """Ids of the resources of a type with these self keys."""
    rows = db.run([(_IDS, (tenant_id, wire.bigints(sorted(keys)), type_id))])[0]
    return {int(key or 0): (id_ or b"").decode() for key, id_ in rows}
