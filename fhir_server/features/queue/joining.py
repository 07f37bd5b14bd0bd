"""How a ticket is given, to whoever comes, has a booking, or is sent on by another queue."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.dates import moment
from fhir_server.core.errors import Conflict, Unprocessable
from fhir_server.core.keys import self_key
from fhir_server.features.queue import estimate, policy, visits
from fhir_server.features.queue.action import Action, Case
from fhir_server.features.queue.callers import staff
from fhir_server.features.queue.configuration import QueueConfig, QueueState
from fhir_server.features.queue.tickets import already_waiting, empty_task, extend, number_system, show
from fhir_server.interactions import stored
from fhir_server.interactions.acting import may_see
from fhir_server.interactions.stage import new_id
from fhir_server.storage import tickets as rows
from fhir_server.storage.tickets import Ticket

_REPLACES = "http://hl7.org/fhir/StructureDefinition/request-replaces"
# Who has a booked place, or cannot wait, is not refused because others wait.
_BEYOND_CAPACITY = ("appointment", "emergency")
# Tickets that somebody takes for himself in one queue on one day.
_OWN_PER_DAY = 5


@dataclass(frozen=True, slots=True)
class Wanted:
    """A ticket to be given. `patient`: `Patient/id`, "" for a nameless one; `booking`: locked Appointment and its row;
    `present`: the person is there; `after`: the ticket of another queue that this one follows."""

    kind: str
    patient: str = ""
    booking: tuple[dict[str, Any], int] | None = None
    present: bool = True
    after: Case | None = None
    reason: str = ""
    language: str = ""


def add(ctx: Context, action: Action, wanted: Wanted) -> dict[str, Any]:
    """Give the ticket in the locked queue, of which every open ticket was read; the Task as it is stored.

    Raises `Conflict` when the queue is closed or full, or the patient has an open ticket in it; `Unprocessable` for a
    kind that it does not have, and for a patient who has taken the most tickets of the day.
    """
    check_open(action)
    if wanted.kind not in action.config.kinds:
        text = f"This queue has tickets of the kinds {', '.join(action.config.kinds)}."
        raise Unprocessable(text, expression="http.kind", code="business-rule")
    if wanted.kind not in _BEYOND_CAPACITY:
        _check_room(action)
    check_once(ctx, action, patient_key(wanted.patient))
    _check_own(ctx, action, wanted)
    ticket, booked = _ticket(action, wanted), wanted.booking[0]["status"] if wanted.booking else None
    task = _task(action, ticket, wanted)
    task_id = action.changes.add(task)
    given = action.changes.run()[f"Task/{task_id}"]
    was = {"was": {"appointment": booked}} if wanted.booking and wanted.booking[0]["status"] != booked else {}
    sent_on = {"sent_on": True} if wanted.after is not None else {}
    action.record(None, replace(ticket, rid=action.changes.rid("Task", task_id)), {**was, **sent_on})
    action.write()
    return given


def gives(config: QueueConfig, state: QueueState, now: datetime) -> bool:
    """Whether a queue gives tickets at this moment, if there is room."""
    closing = config.closing(now)
    last = None if closing is None else closing - timedelta(minutes=config.stop_minutes_before_closing)
    return state.state != "closed" and (last is None or now < last)


def check_open(action: Action) -> None:
    """Raise `Conflict` when the queue gives no tickets now."""
    if not gives(action.config, action.state, action.now):
        text = "The queue is closed: it gives no tickets now."
        raise Conflict(text, expression="HealthcareService.extension", detail="queue-closed")


def check_once(ctx: Context, action: Action, patient: int | None) -> None:
    """Raise `Conflict`, with the ticket, when the patient (a key) has an open ticket in the queue."""
    for ticket in action.tickets.values():
        if patient is not None and ticket.patient == patient and ticket.state in rows.OPEN:
            task = stored.by_rid(ctx, [ticket.rid]).get(ticket.rid)
            raise already_waiting(task if task is not None and may_see(ctx, task) else None)


def _check_room(action: Action) -> None:
    config, ctx = action.config, action.ctx
    if config.max_waiting is not None and len(action.waiting) >= config.max_waiting:
        raise Conflict(f"The queue is full: {config.max_waiting} are waiting.", detail="queue-full")
    if config.max_per_day is None:
        return
    if rows.given(ctx.db, ctx.tenant.id, action.queue, action.today) >= config.max_per_day:
        raise Conflict(f"The queue has given its {config.max_per_day} tickets of today.", detail="queue-full")


def _check_own(ctx: Context, action: Action, wanted: Wanted) -> None:
    """Raise `Unprocessable` when a patient takes tickets and gives them up again and again."""
    patient = patient_key(wanted.patient)
    if patient is None or staff(ctx):
        return
    if rows.taken(ctx.db, ctx.tenant.id, action.queue, action.today, patient) >= _OWN_PER_DAY:
        text = f"You took {_OWN_PER_DAY} tickets here today, which is the most: ask at the reception."
        raise Unprocessable(text, expression="Task.for", code="business-rule", detail="limit-reached")


def _ticket(action: Action, wanted: Wanted) -> Ticket:
    """The row, without that of its Task."""
    now, number, config = action.now, action.next_number(), action.config
    booking, rid = wanted.booking or (None, None)
    rank, due = policy.entry(wanted.kind, None, appointed(booking), now, config)
    before = None if wanted.after is None else wanted.after.ticket
    if before is not None:
        rank, due = before.rank, before.due
    return Ticket(
        rid=0, queue=action.queue, day=action.row.day, number=number, kind=wanted.kind, state="waiting", rank=rank,
        due=due, place=policy.first_place(number), taken_at=now, deadline=config.end_of_day(now),
        present=before.present if before else wanted.present, patient=patient_key(wanted.patient), appointment=rid,
        arrived_at=before.arrived_at if before else now if wanted.present else None,
    )  # fmt: skip


def _task(action: Action, ticket: Ticket, wanted: Wanted) -> dict[str, Any]:
    """The Task of a new ticket; with it, the visit of a patient who is there."""
    service, before = action.service, wanted.after
    group = new_id() if before is None else before.task["groupIdentifier"]["value"]
    task = empty_task(action.service_id, wanted.kind, action.now, group)
    number = {"system": number_system(action.service_id, ticket), "value": action.config.number(ticket.number)}
    task["identifier"] = [number]
    if wanted.booking is not None:
        task["focus"] = {"reference": f"Appointment/{wanted.booking[0]['id']}"}
    if wanted.patient:
        task["for"] = {"reference": wanted.patient}
    if "location" in service:
        task["location"] = {k: v for k, v in service["location"][0].items() if k in ("reference", "display")}
    if wanted.reason:
        task["reasonCode"] = {"text": wanted.reason}
    if wanted.language:
        task["language"] = wanted.language
    if before is not None:
        task |= {name: before.task[name] for name in ("priority", "reasonCode", "encounter", "language", "note")
                 if name in before.task}  # fmt: skip
        extend(task, {"url": _REPLACES, "valueReference": {"reference": f"Task/{before.task['id']}"}})
    elif wanted.present and wanted.patient:
        begin_visit(action, task, wanted.booking[0] if wanted.booking else None)
    booking = wanted.booking[0] if wanted.booking and wanted.present and before is None else None
    if booking is not None and visits.follow_appointment(booking, "checked-in"):
        action.changes.put(booking)
    extend(task, estimate.extension(_guess(action, ticket)))
    show(task, ticket, action.now)
    return task


def _guess(action: Action, ticket: Ticket) -> estimate.Estimate:
    order = policy.order([*action.waiting, ticket], action.config, action.since_paid)
    over = rows.ended_lately(action.ctx.db, action.ctx.tenant.id, action.queue, ticket.day)
    day = [*action.tickets.values(), *over, ticket]
    return estimate.of(order[: order.index(ticket)], day, action.config, action.now)


def begin_visit(
    action: Action, task: dict[str, Any], booking: dict[str, Any] | None, status: str = "arrived"
) -> dict[str, Any]:
    """Give the ticket of a patient who has come a visit; what joins the event."""
    name = None if booking is None else f"Appointment/{booking['id']}"
    visit = visits.begin(action.service, task["for"], action.now, name, status)
    visits.take_part(visit, task.get("owner"), action.now)
    task["encounter"] = {"reference": f"Encounter/{action.changes.add(visit)}"}
    return {"visit": "new"}


def appointed(booking: dict[str, Any] | None) -> datetime | None:
    """When a booking begins."""
    return None if booking is None or "start" not in booking else moment(booking["start"])


def patient_key(reference: str) -> int | None:
    """Key of `Patient/id`; None for nobody."""
    return self_key("Patient", reference.partition("/")[2]) if reference else None
