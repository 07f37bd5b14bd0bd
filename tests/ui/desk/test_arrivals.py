"""Who is booked comes; who is not takes a ticket; every action on one; what others did first."""

import json
from typing import Any

import pytest

from tests.conftest import TestTenant
from tests.ui.conftest import Demo
from tests.ui.desk.arranged import LABORATORY, QUEUE, booked, opened, patient, state, ticket_of


def told(answer: Any) -> dict[str, Any]:
    """The message of an answer to htmx."""
    found: dict[str, Any] = json.loads(answer.headers["HX-Trigger"])["salam:toast"]
    return found


def test_a_booked_patient_is_checked_in_with_one_form_and_back_with_one(clinic: Demo) -> None:
    client, desk = opened(clinic), clinic.person("receptionist")
    who = patient(client, "Arrivée", "Zineb")
    visit = booked(client, who, "Zineb Arrivée")
    answer = desk.post(f"desk/visits/{visit}/check-in", htmx=True)
    assert answer.headers["HX-Retarget"] == "#day" and answer.headers["HX-Reswap"] == "outerMorph"
    task = ticket_of(client, who)
    assert state(client, task["id"]) == ("accepted", "waiting")
    assert task["identifier"][0]["value"] in told(answer)["text"]
    assert client.get(f"Appointment/{visit}").json["status"] == "checked-in"
    desk.post(told(answer)["undo"], htmx=True)
    assert client.get(f"Appointment/{visit}").json["status"] == "booked"
    assert state(client, task["id"])[0] == "cancelled"


def test_a_double_click_gives_one_ticket(clinic: Demo) -> None:
    client, desk = opened(clinic), clinic.person("receptionist")
    who = patient(client)
    visit = booked(client, who)
    texts = {told(desk.post(f"desk/visits/{visit}/check-in", htmx=True))["text"] for _ in range(2)}
    assert len(texts) == 1
    assert client.get(f"Task?patient=Patient/{who}&_summary=count").json["total"] == 1


def test_without_scripts_the_same_form_leads_back_to_the_day(clinic: Demo) -> None:
    client, desk = opened(clinic), clinic.person("receptionist")
    visit = booked(client, patient(client))
    answer = desk.post(f"desk/visits/{visit}/check-in")
    assert answer.status_code == 303 and answer.headers["Location"].endswith("/ui/desk/")
    again = booked(client, patient(client), status="cancelled")
    refused = desk.post(f"desk/visits/{again}/check-in")
    assert refused.status_code == 409 and "plus rapide" in refused.text


def test_somebody_was_quicker_is_explained_and_the_day_shown(clinic: Demo) -> None:
    client, desk = opened(clinic), clinic.person("receptionist")
    visit = booked(client, patient(client))
    client.post(f"Appointment/{visit}/$cancel")
    answer = desk.post(f"desk/visits/{visit}/check-in", htmx=True)
    assert told(answer)["kind"] == "warning" and "plus rapide" in told(answer)["text"] and 'id="day"' in answer.text


def test_an_appointment_is_looked_at_confirmed_and_cancelled(clinic: Demo) -> None:
    client, desk = opened(clinic), clinic.person("receptionist")
    visit = booked(client, patient(client, "Attente"), status="pending")
    panel = desk.get(f"desk/visits/{visit}", htmx=True)
    assert panel.headers["HX-Retarget"] == "#panel-body" and "/confirm" in panel.text
    assert "À confirmer" in desk.get(f"desk/visits/{visit}").text
    desk.post(f"desk/visits/{visit}/confirm", htmx=True)
    assert client.get(f"Appointment/{visit}").json["status"] == "booked"
    desk.post(f"desk/visits/{visit}/cancel", {"who": "pat", "reason": "Voyage <b>"}, htmx=True)
    stored = client.get(f"Appointment/{visit}").json
    assert stored["status"] == "cancelled" and stored["cancelationReason"]["coding"][0]["code"] == "pat"
    assert told(desk.post(f"desk/visits/{visit}/confirm", htmx=True))["kind"] == "warning"
    assert desk.get("desk/visits/nothing-here", htmx=True).headers["HX-Reswap"] == "none"


def test_a_walk_in_gets_a_ticket_that_can_be_printed(clinic: Demo) -> None:
    client, desk = opened(clinic), clinic.person("receptionist")
    who = patient(client, "Passage", communication=[
        {"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": "ar-MA"}]}, "preferred": True}])  # fmt: skip
    form = {"queue": QUEUE, "patient": who, "kind": "normal", "idempotency_key": f"walk-{who}"}
    first, second = (desk.post("desk/tickets", form, htmx=True) for _ in range(2))
    task = ticket_of(client, who)
    number = task["identifier"][0]["value"]
    assert number in first.text and number in second.text and 'hx-target="#day"' in first.text
    assert client.get(f"Task?patient=Patient/{who}&_summary=count").json["total"] == 1
    paper = desk.post(f"desk/tickets/{task['id']}/print")
    assert paper.status_code == 200 and 'lang="ar"' in paper.text and "<svg" in paper.text and number in paper.text
    assert "style=" not in paper.text
    third = desk.post("desk/tickets", {**form, "idempotency_key": "another-key-9"}, htmx=True)
    assert told(third)["kind"] == "warning" and "attend déjà" in told(third)["text"]


