"""What labels withhold from a role does not come back through the agenda."""

from datetime import timedelta

import pytest

from tests.client import Client
from tests.conftest import TestTenant
from tests.features.attacks.tries import given
from tests.features.scheduling.clinic_day import Practice, in_days, iso
from tests.isolation.attackers import person

START = in_days()
RESTRICTED = {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}]}


@pytest.fixture
def practice(client: Client) -> Practice:
    return Practice(client)


@pytest.fixture
def receptionist(tenant: TestTenant) -> Client:
    return person(tenant, "receptionist", "user/*.cruds").client


def restricted_visit(practice: Practice) -> tuple[str, str]:
    """`Patient/id` and the id of a visit, both hidden from receptionists."""
    who = practice.patient()
    practice.client.put(who, {**practice.client.get(who).json, "meta": RESTRICTED})
    visit = practice.appointment(who, START, status="booked", meta=RESTRICTED, description="a secret word")
    return who, practice.client.create(visit)["id"]


@pytest.mark.parametrize("dry", [True, False])
def test_an_absence_tells_of_no_hidden_visit(practice: Practice, receptionist: Client, dry: bool) -> None:
    who, visit = restricted_visit(practice)
    assert receptionist.get(f"Appointment/{visit}").status == 404
    day = {"name": "period", "valuePeriod": {"start": iso(START), "end": iso(START + timedelta(hours=3))}}
    asked = given(day, {"name": "dry-run", "valueBoolean": dry})
    answer = receptionist.post(f"{practice.practitioner[0]}/$absence", asked)
    assert answer.status == 200
    for hidden in (who, visit, "a secret word"):
        assert hidden not in answer.text


def test_a_calendar_names_no_hidden_patient(practice: Practice, receptionist: Client) -> None:
    who, _ = restricted_visit(practice)
    named = given({"name": "names", "valueBoolean": True})
    link = receptionist.post(f"{practice.schedule[0]}/$calendar-link", named).json["parameter"][0]["valueUrl"]
    feed = receptionist.get(link).text.replace("\r\n ", "")
    assert "BEGIN:VEVENT" in feed
    assert practice.client.get(who).json["name"][0]["family"] not in feed
