"""A day as it goes: people come, desks call, some are late, some are gone, some give up."""

import heapq
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.client import HTTPException
from random import Random

from fhir_server.simulation.api import Api, Json, Refused
from fhir_server.simulation.clock import Clock
from fhir_server.simulation.place import QUEUE, SECOND, Place, patient
from fhir_server.simulation.plan import Person
from fhir_server.simulation.record import Record, Seen

# Minutes for which everybody waits at noon; and for how long desks go on after the doors were closed.
_PAUSE, _OVERTIME = 15.0, 90.0
_HANDS = 8
_CANCELLED = 3
Act = Callable[[], object]


class Day:
    """One day. `minutes`: while the doors are open; `plan`: who comes; `say`: told how it goes, every half hour."""

    def __init__(
        self, api: Api, clock: Clock, record: Record, place: Place, plan: list[Person], minutes: float, desks: int,
        seed: int, say: Callable[[str], object],
    ) -> None:  # fmt: skip
        self.api, self.clock, self.record, self._place = api, clock, record, place
        self._plan, self._minutes, self._desks = plan, minutes, desks
        self._random = Random(seed)
        self._say = say
        self._booked = [id_ for id_, _ in sorted(place.booked.items(), key=lambda pair: pair[1])]
        self._events: list[tuple[float, int, Act]] = []
        self._lock = threading.Lock()
        self._number = 0
        self._closed = {QUEUE: threading.Event(), SECOND: threading.Event()}
        self._cancelled: set[str] = set()

    def run(self) -> None:
        """Play the day; returns when the last desk has closed."""
        self._arrange()
        desks = [threading.Thread(target=self._desk, args=(QUEUE, n + 1), daemon=True) for n in range(self._desks)]
        second = threading.Thread(target=self._desk, args=(SECOND, self._desks + 1), daemon=True)
        for desk in (*desks, second):
            desk.start()
        with ThreadPoolExecutor(_HANDS) as hands:
            while self.clock.minute() < self._minutes + _OVERTIME and second.is_alive():
                act = self._due()
                if act is not None:
                    hands.submit(self._safely, act)
                elif not (self._events or any(desk.is_alive() for desk in desks) or self._closed[SECOND].is_set()):
                    # Nobody is sent on or comes back any more.
                    self._safely(partial(self._close, SECOND))
                else:
                    self.clock.stopped.wait(0.02)
        self.clock.stopped.set()
        for desk in (*desks, second):
            desk.join(30)

    def at(self, minute: float, act: Act) -> None:
        """Do something at a minute of the day."""
        with self._lock:
            self._number += 1
            heapq.heappush(self._events, (minute, self._number, act))

    def offered(self, offer_id: str) -> None:
        """Somebody on the wait list is offered a place: takes it."""
        self.at(self.clock.minute() + 1, partial(self._accept, offer_id))

    def _due(self) -> Act | None:
        with self._lock:
            if self._events and self._events[0][0] <= self.clock.minute():
                return heapq.heappop(self._events)[2]
        return None

    def _arrange(self) -> None:
        for person in self._plan:
            if person.home:
                self.at(max(person.arrives - person.home, 0), partial(self._take_from_home, person))
            elif person.at_call != "never":
                self.at(person.arrives, partial(self._arrive, person))
        noon = self._minutes / 2
        self.at(noon, partial(self._pause, True))
        self.at(noon + min(_PAUSE, self._minutes / 10), partial(self._pause, False))
        later = [id_ for id_ in self._booked if self._place.booked[id_] > self._minutes / 2]
        for number, appointment in enumerate(later[-_CANCELLED:]):
            self._cancelled.add(appointment)
            self.at(5.0 + 5 * number, partial(self._cancel, appointment))
        for part in range(1, int(self._minutes // 30) + 1):
            self.at(part * 30.0, self._progress)
        self.at(self._minutes, partial(self._close, QUEUE))

    # -- people --------------------------------------------------------------------------------------------------------

    def _arrive(self, person: Person) -> None:
        if person.kind == "appointment":
            self._check_in(person)
            return
        given: Json = {}
        if person.kind == "emergency":
            given = {"kind": {"valueCode": "emergency"}, "reason": {"valueString": "Chest pain"}}
        elif person.number % 7:
            given = {"patient": {"valueReference": {"reference": patient(person.number)}}}
        seen = self._took(self.api.run(f"HealthcareService/{QUEUE}/$take-ticket", **given), person)
        if person.leaves:
            self.at(person.arrives + person.leaves, partial(self._give_back, seen))
        if person.first:
            self.at(person.arrives + 2, partial(self._put_first, seen))

    def _check_in(self, person: Person) -> None:
        appointment = self._booked[person.number]
        if appointment in self._cancelled:
            return
        queue = {"valueReference": {"reference": f"HealthcareService/{QUEUE}"}}
        self._took(self.api.run(f"Appointment/{appointment}/$check-in", queue=queue), person)

    def _take_from_home(self, person: Person) -> None:
        given: Json = {"remote": {"valueBoolean": True}}
        seen = self._took(self.api.run(f"HealthcareService/{QUEUE}/$take-ticket", **given), person)
        self.at(person.arrives, partial(self._come_in, seen))

    def _come_in(self, seen: Seen) -> None:
        if seen.called is None:
            self._tolerant(f"Task/{seen.id}/$check-in")

    def _took(self, task: Json, person: Person) -> Seen:
        self.record.count(person.kind)
        return self.record.took(task, person, self.clock.minute())

    def _give_back(self, seen: Seen) -> None:
        """Give the ticket back by its secret link, as who has no account does."""
        if seen.called is not None:
            return
        try:
            link = self.api.run(f"Task/{seen.id}/$ticket-link")
            url = next(each["valueUrl"] for each in link["parameter"] if each["name"] == "url")
            self.api.open("GET", url)
            if self.api.open("POST", f"{url}/cancel")["state"] == "cancelled":
                self.record.count("given back")
        except Refused as refused:
            self._forgive(refused)

    def _put_first(self, seen: Seen) -> None:
        if seen.called is None and self._tolerant(f"Task/{seen.id}/$skip", reason={"valueString": "Feels faint"}):
            self.record.count("put first")

    # -- desks ---------------------------------------------------------------------------------------------------------

    def _desk(self, queue: str, number: int) -> None:
        """Call whoever is next, until the doors are closed and nobody waits."""
        name = {"valueString": f"Desk {number}"}
        while not self.clock.stopped.is_set():
            answer = self._safely(partial(self.api.run, f"HealthcareService/{queue}/$call-next", desk=name))
            if answer is not None and answer["resourceType"] == "Task":
                self._safely(partial(self._serve, str(answer["id"]), queue))
                continue
            if answer is not None and self._closed[queue].is_set() and _reason(answer) != "paused":
                return
            self.clock.wait(1.0)

    def _serve(self, task_id: str, queue: str) -> None:
        seen = self.record.was_called(task_id, self.clock.minute())
        person = None if seen is None else seen.person
        if (
            seen is not None
            and person is not None
            and person.at_call in ("late", "returns", "gone")
            and not seen.returns
        ):
            self._missed(seen)
            return
        self.clock.wait(0.5)
        self.api.run(f"Task/{task_id}/$start")
        length = person.visit if person is not None else 5.0
        if person is not None and person.sent_on and queue == QUEUE:
            self.clock.wait(length / 2)
            to = {"valueReference": {"reference": f"HealthcareService/{SECOND}"}}
            self.api.run(f"Task/{task_id}/$transfer", to=to, reason={"valueString": "Blood sample"})
            self.record.count("sent on")
            return
        self.clock.wait(length)
        self.api.run(f"Task/{task_id}/$finish")
        self.record.count("served")

    def _missed(self, seen: Seen) -> None:
        """Nobody comes: called again, then on hold. Some come back in time, some after it was given up, some never."""
        self.clock.wait(1.0)
        self.api.run(f"Task/{seen.id}/$recall")
        self.clock.wait(1.0)
        self.api.run(f"Task/{seen.id}/$absent")
        self.record.count("absent")
        behaviour, now = seen.person.at_call, self.clock.minute()
        if behaviour == "late":
            self.at(now + 8, partial(self._come_back, seen))
        elif behaviour == "returns" or self._random.random() < 0.5:
            self.at(now + 15, partial(self._give_up, seen))
            if behaviour == "returns":
                self.at(now + 20, partial(self._come_back, seen))

    def _give_up(self, seen: Seen) -> None:
        self._tolerant(f"Task/{seen.id}/$no-show")

    def _come_back(self, seen: Seen) -> None:
        self.record.came_back(seen)
        if self._tolerant(f"Task/{seen.id}/$return"):
            self.record.count("came back late")

    # -- the clinic ----------------------------------------------------------------------------------------------------

    def _pause(self, begin: bool) -> None:
        message = {"valueString": "We are back in a quarter of an hour."}
        for queue in (QUEUE, SECOND):
            if begin:
                self.api.run(f"HealthcareService/{queue}/$pause", message=message)
            else:
                self.api.run(f"HealthcareService/{queue}/$resume")
        self.record.count("pauses" if begin else "resumed")

    def _close(self, queue: str) -> None:
        self.api.run(f"HealthcareService/{queue}/$close")
        self._closed[queue].set()

    def _cancel(self, appointment: str) -> None:
        self.api.run(f"Appointment/{appointment}/$cancel")
        self.record.count("bookings cancelled")

    def _accept(self, offer_id: str) -> None:
        if self._tolerant(f"Appointment/{offer_id}/$accept"):
            self.record.count("refilled from the wait list")

    def _progress(self) -> None:
        with self.record.lock:
            counts = dict(self.record.counts)
            waiting = sum(seen.called is None or seen.waits_again for seen in self.record.tickets.values())
        hour, minute = divmod(int(self.clock.minute()), 60)
        served = counts.get("served", 0)
        self._say(f"{8 + hour:02}:{minute:02}  {len(self.record.tickets)} tickets, {served} served, {waiting} waiting")

    # -- what goes wrong -----------------------------------------------------------------------------------------------

    def _safely(self, act: Callable[[], object]) -> Json | None:
        try:
            done = act()
            return done if isinstance(done, dict) else None
        except Refused as refused:
            self.record.error(str(refused))
        except (OSError, HTTPException) as error:
            self.record.error(f"{type(error).__name__}: {error}")
            self.clock.wait(2.0)
        return None

    def _tolerant(self, path: str, **parameters: Json) -> bool:
        """Do what somebody else may have made impossible meanwhile; whether it was possible."""
        try:
            self.api.run(path, **parameters)
            return True
        except Refused as refused:
            self._forgive(refused)
            return False

    def _forgive(self, refused: Refused) -> None:
        if refused.status not in (404, 409) and refused.detail not in ("wrong-state", "limit-reached", "queue-closed"):
            raise refused
        self.record.count("too late for it")


def _reason(answer: Json) -> str:
    return next((str(each.get("valueCode", each.get("valueString"))) for each in answer.get("parameter", ())
                 if each["name"] == "reason"), "")  # fmt: skip
