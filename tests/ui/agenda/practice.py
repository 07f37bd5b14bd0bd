"""A practice whose agenda is tested: two doctors who give one service, a third with a room, and a visit to move."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from fhir_server.core import clock
from tests.client import Client
from tests.features.scheduling.town import agenda, hours, make, needs, rules, service
from tests.ui.conftest import Demo, Person

Json = dict[str, Any]
ZONE = ZoneInfo("Africa/Casablanca")


def weekday_ahead(days: int = 10) -> date:
    """A day so far ahead that is no weekend."""
    day = clock.now().astimezone(ZONE).date() + timedelta(days=days)
    return day + timedelta(days=max(0, 7 - day.weekday()) if day.weekday() > 4 else 0)


def at(day: date, time: str, zone: ZoneInfo = ZONE) -> str:
    """The FHIR instant of a wall time."""
    return datetime.fromisoformat(f"{day}T{time}").replace(tzinfo=zone).isoformat().replace("+00:00", "Z")


class Practice:
    """Resources of its own in the demo clinic, so that nobody else's visits are in the way."""

    def __init__(self, demo: Demo, zone: str = "Africa/Casablanca") -> None:
        self.demo = demo
        self.staff: Client = demo.client()
        self.service = service(self.staff, timezone=zone, type=[{"coding": [{"system": "urn:t", "code": str(id(self))}]}])
        self.doctors = [self._doctor(f"Praticien{number}") for number in (1, 2)]
        week = hours("08:00", "18:00")
        self.schedules = [
            agenda(self.staff, who, rules(week, of=self.service, timezone=zone)) for who in self.doctors
        ]
        self.zone = ZoneInfo(zone)

    def _doctor(self, family: str) -> str:
        return make(self.staff, "Practitioner", active=True, name=[{"family": family, "given": ["Test"]}])

    def patient(self, family: str = "Alami", given: str = "Sara") -> str:
        return make(self.staff, "Patient", name=[{"family": family, "given": [given]}])

    def with_rooms(self) -> tuple[str, list[str], list[str]]:
        """A service that needs one of two rooms: the service, the rooms, their Schedules."""
        rooms = [make(self.staff, "Location", status="active", name=f"Salle {n}") for n in (1, 2)]
        schedules = [agenda(self.staff, each) for each in rooms]
        needed = service(self.staff, needs(*schedules), timezone=self.zone.key)
        schedule = self.staff.get(self.schedules[0]).json
        schedule["extension"].append(rules(hours("08:00", "18:00"), of=needed, timezone=self.zone.key))
        assert self.staff.put(self.schedules[0], schedule).status == 200
        return needed, rooms, schedules

    def book(self, day: date, time: str, *, which: int = 0, patient: str = "", of: str = "", minutes: int = 30) -> Json:
        """A visit as it is stored after $book."""
        start = datetime.fromisoformat(at(day, time, self.zone))
        people = [patient or self.patient(), self.doctors[which], of or self.service]
        resource = {
            "resourceType": "Appointment", "status": "proposed", "start": start.isoformat(),
            "end": (start + timedelta(minutes=minutes)).isoformat(),
            "participant": [{"actor": {"reference": each}, "status": "accepted"} for each in people],
        }  # fmt: skip
        body = {"resourceType": "Parameters", "parameter": [{"name": "appointment-resource", "resource": resource}]}
        answer = self.staff.post("Appointment/$book", body)
        assert answer.status == 200, answer.text
        return dict(answer.json["entry"][0]["resource"])

    def read(self, visit: Mapping[str, Any]) -> Json:
        """The visit as it is now."""
        return dict(self.staff.get(f"Appointment/{visit['id']}").json)

    def events(self, person: Person, first: date, last: date, **more: str) -> list[Json]:
        """The feed's visits of this practice."""
        who = ",".join(self.doctors)
        query = "&".join(f"{k}={v}" for k, v in {"start": str(first), "end": str(last), "who": who, **more}.items())
        answer = person.get(f"agenda/events?{query}")
        assert answer.status_code == 200, answer.text
        return list(answer.json["visits"])

    def drag(self, person: Person, visit: Json, day: date, start: str, end: str, **more: str) -> Any:
        """What the script sends when a visit is dropped."""
        form = {"start": f"{day}T{start}", "end": f"{day}T{end}", "version": visit["meta"]["versionId"], **more}
        return person.post(f"agenda/visit/{visit['id']}/drag", form)
