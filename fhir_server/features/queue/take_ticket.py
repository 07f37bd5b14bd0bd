"""HealthcareService/[id]/$take-ticket: somebody joins a queue, at a kiosk, at the desk or from home."""

from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.errors import Forbidden, Invalid, Unprocessable
from fhir_server.features.queue import check_in, configuration
from fhir_server.features.queue.action import on_queue
from fhir_server.features.queue.callers import check_own, check_possible, local_reference, reason_of, staff
from fhir_server.features.queue.joining import Wanted, add
from fhir_server.interactions import stored
from fhir_server.operations.call import OperationCall

# Kinds that a patient may take for himself.
_OF_PATIENTS = ("normal", "appointment")


def take_ticket(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """Give a ticket: the Task. Raises `Conflict` when the queue is closed or full, or the patient has a ticket already;
    `Unprocessable` for a kind that the queue does not have."""
    given = call.parameters
    if "appointment" in given:
        check_possible(ctx, "update", "Appointment")
        return check_in.with_booking(ctx, _appointment(ctx, given), call.id or "", present=not _remote(ctx, given))
    check_possible(ctx, "create")
    remote = _remote(ctx, given)
    kind, reason, patient = _kind(ctx, given), reason_of(given), _patient(ctx, given)
    if kind == "emergency" and not reason:
        text = "An emergency goes before all others: say why."
        raise Unprocessable(text, expression="http.reason", code="required")
    own = {"resourceType": "Task", "status": "requested", "intent": "order"}
    check_own(ctx, {**own, "for": {"reference": patient}} if patient else own, "c")
    action = on_queue(ctx, "take", call.id or "", also="open")
    check_in.check_remote(action, present=not remote)
    language = str(given.get("language", ""))
    return add(ctx, action, Wanted(kind, patient, present=not remote, reason=reason, language=language))


def _remote(ctx: Context, given: dict[str, Any]) -> bool:
    """Whether the person is on the way, which who takes a ticket for himself always is: to be there, he would say so
    from anywhere."""
    own = not staff(ctx)
    remote = bool(given.get("remote", own))
    if own and not remote:
        text = "Who is there is noted by the reception, a kiosk, or $check-in: leave out remote, or say true."
        raise Unprocessable(text, expression="http.remote", code="business-rule")
    return remote


def _kind(ctx: Context, given: dict[str, Any]) -> str:
    kind = str(given.get("kind", "normal"))
    if kind not in configuration.KINDS:
        raise Invalid(f"kind takes {', '.join(configuration.KINDS)}.", expression="http.kind", code="value")
    if kind not in _OF_PATIENTS and not staff(ctx):
        raise Forbidden(f"Only staff may give tickets of the kind {kind}.", expression="http.kind")
    if kind == "appointment":
        text = "For a ticket of this kind, name the appointment, or call Appointment/[id]/$check-in."
        raise Unprocessable(text, expression="http.appointment", code="required")
    return kind


def _appointment(ctx: Context, given: dict[str, Any]) -> str:
    """The id of the Appointment that was named."""
    if given.get("kind", "appointment") != "appointment":
        text = "A ticket for an appointment is of the kind appointment."
        raise Unprocessable(text, expression="http.kind", code="business-rule")
    return local_reference(ctx, given["appointment"], "Appointment", "appointment")


def _patient(ctx: Context, given: dict[str, Any]) -> str:
    """`Patient/id` who was named, "" for nobody; for who acts for one patient only, that patient."""
    if "patient" not in given:
        who = ctx.principal
        own = [who.patient] if who.patient else list(who.user.patients if who.user else ())
        return f"Patient/{own[0]}" if len(own) == 1 and not staff(ctx) else ""
    id_ = local_reference(ctx, given["patient"], "Patient", "patient")
    stored.get(ctx, "Patient", id_)
    return f"Patient/{id_}"
