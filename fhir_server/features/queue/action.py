"""One action on a queue, under the lock of the queue's row: so numbers, order, counters and the log are exact.

What is read here is read under the lock; what is changed is written with one event of the log in the same transaction.
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from fhir_server.core import clock
from fhir_server.core.context import Context
from fhir_server.core.errors import NotFound, PreconditionFailed, Unprocessable
from fhir_server.core.keys import self_key
from fhir_server.core.resource_json import decode
from fhir_server.features.queue import configuration, policy, visits
from fhir_server.features.queue.configuration import QueueConfig, QueueState
from fhir_server.features.queue.tickets import check, moves, position, positions, show
from fhir_server.interactions import stored
from fhir_server.interactions.acting import as_server
from fhir_server.interactions.changes import Changes
from fhir_server.security import policy as rights
from fhir_server.storage import tickets as rows
from fhir_server.storage.session import Statement
from fhir_server.storage.tickets import Also, Event, QueueRow, Ticket

SERVER = "server"
_GOES_ALONG = (("Encounter", "encounter"), ("Appointment", "focus"))
# Columns that the log leaves out: who it is, and what never changes.
_NOT_LOGGED = ("rid", "queue", "day", "patient", "appointment")
_LOGGED = tuple(name for name in Ticket.__dataclass_fields__ if name not in _NOT_LOGGED)


@dataclass(slots=True)
class Case:
    """A locked ticket with its Task, its visit and its booking; the dicts are there to be changed."""

    ticket: Ticket
    task: dict[str, Any]
    encounter: dict[str, Any] | None = None
    appointment: dict[str, Any] | None = None


@dataclass(slots=True)
class Action:
    """A locked queue and what an action changes. `ctx`: the server's; `agent`: who acts, as the log says; `tickets`: by
    rid, as they are under the lock (which ones: see `on_queue`)."""

    ctx: Context
    name: str
    agent: str
    queue: int
    service: dict[str, Any]
    config: QueueConfig
    state: QueueState
    row: QueueRow
    tickets: dict[int, Ticket]
    changes: Changes
    statements: list[Statement]

    @property
    def service_id(self) -> str:
        """The id of the queue's HealthcareService."""
        return str(self.service["id"])

    @property
    def now(self) -> datetime:
        """The moment at which the queue was locked: so times grow with the numbers of the log."""
        return self.ctx.now

    @property
    def waiting(self) -> list[Ticket]:
        """The waiting tickets that were read."""
        return [ticket for ticket in self.tickets.values() if ticket.state == "waiting"]

    @property
    def ready(self) -> list[Ticket]:
        """The waiting tickets that can be called: not those of people on the way whose hour has not come."""
        return [ticket for ticket in self.waiting if ticket.present or ticket.due <= self.now]

    @property
    def since_paid(self) -> int:
        """Calls of unpaid tickets since the last paid one, today."""
        return self.row.since_paid if self.row.day >= self.today else 0

    @property
    def today(self) -> date:
        """The day in the queue's zone; never before that of the last number."""
        return max(self.config.day(self.now), self.row.day)

    def next_number(self) -> int:
        """Take today's next number; it is given only if the transaction is committed."""
        same = self.row.day == self.today
        self.row = replace(self.row, day=self.today, last_number=self.row.last_number + 1 if same else 1,
                           since_paid=self.since_paid)  # fmt: skip
        return self.row.last_number

    def case(self, ticket: Ticket, task_id: str) -> Case:
        """Lock the resources of a ticket."""
        task = self.changes.lock("Task", task_id)
        visit, booking = (self._locked(kind, task.get(element)) for kind, element in _GOES_ALONG)
        return Case(ticket, task, visit, booking)

    def _locked(self, kind: str, reference: dict[str, Any] | None) -> dict[str, Any] | None:
        """What a ticket refers to, locked; None when it is none of this kind, or deleted."""
        name, _, id_ = (stored.local(self.ctx, reference) or "").partition("/")
        with suppress(NotFound):
            return self.changes.lock(kind, id_) if name == kind else None
        return None

    def move(self, case: Case, *, detail: dict[str, Any] | None = None, **columns: Any) -> None:
        """Move a ticket as the action does, its Task, visit and booking with it, and log it.

        Raises `Conflict` when the action is not possible where the ticket stands. `detail` joins the event.
        """
        check(case.ticket, self.name)
        before, after = case.ticket, replace(case.ticket, **columns)
        target = moves()[self.name].to
        if target != "same" and position(after) != target:
            raise AssertionError(f"{self.name} leads to {target}, not to {position(after)}")
        case.ticket = after
        was = self._follow(case) if target != "same" else {}
        known = {"version": self.changes.version("Task", case.task["id"]), **({"was": was} if was else {})}
        self.record(before, after, {**known, **(detail or {})})
        show(case.task, after, self.now)
        self.changes.put(case.task)

    def _follow(self, case: Case) -> dict[str, Any]:
        """Let visit and booking follow their ticket. Of those that changed: the version of the visit and the status of
        the booking as they were."""
        to, was = positions()[position(case.ticket)], {}
        visit, booking = case.encounter, case.appointment
        if visit is not None and visits.follow_encounter(visit, to.encounter, self.now):
            was["encounter"] = self.changes.version("Encounter", visit["id"])
            self.changes.put(visit)
        if booking is not None:
            status = booking["status"]
            if visits.follow_appointment(booking, to.appointment):
                was["appointment"] = status
                self.changes.put(booking)
        return was

    def record(self, before: Ticket | None, after: Ticket, detail: dict[str, Any] | None = None) -> None:
        """Write a ticket's row, and the event that says what of it changed."""
        changed = [n for n in _LOGGED if before is None or getattr(before, n) != getattr(after, n)]
        change: dict[str, Any] = {"to": position(after), "after": rows.as_json(after, changed)}
        if before is not None:
            change = {"from": position(before), **change, "before": rows.as_json(before, changed)}
        self.tickets[after.rid] = after
        self.statements.append(rows.put(self.ctx.tenant.id, after))
        self.log(after.rid, {**change, **(detail or {})})

    def count_call(self, called: Ticket) -> None:
        """Count a call for the turns of paid tickets."""
        self.row = replace(self.row, since_paid=policy.after_call(self.since_paid, called, self.config))

    def log(self, rid: int | None, detail: dict[str, Any]) -> None:
        """Append the action to the queue's log."""
        self.row = replace(self.row, events=self.row.events + 1)
        event = Event(self.queue, self.row.events, self.now, rid, self.name, self.agent, detail)
        self.statements.append(rows.log(self.ctx.tenant.id, event))

    def forget(self, ticket: Ticket) -> None:
        """Drop the row of a ticket whose Task was erased with the record of the patient."""
        self.tickets.pop(ticket.rid, None)
        self.statements.extend(rows.erase(self.ctx.tenant.id, [ticket.rid]))

    def write(self) -> dict[str, dict[str, Any]]:
        """Write everything; what is stored now of the resources, by `Type/id`."""
        written = self.changes.run()
        tenant = self.ctx.tenant.id
        self.ctx.db.run([*self.statements, rows.count(tenant, self.queue, self.row)])
        self.statements = []
        return written


