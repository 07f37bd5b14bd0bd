"""The open patient's ticket in a queue, as it stands now."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ui import fhir, formats
from ui.fhir import Refused, Resource
from ui.portal import whose
from ui.portal.visits import QUEUE

TICKET = "urn:salam:CodeSystem:task-kind|queue-ticket"
_TICKET_QUEUE = "urn:salam:StructureDefinition:ticket-queue"
_STATE = "urn:salam:StructureDefinition:queue-state"
OPEN = "requested,accepted,ready,on-hold,in-progress"


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket: `state` waiting, called, serving; `on_the_way`: nobody noted the arrival yet; `low`, `high`: minutes
    until the call; `queue_state` open, paused, closed; `self_check_in`: saying that one is there is believed."""

    id: str
    number: str
    state: str
    on_the_way: bool
    queue: str
    queue_name: str
    queue_state: str
    position: int | None = None
    low: int | None = None
    high: int | None = None
    desk: str = ""
    message: str = ""
    self_check_in: bool = False
    computed_at: str = ""

    @property
    def ahead(self) -> int:
        """How many are called before."""
        return (self.position or 1) - 1


def query() -> dict[str, Any]:
    """The search for the open patient's tickets."""
    return {"patient": whose.patient(), "code": TICKET, "status": OPEN, "_sort": "-_lastUpdated", "_count": 3}


def current(tasks: list[Resource]) -> Ticket | None:
    """The first of these Tasks as it stands now."""
    for task in tasks:
        try:
            return of(task)
        except Refused:
            continue
    return None


def of(task: Resource) -> Ticket:
    """A Task that is a ticket, with its place in the queue. Raises `Refused`."""
    queue = str(formats.extension(task, _TICKET_QUEUE).get("valueReference", {}).get("reference", ""))
    asked: list[Any] = [f"Task/{task['id']}/$position", *([queue] if queue else [])]
    place, *rest = fhir.gather(asked)
    if isinstance(place, Refused):
        raise place
    service = rest[0] if rest and not isinstance(rest[0], Refused) else {}
    said = values_of(place)
    estimate, standing = said.get("estimate", {}), said.get("queue", {})
    return Ticket(
        id=str(task["id"]), number=str(said.get("number", "")), state=str(said.get("state", "")),
        on_the_way=task.get("status") == "requested", queue=queue.partition("/")[2],
        queue_name=str(service.get("name", "")), queue_state=str(standing.get("state", "open")),
        position=said.get("position"), low=estimate.get("low"), high=estimate.get("high"),
        desk=str(said.get("desk", "")), message=str(standing.get("message", "")),
        self_check_in=bool(setting(service, "selfCheckIn", False)), computed_at=str(said.get("computedAt", "")),
    )  # fmt: skip


def values_of(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters (or the parts of one) by name; the last of several."""
    found: dict[str, Any] = {}
    for each in parameters.get("parameter", parameters.get("part", ())):
        value = next((value for key, value in each.items() if key.startswith("value")), None)
        found[str(each.get("name"))] = values_of(each) if "part" in each else value
    return found


def setting(service: Mapping[str, Any], name: str, usual: Any) -> Any:
    """A part of a queue's configuration."""
    for part in formats.extension(service, QUEUE).get("extension", ()):
        if part.get("url") == name:
            return next((value for key, value in part.items() if key.startswith("value")), usual)
    return usual


def is_queue(service: Mapping[str, Any]) -> bool:
    """Whether a HealthcareService is a queue."""
    return bool(formats.extension(service, QUEUE))


def state_of(service: Mapping[str, Any]) -> str:
    """open, paused or closed."""
    for part in formats.extension(service, _STATE).get("extension", ()):
        if part.get("url") == "state":
            return str(part.get("valueCode") or part.get("valueString") or "closed")
    return "closed"


def joinable() -> list[Resource]:
    """The queues in which a ticket can be taken from home now."""
    found = fhir.search("HealthcareService", {"active": "true", "_count": 100}).resources
    return [each for each in found if is_queue(each) and state_of(each) in ("open", "paused")
            and setting(each, "remoteTickets", True)]  # fmt: skip
