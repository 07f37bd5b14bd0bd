"""$confirm and $decline: what staff says to a visit that is asked for."""

from typing import TYPE_CHECKING, Any

import pytest

from tests.client import Client
from tests.features.scheduling.clinic_day import (
    Practice,
    body,
    detail,
    given,
    in_days,
    matched,
    named,
    slots_of,
)

if TYPE_CHECKING:
    from tests.conftest import TestTenant

EMPTY = {"resourceType": "Parameters"}


@pytest.fixture(scope="module")
def practice(client: Client) -> Practice:
    return Practice(client, {"requiresConfirmation": True, "bufferAfter": 5})


def pending(practice: Practice, days: int, hour: int = 9) -> dict[str, Any]:
    found = practice.booked(practice.patient(), in_days(days, hour))
    assert found["status"] == "pending"
    return found


def test_confirmed_once(client: Client, practice: Practice) -> None:
    asked = pending(practice, 2)
    booked = matched(client.post(f"Appointment/{asked['id']}/$confirm", body(comment="Bring the X-ray")))
    assert (booked["status"], booked["comment"]) == ("booked", "Bring the X-ray")
    assert {each["status"] for each in booked["participant"]} == {"accepted"}
    assert [slot["status"] for slot in slots_of(client, booked)] == ["busy", "busy-unavailable"]
    again = client.post(f"Appointment/{asked['id']}/$confirm", EMPTY)
    assert (again.status, detail(again)) == (409, "wrong-state")


def test_by_reference_or_by_url_but_once(client: Client, practice: Practice) -> None:
    asked = pending(practice, 3)
    assert client.post("Appointment/$confirm", EMPTY).status == 400
    assert client.post(f"Appointment/{asked['id']}/$confirm", named(asked["id"])).status == 400
    assert matched(client.post("Appointment/$confirm", named(asked["id"])))["status"] == "booked"
    assert client.post("Appointment/$confirm", named("nobody")).status == 404
    assert client.post("Appointment/$confirm", named("proposal-abc")).status == 422


def test_only_staff_confirms(tenant: "TestTenant", practice: Practice) -> None:
    asked = pending(practice, 4)
    who = next(each["actor"]["reference"] for each in asked["participant"] if "Patient" in each["actor"]["reference"])
    me = tenant.client("patient/*.rs patient/Appointment.cru", patient=who.removeprefix("Patient/"))
    for operation in ("$confirm", "$decline"):
        assert me.post(f"Appointment/{asked['id']}/{operation}", EMPTY).status == 403
    assert me.put(f"Appointment/{asked['id']}", {**asked, "status": "booked"}).status == 422


def test_the_version_that_was_seen(client: Client, practice: Practice) -> None:
    asked = pending(practice, 5)
    assert client.post(f"Appointment/{asked['id']}/$confirm", EMPTY, if_match='W/"7"').status == 412
    assert client.post(f"Appointment/{asked['id']}/$confirm", EMPTY, if_match='W/"1"').status == 200


def test_a_patient_of_a_pending_visit_keeps_the_time(client: Client, practice: Practice) -> None:
    pending(practice, 6)
    assert practice.book(practice.patient(), in_days(6)).status == 409


def test_declined_with_a_reason(client: Client, practice: Practice) -> None:
    asked = pending(practice, 7)
    answer = client.post(f"Appointment/{asked['id']}/$decline", body(reason={"text": "No referral"}))
    declined = matched(answer)
    assert declined["status"] == "cancelled"
    assert declined["cancelationReason"] == {"text": "No referral"}
    assert "slot" not in declined
    (record,) = client.search(f"Provenance?target=Appointment/{asked['id']}")
    assert record["reason"] == [{"text": "No referral"}]
    pending(practice, 7)
    booked = matched(client.post(f"Appointment/{pending(practice, 8)['id']}/$confirm", EMPTY))
    refused = client.post(f"Appointment/{booked['id']}/$decline", EMPTY)
    assert (refused.status, detail(refused)) == (409, "wrong-state")


def test_unanswered_questions_block(client: Client) -> None:
    questions = client.create(
        {"resourceType": "Questionnaire", "status": "active", "url": "urn:test:before-the-visit",
         "item": [{"linkId": "1", "text": "Allergies?", "type": "string", "required": True}]}
    )  # fmt: skip
    practice = Practice(
        client,
        {"also": [{"url": "questionnaire", "valueReference": {"reference": f"Questionnaire/{questions['id']}"}}]},
    )
    answer = practice.book(practice.patient(), in_days(9))
    asked = matched(answer)
    assert asked["status"] == "pending", answer.text
    assert "questionnaire-missing" in answer.text
    refused = client.post(f"Appointment/{asked['id']}/$confirm", EMPTY)
    assert (refused.status, detail(refused)) == (422, "questionnaire-missing")
    who = practice.patient()
    response = client.create(
        {"resourceType": "QuestionnaireResponse", "status": "completed", "subject": {"reference": who},
         "questionnaire": "urn:test:before-the-visit", "item": [{"linkId": "1", "answer": [{"valueString": "None"}]}]}
    )  # fmt: skip
    answered = practice.appointment(
        None, in_days(9, 11), supportingInformation=[{"reference": f"QuestionnaireResponse/{response['id']}"}]
    )
    sent = given(answered, patient_resource={"resourceType": "Patient", "id": who.removeprefix("Patient/")})
    assert matched(client.post("Appointment/$book", sent))["status"] == "booked"
    refused = client.put(f"Appointment/{asked['id']}", {**asked, "status": "booked"})
    assert (refused.status, detail(refused)) == (422, "questionnaire-missing")
