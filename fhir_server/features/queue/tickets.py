"""A ticket as FHIR: the Task that anybody can read, made from the row that is put in order.

profiles/queue/states.json says what each position of a ticket is in FHIR, profiles/queue/structures/ the extensions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from fhir_server.conformance.own_definitions import own_table
from fhir_server.core.errors import Conflict
from fhir_server.features.queue.visits import instant
from fhir_server.storage.tickets import Ticket

QUEUE = "urn:salam:StructureDefinition:ticket-queue"
KIND = "urn:salam:StructureDefinition:ticket-kind"
ARRIVED = "urn:salam:StructureDefinition:arrived-at"
PROFILE = "urn:salam:StructureDefinition:queue-ticket"
_CODE = {"system": "urn:salam:CodeSystem:task-kind", "code": "queue-ticket"}
_STATE = "urn:salam:CodeSystem:ticket-state"
_DESK = "desk"
# Elements that an action may change, which taking it back restores.
MOVED = (
    "status", "statusReason", "businessStatus", "priority", "reasonCode", "restriction", "executionPeriod", "output",
    "owner", "extension",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Position:
    """Where a ticket can stand. `state`: businessStatus; `task`, `encounter`, `appointment`: statuses in FHIR, None
    where the position says nothing of them."""

    state: str
    task: str
    encounter: str | None = None
    appointment: str | None = None


@dataclass(frozen=True, slots=True)
class Move:
    """What an action does: from which positions, to which (`same`, `before`: see states.json)."""

    sources: tuple[str, ...]
    to: str


@cache
def positions() -> Mapping[str, Position]:
    """Every position by name."""
    return {name: Position(**given) for name, given in _table()["positions"].items()}


@cache
def moves() -> Mapping[str, Move]:
    """Every action by name."""
    return {name: Move(tuple(given["from"]), given["to"]) for name, given in _table()["actions"].items()}


def _table() -> Mapping[str, Any]:
    table: Mapping[str, Any] = dict(own_table("states"))["queue"]
    return table


def position(ticket: Ticket) -> str:
    """Where a ticket stands."""
    if ticket.state == "waiting":
        return "waiting" if ticket.present else "remote"
    if ticket.state == "called":
        return "called" if ticket.absent_until is None else "absent"
    return ticket.state


def check(ticket: Ticket, action: str) -> None:
    """Raise `Conflict` when the action is not possible where the ticket stands."""
    at = position(ticket)
    if at not in moves()[action].sources:
        possible = ", ".join(moves()[action].sources)
        raise Conflict(
            f"The ticket is {at}; ${action} is for tickets that are {possible}.",
            expression="Task.businessStatus",
            detail="wrong-state",
        )


def already_waiting(task: Mapping[str, Any] | None) -> Conflict:
    """The refusal of a second ticket for somebody who has an open one in the queue, which is enclosed where it may be
    shown."""
    error = Conflict("This patient has an open ticket in this queue.", expression="Task.for", detail="already-waiting")
    if task is not None:
        error.contained = [dict(task)]
    return error


def number_system(service_id: str, ticket: Ticket) -> str:
    """The system of a ticket's number: that of its queue and day."""
    return f"urn:salam:ticket:{service_id}:{ticket.day.isoformat()}"


def show(task: dict[str, Any], ticket: Ticket, at: datetime) -> None:
    """Bring the Task to what the ticket's row says."""
    place = positions()[position(ticket)]
    task["status"] = place.task
    task["businessStatus"] = {"coding": [{"system": _STATE, "code": place.state}]}
    task["lastModified"] = max(instant(at), task.get("authoredOn", ""))
    _set(task, "executionPeriod", _period(ticket))
    grace = None if ticket.absent_until is None else {"period": {"end": instant(ticket.absent_until)}}
    _set(task, "restriction", grace)
    others = [each for each in task.get("output", ()) if each["type"].get("text") != _DESK]
    desk = [{"type": {"text": _DESK}, "valueString": ticket.desk}] if ticket.desk else []
    _set(task, "output", [*others, *desk])
    if ticket.arrived_at is not None:
        extend(task, {"url": ARRIVED, "valueInstant": instant(ticket.arrived_at)})


def extend(resource: dict[str, Any], extension: dict[str, Any]) -> None:
    """Set an extension, in the place of one with its url."""
    others = [each for each in resource.get("extension", ()) if each["url"] != extension["url"]]
    resource["extension"] = [*others, extension]


def empty_task(service_id: str, kind: str, at: datetime, group: str) -> dict[str, Any]:
    """A Task that becomes a ticket of the queue. `group`: joins the tickets of one visit."""
    return {
        "resourceType": "Task",
        "meta": {"profile": [PROFILE]},
        "extension": [
            {"url": QUEUE, "valueReference": {"reference": f"HealthcareService/{service_id}"}},
            {"url": KIND, "valueCode": kind},
        ],
        "groupIdentifier": {"system": "urn:salam:visit", "value": group},
        "intent": "order",
        "priority": "stat" if kind == "emergency" else "routine",
        "code": {"coding": [_CODE]},
        "authoredOn": instant(at),
    }


def queue_of(task: Mapping[str, Any]) -> str:
    """The id of the HealthcareService that is the ticket's queue."""
    for extension in task.get("extension", ()):
        if extension["url"] == QUEUE:
            return str(extension["valueReference"]["reference"]).rpartition("/")[2]
    return ""


def _period(ticket: Ticket) -> dict[str, str] | None:
    if ticket.started_at is None:
        return None
    period = {"start": instant(ticket.started_at)}
    return {**period, "end": instant(ticket.ended_at)} if ticket.ended_at else period


def _set(task: dict[str, Any], name: str, value: Any) -> None:
    if value:
        task[name] = value
    else:
        task.pop(name, None)
