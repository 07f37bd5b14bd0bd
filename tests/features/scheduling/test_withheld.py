"""What labels withhold from a role does not come back through the agenda, nor is it changed along."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.client import Client
from tests.features.scheduling.clinic_day import Practice, all_matched, body, in_days, iso
from tests.isolation.attackers import person

if TYPE_CHECKING:
    from tests.conftest import TestTenant

Json = dict[str, Any]
START = in_days()
RESTRICTED = {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}]}


@pytest.fixture
def practice(client: Client) -> Practice:
    return Practice(client)


@pytest.fixture
def receptionist(tenant: "TestTenant") -> Client:
    return person(tenant, "receptionist", "user/*.cruds").client


@pytest.fixture
def hidden(practice: Practice) -> tuple[str, str]:
    """`Patient/id` and the id of a visit, both hidden from receptionists."""
    who = practice.patient()
    practice.client.put(who, {**practice.client.get(who).json, "meta": RESTRICTED})
    visit = practice.appointment(who, START, status="booked", meta=RESTRICTED, description="a secret word")
    return who, practice.client.create(visit)["id"]


def absence(dry: bool) -> Json:
    period = {"start": iso(START), "end": iso(START + timedelta(hours=3))}
    parameters: list[Json] = [{"name": "period", "valuePeriod": period}, {"name": "dry-run", "valueBoolean": dry}]
    return {"resourceType": "Parameters", "parameter": parameters}


@pytest.mark.parametrize("dry", [True, False])
def test_an_absence(practice: Practice, receptionist: Client, hidden: tuple[str, str], dry: bool) -> None:
    other = practice.booked(practice.patient(), START + timedelta(hours=1))
    answer = receptionist.post(f"{practice.practitioner[0]}/$absence", absence(dry))
    assert [each["id"] for each in all_matched(answer)] == [other["id"]]
    assert answer.json["total"] == 1 and "1 more visits" in answer.text
    for each in (*hidden, "a secret word"):
        assert each not in answer.text
    # What follows from it is done, and is as hidden as the visit.
    tasks = practice.client.search(f"Task?focus=Appointment/{hidden[1]}")
    assert len(tasks) == (0 if dry else 1)
    assert receptionist.search(f"Task?focus=Appointment/{hidden[1]}") == []
    assert len(receptionist.search(f"Task?focus=Appointment/{other['id']}")) == len(tasks)


def test_who_may_see_them_is_told(practice: Practice, client: Client, hidden: tuple[str, str]) -> None:
    answer = client.post(f"{practice.practitioner[0]}/$absence", absence(True))
    assert [each["id"] for each in all_matched(answer)] == [hidden[1]]


def test_what_is_impacted(practice: Practice, receptionist: Client, hidden: tuple[str, str]) -> None:
    other = practice.booked(practice.patient(), START + timedelta(hours=1))
    schedule = practice.client.get(practice.schedule[0]).json
    period = {"start": iso(START), "end": iso(START + timedelta(hours=3))}
    closed = {"url": "closed", "extension": [{"url": "period", "valuePeriod": period}]}
    schedule["extension"][0]["extension"].append(closed)
    assert practice.client.put(practice.schedule[0], schedule).status == 200
    answer = receptionist.get(f"{practice.schedule[0]}/$impacted")
    assert [each["id"] for each in all_matched(answer)] == [other["id"]] and answer.json["total"] == 1
    everything = practice.client.get(f"{practice.schedule[0]}/$impacted")
    assert {each["id"] for each in all_matched(everything)} == {other["id"], hidden[1]}


@pytest.mark.parametrize("scope", ["user/*.cruds", "user/*.cru"])
def test_a_series(practice: Practice, tenant: "TestTenant", scope: str) -> None:
    """Those of a series that the caller may not see stay as they are."""
    identifier = [{"system": "urn:salam:series", "value": f"series-{practice.service}"}]
    made = []
    for week, meta in ((0, {}), (1, {"meta": RESTRICTED}), (2, {})):
        visit = practice.appointment(practice.patient(), START + timedelta(weeks=week), identifier=identifier)
        made.append(practice.client.create({**visit, "status": "booked", **meta})["id"])
    caller = person(tenant, "receptionist", scope).client
    answer = caller.post(f"Appointment/{made[0]}/$cancel", body(series=True))
    assert {each["id"] for each in all_matched(answer)} == {made[0], made[2]}
    statuses = [practice.client.get(f"Appointment/{id_}").json["status"] for id_ in made]
    assert statuses == ["cancelled", "booked", "cancelled"]


def test_a_calendar(practice: Practice, receptionist: Client, hidden: tuple[str, str]) -> None:
    other = practice.patient()
    practice.booked(other, START + timedelta(hours=1))
    named = body(names=True)
    link = receptionist.post(f"{practice.schedule[0]}/$calendar-link", named).json["parameter"][0]["valueUrl"]
    feed = receptionist.get(link).text.replace("\r\n ", "")
    assert feed.count("BEGIN:VEVENT") == 2
    assert practice.client.get(hidden[0]).json["name"][0]["family"] not in feed
    assert practice.client.get(other).json["name"][0]["family"] in feed
