"""The queue of the demo in progress: its last hour and a half, played through the operations that staff and kiosks use,
with the clock of this process set back."""

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from fhir_server.core import clock
from fhir_server.demo.services import LABORATORY, QUEUE
from fhir_server.demo.site import DOCTORS, ZONE

# Runs an operation: (path, parameters by name with their value[x]) -> the resource it answers.
Run = Callable[[str, dict[str, Any]], dict[str, Any]]
_MINUTES = 95.0
_DESKS = (("Cabinet 1", DOCTORS[0].reference), ("Cabinet 2", DOCTORS[1].reference))
_EMERGENCY = "Douleur thoracique"


def play(run: Run, seed: int, now: datetime, patients: Sequence[str], booked: Sequence[str] = ()) -> None:
    """Open both queues and let people come, be called and served until `now`. `patients`: `Patient/id` of who comes;
    `booked`: ids of today's Appointments of which somebody has come. The clock is right again in the end."""
    midnight = now.astimezone(ZoneInfo(ZONE)).replace(hour=0, minute=0, second=0, microsecond=0)
    span = min(_MINUTES, (now - midnight).total_seconds() / 60)
    real = clock.now()

    def at(minute: float) -> None:
        clock.move(now - timedelta(minutes=span * (1 - minute / _MINUTES)) - real)

    try:
        at(0)
        for queue in (QUEUE, LABORATORY):
            run(f"HealthcareService/{queue}/$open", {})
        for minute, act in _Day(run, Random(seed), list(patients), list(booked)).acts():
            at(minute)
            act()
    finally:
        clock.move(timedelta())


@dataclass(slots=True)
class _Day:
    """People who come, and desks that call whenever they are free."""

    run: Run
    random: Random
    patients: list[str]
    booked: list[str]
    _events: list[tuple[float, int, Callable[[], object]]] = field(default_factory=list)
    _now: float = 0.0

    def acts(self) -> Iterator[tuple[float, Callable[[], object]]]:
        """What happens, in order, up to the end."""
        minute = 1.0
        while minute < _MINUTES:
            self._at(minute, self._come)
            minute += self.random.expovariate(1 / 4.8)
        self._at(58.0, self._emergency)
        for number in range(4):
            self._at(70.0 + 6 * number, self._give_blood)
        for number, appointment in enumerate(self.booked):
            self._at(80.0 + 4 * number, self._arrival(appointment))
        for number in range(len(_DESKS)):
            self._at(4.0 + 3 * number, self._desk(number))
        while self._events and self._events[0][0] < _MINUTES:
            self._now, _, act = heapq.heappop(self._events)
            yield self._now, act

    def _at(self, minute: float, act: Callable[[], object]) -> None:
        heapq.heappush(self._events, (minute, len(self._events) + int(minute * 1e6), act))

    def _come(self) -> None:
        named = self.patients and self.random.random() < 0.85
        who = {"patient": {"valueReference": {"reference": self.patients.pop()}}} if named else {}
        self.run(f"HealthcareService/{QUEUE}/$take-ticket", who)

    def _emergency(self) -> None:
        given = {"kind": {"valueCode": "emergency"}, "reason": {"valueString": _EMERGENCY}}
        self.run(f"HealthcareService/{QUEUE}/$take-ticket", given)

    def _give_blood(self) -> None:
        self.run(f"HealthcareService/{LABORATORY}/$take-ticket", {})

    def _arrival(self, appointment: str) -> Callable[[], object]:
        queue = {"queue": {"valueReference": {"reference": f"HealthcareService/{QUEUE}"}}}
        return lambda: self.run(f"Appointment/{appointment}/$check-in", queue)

    def _desk(self, number: int) -> Callable[[], object]:
        def call() -> None:
            name, doctor = _DESKS[number]
            given = {"desk": {"valueString": name}, "owner": {"valueReference": {"reference": doctor}}}
            called = self.run(f"HealthcareService/{QUEUE}/$call-next", given)
            if called["resourceType"] != "Task":
                self._at(self._now + 2, call)
                return
            task = f"Task/{called['id']}"
            if self.random.random() < 0.08:
                self._at(self._now + 3, lambda: self.run(f"{task}/$no-show", {}))
                self._at(self._now + 3.5, call)
                return
            length = self.random.uniform(7, 16)
            self._at(self._now + 1, lambda: self.run(f"{task}/$start", {}))
            self._at(self._now + length, lambda: self.run(f"{task}/$finish", {}))
            self._at(self._now + length + 0.5, call)

        return call
