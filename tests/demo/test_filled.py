"""The demo tenant as `run` makes it: stored whole, with a queue in progress, and once."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from fhir_server.cli import demo
from fhir_server.core import clock
from fhir_server.demo.accounts import demo_accounts
from fhir_server.interactions.acting import server_context
from fhir_server.interactions.worlds import world
from fhir_server.rest.dispatch import session
from fhir_server.storage import accounts
from tests.client import Client
from tests.conftest import TestTenant
from tests.features.queue.place import plain

PATIENTS = 400


@pytest.fixture(scope="module")
def filled(tenant: TestTenant) -> Client:
    demo._fill(tenant.slug, PATIENTS)
    return tenant.client()


def total(client: Client, query: str) -> int:
    return int(client.get(f"{query}{'&' if '?' in query else '?'}_summary=count").json["total"])


def queue(client: Client) -> dict[str, Any]:
    return plain(client.get("HealthcareService/demo-queue/$queue").json)


def test_everything_is_stored(filled: Client) -> None:
    assert total(filled, "Patient") == PATIENTS
    assert total(filled, "Practitioner") == 6 + 5
    assert total(filled, "Appointment?status=fulfilled") > 200
    assert total(filled, "Appointment?status=booked") > 150
    assert total(filled, "Appointment?status=waitlist") == 1


def test_every_account_is_a_person_of_its_own(tenant: TestTenant, filled: Client) -> None:
    db = session()
    server_context(db, world(db, tenant.slug))
    made = demo_accounts(db, tenant.id, "demo-0001")
    linked = {each["role"]: accounts.by_email(db, tenant.id, each["email"]) for each in made}
    db.commit()
    people = {role: found.fhir_user for role, found in linked.items() if found and found.fhir_user}
    assert len(set(people.values())) == len(people) >= 7
    for role, name in people.items():
        assert filled.get(name).status == 200, role
        booked = total(filled, f"Schedule?actor={name}")
        assert booked == (1 if role == "practitioner" else 0), role


def test_reminders_are_planned(filled: Client) -> None:
    after = f"{datetime.now(UTC) + timedelta(days=3):%Y-%m-%dT%H:%M:%SZ}"
    coming = total(filled, f"Appointment?status=booked&date=gt{after}")
    assert coming > 100
    assert total(filled, "CommunicationRequest?status=active") >= 2 * coming


def test_the_queue_is_in_progress(filled: Client) -> None:
    found = queue(filled)
    assert found["state"] == "open"
    states = Counter(ticket["state"] for ticket in found["tickets"])
    assert states["waiting"] >= 2 and states["serving"] + states["called"] >= 1
    assert total(filled, "Task?status=completed") >= 4
    assert total(filled, "Task?business-status=urn:salam:CodeSystem:ticket-state|waiting") >= 2


def test_its_times_lie_behind_us_and_in_order(filled: Client) -> None:
    now = datetime.now(UTC)
    for task in filled.search("Task?_count=100&status=completed"):
        begin, end = (datetime.fromisoformat(task["executionPeriod"][name]) for name in ("start", "end"))
        assert datetime.fromisoformat(task["authoredOn"]) <= begin < end <= now
    assert abs((clock.now() - now).total_seconds()) < 60


def test_a_second_start_changes_nothing(tenant: TestTenant, filled: Client) -> None:
    before = total(filled, "Task"), total(filled, "Appointment"), queue(filled)["waiting"]
    demo._fill(tenant.slug, PATIENTS)
    assert (total(filled, "Task"), total(filled, "Appointment"), queue(filled)["waiting"]) == before


def test_a_start_that_was_cut_off_goes_on(new_tenant: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    tenant = new_tenant()
    store, calls = demo.Loader.store, iter(range(1000))

    def dies(self: Any, *given: Any) -> Any:
        if next(calls) == 30:
            raise KeyboardInterrupt
        return store(self, *given)

    monkeypatch.setattr(demo.Loader, "store", dies)
    with pytest.raises(KeyboardInterrupt):
        demo._fill(tenant.slug, 80)
    demo._fill(tenant.slug, 80)
    client = tenant.client()
    assert total(client, "Patient") == 80 and queue(client)["state"] == "open"


MOMENTS = ["20T09:17", "20T23:59", "21T00:00", "21T12:31", "22T08:58"]


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_first_start_at_any_time(new_tenant: Any, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    """The 20th is a Friday, the 22nd a Sunday."""
    now = datetime.fromisoformat(f"2026-11-{moment}:00+01:00").astimezone(ZoneInfo("Africa/Casablanca"))
    monkeypatch.setattr(demo, "_now", lambda: now)
    tenant = new_tenant("Africa/Casablanca")
    demo._fill(tenant.slug, 90)
    assert total(tenant.client(), "Task?status=completed,accepted,in-progress,ready,failed") > 10
    assert abs((clock.now() - datetime.now(UTC)).total_seconds()) < 5


VISITS = ["consultation", "cardiology", "pediatrics", "gynecology", "diabetes", "echo"]


@pytest.mark.parametrize("visit", VISITS)
def test_free_time_of_every_service_is_found(filled: Client, visit: str) -> None:
    begin = datetime.now(UTC).date()
    code = f"https://demo.example/visit-type%7C{visit}"
    answer = filled.get(f"Appointment/$find?start={begin}&end={begin + timedelta(days=8)}&visit-type={code}")
    assert answer.status == 200, answer.text
    found = [e["resource"] for e in answer.json["entry"] if e["resource"]["resourceType"] == "Appointment"]
    assert found, answer.text
    lengths = {"cardiology": 30, "gynecology": 30, "diabetes": 30, "echo": 40}
    assert {a["minutesDuration"] for a in found} == {lengths.get(visit, 20)}
    rooms = [p for p in found[0]["participant"] if p["actor"]["reference"] == "Location/demo-room-echo"]
    assert bool(rooms) == (visit == "echo")


def test_a_visit_can_be_booked(filled: Client) -> None:
    begin = datetime.now(UTC).date() + timedelta(days=1)
    code = "https://demo.example/visit-type%7Cconsultation"
    query = (
        f"start={begin}&end={begin + timedelta(days=8)}&visit-type={code}&patient-reference=Patient/demo-0400&_count=1"
    )
    answer = filled.get(f"Appointment/$find?{query}")
    proposal = answer.json["entry"][0]["resource"]
    given = [
        {"name": "appointment-reference", "valueReference": {"reference": f"Appointment/{proposal['id']}"}},
        {"name": "patient-resource", "resource": {"resourceType": "Patient", "id": "demo-0400"}},
    ]
    answer = filled.post("Appointment/$book", {"resourceType": "Parameters", "parameter": given})
    assert answer.status == 200, answer.text
    made = next(e["resource"] for e in answer.json["entry"] if e["resource"]["resourceType"] == "Appointment")
    assert (made["status"], made["start"]) == ("booked", proposal["start"])
