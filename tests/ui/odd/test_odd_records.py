"""Every page with records that FHIR allows and forms of this server would not write: it shows what there is."""

import re
from typing import Any

import pytest

from tests.client import Client
from tests.ui.conftest import Demo, Person
from tests.ui.odd.records import EDGES, PATIENTS, QUEUE, Json, appointments, at_the_edge, of_a_patient
from tests.ui.test_every_page import ELSEWHERE, path_of, rules, said

ROLES = ("", "patient", "receptionist", "nurse", "practitioner", "billing", "manager", "owner", "board", "kiosk")
DOCTOR = "Practitioner/demo-elamrani"
Odd = dict[str, list[str]]


def stored(client: Client, resource: Json) -> str:
    """Its id."""
    return str(client.create(resource)["id"])


@pytest.fixture(scope="module")
def odd(clinic: Demo) -> Odd:
    """The odd records' ids by the parameter of an address that takes them."""
    client = clinic.client()
    patients = [stored(client, {"resourceType": "Patient", **each}) for each in PATIENTS]
    nobody = stored(client, {"resourceType": "Practitioner", "active": True})
    role = stored(client, {"resourceType": "PractitionerRole", "active": True})
    schedule = stored(client, {"resourceType": "Schedule", "active": True, "actor": [{"reference": f"Practitioner/{nobody}"}]})
    place = stored(client, {"resourceType": "Location", "status": "active"})
    queue = stored(client, {"resourceType": "HealthcareService", "active": True, "extension": [QUEUE]})
    service = stored(client, {"resourceType": "HealthcareService", "active": True})
    device = stored(client, {"resourceType": "Device"})
    question = stored(client, {"resourceType": "Questionnaire", "status": "active", "item": [{"linkId": "1", "type": "string"}]})
    client.post(f"HealthcareService/{queue}/$open")
    tasks = []
    for id_ in ["", *patients]:
        parameter = [{"name": "patient", "valueReference": {"reference": f"Patient/{id_}"}}] if id_ else []
        for name in (queue, "demo-queue"):
            taken = client.post(f"HealthcareService/{name}/$take-ticket", {"resourceType": "Parameters", "parameter": parameter} if parameter else None)
            assert taken.status == 200, taken.text
            tasks.append(str(taken.id))
    people = [f"Patient/{id_}" for id_ in patients]
    visits = [each["id"] for each in appointments(client, [*people, DOCTOR, f"Practitioner/{nobody}", f"PractitionerRole/{role}", f"Location/{place}"])]
    invoices = []
    for who in (*people[:2], "Patient/demo-0001"):
        records = [*of_a_patient(who, DOCTOR), *(each for at in EDGES for each in at_the_edge(who, DOCTOR, at))]
        made = [(each["resourceType"], stored(client, each)) for each in records]
        invoices += [id_ for kind, id_ in made if kind == "Invoice"]
    return {
        "patient_id": [*patients, "demo-0001"], "resource_id": patients, "visit_id": visits, "appointment_id": visits, "portal_visit": visits,
        "queue_id": [queue, service], "task_id": tasks, "schedule_id": [schedule, "demo-elamrani"], "service_id": [service, queue],
        "id_": [nobody, role], "invoice_id": invoices, "device_id": [device], "resource_type": ["Patient"], "size": ["192"],
        "client_id": [f"croissance?patient={each}" for each in patients], "form_id": [question],
    }  # fmt: skip


def addresses(odd: Odd) -> list[str]:
    """Every address, with each record that it can be about."""
    found = []
    for rule in rules():
        if ELSEWHERE.search(rule):
            continue
        most = max((len(odd.get(name, ())) for name in re.findall(r"<(?:[^<>]*:)?(\w+)>", rule)), default=1)
        for number in range(max(most, 1)):
            path = path_of(rule, {name: values[number % len(values)] for name, values in odd.items()})
            found += [path] if path is not None else []
    return list(dict.fromkeys(found))


@pytest.mark.parametrize("role", ROLES)
def test_every_page_is_shown(clinic: Demo, odd: Odd, role: str) -> None:
    person: Person = clinic.person(role)
    answers: dict[str, Any] = {path: person.get(path).status_code for path in addresses(odd)}
    assert len(answers) > 60
    said([f"{path}: {status}" for path, status in answers.items() if status >= 500])
