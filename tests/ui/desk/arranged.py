"""What the tests of the reception put into the demo clinic first."""

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from fhir_server.core import clock
from tests.client import Client
from tests.ui.conftest import Demo

QUEUE, LABORATORY = "demo-queue", "demo-laboratory"
DOCTOR, SERVICE, SITE = "demo-elamrani", "demo-consultation", "demo-maarif"


def patient(client: Client, family: str = "Essai", given: str = "Sara", **more: Any) -> str:
    """A new Patient; its id."""
    name = [{"use": "official", "family": family, "given": [given]}]
    return str(client.create({"resourceType": "Patient", "active": True, "name": name, **more})["id"])


def booked(client: Client, who: str, name: str = "", *, minutes: int = 2, status: str = "booked") -> str:
    """An appointment of a patient in so many minutes; its id. The doctor is a new one, so that no time is taken."""
    doctor = client.create({"resourceType": "Practitioner", "active": True, "name": [{"family": "Deskdoctor"}]})["id"]
    start = clock.now() + timedelta(minutes=minutes)
    people = [(f"Patient/{who}", name), (f"Practitioner/{doctor}", ""), (f"HealthcareService/{SERVICE}", ""),
              (f"Location/{SITE}", "")]  # fmt: skip
    made = client.create({
        "resourceType": "Appointment", "status": status, "start": start.isoformat(timespec="seconds"),
        "end": (start + timedelta(minutes=20)).isoformat(timespec="seconds"), "minutesDuration": 20,
        "created": clock.now().isoformat(timespec="seconds"),
        "participant": [{"actor": {"reference": actor, **({"display": shown} if shown else {})}, "status": "accepted"}
                        for actor, shown in people],
    })  # fmt: skip
    return str(made["id"])


def since_midnight() -> int:
    """Minutes since the clinic's day began."""
    here = clock.now().astimezone(ZoneInfo("Africa/Casablanca"))
    return here.hour * 60 + here.minute


def ticket_of(client: Client, patient_id: str) -> dict[str, Any]:
    """The patient's newest ticket."""
    found = client.get(f"Task?patient=Patient/{patient_id}&_sort=-_lastUpdated&_count=1").json
    task: dict[str, Any] = found["entry"][0]["resource"]
    return task


def state(client: Client, task_id: str) -> tuple[str, str]:
    """Task.status and businessStatus of a ticket."""
    task = client.get(f"Task/{task_id}").json
    return task["status"], task["businessStatus"]["coding"][0]["code"]


def opened(demo: Demo, queue: str = QUEUE) -> Client:
    """A client that may do everything, in a clinic whose queue is open."""
    client = demo.client()
    parts = client.get(f"HealthcareService/{queue}/$queue").json["parameter"]
    now = next(each["valueCode"] for each in parts if each["name"] == "state")
    if now != "open":
        client.post(f"HealthcareService/{queue}/${'resume' if now == 'paused' else 'open'}")
    return client
