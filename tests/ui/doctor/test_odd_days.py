"""My day with what FHIR allows and forms of this server would not write: the page shows what there is."""

from datetime import timedelta
from typing import Any

import pytest

from tests.ui.conftest import Demo, Person
from tests.ui.doctor.place import DOCTOR, new_patient
from tests.ui.doctor.test_day import Queue
from ui.page import now

HERE = {"reference": DOCTOR}
CLASS = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"}


def today(part: str = "%Y-%m-%dT%H:%M:%SZ", minutes: int = 0) -> str:
    return (now() + timedelta(minutes=minutes)).strftime(part)


def encounter(**given: Any) -> dict[str, Any]:
    return {"resourceType": "Encounter", "status": "finished", "class": CLASS, "participant": [{"individual": HERE}], **given}


ODD: dict[str, Any] = {
    "a visit known by its month": lambda: encounter(period={"start": today("%Y-%m")}),
    "a visit known by its year": lambda: encounter(period={"start": today("%Y"), "end": today("%Y")}),
    "a visit with its end alone": lambda: encounter(period={"end": today()}),
    "a visit of a day": lambda: encounter(period={"start": today("%Y-%m-%d")}),
    "a visit under way since this month": lambda: encounter(status="in-progress", period={"start": today("%Y-%m")}),
    "a visit under way since some day": lambda: encounter(status="in-progress", period={"start": today("%Y-%m-%d")}),
    "a visit whose patient is a word": lambda: encounter(subject={"display": "Somebody"}, period={"start": today()}),
    "a visit elsewhere": lambda: encounter(subject={"reference": "https://elsewhere.example/Patient/1"}, period={"start": today()}),
    "an appointment without people": lambda: {
        "resourceType": "Appointment", "status": "booked", "start": today(), "end": today(minutes=15),
        "participant": [{"actor": HERE, "status": "accepted"}, {"status": "needs-action", "type": [{"text": "x"}]}],
    },
    "an appointment of a word": lambda: {
        "resourceType": "Appointment", "status": "arrived", "start": today(), "end": today(minutes=15),
        "participant": [{"actor": HERE, "status": "accepted"}, {"actor": {"display": "Somebody"}, "status": "accepted"}],
    },
    "a note of a month": lambda: {
        "resourceType": "Composition", "status": "preliminary", "type": {"text": "Note"}, "date": today("%Y-%m"),
        "author": [HERE], "title": "Note",
    },
    "a note of a year": lambda: {
        "resourceType": "Composition", "status": "preliminary", "type": {"text": "Note"}, "date": today("%Y"),
        "author": [HERE], "title": "Note",
    },
}  # fmt: skip


@pytest.mark.parametrize("odd", ODD)
def test_the_day_is_shown(clinic: Demo, doctor: Person, odd: str) -> None:
    client = clinic.client()
    made = client.post((resource := ODD[odd]())["resourceType"], resource)
    assert made.status == 201, made.text
    try:
        assert doctor.get("doctor/").status_code == 200
        assert doctor.get("doctor/", htmx=True).status_code == 200
    finally:
        client.delete(f"{resource['resourceType']}/{made.id}")


@pytest.mark.parametrize(
    "patient",
    [{"name": []}, {"name": [{"text": "Somebody"}]}, {"birthDate": "1980"}, {"birthDate": "1980-05"},
     {"deceasedBoolean": True}, {"name": [{"given": ["Nora"]}], "gender": "unknown"}],
)  # fmt: skip
def test_a_ticket_of_whom_little_is_known(clinic: Demo, patient: dict[str, Any]) -> None:
    client = clinic.client()
    queue = Queue(clinic, client, "O")
    made = client.create({"resourceType": "Patient", **{name: value for name, value in patient.items() if value}})
    parameter = [{"name": "patient", "valueReference": {"reference": f"Patient/{made['id']}"}}]
    assert client.post(f"HealthcareService/{queue.id}/$take-ticket", {"resourceType": "Parameters", "parameter": parameter}).status == 200
    assert queue.doctor.get("doctor/").status_code == 200
    assert queue.call().status_code == 200
    assert queue.doctor.get("doctor/").status_code == 200


def test_a_queue_without_a_name(clinic: Demo) -> None:
    client = clinic.client()
    queue = Queue(clinic, client, "N")
    service = client.get(f"HealthcareService/{queue.id}").json
    del service["name"]
    assert client.put(f"HealthcareService/{queue.id}", service).status == 200
    try:
        queue.take()
        assert queue.doctor.get("doctor/").status_code == 200
    finally:
        assert client.put(f"HealthcareService/{queue.id}", {**service, "name": "Essai", "active": False}).status == 200


def test_a_ticket_whose_patient_is_gone(clinic: Demo) -> None:
    client = clinic.client()
    queue = Queue(clinic, client, "G")
    patient = new_patient(client)
    parameter = [{"name": "patient", "valueReference": {"reference": f"Patient/{patient['id']}"}}]
    client.post(f"HealthcareService/{queue.id}/$take-ticket", {"resourceType": "Parameters", "parameter": parameter})
    client.delete(f"Patient/{patient['id']}")
    assert queue.doctor.get("doctor/").status_code == 200


def test_a_queue_that_is_gone(clinic: Demo, doctor: Person) -> None:
    client = clinic.client()
    queue = Queue(clinic, client, "D")
    client.put(f"HealthcareService/{queue.id}", {**client.get(f"HealthcareService/{queue.id}").json, "active": False})
    assert queue.doctor.get("doctor/").status_code == 200
