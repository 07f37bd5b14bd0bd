"""$preview-message: what a message would say and take."""

from decimal import Decimal
from typing import Any

import pytest

from tests.client import Answer
from tests.features.notifications.clinic import Clinic, E, soon


@pytest.fixture(scope="module")
def clinic(new_tenant: Any) -> Clinic:
    made = Clinic(new_tenant("Africa/Casablanca"))
    made.set(country="MA", language="fr", notifications={"replies": True, "currency": "MAD", "costs": {"sms": "0.05"}})
    return made


def preview(clinic: Clinic, id_: str = "", **given: Any) -> Answer:
    named = {"appointment": "valueReference", "subject": "valueString", "body": "valueString"}
    entries = [{"name": name, named.get(name, "valueCode"): value} for name, value in given.items()]
    return clinic.client.post(f"ActivityDefinition/{id_ + '/' if id_ else ''}$preview-message", {"resourceType": "Parameters", "parameter": entries})


def values(answer: Answer) -> dict[str, Any]:
    assert answer.status == 200, answer.text
    return {entry["name"]: next(value for name, value in entry.items() if name != "name") for entry in answer.json["parameter"]}


def test_a_default(clinic: Clinic) -> None:
    found = values(preview(clinic, kind="reminder", channel="sms"))
    assert "rappel de votre rendez-vous du mer. 12 aout à 09:30" in found["text"]
    assert (found["encoding"], found["parts"], found["source"], found["language"]) == ("GSM-7", 1, "default", "fr")
    assert found["cost"] == {"value": Decimal("0.05"), "currency": "MAD"}
    assert found["characters"] == len(found["text"]) and "suggestion" in found
    arabic = values(preview(clinic, kind="reminder", channel="sms", language="ar"))
    assert arabic["encoding"] == "UCS-2" and arabic["parts"] <= 2 and "م" in arabic["forcing"]
    mail = values(preview(clinic, kind="confirmation", channel="email", language="en"))
    assert "Wednesday 12 August 2026" in mail["text"] and "parts" not in mail and mail["subject"]
    assert clinic.client.get("ActivityDefinition/$preview-message?kind=reminder&channel=sms").status == 200


def test_a_text_that_is_not_stored(clinic: Clinic) -> None:
    found = values(preview(clinic, kind="reminder", channel="sms", body="L’été {{ start|time }}", language="wo"))
    assert (found["text"], found["source"], found["language"], found["forcing"]) == ("L’été 09:30", "given", "wo", "’")
    wrong = preview(clinic, kind="reminder", channel="sms", body="a\n{{ ticket }}")
    assert (wrong.status, wrong.issues[0]["expression"]) == (422, ["http.body"])
    assert "Line 2, column 1" in wrong.issues[0]["details"]["text"]


def test_a_stored_one_and_real_values(clinic: Clinic) -> None:
    parts = [{"url": "language", "valueCode": "fr"}, {"url": "channel", "valueCode": "push"}, {"url": "subject", "valueString": "Bonjour {{ person|first }}"}, {"url": "body", "valueString": "{{ place }} {{ practitioner }}"}]
    stored = clinic.client.create({
        "resourceType": "ActivityDefinition", "status": "draft", "kind": "CommunicationRequest",
        "code": {"coding": [{"system": "urn:salam:CodeSystem:message-kind", "code": "reminder"}]},
        "extension": [{"url": f"{E}message-text", "extension": parts}],
    })  # fmt: skip
    place = clinic.client.create({"resourceType": "Location", "name": "Oncologie", "address": {"line": ["1 rue X"], "city": "Rabat"}})
    doctor = clinic.client.create({"resourceType": "Practitioner", "name": [{"prefix": ["Dr"], "given": ["Karim"], "family": "Alaoui"}]})
    visit = clinic.visit(soon(3), clinic.patient(), f"Location/{place['id']}", f"Practitioner/{doctor['id']}")
    reference = {"reference": f"Appointment/{visit['id']}"}
    found = values(preview(clinic, stored["id"], channel="push", appointment=reference))
    assert (found["subject"], found["text"], found["source"]) == ("Bonjour Fatima", "1 rue X, Rabat Dr Karim Alaoui", "own")
    assert values(preview(clinic, kind="reminder", channel="push"))["source"] == "default", "a draft is not used"
    patient = clinic.tenant.client("patient/*.rs patient/Appointment.u", patient=visit["participant"][0]["actor"]["reference"].split("/")[1])
    body = {"resourceType": "Parameters", "parameter": [{"name": "channel", "valueCode": "sms"}, {"name": "kind", "valueCode": "reminder"}, {"name": "appointment", "valueReference": reference}]}
    assert patient.post("ActivityDefinition/$preview-message", body).status == 403


@pytest.mark.parametrize(
    ("given", "status", "expression"),
    [
        ({"channel": "sms"}, 400, "http.kind"),
        ({"kind": "reminder"}, 400, "http.channel"),
        ({"kind": "party", "channel": "sms"}, 400, "http.kind"),
        ({"kind": "reminder", "channel": "fax"}, 400, "http.channel"),
        ({"kind": "reminder", "channel": "sms", "subject": "x"}, 400, "http.body"),
        ({"kind": "reminder", "channel": "sms", "subject": "x", "body": "y"}, 400, "http.subject"),
        ({"kind": "reminder", "channel": "sms", "language": "xx"}, 422, "http.language"),
        ({"kind": "reminder", "channel": "sms", "appointment": {"reference": "Patient/1"}}, 400, "http.appointment"),
    ],
)
def test_what_is_refused(clinic: Clinic, given: dict[str, Any], status: int, expression: str) -> None:
    answer = preview(clinic, **given)
    assert (answer.status, answer.issues[0]["expression"]) == (status, [expression]), answer.text


def test_a_template_is_checked_when_it_is_stored(clinic: Clinic) -> None:
    parts = [{"url": "language", "valueCode": "fr"}, {"url": "channel", "valueCode": "sms"}, {"url": "body", "valueString": "{{ begin }}"}]
    answer = clinic.client.post("ActivityDefinition", {
        "resourceType": "ActivityDefinition", "status": "draft", "kind": "CommunicationRequest",
        "code": {"coding": [{"system": "urn:salam:CodeSystem:message-kind", "code": "reminder"}]},
        "extension": [{"url": f"{E}message-text", "extension": parts}],
    })  # fmt: skip
    assert (answer.status, answer.issues[0]["expression"]) == (422, ["ActivityDefinition.extension[0].extension[2]"])
    assert "Line 1, column 1" in answer.issues[0]["details"]["text"]
