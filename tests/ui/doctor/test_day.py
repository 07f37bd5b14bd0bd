"""My day: calling, beginning, ending; who may, and what each role sees."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.client import Client
from tests.ui.conftest import Demo, Person
from tests.ui.doctor.place import Visit, new_patient, new_visit
from ui.fhir import Resource

CONFIGURATION = "urn:salam:StructureDefinition:queue-configuration"


class Queue:
    """A queue of its own, chosen by the doctor's device."""

    def __init__(self, demo: Demo, client: Client, prefix: str) -> None:
        parts = [{"url": "prefix", "valueString": prefix}, {"url": "timezone", "valueCode": "Africa/Casablanca"}]
        self.client = client
        self.id = client.create(
            {
                "resourceType": "HealthcareService",
                "active": True,
                "name": "Essai",
                "extension": [{"url": CONFIGURATION, "extension": parts}],
            }
        )["id"]
        client.post(f"HealthcareService/{self.id}/$open")
        self.doctor = demo.person("practitioner")
        self.doctor.post("doctor/choices", {"desk": "Cabinet 9", "queue": self.id})

    def take(self, family: str = "Essayeh", *, named: bool = True) -> Resource:
        """A ticket, for a new patient."""
        parameter = [
            {
                "name": "patient",
                "valueReference": {"reference": f"Patient/{new_patient(self.client, name=[{'family': family}])['id']}"},
            }
        ]
        body = {"resourceType": "Parameters", "parameter": parameter} if named else None
        task: Resource = self.client.post(f"HealthcareService/{self.id}/$take-ticket", body).json
        return task

    def call(self) -> Any:
        return self.doctor.post(f"doctor/queue/{self.id}/call-next", htmx=True)

    def state(self, task: Resource) -> str:
        return str(self.client.get(f"Task/{task['id']}").json["businessStatus"]["coding"][0]["code"])


@pytest.fixture
def queue(clinic: Demo) -> Iterator[Queue]:
    made = Queue(clinic, clinic.client(), "Q")
    yield made
    made.client.post(
        f"HealthcareService/{made.id}/$close",
        {"resourceType": "Parameters", "parameter": [{"name": "expire", "valueBoolean": True}]},
    )


