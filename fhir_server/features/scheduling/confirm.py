"""Appointment/$confirm and Appointment/$decline: what staff says to a visit that is asked for
(profiles/scheduling/operations/Appointment-confirm.json, Appointment-decline.json)."""

from fhir_server.core.context import Context
from fhir_server.core.errors import Conflict, Unprocessable
from fhir_server.core.messages import FhirResponse
from fhir_server.features.scheduling import booking, records, slots, targets
from fhir_server.features.scheduling.fields import (
    BOOKING,
    EXTENDED,
    HELD_FROM,
    HOLD_EXPIRES,
    HOLDER,
    Resource,
    drop_tags,
    expiry,
    set_extension,
)
from fhir_server.features.scheduling.questionnaires import missing
from fhir_server.features.scheduling.response import answer, or_alternatives
from fhir_server.features.scheduling.states import check_move
from fhir_server.interactions.acting import as_server
from fhir_server.interactions.changes import Changes
from fhir_server.operations.call import OperationCall

_PENDING = frozenset({"pending"})


def confirm(ctx: Context, call: OperationCall) -> FhirResponse:
    """Confirm a pending visit, and with `series` those that follow it: the booked Appointments.

    Raises `Conflict` (wrong-state; hold-expired when somebody else has the time) and `Unprocessable`
    (questionnaire-missing).
    """
    unit = Changes(as_server(ctx))
    appointment = targets.locked_by_staff(ctx, unit, call, "confirm visits")
    if appointment["status"] != "pending":
        raise Conflict(
            f"The Appointment is {appointment['status']}; only a pending one can be confirmed.",
            expression="Appointment.status",
            detail="wrong-state",
        )
    visit = targets.visit_or_none(ctx, appointment)
    until = expiry(appointment)
    lapsed = until is not None and until <= ctx.now
    also = targets.following(ctx, unit, appointment, _PENDING) if call.parameters.get("series") else []
    for each in (appointment, *also):
        _confirm(ctx, unit, each, call.parameters.get("comment"))
    if visit is None:
        return answer(ctx, unit.run())
    with or_alternatives(ctx, visit, lapsed=lapsed):
        return answer(ctx, unit.run())


def _confirm(ctx: Context, unit: Changes, appointment: Resource, comment: str | None) -> None:
    until = expiry(appointment)
    visit = targets.visit_or_none(ctx, appointment)
    if visit is not None and visit.rules.questionnaires and missing(as_server(ctx), appointment, visit.rules):
        raise Unprocessable(
            "Required questions before the visit are not answered yet.",
            expression="Appointment.supportingInformation",
            code="business-rule",
            detail="questionnaire-missing",
        )
    appointment["status"] = "booked"
    set_extension(appointment, HOLD_EXPIRES, None)
    drop_tags(appointment, HOLDER)
    drop_tags(appointment, BOOKING, EXTENDED, *HELD_FROM.values())
    booking.add_comment(appointment, comment)
    for participant in appointment.get("participant", ()):
        if participant.get("status") in ("needs-action", "tentative"):
            participant["status"] = "accepted"
    if visit is not None and appointment.get("slot"):
        again = until is not None and until <= ctx.now
        booking.settle_slots(ctx, unit, appointment, visit, tentative=False, again=again)
    unit.put(appointment)


def decline(ctx: Context, call: OperationCall) -> FhirResponse:
    """Decline a visit that is asked for, and with `series` those that follow it: the cancelled Appointments. Raises
    `Conflict` (wrong-state) for one that is booked already, which is for $cancel."""
    unit = Changes(as_server(ctx))
    appointment = targets.locked_by_staff(ctx, unit, call, "decline visits")
    if appointment["status"] not in ("pending", "proposed", "waitlist"):
        raise Conflict(
            f"The Appointment is {appointment['status']}; only one that is asked for can be declined. Use $cancel.",
            expression="Appointment.status",
            detail="wrong-state",
        )
    also = targets.following(ctx, unit, appointment, _PENDING) if call.parameters.get("series") else []
    reason, comment = call.parameters.get("reason"), call.parameters.get("comment")
    for each in (appointment, *also):
        check_move(each["status"], "cancelled")
        each["status"] = "cancelled"
        if reason:
            each["cancelationReason"] = reason
        booking.add_comment(each, comment)
        for participant in each.get("participant", ()):
            if participant.get("actor", {}).get("reference", "").startswith("Practitioner"):
                participant["status"] = "declined"
        slots.remove(ctx, unit, each)
        unit.put(each)
        records.record(ctx, unit, each["id"], "declined", text_of(reason) or comment)
    return answer(ctx, unit.run())


def text_of(reason: Resource | None) -> str | None:
    """A CodeableConcept as text: its own, or that of its first coding."""
    if not reason:
        return None
    coding: Resource = next(iter(reason.get("coding", ())), {})
    return reason.get("text") or coding.get("display") or coding.get("code")