def agent_of(ctx: Context) -> str:
    """Who acts: the account; of a token without one the patient for whom it is, or else the app."""
    who = ctx.principal.acts_for or ctx.principal
    if who.user is not None:
        return f"user:{who.user.id}"
    if who.patient is not None:
        return f"patient:{who.patient}"
    return f"client:{who.client_id}" if who.token_hash is not None else SERVER


def on_queue(ctx: Context, name: str, service_id: str, *, also: Also = "none") -> Action:
    """Lock a queue for an action. `also`: which of its tickets are read.

    Raises `NotFound` when there is no such HealthcareService for the caller, `Unprocessable` when it is no queue.
    """
    if rights.rule(ctx, ("HealthcareService",), "r") is not None:
        stored.get(ctx, "HealthcareService", service_id)
    action = locked(ctx, name, self_key("HealthcareService", service_id), also=also)
    check_queue(action, service_id)
    return action


def check_queue(action: Action, service_id: str) -> None:
    """Raise `NotFound` when there is no such HealthcareService any more, `Unprocessable` when it is no queue."""
    if action.service.get("id") != service_id:
        raise NotFound(f"HealthcareService/{service_id} is not known here.")
    if configuration.of(action.service) is None:
        text = "This HealthcareService is no queue: it has no extension queue-configuration."
        raise Unprocessable(text, expression="HealthcareService.extension", code="business-rule")


def locked(ctx: Context, name: str, queue: int, *, rids: Iterable[int] = (), also: Also = "none") -> Action:
    """Lock a queue by its key. One whose HealthcareService is gone, or no queue any more, has the usual rules, so that
    its last tickets can end."""
    type_id = ctx.registry.type_ids["HealthcareService"]
    row, body, found = rows.lock(ctx.db, ctx.tenant.id, queue, type_id, rids=tuple(rids), also=also)
    service = decode(body) if body is not None else {}
    # Whoever waited for the lock acts now, not when he asked.
    server = replace(as_server(ctx), now=max(ctx.now, clock.now()))
    config = configuration.of(service, ctx.tenant.zone) or QueueConfig(timezone=ctx.tenant.zone)
    return Action(
        server, name, agent_of(ctx), queue, service, config, configuration.state(service), row,
        {ticket.rid: ticket for ticket in found}, Changes(server), [],
    )  # fmt: skip


def on_ticket(
    ctx: Context, name: str, task_id: str, *, also: Also = "none", if_match: str | None = None
) -> tuple[Action, Case]:
    """Lock a ticket's queue and the ticket for an action that is possible where it stands.

    Raises `NotFound`, `Unprocessable` for a Task that is no ticket, `PreconditionFailed`, `Conflict`.
    """
    if rights.rule(ctx, ("Task",), "r") is not None:
        stored.get(ctx, "Task", task_id)
    ticket = rows.by_task(ctx.db, ctx.tenant.id, task_id)
    if ticket is None:
        stored.get(ctx, "Task", task_id)
        raise Unprocessable("This Task is not a ticket of a queue.", expression="Task.code", code="business-rule")
    action = locked(ctx, name, ticket.queue, rids=[ticket.rid], also=also)
    ticket = action.tickets[ticket.rid]
    case = action.case(ticket, task_id)
    check_match(if_match, case.task)
    if name != "undo":
        check(ticket, name)
    return action, case


def check_match(if_match: str | None, resource: dict[str, Any]) -> None:
    """Raise `PreconditionFailed` when the client knows another version (If-Match)."""
    wanted = {tag.strip().removeprefix("W/").strip('"') for tag in (if_match or "*").split(",")}
    if "*" not in wanted and resource["meta"]["versionId"] not in wanted:
        text = f"The resource is at version {resource['meta']['versionId']}, not at the one in If-Match."
        raise PreconditionFailed(text, expression="http.If-Match")
