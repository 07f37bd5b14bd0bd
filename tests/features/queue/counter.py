"""A queue worked through its operations: what a kiosk, a desk and a patient's phone send."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from fhir_server.core import clock
from fhir_server.core.keys import self_key
from fhir_server.features.queue import tend
from fhir_server.interactions.acting import server_context
from fhir_server.interactions.worlds import world
from fhir_server.rest.dispatch import session
from fhir_server.storage import tickets
from fhir_server.storage.tickets import Event, Ticket
from tests.client import Answer, Client
from tests.features.queue.place import service
from tests.rest.bodies import mark, patient

_KINDS = {"kind": "Code", "kinds": "Code", "language": "Code", "remote": "Boolean", "expire": "Boolean",
          "keepAppointment": "Boolean"}  # fmt: skip
_REFERENCES = ("patient", "appointment", "queue", "to", "owner")


def parameters(**given: Any) -> dict[str, Any]:
    """A Parameters resource; lists repeat a parameter."""
    entries = []
    for name, values in given.items():
        for value in values if isinstance(values, list) else [values]:
            if name in _REFERENCES:
                entries.append({"name": name, "valueReference": {"reference": value}})
            else:
                entries.append({"name": name, f"value{_KINDS.get(name, 'String')}": value})
    return {"resourceType": "Parameters", **({"parameter": entries} if entries else {})}


def part(name: str, value: Any) -> dict[str, Any]:
    """A part of the configuration of a queue."""
    kind = {bool: "Boolean", int: "PositiveInt", dict: "Reference"}.get(type(value), "Code")
    kind = {"prefix": "String", "closesAt": "Time"}.get(name, kind)
    return {"url": name, f"value{kind}": value}


def state(task: dict[str, Any]) -> str:
    """The business state of a ticket."""
    return str(task["businessStatus"]["coding"][0]["code"])


def number(task: dict[str, Any]) -> str:
    """The number of a ticket."""
    return str(task["identifier"][0]["value"])


def extension(task: dict[str, Any], name: str) -> Any:
    """The value of one of our extensions; None when it is not there."""
    for each in task.get("extension", ()):
        if each["url"] == f"urn:salam:StructureDefinition:{name}":
            return next(value for key, value in each.items() if key != "url")
    return None


@contextmanager
def later(**span: float) -> Iterator[None]:
    """So much later than now."""
    clock.move(timedelta(**span))
    try:
        yield
    finally:
        clock.move(timedelta())


@dataclass(slots=True)
class Counter:
    """One queue of a tenant, and a client that is staff."""

    client: Client
    tenant_id: int
    id: str = ""
    rules: dict[str, Any] = field(default_factory=dict)
    opening: str = "open"
    more: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Where it is about noon now, so that no test runs into the end of a day.
        self.rules = {"prefix": "A", "timezone": f"Etc/GMT{clock.now().hour - 12:+d}", **self.rules}
        parts = [part(name, each) for name, value in self.rules.items()
                 for each in (value if isinstance(value, list) else [value])]  # fmt: skip
        self.id = self.id or self.client.create(service(*parts, state=self.opening, **self.more))["id"]

    # -- the operations ------------------------------------------------------------------------------------------------

    def ask(self, path: str, *, by: Client | None = None, if_match: str | None = None, **given: Any) -> Answer:
        """Call an operation."""
        headers = {"if_match": if_match} if if_match else {}
        return (by or self.client).post(path, parameters(**given), **headers)

    def take(self, *, by: Client | None = None, **given: Any) -> dict[str, Any]:
        """A ticket that must be given."""
        return self._good(self.ask(f"HealthcareService/{self.id}/$take-ticket", by=by, **given))

    def call(self, **given: Any) -> dict[str, Any]:
        """The next one, or the Parameters that say why not."""
        return self._good(self.ask(f"HealthcareService/{self.id}/$call-next", **given))

    def queue(self, code: str, **given: Any) -> dict[str, Any]:
        """Open, pause, resume or close."""
        return self._good(self.ask(f"HealthcareService/{self.id}/${code}", **given))

    def do(self, task: dict[str, Any], code: str, **given: Any) -> dict[str, Any]:
        """An action on a ticket that must be possible."""
        return self._good(self.ask(f"Task/{task['id']}/${code}", **given))

    def refused(self, task: dict[str, Any], code: str, **given: Any) -> tuple[int, str]:
        """Status and detail code of an action that must not be possible."""
        return refusal(self.ask(f"Task/{task['id']}/${code}", **given))

    def refuses(self, code: str, **given: Any) -> tuple[int, str]:
        """The same for an operation on the queue."""
        return refusal(self.ask(f"HealthcareService/{self.id}/${code}", **given))

    def _good(self, answer: Answer) -> dict[str, Any]:
        assert answer.status == 200, answer.text
        resource: dict[str, Any] = answer.json
        return resource

    # -- what is stored ------------------------------------------------------------------------------------------------

    def read(self, reference: str | dict[str, Any]) -> dict[str, Any]:
        """A resource by `Type/id`, by a Reference, or again."""
        if isinstance(reference, dict):
            reference = reference.get("reference") or f"{reference['resourceType']}/{reference['id']}"
        return self._good(self.client.get(reference))

    def patient(self) -> str:
        """`Patient/id` of a new patient."""
        return f"Patient/{self.client.create(patient(mark()))['id']}"

    def appointment(self, who: str | None, start: datetime, **more: Any) -> dict[str, Any]:
        """A booked Appointment of this queue's service."""
        actors = [f"HealthcareService/{self.id}", *([who] if who else [])]
        end = start + timedelta(minutes=15)
        return self.client.create({
            "resourceType": "Appointment", "status": "booked", "start": start.isoformat(), "end": end.isoformat(),
            "participant": [{"actor": {"reference": each}, "status": "accepted"} for each in actors], **more,
        })  # fmt: skip

    def local(self) -> datetime:
        """Now, on the wall of the clinic."""
        return clock.now().astimezone(ZoneInfo(self.rules["timezone"]))

    def until(self, wall: time, days: int = 0) -> timedelta:
        """How long it is to a time of today, or of a later day; negative when it is past."""
        here = self.local()
        return datetime.combine(here.date() + timedelta(days=days), wall, here.tzinfo) - here

    def events(self) -> list[Event]:
        """The queue's log."""
        return tickets.events(self._session(), self.tenant_id, self_key("HealthcareService", self.id))

    def row(self, task: dict[str, Any]) -> Ticket:
        """The row of a ticket."""
        found = tickets.by_task(self._session(), self.tenant_id, task["id"])
        assert found is not None
        return found

    def _session(self) -> Any:
        db = session()
        server_context(db, world(db, self.client.slug))
        return db

    def tend(self) -> None:
        """What the worker does every few seconds."""
        db = session()
        tend.tend(server_context(db, world(db, self.client.slug)))


def refusal(answer: Answer) -> tuple[int, str]:
    """Status and detail code of an answer that refuses."""
    assert answer.status >= 400, answer.text
    details = answer.issues[0]["details"]
    return answer.status, details.get("coding", [{"code": answer.issues[0]["code"]}])[0]["code"]
