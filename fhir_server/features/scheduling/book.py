"""Appointment/$book: book what was proposed, what is held, or an Appointment given in full. IHE ITI Scheduling, ITI-117
(profiles/scheduling/operations/Appointment-book.json)."""

from collections.abc import Sequence

from fhir_server.core.context import Context
from fhir_server.core.errors import Forbidden, Invalid, Issue, Unprocessable
from fhir_server.core.messages import FhirResponse
from fhir_server.features.scheduling import booking, callers, records, series
from fhir_server.features.scheduling.asked import Asked, by_reference, by_resource
from fhir_server.features.scheduling.booking import Terms
from fhir_server.features.scheduling.fields import BOOKING, OVERBOOKED, RECURRENCE_TEMPLATE, extension, tags
from fhir_server.features.scheduling.patients import Person, for_whom
from fhir_server.features.scheduling.questionnaires import missing
from fhir_server.features.scheduling.response import answer, or_alternatives
from fhir_server.interactions.acting import as_server, is_staff
from fhir_server.interactions.changes import Changes
from fhir_server.operations.call import OperationCall


def book(ctx: Context, call: OperationCall) -> FhirResponse:
    """Book a visit or a series of them: the Appointment (`booked`, or `pending` where it must be confirmed), its Slots,
    and what is to be said about it.

    Raises `Conflict` (slot-taken, slot-held, hold-expired, with other times in OperationOutcome.contained;
    patient-busy, wrong-state), `Unprocessable` for what the service's rules do not allow, `Forbidden`.
    """
    callers.check_may_book(ctx, call.parameters)
    unit = Changes(as_server(ctx))
    asked = _asked(ctx, unit, call)
    overbooked = _overbooked(ctx, call)
    people = for_whom(
        ctx, unit, asked.appointment, call.parameters.get("patient-resource"), given_back=asked.given_back
    )
    comment = call.parameters.get("comment")
    if extension(asked.appointment, RECURRENCE_TEMPLATE) is not None:
        return _book_series(ctx, unit, asked, people, Terms("booked", overbooked=overbooked, comment=comment))
    visit = asked.visit
    if not overbooked:
        booking.check(ctx, visit, people, own=_own(unit, asked))
    status, notes = status_of(ctx, asked, people)
    appointment_id = booking.write(ctx, unit, asked, people, Terms(status, None, overbooked, comment))
    if overbooked:
        records.record(ctx, unit, appointment_id, OVERBOOKED, comment or asked.appointment.get("comment"))
    with or_alternatives(ctx, visit, lapsed=asked.lapsed):
        return answer(ctx, unit.run(), notes)


def _asked(ctx: Context, unit: Changes, call: OperationCall) -> Asked:
    reference = call.parameters.get("appointment-reference")
    resource = call.parameters.get("appointment-resource")
    if reference is not None and resource is None:
        return by_reference(ctx, unit, reference, booking=True)
    if resource is not None and reference is None:
        return by_resource(ctx, unit, resource)
    raise Invalid(
        "Say once what to book: appointment-reference or appointment-resource.",
        expression="http.appointment-reference",
        code="required",
    )


def _own(unit: Changes, asked: Asked) -> tuple[str, int]:
    if asked.before is None:
        return "", 0
    return asked.appointment["id"], unit.rid("Appointment", asked.appointment["id"])


def _overbooked(ctx: Context, call: OperationCall) -> bool:
    """Whether staff asks for a place beyond capacity, with a reason."""
    sent = call.parameters.get("appointment-resource") or {}
    if OVERBOOKED not in tags(sent, BOOKING):
        return False
    if not is_staff(ctx):
        raise Forbidden("Only staff may book beyond capacity.", expression="Appointment.meta.tag")
    if not (call.parameters.get("comment") or sent.get("comment") or "").strip():
        raise Unprocessable(
            "Booking beyond capacity needs its reason as comment.",
            expression="http.comment",
            code="required",
        )
    return True


def status_of(ctx: Context, asked: Asked, people: Sequence[Person]) -> tuple[str, list[Issue]]:
    """Whether a visit is `booked` at once or `pending`, and what to tell the caller."""
    rules = asked.visit.rules
    notes = []
    if rules.requires_confirmation:
        notes.append(_note("The visit is requested. It is booked once the clinic confirms it.", "confirmation-needed"))
    guests = [{"actor": {"reference": each.reference}} for each in people]
    attended = {**asked.appointment, "participant": [*asked.appointment.get("participant", ()), *guests]}
    if rules.questionnaires and missing(as_server(ctx), attended, rules):
        text = "Required questions before the visit are not answered yet. It is confirmed after that."
        notes.append(_note(text, "questionnaire-missing"))
    if notes:
        return "pending", notes
    return "booked", [_note("The visit is booked.", None)]


def _note(text: str, detail: str | None) -> Issue:
    return Issue("information", "informational", text, "Appointment.status", detail)


def _book_series(ctx: Context, unit: Changes, asked: Asked, people: Sequence[Person], terms: Terms) -> FhirResponse:
    status, notes = status_of(ctx, asked, people)
    written = series.book(ctx, unit, asked, people, Terms(status, None, terms.overbooked, terms.comment))
    return answer(ctx, written, notes)
