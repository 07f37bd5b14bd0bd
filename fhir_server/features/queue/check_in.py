"""Appointment/[id]/$check-in and Task/[id]/$check-in: somebody who is expected has come."""

from datetime import timedelta
from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.errors import Conflict, Unprocessable
from fhir_server.features.queue import configuration, policy
from fhir_server.features.queue.action import Action, Case, check_match, on_queue, on_ticket
from fhir_server.features.queue.callers import check_possible, local_reference, own_ticket, staff
from fhir_server.features.queue.joining import Wanted, add, appointed, begin_visit
from fhir_server.features.queue.tickets import already_waiting, position
from fhir_server.interactions import stored
from fhir_server.interactions.acting import as_server, may_write
from fhir_server.operations.call import OperationCall
from fhir_server.storage import tickets as rows
from fhir_server.storage.tickets import Ticket

_EXPECTED = ("booked", "arrived", "checked-in")
# Tickets after which a booking may get another one.
_GIVEN_UP = ("cancelled", "expired")


def check_in_appointment(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """Give who has an appointment today a ticket in its queue: the Task. Who is checked in gets the same one again.
    Who checks himself in is on the way, unless the queue believes him (`selfCheckIn`).

    Raises `Conflict` for an Appointment that is not booked, `Unprocessable` when it is too early, another day, or no
    queue is known.
    """
    check_possible(ctx, "update", "Appointment")
    booking = stored.get(ctx, "Appointment", call.id or "")
    given = call.parameters.get("queue")
    if given is not None:
        queue = local_reference(ctx, given, "HealthcareService", "queue")
    else:
        queue = _queue_of(ctx, booking)
    return with_booking(ctx, str(booking["id"]), queue, present=None, if_match=call.if_match)


def with_booking(
    ctx: Context, appointment_id: str, queue: str, *, present: bool | None, if_match: str | None = None
) -> dict[str, Any]:
    """The ticket of an Appointment in a queue, given now if there is none; the person is `present` or on the way, or
    (None) there as far as the caller may say so.

    The caller himself may use the queue of the booked service, and those to which it sends people."""
    seen = stored.get(ctx, "Appointment", appointment_id)
    if not staff(ctx):
        may_write(ctx, seen, "u")
    action = on_queue(ctx, "take", queue, also="open")
    booking = action.changes.lock("Appointment", appointment_id)
    if not staff(ctx) and queue not in _own_queues(ctx, booking):
        text = "This is not a queue of the booked service. Leave out queue, or ask at the reception."
        raise Unprocessable(text, expression="http.queue", code="business-rule")
    if present is None:
        present = staff(ctx) or action.config.self_check_in
    check_match(if_match, booking)
    rid = action.changes.rid("Appointment", appointment_id)
    ticket = rows.of_appointment(ctx.db, ctx.tenant.id, rid)
    task = stored.by_rid(ctx, [ticket.rid]).get(ticket.rid) if ticket is not None else None
    if ticket is not None and task is not None and ticket.state not in _GIVEN_UP:
        return _again(action, ticket, task, present)
    _check_expected(action, booking, present)
    check_remote(action, present=present)
    patient = _patient(ctx, booking)
    return add(ctx, action, Wanted("appointment", patient, (booking, rid), present))


def check_in_ticket(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """The holder of a ticket taken from home has come: the Task. Raises `Unprocessable` when the holder says so himself
    and the queue does not believe it (`selfCheckIn`)."""
    own_ticket(ctx, call.id or "")
    action, case = on_ticket(ctx, "check-in", call.id or "", if_match=call.if_match)
    if not staff(ctx) and not action.config.self_check_in:
        text = "In this queue the reception or a kiosk notes who is there: please go there."
        raise Unprocessable(text, expression="Task.status", code="business-rule")
    return arrive(action, case)


def check_remote(action: Action, *, present: bool) -> None:
    """Raise `Unprocessable` for somebody on the way where tickets are for people who are there."""
    if not present and not action.config.remote_tickets:
        text = "This queue gives tickets on site only."
        raise Unprocessable(text, expression="http.remote", code="business-rule")


def _again(action: Action, ticket: Ticket, task: dict[str, Any], present: bool) -> dict[str, Any]:
    """The ticket that a booking has; one taken from home becomes present."""
    if ticket.state == "no-show":
        text = "The ticket of this appointment is a no-show: Task/[id]/$return takes it back into the queue."
        raise Conflict(text, expression="Task.businessStatus", detail="wrong-state")
    if not present or position(ticket) != "remote":
        return task
    if ticket.queue != action.queue:
        raise already_waiting(task)
    action.name = "check-in"
    return arrive(action, action.case(action.tickets[ticket.rid], task["id"]))


def arrive(action: Action, case: Case) -> dict[str, Any]:
    """Make the holder of a locked ticket, who was on the way, present: the Task."""
    now, ticket = action.now, case.ticket
    rank, due = ticket.rank, ticket.due
    if case.appointment is not None:
        _check_expected(action, case.appointment, True)
    if case.appointment is not None and case.task.get("priority") != "stat":
        start, priority = appointed(case.appointment), case.task.get("priority")
        rank, due = policy.entry(ticket.kind, priority, start, now, action.config)
    detail = None
    if "for" in case.task and case.encounter is None:
        detail = begin_visit(action, case.task, case.appointment)
    action.move(case, detail=detail, present=True, arrived_at=now, rank=rank, due=due)
    return action.write()[f"Task/{case.task['id']}"]


def _check_expected(action: Action, booking: dict[str, Any], present: bool) -> None:
    """Raise unless the Appointment is booked for today, and for soon where the person is there already."""
    if booking["status"] not in _EXPECTED:
        text = f"The appointment is {booking['status']}; who has one that is {', '.join(_EXPECTED)} can check in."
        raise Conflict(text, expression="Appointment.status", detail="wrong-state")
    start, now, config = appointed(booking), action.now, action.config
    if start is None:
        return
    if config.day(start) != config.day(now):
        text = "The appointment is on another day: take a ticket without it, or move it with $reschedule."
        raise Unprocessable(text, expression="Appointment.start", code="business-rule")
    if present and now < start - timedelta(minutes=config.early_tolerance):
        text = f"It is too early: check in from {config.early_tolerance} minutes before the appointment on."
        raise Unprocessable(text, expression="Appointment.start", code="business-rule")


def _queue_of(ctx: Context, booking: dict[str, Any]) -> str:
    """The id of the booked HealthcareService that is a queue."""
    for queue in _booked(ctx, booking):
        return queue
    text = "No queue belongs to this appointment: name one with the parameter queue."
    raise Unprocessable(text, expression="http.queue", code="required")


def _booked(ctx: Context, booking: dict[str, Any]) -> dict[str, configuration.QueueConfig]:
    """The booked services that are queues, by id."""
    actors = [stored.local(ctx, each.get("actor")) for each in booking.get("participant", ())]
    names = [name for name in actors if name is not None and name.startswith("HealthcareService/")]
    services = stored.by_name(as_server(ctx), names)
    read = {name.partition("/")[2]: configuration.of(services[name]) for name in names if name in services}
    return {id_: config for id_, config in read.items() if config is not None}


def _own_queues(ctx: Context, booking: dict[str, Any]) -> set[str]:
    """Ids of the queues that a booking opens for its patient."""
    booked = _booked(ctx, booking)
    sent_to = {name.partition("/")[2] for config in booked.values() for name in config.transfer_to}
    return {*booked, *sent_to}


def _patient(ctx: Context, booking: dict[str, Any]) -> str:
    actors = [stored.local(ctx, each.get("actor")) or "" for each in booking.get("participant", ())]
    return next((name for name in actors if name.startswith("Patient/")), "")
