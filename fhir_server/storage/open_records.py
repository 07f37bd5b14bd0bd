"""The records that a user has open by break-glass."""

from fhir_server.storage.session import Session

_OPEN = (
    "SELECT patient_id, extract(epoch FROM expires_at)::bigint FROM break_glass"
    " WHERE tenant_id = $1 AND user_id = $2 AND ended_at IS NULL AND expires_at > now()"
)


def of_user(db: Session, tenant_id: int, user_id: str) -> tuple[tuple[str, int], ...]:
    """(id of the patient, seconds since 1970 at which it closes) of each."""
    rows = db.run([(_OPEN, (tenant_id, user_id))], final=True)[0]
    return tuple(((patient or b"").decode(), int(until or b"0")) for patient, until in rows)
