"""What was seen of a simulated day, from several threads at once."""

import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from fhir_server.simulation.plan import Person

_ESTIMATE = "urn:salam:StructureDefinition:wait-estimate"
_MOST_ERRORS = 20


@dataclass(slots=True)
class Seen:
    """A ticket. Minutes are simulated ones; `estimate`: low, median and high, in minutes of the server's."""

    id: str
    number: int
    person: Person
    taken: float
    estimate: tuple[float, float, float]
    called: float | None = None
    waits_again: bool = False
    returns: int = 0


@dataclass(slots=True)
class Record:
    """Everything that the report is made of."""

    tickets: dict[str, Seen] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)
    double_calls: list[str] = field(default_factory=list)
    appointments: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def took(self, task: dict[str, Any], person: Person, minute: float) -> Seen:
        """Note a new ticket."""
        number = int(task["identifier"][0]["value"].rpartition("-")[2])
        seen = Seen(task["id"], number, person, minute, estimate(task))
        with self.lock:
            self.tickets[seen.id] = seen
        return seen

    def was_called(self, task_id: str, minute: float) -> Seen | None:
        """Note a call by `$call-next`. A ticket that was called before, and has not been put back since, is a double
        call. None for a ticket that somebody else took."""
        with self.lock:
            seen = self.tickets.get(task_id)
            if seen is None:
                return None
            if seen.called is not None and not seen.waits_again:
                self.double_calls.append(task_id)
            if seen.called is None:
                seen.called = minute
            seen.waits_again = False
            return seen

    def came_back(self, seen: Seen) -> None:
        """Note that a ticket waits again, before it is asked for."""
        with self.lock:
            seen.waits_again = True
            seen.returns += 1

    def count(self, what: str) -> None:
        """Note that something happened."""
        with self.lock:
            self.counts[what] += 1

    def error(self, text: str) -> None:
        """Note what should not have happened."""
        with self.lock:
            self.counts["errors"] += 1
            if len(self.errors) < _MOST_ERRORS:
                self.errors.append(text)


def estimate(task: dict[str, Any]) -> tuple[float, float, float]:
    """Low, median and high of the estimate on a ticket, in minutes."""
    parts = next((e["extension"] for e in task.get("extension", ()) if e["url"] == _ESTIMATE), ())
    found = {part["url"]: value for part in parts for name, value in part.items() if name.startswith("value")}
    return float(found["low"]), float(found["median"]), float(found["high"])