def test_an_emergency_needs_a_reason_and_goes_first(clinic: Demo) -> None:
    client, desk = opened(clinic), clinic.person("receptionist")
    asked = desk.post("desk/tickets", {"queue": QUEUE, "kind": "emergency"}, htmx=True)
    assert asked.status_code == 422 and 'aria-invalid="true"' in asked.text
    given = desk.post("desk/tickets", {"queue": QUEUE, "kind": "emergency", "reason": "Douleur <i>"}, htmx=True)
    assert given.status_code == 200 and "<i>" not in given.text
    parts = client.get(f"HealthcareService/{QUEUE}/$queue").json["parameter"]
    waiting = [{p["name"]: p for p in each["part"]} for each in parts if each["name"] == "ticket"]
    first = next(each for each in waiting if each.get("position", {}).get("valuePositiveInt") == 1)
    assert first["kind"]["valueCode"] == "emergency"


def test_a_ticket_goes_its_whole_way(clinic: Demo) -> None:
    client, desk = opened(clinic), clinic.person("receptionist")
    task = client.post(f"HealthcareService/{QUEUE}/$take-ticket").json["id"]

    def act(action: str, **form: str) -> Any:
        return desk.post(f"desk/tickets/{task}/{action}", form, htmx=True)

    assert act("call").status_code == 422
    steps = (("call", "called"), ("absent", "called"), ("return", "waiting"), ("skip", "waiting"), ("call", "called"),
             ("recall", "called"), ("start", "serving"), ("finish", "served"))  # fmt: skip
    for action, business in steps:
        answer = act(action, reason="il le faut" if action in ("call", "skip") else "")
        assert told(answer)["kind"] == "success" and told(answer)["undo"], (action, answer.text)
        assert state(client, task)[1] == business
    assert told(act("start"))["kind"] == "warning"
    act("undo")
    assert state(client, task)[1] == "serving"
    assert act("dance").headers["HX-Reswap"] == "none"


def test_a_ticket_is_sent_on_given_up_and_kept_apart_from_other_tasks(clinic: Demo) -> None:
    client, desk = opened(clinic), clinic.person("receptionist")
    opened(clinic, LABORATORY)
    who = patient(client, "Suite")
    visit = booked(client, who)
    desk.post(f"desk/visits/{visit}/check-in", htmx=True)
    old = ticket_of(client, who)["id"]
    assert LABORATORY in desk.get(f"desk/tickets/{old}", htmx=True).text
    sent = desk.post(f"desk/tickets/{old}/transfer", {"to": LABORATORY}, htmx=True)
    new = ticket_of(client, who)
    assert (
        new["id"] != old
        and new["identifier"][0]["value"] in sent.text
        and "/undo" not in sent.text.split("hx-partial")[0]
    )
    assert told(desk.post(f"desk/tickets/{old}/transfer", {"to": LABORATORY}, htmx=True))["kind"] == "warning"
    desk.post(f"desk/tickets/{new['id']}/cancel", {"keep": "1", "reason": "Part"}, htmx=True)
    assert client.get(f"Appointment/{visit}").json["status"] == "checked-in"
    other = client.create({"resourceType": "Task", "status": "requested", "intent": "order"})["id"]
    assert desk.get(f"desk/tickets/{other}").status_code == 404
    assert desk.get("desk/tickets/nothing-here").status_code == 404


@pytest.mark.parametrize("path", ["tickets/x/call", "visits/x/check-in", "queues/x/open", "patients/x/contact"])
def test_another_clinic_s_things_are_not_there(clinic: Demo, tenant: TestTenant, path: str) -> None:
    kind = {"tickets": "Task", "visits": "Appointment", "queues": "HealthcareService", "patients": "Patient"}
    name, _, rest = path.partition("/")
    made: dict[str, dict[str, Any]] = {
        "Task": {"status": "requested", "intent": "order"},
        "Patient": {},
        "HealthcareService": {},
        "Appointment": {"status": "proposed", "participant": [{"status": "accepted", "actor": {"display": "x"}}]},
    }
    foreign = tenant.client().create({"resourceType": kind[name], **made[kind[name]]})["id"]
    answer = clinic.person("receptionist").post(f"desk/{name}/{foreign}/{rest.partition('/')[2]}", {"reason": "x"})
    assert answer.status_code == 404
    assert clinic.person("receptionist").get(f"desk/{name}/{foreign}").status_code == 404


def test_arrivals_go_to_the_queue_that_this_desk_chose(clinic: Demo) -> None:
    client, desk = opened(clinic), clinic.person("receptionist")
    opened(clinic, LABORATORY)
    desk.get(f"desk/day?group=current&practitioner=&site=&queue={LABORATORY}", htmx=True)
    who = patient(client, "Choisie")
    desk.post(f"desk/visits/{booked(client, who)}/check-in", htmx=True)
    assert ticket_of(client, who)["identifier"][0]["value"].startswith("B-")
