"""Whose record the resources of the audit log belong to: the Patient compartment, computed for many rows at once."""

from collections.abc import Iterable, Sequence
from functools import lru_cache

from fhir_server.conformance.registry import base_registry
from fhir_server.core.keys import param_id
from fhir_server.core.resource_json import decode
from fhir_server.search.extract import extract
from fhir_server.storage import audit_patients
from fhir_server.storage.session import Session

_PATIENT = "Patient"
_CHUNK = 20_000


@lru_cache(maxsize=1)
def _params() -> tuple[int, ...]:
    members = base_registry().compartments[_PATIENT]
    return tuple(sorted({param_id(name, code) for name, codes in members.items() for code in codes}))


def patients_of(db: Session, tenant_id: int, rids: Iterable[int]) -> dict[int, list[str]]:
    """Ids of the patients in whose compartments these resources are, by rid; the others are left out.

    A deleted resource belongs to whom it last belonged. The transaction stays open.
    """
    wanted = sorted(set(rids))
    found: dict[int, list[str]] = {}
    for start in range(0, len(wanted), _CHUNK):
        chunk = wanted[start : start + _CHUNK]
        for rid, patient in _of_chunk(db, tenant_id, chunk):
            found.setdefault(rid, []).append(patient)
    return found


def _of_chunk(db: Session, tenant_id: int, rids: Sequence[int]) -> list[tuple[int, str]]:
    patient_type = base_registry().type_ids[_PATIENT]
    found = audit_patients.referred(db, tenant_id, rids, _params(), patient_type)
    rest = sorted(set(rids) - {rid for rid, _ in found})
    gone = audit_patients.deleted(db, tenant_id, rest) if rest else []
    if not gone:
        return found
    params = frozenset(_params())
    targets = [
        (rid, target)
        for rid, body in gone
        for param, target in extract(base_registry(), decode(body), "").references
        if param in params
    ]
    ids = audit_patients.ids(db, tenant_id, {target for _, target in targets}, patient_type)
    return found + sorted({(rid, ids[target]) for rid, target in targets if target in ids})
