"""HealthcareService/[id]/$queue and Task/[id]/$position: a queue as it is now, and one ticket in it. Nothing changes.

Who may read every Task sees which ticket is whose; others see numbers, and which of them are their own.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.dates import format_instant
from fhir_server.core.errors import NotFound, Unprocessable
from fhir_server.core.keys import self_key
from fhir_server.features.queue import configuration, estimate, policy
from fhir_server.features.queue.configuration import QueueConfig, QueueState
from fhir_server.features.queue.estimate import Estimate
from fhir_server.interactions import stored
from fhir_server.interactions.acting import as_server, may_see
from fhir_server.operations.call import OperationCall, Wired
from fhir_server.security import labels
from fhir_server.security import policy as rights
from fhir_server.storage import tickets
from fhir_server.storage.tickets import Ticket

QUEUE = "urn:salam:StructureDefinition:ticket-queue"
_AT_DESK = ("called", "serving")


@dataclass(frozen=True, slots=True)
class Standing:
    """A queue at a moment: the tickets at the desks, and those waiting in the order of calls with their estimates.
    `next_comer`: the estimate for whoever comes now; `day`: every ticket of the day."""

    config: QueueConfig
    state: QueueState
    at_desk: tuple[Ticket, ...]
    waiting: tuple[Ticket, ...]
    estimates: tuple[Estimate, ...]
    next_comer: Estimate
    day: tuple[Ticket, ...]

    def place(self, rid: int) -> tuple[int, Estimate] | None:
        """Position (1 is next) and estimate of a waiting ticket."""
        for position, (ticket, guess) in enumerate(zip(self.waiting, self.estimates, strict=True), 1):
            if ticket.rid == rid:
                return position, guess
        return None


def queue(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """`HealthcareService/[id]/$queue`: state, tickets at the desks, and waiting ones by position with their ranges.

    Raises `NotFound`, and `Unprocessable` for a HealthcareService that is no queue."""
    rights.allow(ctx, "read", "HealthcareService")
    service = stored.get(ctx, "HealthcareService", call.id or "")
    now = standing(ctx, service)
    named = _named(ctx, now)
    beside = labels_beside(ctx, now.config, (*now.at_desk, *now.waiting))
    parameters = [
        *_state(now.state),
        {"name": "waiting", "valueUnsignedInt": len(now.waiting)},
        {"name": "computedAt", "valueInstant": _instant(ctx.now)},
    ]
    for ticket in now.at_desk:
        parameters.append(_entry(now.config, ticket, named, beside))
    for position, (ticket, guess) in enumerate(zip(now.waiting, now.estimates, strict=True), 1):
        entry = _entry(now.config, ticket, named, beside)
        entry["part"] += [{"name": "position", "valuePositiveInt": position}, _estimate(guess)]
        parameters.append(entry)
    return {"resourceType": "Parameters", "parameter": parameters}


def position(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """`Task/[id]/$position`: number, state, and for a waiting ticket position and range. Raises `NotFound`, and
    `Unprocessable` for a Task that is no ticket."""
    ticket = ticket_of(ctx, call.id or "")
    now = standing(ctx, _service(ctx, call.id or ""))
    parameters = [*_ticket(now.config, ticket), *_place(now, ticket)]
    parameters += [
        {"name": "queue", "part": _state(now.state)},
        {"name": "computedAt", "valueInstant": _instant(ctx.now)},
    ]
    return {"resourceType": "Parameters", "parameter": parameters}


def standing(ctx: Context, service: Mapping[str, Any]) -> Standing:
    """The queue as it is now. Raises `Unprocessable` for a HealthcareService that is no queue."""
    config = configuration.of(service, ctx.tenant.zone)
    if config is None:
        raise Unprocessable(
            "This HealthcareService is not a queue: it has no queue-configuration.",
            expression="HealthcareService.extension",
            code="business-rule",
        )
    key = self_key("HealthcareService", service["id"])
    with ctx.db.hold():
        day = tickets.of_day(ctx.db, ctx.tenant.id, key, config.day(ctx.now))
        since_paid = tickets.since_paid(ctx.db, ctx.tenant.id, key)
    ordered = policy.order(day, config, since_paid)
    at_desk = sorted((t for t in day if t.state in _AT_DESK), key=lambda t: (t.called_at or ctx.now, t.number))
    *estimates, next_comer = estimate.with_next(ordered, day, config, ctx.now)
    state = configuration.state(service)
    return Standing(config, state, tuple(at_desk), tuple(ordered), tuple(estimates), next_comer, tuple(day))


def ticket_of(ctx: Context, task_id: str) -> Ticket:
    """The ticket that a Task is. Raises `NotFound` for one that the caller may not read, and `Unprocessable` for a Task
    that is no ticket."""
    rights.allow(ctx, "read", "Task")
    stored.get(ctx, "Task", task_id)
    ticket = tickets.by_task(ctx.db, ctx.tenant.id, task_id)
    if ticket is None:
        raise Unprocessable("This Task is not a ticket of a queue.", expression="Task.code", code="business-rule")
    return ticket


def of_ticket(ctx: Context, ticket: Ticket) -> Standing:
    """The queue in which a ticket is. `ctx`: the server's, because it reads the queue whoever asks."""
    tasks = stored.by_rid(ctx, [ticket.rid])
    if ticket.rid not in tasks:
        raise NotFound("The ticket is not known here.")
    return standing(ctx, stored.get(ctx, "HealthcareService", _queue_id(tasks[ticket.rid])))


