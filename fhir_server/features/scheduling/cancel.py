"""Appointment/$cancel: cancel a visit and give its time free (profiles/scheduling/operations/)."""

from fhir_server.core.context import Context
from fhir_server.core.messages import FhirResponse
from fhir_server.features.scheduling import booking, records, slots, targets
from fhir_server.features.scheduling.confirm import text_of
from fhir_server.features.scheduling.fields import (
    BOOKING,
    EXTENDED,
    HELD_FROM,
    HOLDER,
    LATE_CANCEL,
    Resource,
    drop_tags,
    set_tag,
)
from fhir_server.features.scheduling.response import answer
from fhir_server.features.scheduling.states import check_move
from fhir_server.interactions.acting import as_server, is_staff
from fhir_server.interactions.changes import Changes
from fhir_server.operations.call import OperationCall

_BY_PATIENT: Resource = {
    "coding": [{"system": "http://terminology.hl7.org/CodeSystem/appointment-cancellation-reason", "code": "pat"}]
}
_TO_COME = frozenset({"pending", "booked", "proposed", "waitlist"})


def cancel(ctx: Context, call: OperationCall) -> FhirResponse:
    """Cancel a visit, and with `series` those that follow it: the cancelled Appointments.

    Cancelling what is cancelled already changes nothing. Raises `Conflict` (wrong-state) for a visit that is over, and
    `Unprocessable` (too-late) for a patient after the service's cancelCutoff.
    """
    unit = Changes(as_server(ctx))
    appointment = targets.locked(ctx, unit, call)
    reason, comment = call.parameters.get("reason"), call.parameters.get("comment")
    also = targets.following(ctx, unit, appointment, _TO_COME) if call.parameters.get("series") else []
    if appointment["status"] == "cancelled" and not also:
        return answer(ctx, {"Appointment": appointment})
    for each in (appointment, *also):
        if each["status"] != "cancelled":
            cancel_one(ctx, unit, each, reason, comment)
    return answer(ctx, unit.run())


def cancel_one(
    ctx: Context, unit: Changes, appointment: Resource, reason: Resource | None, comment: str | None
) -> None:
    """Put the cancellation of a locked Appointment among what is to be written. A late one is marked, and recorded with
    who did it."""
    check_move(appointment["status"], "cancelled")
    late = targets.check_cutoff(ctx, appointment, "cancelled")
    appointment["status"] = "cancelled"
    reason = reason or (None if is_staff(ctx) else _BY_PATIENT)
    if reason:
        appointment["cancelationReason"] = reason
    booking.add_comment(appointment, comment)
    drop_tags(appointment, HOLDER)
    drop_tags(appointment, BOOKING, EXTENDED, *HELD_FROM.values())
    if late:
        set_tag(appointment, BOOKING, LATE_CANCEL)
        if is_staff(ctx):
            records.record(ctx, unit, appointment["id"], LATE_CANCEL, text_of(reason) or comment)
    slots.remove(ctx, unit, appointment)
    unit.put(appointment)
