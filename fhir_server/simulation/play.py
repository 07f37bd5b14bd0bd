"""A whole simulation: make the place, listen, play the day, and compare what was told with what is stored."""

from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.client import HTTPException
from typing import Any
from urllib.parse import quote

from fhir_server.simulation import place as places
from fhir_server.simulation.api import Api, Json, Refused
from fhir_server.simulation.clock import Clock
from fhir_server.simulation.day import Day
from fhir_server.simulation.ending import end
from fhir_server.simulation.listener import Listener, Name
from fhir_server.simulation.plan import people
from fhir_server.simulation.record import Record
from fhir_server.simulation.report import report

_QUEUE = "urn:salam:StructureDefinition:ticket-queue"
_SPARE = 60
_DRAIN_SECONDS = 20.0
_TOPICS = (f"queue:{places.QUEUE}", f"queue:{places.SECOND}", "type:Appointment")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to play. `url`: of the tenant, `http://host:port/t/slug`; `hub`: scheme and host of the event hub."""

    url: str
    hub: str
    token: str
    speed: float
    hours: float
    desks: int
    seed: int


def play(wanted: Wanted, say: Callable[[str], object]) -> Json:
    """Play a day and give the report. Raises `Refused` and `OSError` when it cannot even begin."""
    with closing(Api(wanted.url, wanted.token)) as api:
        # Whether anybody answers, and takes the token, is soon known.
        api.get("HealthcareService?_count=1")
        return _Play(api, wanted, say).report()


class _Play:
    """A day with who listens to it."""

    def __init__(self, api: Api, wanted: Wanted, say: Callable[[str], object]) -> None:
        self._api, self._wanted, self._say = api, wanted, say
        self._record = Record()
        self._day: Day | None = None
        self._wishes: frozenset[str] = frozenset()
        self._listener = Listener(wanted.hub, api.origin, api.path, wanted.token, _TOPICS, self._tell)

    def report(self) -> Json:
        """Play the day, and give its report."""
        since = datetime.now(UTC) - timedelta(seconds=2)
        self._listener.start()
        begun = datetime.now(UTC)
        try:
            self._run()
            end(self._api, self._record)
            tasks, stored = _stored(self._api, since, begun)
            lost = self._listener.wait_for(stored, _DRAIN_SECONDS)
        finally:
            self._listener.stop()
            with suppress(Refused, OSError, HTTPException):
                places.take_down(self._api)
        ears = self._listener
        heard = {"by": " and ".join(sorted(ears.ways)), "told": ears.told, "of the day": len(stored),
                 "resets": ears.resets, "interruptions": ears.interruptions}  # fmt: skip
        return report(
            self._record, tasks, speed=self._wanted.speed, lost=len(lost), heard=heard, seconds=self._api.seconds,
            refused=self._api.refused,
        )  # fmt: skip

    def _run(self) -> None:
        wanted, minutes = self._wanted, self._wanted.hours * 60
        self._say("Making queues, doctors, patients and bookings ...")
        count = int(minutes * wanted.desks / 12) + _SPARE
        place = places.set_up(self._api, wanted.seed, wanted.speed, minutes, count)
        self._wishes = frozenset(place.wishes)
        clock = Clock(wanted.speed)
        clock.wait(wanted.speed / 60 * (place.begins - datetime.now(UTC)).total_seconds())
        clock.begin()
        booked = sorted(minute for minute in place.booked.values() if minute < minutes)
        plan = people(wanted.seed, minutes, wanted.desks, booked)
        self._say(f"{len(plan)} people come, {len(booked)} of them booked, to HealthcareService/{places.QUEUE}.")
        self._day = Day(self._api, clock, self._record, place, plan, minutes, wanted.desks, wanted.seed, self._say)
        self._day.run()

    def _tell(self, event: Json) -> None:
        """A new Appointment may be an offer to somebody of ours on the wait list."""
        if self._day is None or event["type"] != "Appointment" or event["version"] != 1:
            return
        with suppress(Refused, OSError, HTTPException):
            found = self._api.get(f"Appointment/{event['id']}")
            behind = {each.get("reference", "").partition("/")[2] for each in found.get("supportingInformation", ())}
            if found["status"] == "pending" and behind & self._wishes:
                self._day.offered(event["id"])


def _stored(api: Api, since: datetime, begun: datetime) -> tuple[list[Json], set[Name]]:
    """The tickets of the day as they are now, and every version of them and of Appointments, by their history."""
    versions: set[Name] = set()
    latest: dict[str, tuple[int, Json]] = {}
    for kind in ("Task", "Appointment"):
        for entry in api.every(f"{kind}/_history?_since={quote(since.isoformat())}&_count=200"):
            resource: dict[str, Any] = entry.get("resource", {})
            if not _of_the_day(resource, begun):
                continue
            number = int(resource["meta"]["versionId"])
            versions.add((kind, resource["id"], number))
            if kind == "Task" and number > latest.get(resource["id"], (0, {}))[0]:
                latest[resource["id"]] = (number, resource)
    return [resource for _, resource in latest.values()], versions


def _of_the_day(resource: Json, begun: datetime) -> bool:
    if not resource or datetime.fromisoformat(resource["meta"]["lastUpdated"].replace("Z", "+00:00")) < begun:
        return False
    if resource["resourceType"] != "Task":
        return True
    queues = {f"HealthcareService/{queue}" for queue in (places.QUEUE, places.SECOND)}
    given = (e["valueReference"]["reference"] for e in resource.get("extension", ()) if e["url"] == _QUEUE)
    return next(given, "") in queues
