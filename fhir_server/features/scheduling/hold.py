"""Appointment/$hold: keep a proposed time for some minutes. IHE ITI Scheduling, ITI-116
(profiles/scheduling/operations/Appointment-hold.json)."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.errors import Conflict, Invalid, Unprocessable
from fhir_server.core.messages import FhirResponse
from fhir_server.features.scheduling import booking, callers, slots
from fhir_server.features.scheduling.asked import Asked, by_reference
from fhir_server.features.scheduling.fields import (
    BOOKING,
    EXTENDED,
    HELD_FROM,
    HOLD_EXPIRES,
    HOLDER,
    Resource,
    drop_tags,
    expiry,
    instant,
    set_extension,
    set_tag,
    tags,
)
from fhir_server.features.scheduling.patients import Person
from fhir_server.features.scheduling.response import answer, or_alternatives
from fhir_server.features.scheduling.visit import SERVICE_MODE, modes_of
from fhir_server.interactions import stored
from fhir_server.interactions.acting import as_server
from fhir_server.interactions.changes import Changes
from fhir_server.operations.call import OperationCall

MOST_HOLDS = 2
_AT_ONCE = 100


def hold(ctx: Context, call: OperationCall) -> FhirResponse:
    """Hold a time for the caller, or extend his hold of it once: the pending Appointment and its Slots.

    Raises `Conflict` (slot-taken, slot-held; with other times), `Unprocessable` (limit-reached, or what $book would
    refuse).
    """
    callers.check_may_book(ctx, call.parameters)
    unit = Changes(as_server(ctx))
    asked = by_reference(ctx, unit, call.parameters["appointment-reference"])
    expires = ctx.now + timedelta(minutes=asked.visit.rules.hold_minutes)
    people = _people(ctx, asked, call.parameters.get("patient-reference"))
    _choose_mode(asked, call.parameters.get("mode"))
    extending = asked.before == "pending"
    booking.check(ctx, asked.visit, people, own=_own(unit, asked), also=_own_turn(ctx))
    if extending:
        _extend(asked)
    else:
        _check_few(ctx)
        if asked.before in HELD_FROM:
            set_tag(asked.appointment, BOOKING, HELD_FROM[asked.before])
    booking.write(ctx, unit, asked, people, booking.Terms("pending", expires))
    with or_alternatives(ctx, asked.visit, lapsed=asked.lapsed):
        return answer(ctx, unit.run())


def _people(ctx: Context, asked: Asked, reference: Resource | None) -> list[Person]:
    """The patients whom the held Appointment names, the one of `reference`, or the caller's own; a clerk may hold
    before he knows for whom."""
    named = callers.patients_of(ctx, asked.appointment)
    if reference is not None and not named:
        name = stored.local(ctx, reference) or ""
        if not name.startswith("Patient/"):
            text = "patient-reference takes a reference to a Patient of this server."
            raise Invalid(text, expression="http.patient-reference")
        named = [name.removeprefix("Patient/")]
    named = named or [id_ for id_ in (callers.default_patient(ctx),) if id_]
    return [Person(f"Patient/{id_}", stored.get(ctx, "Patient", id_)) for id_ in named]


def _choose_mode(asked: Asked, mode: str | None) -> None:
    """How the visit is to take place, where the service leaves the choice."""
    if mode is None:
        return
    known = modes_of(asked.visit.service)
    if mode not in known:
        raise Unprocessable(
            f"The service is given {' or '.join(known) or 'in no mode that could be chosen'}.",
            expression="http.mode",
            code="business-rule",
        )
    set_extension(asked.appointment, SERVICE_MODE, {"valueCode": mode})


def _own(unit: Changes, asked: Asked) -> tuple[str, int]:
    if asked.before is None:
        return "", 0
    return asked.appointment["id"], unit.rid("Appointment", asked.appointment["id"])


def _own_turn(ctx: Context) -> list[str]:
    return [f"holder/{callers.holder(ctx)}"] if callers.is_person(ctx) else []


def _extend(asked: Asked) -> None:
    if EXTENDED in tags(asked.appointment, BOOKING):
        raise Conflict(
            "This hold was extended already; book it, or let it expire.",
            expression="Appointment.status",
            detail="limit-reached",
        )
    set_tag(asked.appointment, BOOKING, EXTENDED)


def _check_few(ctx: Context) -> None:
    """One person does not keep many times from the others."""
    if not callers.is_person(ctx):
        return
    pairs = [
        ("_tag", f"{HOLDER}|{callers.holder(ctx)}"),
        ("status", "pending"),
        ("hold-expires", f"gt{instant(ctx.now)}"),
    ]
    if len(stored.find(as_server(ctx), "Appointment", pairs, limit=MOST_HOLDS)) >= MOST_HOLDS:
        raise Unprocessable(
            f"You hold {MOST_HOLDS} times already. Book or cancel one of them first.",
            expression="http.appointment-reference",
            code="business-rule",
            detail="limit-reached",
        )


def tend(ctx: Context) -> None:
    """End holds that have expired, with their Slots: they are cancelled, or waited for again. Offers from a wait list
    are left to it. Others may take the time before that: an expired claim holds nothing."""
    pairs = [("status", "pending"), ("hold-expires", f"le{instant(ctx.now)}")]
    for each in stored.find(ctx, "Appointment", pairs, limit=_AT_ONCE):
        if not any(_is_visit(about) for about in each.get("supportingInformation", ())):
            with ctx.db.hold():
                _give_up(ctx, each["id"])
            ctx.db.commit()


def _is_visit(reference: Mapping[str, Any]) -> bool:
    """Whether an Appointment is spoken of: the one that waits, to which an offer belongs."""
    return "/Appointment/" in f"/{reference.get('reference', '')}"


def _give_up(ctx: Context, appointment_id: str) -> None:
    unit = Changes(ctx)
    appointment = unit.lock("Appointment", appointment_id)
    until = expiry(appointment)
    if appointment["status"] != "pending" or until is None or until > ctx.now:
        return
    before = next((name for name, tag in HELD_FROM.items() if tag in tags(appointment, BOOKING)), None)
    appointment["status"] = before or "cancelled"
    if before is not None:
        set_extension(appointment, HOLD_EXPIRES, None)
    drop_tags(appointment, HOLDER)
    drop_tags(appointment, BOOKING, EXTENDED, *HELD_FROM.values())
    slots.remove(ctx, unit, appointment)
    unit.put(appointment)
    unit.run()
