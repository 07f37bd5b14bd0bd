"""A queue with tickets in the database, written as the operations write them: for tests of what is shown."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from fhir_server.core import clock
from fhir_server.core.keys import self_key
from fhir_server.features.queue import configuration, policy
from fhir_server.features.queue.configuration import QueueConfig
from fhir_server.interactions.acting import server_context
from fhir_server.interactions.changes import Changes
from fhir_server.interactions.worlds import world
from fhir_server.rest.dispatch import session
from fhir_server.storage import tickets
from fhir_server.storage.tickets import Ticket
from tests.client import Client
from tests.conftest import TestTenant


def service(*parts: dict[str, Any], state: str = "open", **more: Any) -> dict[str, Any]:
    """A HealthcareService that is a queue."""
    extension = [
        {"url": configuration.CONFIGURATION, "extension": list(parts) or [{"url": "prefix", "valueString": "A"}]},
        {"url": configuration.STATE, "extension": [{"url": "state", "valueCode": state}, *more.pop("told", ())]},
    ]
    return {"resourceType": "HealthcareService", "active": True, "name": "Consultation", "extension": extension, **more}


@dataclass(slots=True)
class Place:
    """One queue of a tenant."""

    tenant: TestTenant
    client: Client
    id: str
    config: QueueConfig
    made: list[Ticket] = field(default_factory=list)

    @classmethod
    def new(cls, tenant: TestTenant, client: Client, *parts: dict[str, Any], **more: Any) -> "Place":
        """A new queue."""
        stored = client.create({**service(*parts, **more)})
        config = configuration.of(stored)
        assert config is not None
        return cls(tenant, client, stored["id"], config)

    def ticket(self, kind: str = "normal", *, patient: str | None = None, minutes: float = 0, **changed: Any) -> str:
        """A ticket taken so many minutes ago; the id of its Task."""
        db = session()
        ctx = server_context(db, world(db, self.tenant.slug))
        number, taken = len(self.made) + 1, clock.now() - timedelta(minutes=minutes)
        task = self._task(number, kind, taken, patient, changed.get("state", "waiting"))
        with db.hold():
            unit = Changes(ctx)
            task_id = unit.add(task)
            unit.run()
            row = self._row(unit.rid("Task", task_id), number, kind, taken, patient)
            self.made.append(replace(row, **changed))
            db.run([tickets.put(self.tenant.id, self.made[-1])])
        db.commit()
        return task_id

    def change(self, number: int, **changed: Any) -> None:
        """Change the row of a ticket."""
        db = session()
        server_context(db, world(db, self.tenant.slug))
        self.made[number - 1] = replace(self.made[number - 1], **changed)
        db.run([tickets.put(self.tenant.id, self.made[number - 1])], final=True)
        db.commit()

    def _task(self, number: int, kind: str, taken: datetime, patient: str | None, state: str) -> dict[str, Any]:
        queue = {"reference": f"HealthcareService/{self.id}"}
        task: dict[str, Any] = {
            "resourceType": "Task", "intent": "order", "status": "accepted",
            "code": {"coding": [{"system": "urn:salam:CodeSystem:task-kind", "code": "queue-ticket"}]},
            "businessStatus": {"coding": [{"system": "urn:salam:CodeSystem:ticket-state", "code": state}]},
            "identifier": [{"system": f"urn:salam:ticket:{self.id}:{taken.date()}", "value": self.config.number(number)}],
            "authoredOn": taken.isoformat(),
            "extension": [{"url": "urn:salam:StructureDefinition:ticket-queue", "valueReference": queue},
                          {"url": "urn:salam:StructureDefinition:ticket-kind", "valueCode": kind}],
        }  # fmt: skip
        return {**task, "for": {"reference": f"Patient/{patient}"}} if patient else task

    def _row(self, rid: int, number: int, kind: str, taken: datetime, patient: str | None) -> Ticket:
        rank, due = policy.entry(kind, None, None, taken, self.config)
        return Ticket(
            rid=rid, queue=self_key("HealthcareService", self.id), day=self.config.day(clock.now()), number=number,
            kind=kind, state="waiting", rank=rank, due=due, place=policy.first_place(number), taken_at=taken,
            deadline=clock.now() + timedelta(hours=20), arrived_at=taken, present=True,
            patient=self_key("Patient", patient) if patient else None,
        )  # fmt: skip


def plain(parameters: dict[str, Any]) -> dict[str, Any]:
    """A Parameters resource as names and values; `ticket` as a list."""
    found: dict[str, Any] = {}
    for entry in parameters.get("parameter", parameters.get("part", ())):
        value = next((v for k, v in entry.items() if k.startswith("value")), None)
        if value is None:
            value = plain(entry)
        if entry["name"] == "ticket" and isinstance(value, dict) and "number" in value:
            found.setdefault("tickets", []).append(value)
        else:
            found[entry["name"]] = value
    return found
