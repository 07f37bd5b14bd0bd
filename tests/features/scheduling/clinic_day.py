"""A practice to book in: services, Schedules, patients, and the requests that book."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.client import Answer, Client
from tests.rest.bodies import mark, patient

E = "urn:salam:StructureDefinition:"
SYSTEM = "urn:test"
BOOKING = "urn:salam:CodeSystem:booking"
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def parameters(**values: Any) -> dict[str, Any]:
    """The scheduling-parameters extension: open all day on all days unless `available` says otherwise."""
    kinds = {int: "valuePositiveInt", bool: "valueBoolean", str: "valueCode"}
    parts = [{"url": name, kinds[type(value)]: value} for name, value in values.items() if type(value) in kinds]
    parts += [part for value in values.values() if isinstance(value, list) for part in value]
    if "available" not in values:
        opening = [{"url": "day", "valueCode": day} for day in DAYS]
        opening += [{"url": "start", "valueTime": "06:00:00"}, {"url": "end", "valueTime": "22:00:00"}]
        parts.append({"url": "available", "extension": opening})
    return {"url": f"{E}scheduling-parameters", "extension": parts}


@dataclass(slots=True)
class Practice:
    """A service with its Schedules, made in a tenant. `day`: a day in two weeks."""

    client: Client
    rules: dict[str, Any] = field(default_factory=dict)
    schedules: int = 1
    service: str = ""
    schedule: list[str] = field(default_factory=list)
    practitioner: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        rules = {"duration": 30, "alignmentInterval": 15, "onlineBooking": True, "timezone": "UTC", **self.rules}
        made = self.client.create(
            {"resourceType": "HealthcareService", "active": True, "name": f"Consultation {mark()}",
             "extension": [parameters(**rules)]}
        )  # fmt: skip
        self.service = f"HealthcareService/{made['id']}"
        for _ in range(self.schedules):
            self.add_schedule()

    def add_schedule(self, **rules: Any) -> str:
        """Another practitioner with a Schedule of the service."""
        doctor = self.client.create({"resourceType": "Practitioner", "name": [{"family": mark()}]})
        actors = [{"reference": f"Practitioner/{doctor['id']}"}, {"reference": self.service}]
        made = self.client.create(
            {"resourceType": "Schedule", "active": True, "actor": actors[:1],
             "extension": [parameters(**rules, of=[self._for_service()])]}
        )  # fmt: skip
        self.practitioner.append(f"Practitioner/{doctor['id']}")
        self.schedule.append(f"Schedule/{made['id']}")
        return self.schedule[-1]

    def _for_service(self) -> dict[str, Any]:
        return {"url": "service", "valueReference": {"reference": self.service}}

    def patient(self, word: str | None = None) -> str:
        """`Patient/id` of a new patient."""
        return f"Patient/{self.client.create(patient(word or mark()))['id']}"

    def appointment(
        self, who: str | None, start: datetime, which: int = 0, minutes: int = 30, **more: Any
    ) -> dict[str, Any]:
        """An Appointment in full, as another system would send it."""
        actors = [self.practitioner[which], self.service, *([who] if who else [])]
        return {
            "resourceType": "Appointment",
            "status": "proposed",
            "start": iso(start),
            "end": iso(start + timedelta(minutes=minutes)),
            "participant": [{"actor": {"reference": each}, "status": "needs-action"} for each in actors],
            **more,
        }

    def book(
        self, who: str | None, start: datetime, which: int = 0, *, client: Client | None = None, **more: Any
    ) -> Answer:
        """$book of an Appointment in full."""
        resource = self.appointment(who, start, which, **more)
        return (client or self.client).post("Appointment/$book", given(resource))

    def booked(self, who: str | None, start: datetime, which: int = 0, **more: Any) -> dict[str, Any]:
        """The Appointment of a $book that must succeed."""
        return matched(self.book(who, start, which, **more))

    def proposal(self, start: datetime, client: Client | None = None) -> dict[str, Any]:
        """What $find proposes first from `start` on."""
        query = f"start={iso(start)}&end={iso(start + timedelta(hours=8))}&_count=1"
        answer = (client or self.client).get(f"Appointment/$find?{query}&practitioner={self.practitioner[0]}")
        assert answer.status == 200, answer.text
        found: dict[str, Any] = answer.json["entry"][0]["resource"]
        return found


def parameter(name: str, value: Any) -> dict[str, Any]:
    """One parameter of a Parameters resource."""
    if isinstance(value, dict):
        if "resourceType" in value:
            return {"name": name, "resource": value}
        kind = "valueReference" if "reference" in value else "valueCodeableConcept"
        return {"name": name, kind: value}
    kinds = {bool: "valueBoolean", int: "valuePositiveInt", str: "valueDateTime" if name == "start" else "valueString"}
    return {"name": name, kinds[type(value)]: value}


def body(**values: Any) -> dict[str, Any]:
    """A Parameters resource; `_` in names stands for `-`."""
    return {
        "resourceType": "Parameters",
        "parameter": [parameter(name.replace("_", "-"), value) for name, value in values.items()],
    }


def given(resource: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The input of a $book with appointment-resource."""
    return body(appointment_resource=resource, **more)


def named(resource_id: str, **more: Any) -> dict[str, Any]:
    """The input of an operation with appointment-reference."""
    return body(appointment_reference={"reference": f"Appointment/{resource_id}"}, **more)


def matched(answer: Any) -> dict[str, Any]:
    """The one Appointment of an answer that must be a success."""
    assert answer.status == 200, answer.body
    found: list[dict[str, Any]] = all_matched(answer)
    assert len(found) == 1
    return found[0]


def all_matched(answer: Any) -> list[dict[str, Any]]:
    """The Appointments of an answer, in order."""
    assert answer.status == 200, answer.body
    return [each["resource"] for each in answer.json["entry"] if each["search"]["mode"] == "match"]


def detail(answer: Any) -> str | None:
    """What programs tell the error apart by."""
    coding = answer.json["issue"][0]["details"].get("coding", [{}])
    return str(coding[0].get("code")) if coding else None


def in_days(days: int = 14, hour: int = 9, minute: int = 0) -> datetime:
    """A time on a day to come, in UTC."""
    return datetime.now(UTC).replace(hour=hour, minute=minute, second=0, microsecond=0) + timedelta(days=days)


def iso(when: datetime) -> str:
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def later(seconds: int) -> datetime:
    """The present moment and some seconds, whole ones."""
    return datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=seconds)


def extension_of(resource: dict[str, Any], name: str) -> dict[str, Any] | None:
    """An own extension by its short name."""
    return next((each for each in resource.get("extension", ()) if each["url"] == f"{E}{name}"), None)


def slots_of(client: Client, appointment: dict[str, Any]) -> list[dict[str, Any]]:
    """The stored Slots of an Appointment, by time."""
    found = [client.get(each["reference"]).json for each in appointment.get("slot", ())]
    return sorted(found, key=lambda each: str(each["start"]))
