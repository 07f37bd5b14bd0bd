"""A queue's log played again under its policy."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from fhir_server.features.queue import policy
from fhir_server.features.queue.configuration import QueueConfig
from fhir_server.storage import tickets
from fhir_server.storage.tickets import Event, Ticket


@dataclass(slots=True)
class Replay:
    """What the log says until now. `wrong`: numbers of calls by the policy that called another than the policy says."""

    config: QueueConfig
    tickets: dict[int, Ticket] = field(default_factory=dict)
    since_paid: int = 0
    calls: list[int] = field(default_factory=list)
    wrong: list[int] = field(default_factory=list)
    state: str = "open"
    called_in_pause: list[int] = field(default_factory=list)

    def play(self, events: Iterable[Event]) -> "Replay":
        """Play events, which must be all and in order."""
        for expected, event in enumerate(events, 1):
            assert event.seq == expected, "a hole in the log"
            self._one(event)
        return self

    def _one(self, event: Event) -> None:
        if event.rid is None:
            self.state = event.detail["state"]
            return
        if event.action == "call":
            self._called(event)
        self.tickets[event.rid] = self._after(event)

    def _called(self, event: Event) -> None:
        assert event.rid is not None
        waiting = [each for each in self.tickets.values() if each.state == "waiting"]
        ready = [each for each in waiting if each.present or each.due <= event.at]
        self.calls.append(event.rid)
        if self.state == "paused":
            self.called_in_pause.append(event.seq)
        if not event.detail.get("out_of_turn"):
            first = policy.next_ticket(ready, self.config, self.since_paid)
            if first is None or first.rid != event.rid:
                self.wrong.append(event.seq)
        called = self.tickets[event.rid]
        passed = [] if event.detail.get("out_of_turn") else policy.passed_over(called, waiting, self.config)
        assert passed == event.detail.get("passed", []) or sorted(passed) == sorted(event.detail.get("passed", []))
        for rid in passed:
            self.tickets[rid] = replace(self.tickets[rid], passed=self.tickets[rid].passed + 1)
        self.since_paid = policy.after_call(self.since_paid, called, self.config)

    def _after(self, event: Event) -> Ticket:
        changed = tickets.from_json(event.detail["after"])
        before = self.tickets.get(event.rid or 0)
        if before is not None:
            return replace(before, **changed)
        return Ticket(rid=event.rid or 0, queue=event.queue, day=date.min, **changed)


def spread(items: list[Any], ways: int) -> Iterator[list[Any]]:
    """The items dealt out."""
    for way in range(ways):
        yield items[way::ways]
