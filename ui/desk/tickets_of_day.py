"""The tickets of a day and the queues in which they stand, from Task searches and `$queue`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ui.desk import fields
from ui.desk.fields import Resource
from ui.fhir import Refused

KINDS = ("normal", "appointment", "vip", "express", "emergency")
_USUAL = ("normal", "appointment", "emergency")
# Where a ticket stands, by Task.status; the ends are told apart by businessStatus.
_PLACES = {
    "requested": "remote", "accepted": "waiting", "ready": "called", "on-hold": "absent", "in-progress": "serving",
    "completed": "served",
}  # fmt: skip
OPEN = ("remote", "waiting", "called", "absent", "serving")


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket. `place`: remote, waiting, called, absent, serving, served, cancelled, expired, no-show, transferred;
    `position`, `low`, `high`: while it waits; `patient`: None for a nameless one."""

    id: str
    number: str
    kind: str
    place: str
    queue: str
    patient_id: str
    patient: Resource | None
    name: str
    appointment_id: str
    taken: datetime | None
    arrived: datetime | None
    until: datetime | None
    urgent: bool = False
    reason: str = ""
    position: int | None = None
    low: int = 0
    high: int = 0
    desk: str = ""
    called: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Whether it still goes on."""
        return self.place in OPEN


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue. `state`: open, paused or closed; `reason`: why, for staff; `message`: what the public is told."""

    id: str
    name: str
    state: str
    since: datetime | None = None
    reason: str = ""
    message: str = ""
    kinds: tuple[str, ...] = _USUAL
    sites: tuple[str, ...] = ()
    sends_to: tuple[str, ...] = ()
    prefix: str = ""
    tickets: tuple[Ticket, ...] = field(default=())

    def at(self, *places: str) -> list[Ticket]:
        """The tickets at these places: who waits in the order of calls, others by their time."""
        return [each for each in self.tickets if each.place in places]

    @property
    def waiting(self) -> list[Ticket]:
        """Who waits, in the order of calls, also those on the way."""
        return self.at("waiting", "remote")


def is_queue(service: Resource) -> bool:
    """Whether a HealthcareService is a queue."""
    return any(each.get("url") == f"{fields.E}queue-configuration" for each in service.get("extension", ()))


def queue_of(service: Resource) -> Queue:
    """A queue without its tickets."""
    rules, state = fields.parts(service, "queue-configuration"), fields.parts(service, "queue-state")

    def said(name: str) -> str:
        return str(next(iter(state.get(name, ())), "") or "")

    return Queue(
        id=service["id"], name=str(service.get("name", service["id"])), state=said("state") or "closed",
        since=fields.instant(said("since")), reason=said("reason"), message=said("message"),
        kinds=tuple(rules.get("kinds", ())) or _USUAL,
        sites=tuple(each.get("reference", "") for each in service.get("location", ())),
        sends_to=tuple(fields.id_of(each.get("reference", "")) for each in rules.get("transferTo", ())),
        prefix=str(next(iter(rules.get("prefix", ())), "A")),
    )  # fmt: skip


def ticket_of(task: Resource, known: Mapping[str, Resource], now: Mapping[str, Any] | None = None) -> Ticket:
    """A ticket. `known`: patients by `Patient/id`; `now`: its entry in `$queue`, by part."""
    who, now = task.get("for", {}), now or {}
    state: Resource = next(iter(task.get("businessStatus", {}).get("coding", ())), {})
    numbered: Resource = next(iter(task.get("identifier", ())), {})
    guess = {each["name"]: fields.value(each) for each in now.get("estimate", ())}
    focus = str(task.get("focus", {}).get("reference", ""))
    return Ticket(
        id=task["id"], number=str(numbered.get("value", "")),
        kind=str(fields.own(task, "ticket-kind") or "normal"),
        place=_PLACES.get(task["status"], str(state.get("code", ""))),
        queue=queue_id(task),
        patient_id=fields.id_of(str(who.get("reference", ""))), patient=known.get(str(who.get("reference", ""))),
        name=fields.name_of(who, known), appointment_id=fields.id_of(focus) if focus.startswith("Appointment/") else "",
        taken=fields.instant(task.get("authoredOn")), arrived=fields.instant(fields.own(task, "arrived-at")),
        until=fields.instant(task.get("restriction", {}).get("period", {}).get("end")),
        urgent=task.get("priority") == "stat", reason=str(task.get("reasonCode", {}).get("text", "")),
        position=now.get("position"), low=int(guess.get("low") or 0), high=int(guess.get("high") or 0),
        desk=str(now.get("desk") or ""), called=fields.instant(now.get("calledAt")),
    )  # fmt: skip


def queue_id(task: Resource) -> str:
    """The id of the queue in which a ticket is; "" for a Task that is none."""
    return fields.id_in(fields.own(task, "ticket-queue") or {})


def entries(answer: Any) -> dict[str, tuple[int, dict[str, Any]]]:
    """The tickets of `$queue` by Task id: their place in the answer, which is the order of calls, and their parts."""
    if isinstance(answer, Refused):
        return {}
    found = [fields.by_part(each) for each in fields.parameters(answer, "ticket")]
    return {
        fields.id_of(each["ticket"]["reference"]): (order, each)
        for order, each in enumerate(found)
        if each.get("ticket")
    }


def in_order(tickets: Iterable[Ticket], order: Mapping[str, int]) -> tuple[Ticket, ...]:
    """Tickets as `$queue` orders them, others after them by number."""
    return tuple(sorted(tickets, key=lambda each: (order.get(each.id, len(order)), each.number)))