def _service(ctx: Context, task_id: str) -> dict[str, Any]:
    """The queue of a ticket that the caller sees; he need not see the HealthcareService itself."""
    server = as_server(ctx)
    return stored.get(server, "HealthcareService", _queue_id(stored.get(server, "Task", task_id)))


def _queue_id(task: Mapping[str, Any]) -> str:
    given: Mapping[str, Any] = next((e for e in task.get("extension", ()) if e.get("url") == QUEUE), {})
    return str(given.get("valueReference", {}).get("reference", "")).rpartition("/")[2]


# -- what is shown -----------------------------------------------------------------------------------------------------


def _entry(config: QueueConfig, ticket: Ticket, named: Mapping[int, str], beside: Mapping[int, str]) -> dict[str, Any]:
    shown = _ticket(config, ticket)
    if ticket.rid in beside:
        shown.append({"name": "display", "valueString": beside[ticket.rid]})
    if ticket.rid in named:
        shown.append({"name": "ticket", "valueReference": {"reference": f"Task/{named[ticket.rid]}"}})
    return {"name": "ticket", "part": shown}


def _ticket(config: QueueConfig, ticket: Ticket) -> list[dict[str, Any]]:
    shown: list[dict[str, Any]] = [
        {"name": "number", "valueString": config.number(ticket.number)},
        {"name": "kind", "valueCode": ticket.kind},
        {"name": "state", "valueCode": ticket.state},
    ]
    if ticket.desk and ticket.state in _AT_DESK:
        shown.append({"name": "desk", "valueString": ticket.desk})
    if ticket.state == "called" and ticket.called_at is not None:
        shown.append({"name": "calledAt", "valueInstant": _instant(ticket.called_at)})
    return shown


def _place(now: Standing, ticket: Ticket) -> list[dict[str, Any]]:
    found = now.place(ticket.rid)
    if found is None:
        return []
    return [{"name": "position", "valuePositiveInt": found[0]}, _estimate(found[1])]


def _estimate(guess: Estimate) -> dict[str, Any]:
    return {"name": "estimate", "part": [{"name": n, element: value} for n, element, value in estimate.parts(guess)]}


def _state(state: QueueState) -> list[dict[str, Any]]:
    shown: list[dict[str, Any]] = [{"name": "state", "valueCode": state.state}]
    if state.since:
        shown.append({"name": "since", "valueInstant": state.since})
    if state.message:
        shown.append({"name": "message", "valueString": state.message})
    return shown


def _named(ctx: Context, now: Standing) -> dict[int, str]:
    """Ids of the Tasks that the caller may read: all for staff, their own for patients, none for a board."""
    shown = [*now.at_desk, *now.waiting]
    if not rights.access(ctx).rule("Task", "r"):
        return {}
    if rights.whole(ctx, "Task", "r"):
        return {rid: task["id"] for rid, task in stored.by_rid(ctx, [t.rid for t in shown]).items()}
    mine = _own_keys(ctx)
    tasks = stored.by_rid(ctx, [t.rid for t in shown if t.patient in mine])
    return {rid: task["id"] for rid, task in tasks.items() if may_see(ctx, task)}


def _own_keys(ctx: Context) -> set[int]:
    who = ctx.principal
    ids = {*(who.user.patients if who.user else ()), *([who.patient] if who.patient else [])}
    return {self_key("Patient", each) for each in ids}


def labels_beside(ctx: Context, config: QueueConfig, shown: Sequence[Ticket]) -> dict[int, str]:
    """What a board shows beside the number, where the queue says so: initials, or initials and two digits; by rid.
    Nothing of who has a label for more than usual confidentiality: a board is seen by everybody."""
    if config.display == "number":
        return {}
    of_patients = [t for t in shown if t.patient is not None]
    references = {rid: task["for"]["reference"] for rid, task in _with_patient(ctx, of_patients).items()}
    patients = stored.by_name(ctx, list(references.values()))
    digits = config.display == "initials-digits"
    open_ = {name: patient for name, patient in patients.items() if not _is_withheld(patient)}
    return {rid: label(open_[name], digits=digits) for rid, name in references.items() if name in open_}


def _is_withheld(patient: Mapping[str, Any]) -> bool:
    return any(system != labels.CONFIDENTIALITY or code in ("R", "V") for system, code in labels.labels_of(patient))


def _with_patient(ctx: Context, shown: Sequence[Ticket]) -> dict[int, dict[str, Any]]:
    tasks = stored.by_rid(ctx, [t.rid for t in shown])
    return {rid: task for rid, task in tasks.items() if task.get("for", {}).get("reference")}


def label(patient: Mapping[str, Any], *, digits: bool) -> str:
    """Initials of a name, of one grapheme each, and with `digits` the last two of a phone number: `A. B. 42`."""
    name: Mapping[str, Any] = next(iter(patient.get("name", ())), {})
    words = [word for word in (*name.get("given", ())[:1], name.get("family", "")) if word]
    shown = [f"{_first_grapheme(word)}." for word in words]
    phones = [t.get("value", "") for t in patient.get("telecom", ()) if t.get("system") == "phone"]
    if digits:
        shown += ["".join(c for c in phone if c.isdigit())[-2:] for phone in phones[:1]]
    return " ".join(shown)


def _first_grapheme(word: str) -> str:
    """The first letter with the marks that belong to it, such as vowel signs."""
    end = 1
    while end < len(word) and unicodedata.category(word[end]) in ("Mn", "Mc", "Me"):
        end += 1
    return word[:end]


def _instant(at: datetime) -> str:
    return format_instant(round(at.timestamp() * 1_000_000))


OPERATIONS = {
    ("HealthcareService", "queue"): Wired(queue),
    ("Task", "position"): Wired(position),
}