def told(answer: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(answer.headers["HX-Trigger"])["salam:toast"]
    return found


def test_next_is_called_to_the_room_and_can_be_taken_back(queue: Queue) -> None:
    task = queue.take("Bouhali")
    assert "BOUHALI" in queue.doctor.get("doctor/").text
    answer = queue.call()
    assert answer.status_code == 200 and "Cabinet 9" in told(answer)["text"]
    assert queue.state(task) == "called"
    stored = queue.client.get(f"Task/{task['id']}").json
    assert stored["owner"]["reference"] == "Practitioner/demo-elamrani"
    queue.doctor.post(told(answer)["undo"], htmx=True)
    assert queue.state(task) == "waiting"


def test_the_same_press_sent_twice_calls_once(queue: Queue) -> None:
    first, second = queue.take(), queue.take()
    for _ in range(2):
        queue.doctor.post(f"doctor/queue/{queue.id}/call-next", {"idempotency_key": "press-1"}, htmx=True)
    assert [queue.state(first), queue.state(second)] == ["called", "waiting"]


def test_starting_opens_the_record_and_finishing_leads_back(queue: Queue) -> None:
    task = queue.take()
    queue.call()
    answer = queue.doctor.post(f"doctor/ticket/{task['id']}/start", htmx=True)
    patient = task["for"]["reference"].partition("/")[2]
    assert re.search(rf"/doctor/patient/{patient}\?visit=.+", answer.headers["HX-Redirect"])
    record = queue.doctor.get(answer.headers["HX-Redirect"])
    assert record.status_code == 200 and f"/ticket/{task['id']}/finish" in record.text
    done = queue.doctor.post(f"doctor/ticket/{task['id']}/finish")
    assert done.status_code == 303 and f"finished={task['id']}" in done.headers["Location"]
    assert "La visite est terminée" in queue.doctor.get(done.headers["Location"]).text
    assert queue.state(task) == "served"


def test_finish_and_next_in_one(queue: Queue) -> None:
    first, second = queue.take(), queue.take()
    queue.call()
    queue.doctor.post(f"doctor/ticket/{first['id']}/start", htmx=True)
    queue.doctor.post(f"doctor/ticket/{first['id']}/finish", {"from": "day", "next": queue.id}, htmx=True)
    assert [queue.state(first), queue.state(second)] == ["served", "called"]


def test_absent_back_and_no_show(queue: Queue) -> None:
    task = queue.take()
    queue.call()
    assert queue.doctor.post(f"doctor/ticket/{task['id']}/absent", htmx=True).status_code == 200
    assert "ne répond pas" in queue.doctor.get("doctor/").text
    queue.doctor.post(f"doctor/ticket/{task['id']}/recall", htmx=True)
    queue.doctor.post(f"doctor/ticket/{task['id']}/no-show", htmx=True)
    assert queue.state(task) == "no-show"
    assert queue.doctor.post(f"doctor/ticket/{task['id']}/explode", htmx=True).status_code in (200, 404)
    assert queue.state(task) == "no-show"


def test_out_of_turn_needs_a_reason(queue: Queue) -> None:
    queue.take()
    last = queue.take()
    assert told(queue.doctor.post(f"doctor/ticket/{last['id']}/call", {"reason": " "}, htmx=True))["kind"] == "danger"
    assert queue.state(last) == "waiting"
    queue.doctor.post(f"doctor/ticket/{last['id']}/call", {"reason": "Fièvre élevée"}, htmx=True)
    assert queue.state(last) == "called"


def test_nobody_waits(queue: Queue) -> None:
    answer = queue.call()
    assert answer.status_code == 200 and told(answer)["text"] == "Personne n’attend."


def test_a_ticket_without_a_name_stays_on_the_day(queue: Queue) -> None:
    task = queue.take(named=False)
    queue.call()
    answer = queue.doctor.post(f"doctor/ticket/{task['id']}/start", htmx=True)
    assert "HX-Redirect" not in answer.headers and "sans nom" in answer.text.lower()


def test_names_are_text(queue: Queue) -> None:
    queue.take('<script>alert("x")</script>' + "y" * 10_000)
    page = queue.doctor.get("doctor/")
    assert page.status_code == 200 and "<script>alert" not in page.text.lower() and "&lt;SCRIPT&gt;" in page.text


def test_a_visit_without_a_ticket_begins_ends_and_goes_on(clinic: Demo, doctor: Person) -> None:
    client = clinic.client()
    patient = new_patient(client)
    begun = doctor.post(f"doctor/patient/{patient['id']}/visit")
    visit = begun.headers["Location"].partition("visit=")[2]
    stored = client.get(f"Encounter/{visit}").json
    assert (
        stored["status"] == "in-progress"
        and stored["participant"][0]["individual"]["reference"] == "Practitioner/demo-elamrani"
    )
    assert doctor.post(f"doctor/patient/{patient['id']}/visit/{visit}/finish").status_code == 303
    ended = client.get(f"Encounter/{visit}").json
    assert ended["status"] == "finished" and ended["period"]["end"] and ended["statusHistory"]
    doctor.post(f"doctor/patient/{patient['id']}/visit/{visit}/reopen")
    assert client.get(f"Encounter/{visit}").json["status"] == "in-progress"


# -- who may -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["receptionist", "billing", "patient", "proxy", "owner", "manager"])
def test_other_roles_find_nothing_here(clinic: Demo, role: str) -> None:
    person = clinic.person(role)
    assert person.get("doctor/").status_code == 404
    assert person.get("doctor/patient/demo-0001").status_code == 404


def test_visitors_are_asked_to_sign_in(clinic: Demo) -> None:
    answer = clinic.person().get("doctor/patient/demo-0001?work=note")
    assert answer.status_code == 303 and "return_to=" in answer.headers["Location"]


def test_a_patient_of_nobody_is_not_there(doctor: Person, nurse: Person) -> None:
    for person in (doctor, nurse):
        assert person.get("doctor/patient/no-such-patient").status_code == 404
        assert person.post("doctor/patient/no-such-patient/vitals", {"pulse": "70"}).status_code == 404


def test_another_tenants_patient_is_not_there(clinic: Demo, doctor: Person, new_tenant: Any) -> None:
    other = new_tenant()
    patient = other.client().create({"resourceType": "Patient", "name": [{"family": "Ailleurs"}]})
    answer = doctor.get(f"doctor/patient/{patient['id']}")
    assert answer.status_code == 404 and "Ailleurs" not in answer.text


def test_patients_are_found_as_the_reception_finds_them(doctor: Person) -> None:
    found = doctor.post("doctor/patients", {"q": "0000013"}, htmx=True)
    assert found.status_code == 200 and "demo-0013" in found.text
    assert "demo-00" not in doctor.post("doctor/patients", {"q": "zzzzzz"}, htmx=True).text


# -- what is hidden ----------------------------------------------------------------------------------------------------


def test_what_a_label_hides_is_not_shown(clinic: Demo, nurse: Person, visit: Visit) -> None:
    label = [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "HIV"}]
    visit.client.create({
        "resourceType": "Condition", "meta": {"security": label}, "code": {"text": "Secret médical"},
        "subject": {"reference": f"Patient/{visit.patient['id']}"},
        "clinicalStatus": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}]},
    })  # fmt: skip
    assert "Secret médical" in visit.doctor.get(visit.path).text
    page = nurse.get(visit.path)
    assert page.status_code == 200 and "Secret médical" not in page.text


