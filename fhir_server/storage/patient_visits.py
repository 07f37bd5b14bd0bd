"""The visits of a patient around a time: one indexed statement, as every booking asks for them."""

from collections.abc import Sequence
from datetime import datetime

from fhir_server.core.keys import param_id
from fhir_server.storage import wire
from fhir_server.storage.session import Session, Statement

_PATIENT = param_id("Appointment", "patient")
# An Appointment's `ts` is its start.
_STARTING = (
    "SELECT r.body FROM reference p JOIN resource r ON r.tenant_id = $1 AND r.rid = p.rid AND NOT r.deleted"
    " WHERE p.tenant_id = $1 AND p.target = ANY($2) AND p.param = $3 AND p.ts > $4::timestamptz"
    " AND p.ts < $5::timestamptz"
)


def starting(
    db: Session, tenant_id: int, patients: Sequence[int], after: datetime, before: datetime, turns: Sequence[int] = ()
) -> list[bytes]:
    """JSON text of the Appointments of these patients (keys) that start between two moments, in no order.

    `turns`: locks (hashes that name tenant and purpose) to take before, in this order, until the transaction ends;
    what is read is what stands once they are had.
    """
    params = (tenant_id, wire.bigints(patients), _PATIENT, after.isoformat(), before.isoformat())
    statements: list[Statement] = [
        *[("SELECT pg_advisory_xact_lock($1)", (key,)) for key in turns],
        (_STARTING, params),
    ]
    return [row[0] or b"" for row in db.run(statements)[-1]]
