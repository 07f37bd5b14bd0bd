"""Communication/$message-budget and ActivityDefinition/$message-template."""

import pytest

from fhir_server.features.notifications.kinds import channels, kinds
from tests.client import Client
from tests.conftest import TestTenant
from tests.consent.people import user


def test_the_budget_of_a_month_without_messages_is_unused(client: Client) -> None:
    answer = client.get("Communication/$message-budget")
    assert answer.status == 200, answer.text
    found = {each["name"]: each for each in answer.json["parameter"]}
    assert found["used"]["valueMoney"]["value"] == 0 and len(found["month"]["valueDate"]) == 7
    assert "budget" not in found and "left" not in found


@pytest.mark.parametrize(("role", "status"), [("manager", 200), ("owner", 200), ("receptionist", 200), ("billing", 403), ("operator", 403)])
def test_the_budget_is_for_staff_who_handle_messages(tenant: TestTenant, role: str, status: int) -> None:
    assert user(tenant, role).get("Communication/$message-budget").status == status


def test_a_patient_does_not_see_the_budget(tenant: TestTenant) -> None:
    assert user(tenant, "patient", "Patient/p1", patient="p1").get("Communication/$message-budget").status == 403


@pytest.mark.parametrize("kind", list(kinds()))
@pytest.mark.parametrize("language", ["fr", "en", "es", "ar"])
def test_every_default_can_be_read_and_stored_as_an_own_text(client: Client, kind: str, language: str) -> None:
    for channel in channels():
        answer = client.get(f"ActivityDefinition/$message-template?kind={kind}&channel={channel}&language={language}")
        assert answer.status == 200, answer.text
        found = {each["name"]: each for each in answer.json["parameter"] if each["name"] != "name"}
        if "body" not in found:
            continue
        body = {"resourceType": "Parameters", "parameter": [
            {"name": "kind", "valueCode": kind}, {"name": "channel", "valueCode": channel}, {"name": "language", "valueCode": language},
            {"name": "body", "valueString": found["body"]["valueString"]},
        ]}  # fmt: skip
        assert client.post("ActivityDefinition/$preview-message", body).status == 200


def test_a_language_without_a_default_has_names_only(client: Client) -> None:
    answer = client.get("ActivityDefinition/$message-template?kind=reminder&channel=sms&language=wo").json
    names = [each["part"][0]["valueCode"] for each in answer["parameter"] if each["name"] == "name"]
    assert "start" in names and all(each["name"] != "body" for each in answer["parameter"])


@pytest.mark.parametrize("query", ["", "kind=reminder", "kind=nonsense&channel=sms&language=fr", "kind=reminder&channel=pigeon&language=fr"])
def test_what_is_not_known_is_refused(client: Client, query: str) -> None:
    assert client.get(f"ActivityDefinition/$message-template?{query}").status == 400