def closed(visit: Visit) -> None:
    """A consent that shuts everybody out of the record."""
    terminology = "http://terminology.hl7.org/CodeSystem/"
    visit.client.create({
        "resourceType": "Consent", "status": "active", "patient": {"reference": f"Patient/{visit.patient['id']}"},
        "scope": {"coding": [{"system": terminology + "consentscope", "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "policyRule": {"coding": [{"system": terminology + "v3-ActCode", "code": "OPTOUT"}]}, "provision": {"type": "deny"},
    })  # fmt: skip


def test_a_closed_record_is_opened_with_a_reason_and_says_so(visit: Visit) -> None:
    closed(visit)
    page = visit.doctor.get(visit.path)
    assert page.status_code == 404 and "ESSAYEH" not in page.text
    assert f"/patient/{visit.patient['id']}/break-glass" in page.text
    short = visit.send("break-glass", {"reason": "vite"}, htmx=False)
    assert short.status_code == 422 and "aria-invalid" in short.text
    opened = visit.send("break-glass", {"reason": "Patient inconscient aux urgences", "minutes": "15"}, htmx=False)
    assert opened.status_code == 303
    record = visit.doctor.get(visit.path)
    assert record.status_code == 200 and "ESSAYEH" in record.text and "Ouvert en urgence" in record.text
    assert visit.send("end-break-glass", htmx=False).status_code == 303
    assert visit.doctor.get(visit.path).status_code == 404


def test_a_closed_record_is_opened_by_identifier(clinic: Demo, doctor: Person) -> None:

    visit = new_visit(clinic, doctor, identifier=[{"system": "urn:test:mrn", "value": "closed-77"}])
    closed(visit)
    form = {"reason": "Patient inconscient aux urgences", "identifier": "urn:test:mrn|closed-77"}
    assert visit.patient["id"] in doctor.post("doctor/break-glass", form).headers["Location"]
    assert doctor.post("doctor/break-glass", {**form, "identifier": "urn:test:mrn|nobody"}).status_code == 404


# -- what a role may not is not offered --------------------------------------------------------------------------------


def test_forms_follow_the_rights(clinic: Demo, visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    from ui import page as pages

    everything = visit.doctor.get(visit.path).text
    assert "work=prescription" in everything and "work=diagnosis" in everything
    real = pages.may_do
    monkeypatch.setattr(
        pages, "may_do", lambda kind, letter: kind not in ("MedicationRequest", "Condition") and real(kind, letter)
    )
    less = visit.doctor.get(visit.path).text
    assert "work=prescription" not in less and "work=diagnosis" not in less and "work=vitals" in less
    # An address that names a form that is not offered shows another one.
    assert 'name="medication"' not in visit.doctor.get(f"{visit.path}?work=prescription").text


def test_addresses_that_name_nothing(doctor: Person) -> None:
    for path in ("doctor/patient/%3F_count=5", "doctor/patient/$everything", "doctor/patient/demo-0001?visit=%3F_count=5",
                 "doctor/patient/" + "x" * 10_000, "doctor/patient/%00"):  # fmt: skip
        assert doctor.get(path).status_code == 404, path


def test_a_document_is_a_download(clinic: Demo, visit: Visit) -> None:
    made = visit.client.create({
        "resourceType": "DocumentReference", "status": "current", "description": "Lettre <b>",
        "subject": {"reference": f"Patient/{visit.patient['id']}"},
        "content": [{"attachment": {"contentType": "text/html", "data": "PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg=="}}],
    })  # fmt: skip
    assert f"/document/{made['id']}" in visit.doctor.get(visit.path).text
    file = visit.doctor.get(f"{visit.path}/document/{made['id']}")
    assert file.data == b"<script>alert(1)</script>" and file.headers["Content-Type"] == "application/octet-stream"
    assert (
        file.headers["Content-Disposition"].startswith("attachment")
        and "sandbox" in file.headers["Content-Security-Policy"]
    )
    other = new_visit(clinic, visit.doctor)
    assert other.doctor.get(f"{other.path}/document/{made['id']}").status_code == 404


def test_the_nurse_sees_everybodys_appointments(nurse: Person) -> None:
    page = nurse.get("doctor/")
    assert page.status_code == 200 and "type:Appointment" in page.text
