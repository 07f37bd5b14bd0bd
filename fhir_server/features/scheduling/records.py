"""Who did what staff must answer for: Provenance."""

from typing import Any

from fhir_server.core.context import Context
from fhir_server.features.scheduling.fields import BOOKING, instant
from fhir_server.interactions.changes import Changes

_ACTIVITY = "http://terminology.hl7.org/CodeSystem/v3-DataOperation"


def record(ctx: Context, unit: Changes, appointment_id: str, act: str, reason: str | None) -> None:
    """Add the Provenance of an act of booking (`overbooked`, `late-cancel`, `declined`) with its reason, to be written
    with the Appointment. https://hl7.org/fhir/R4/provenance.html"""
    user = ctx.principal.user
    who: dict[str, Any] = {"display": ctx.principal.client_id}
    if user is not None:
        who = {"reference": user.fhir_user} if user.fhir_user else {"display": f"User {user.id}"}
    provenance: dict[str, Any] = {
        "resourceType": "Provenance",
        "target": [{"reference": f"Appointment/{appointment_id}"}],
        "recorded": instant(ctx.now),
        "activity": {"coding": [{"system": _ACTIVITY, "code": "UPDATE"}, {"system": BOOKING, "code": act}]},
        "agent": [{"who": who}],
    }
    if reason:
        provenance["reason"] = [{"text": reason}]
    unit.add(provenance)
