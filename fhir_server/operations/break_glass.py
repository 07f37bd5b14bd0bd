"""Patient/$break-glass and Patient/$end-break-glass (profiles/operations/): emergency access to one record."""

from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.dates import format_instant
from fhir_server.core.errors import Conflict, Invalid, NotFound
from fhir_server.operations.call import OperationCall
from fhir_server.security import break_glass
from fhir_server.storage.break_glass import identified

_PURPOSES = ("BTG", "ETREAT")
_REASON = (10, 500)
_MOST_MINUTES = 60
_MINUTES = 15


def open_record(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """Open a record to the calling user: Parameters with patient, purpose and the instant at which it closes."""
    break_glass.check(ctx)
    reason = call.parameters["reason"].strip()
    if not _REASON[0] <= len(reason) <= _REASON[1]:
        raise Invalid(
            f"reason says why in {_REASON[0]} to {_REASON[1]} characters.", expression="http.reason", code="value"
        )
    purpose = call.parameters.get("purpose", _PURPOSES[0])
    if purpose not in _PURPOSES:
        raise Invalid(f"purpose takes one of {', '.join(_PURPOSES)}.", expression="http.purpose", code="value")
    minutes = call.parameters.get("minutes", _MINUTES)
    if not 1 <= minutes <= _MOST_MINUTES:
        raise Invalid(f"minutes takes 1 to {_MOST_MINUTES}.", expression="http.minutes", code="value")
    opened = break_glass.open_record(ctx, _patient(ctx, call), reason=reason, purpose=purpose, minutes=minutes)
    return {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "patient", "valueReference": {"reference": f"Patient/{opened.patient}"}},
            {"name": "purpose", "valueCode": purpose},
            {"name": "expires", "valueInstant": format_instant(opened.until * 1_000_000)},
        ],
    }


def end_record(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """Close a record that the calling user has open: Parameters with `ended`."""
    ended = break_glass.end_record(ctx, call.id or "")
    return {"resourceType": "Parameters", "parameter": [{"name": "ended", "valueBoolean": ended}]}


def _patient(ctx: Context, call: OperationCall) -> str:
    """The id of the patient in the URL, or of the one with the identifier."""
    identifier = call.parameters.get("identifier")
    if (identifier is None) == (call.id is None):
        raise Invalid(
            "Name the patient once: Patient/[id]/$break-glass, or Patient/$break-glass with identifier.",
            expression="http.identifier",
        )
    if call.id is not None:
        return call.id
    found = identified(ctx.db, ctx.tenant.id, str(identifier))
    if len(found) > 1:
        raise Conflict("Several patients have this identifier.", expression="http.identifier", code="multiple-matches")
    if not found:
        raise NotFound("No patient with this identifier is known here.")
    return found[0]
