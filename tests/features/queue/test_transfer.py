"""Going on to another queue: a new ticket, the same visit, the same arrival."""

from datetime import timedelta

import pytest

from fhir_server.core import clock
from tests.client import Client
from tests.conftest import TestTenant
from tests.features.queue.counter import Counter, extension, later, number, state


@pytest.fixture
def counter(tenant: TestTenant, client: Client) -> Counter:
    return Counter(client, tenant.id)


@pytest.fixture
def other(tenant: TestTenant, client: Client) -> Counter:
    place = client.create({"resourceType": "Location", "name": "Laboratory"})
    at = [{"reference": f"Location/{place['id']}"}]
    return Counter(client, tenant.id, rules={"prefix": "L"}, more={"location": at})


def to(other: Counter) -> dict[str, str]:
    return {"to": f"HealthcareService/{other.id}"}


def test_arrival_group_visit_and_booking_go_along(counter: Counter, other: Counter) -> None:
    who = counter.patient()
    booked = counter.appointment(who, clock.now())
    old = counter.ask(f"Appointment/{booked['id']}/$check-in").json
    with later(minutes=20):
        early = other.take()
        new = counter.do(old, "transfer", reason="Blood test", **to(other))
        was = counter.read(old)
        assert other.call()["id"] == new["id"] != early["id"]
    assert (state(was), was["status"]) == ("transferred", "cancelled")
    assert was["statusReason"]["text"] == "Blood test"
    assert was["statusReason"]["coding"][0]["code"] == "transferred"
    assert (state(new), number(new)) == ("waiting", "L-002")
    assert new["groupIdentifier"] == old["groupIdentifier"]
    assert extension(new, "arrived-at") == extension(old, "arrived-at")
    assert new["encounter"] == old["encounter"] and new["focus"] == old["focus"] and new["for"] == old["for"]
    replaces = [each for each in new["extension"] if each["url"].endswith("request-replaces")]
    assert replaces[0]["valueReference"]["reference"] == f"Task/{old['id']}"
    assert counter.row(new).due == counter.row(old).due
    visit = counter.read(old["encounter"])
    assert visit["status"] == "arrived" and visit["location"][-1]["status"] == "active"
    assert visit["location"][-1]["location"] == new["location"]
    assert counter.read(booked)["status"] == "checked-in"
    assert counter.ask(f"Appointment/{booked['id']}/$check-in").json["id"] == new["id"]


def test_a_ticket_goes_there_and_back(counter: Counter, other: Counter) -> None:
    task = counter.take(patient=counter.patient())
    counter.call()
    counter.do(task, "start")
    there = counter.do(task, "transfer", **to(other))
    assert counter.read(task["encounter"])["status"] == "in-progress"
    other.call()
    other.do(there, "start")
    back = other.do(there, "transfer", **to(counter))
    assert number(back) == "A-002" and back["groupIdentifier"] == task["groupIdentifier"]
    counter.call()
    counter.do(back, "start")
    counter.do(back, "finish")
    visit = counter.read(task["encounter"])
    assert visit["status"] == "finished"
    assert [each["status"] for each in visit["location"]] == ["completed"]


def test_the_link_of_a_ticket_goes_along(counter: Counter, other: Counter) -> None:
    task = counter.take()
    url = counter.do(task, "ticket-link")["parameter"][0]["valueUrl"]
    path = url[url.index("/t/") :]
    assert counter.client.get(path).json["number"] == "A-001"
    counter.do(task, "transfer", **to(other))
    assert (counter.client.get(path).json["number"], counter.client.get(path).json["state"]) == ("L-001", "waiting")


def test_nobody_is_sent_where_he_cannot_go(counter: Counter, other: Counter) -> None:
    who = counter.patient()
    task = counter.take(patient=who)
    assert counter.refused(task, "transfer", **to(counter)) == (422, "business-rule")
    assert counter.refused(task, "transfer", to="HealthcareService/nothing")[0] == 404
    assert counter.refused(task, "transfer", to="Location/1") == (400, "value")
    waiting = other.take(patient=who)
    assert counter.refused(task, "transfer", **to(other)) == (409, "already-waiting")
    other.do(waiting, "cancel")
    other.queue("close")
    assert counter.refused(task, "transfer", **to(other)) == (409, "queue-closed")
    assert counter.read(task) == task and len(counter.events()) == 1
    other.queue("open")
    assert number(counter.do(task, "transfer", **to(other))) == "L-002"


def test_a_queue_names_where_it_sends_people(counter: Counter, other: Counter, tenant: TestTenant) -> None:
    only = {"transferTo": {"reference": f"HealthcareService/{other.id}"}}
    strict = Counter(counter.client, tenant.id, rules=only)
    task = strict.take()
    assert strict.refused(task, "transfer", **to(counter)) == (422, "business-rule")
    assert state(strict.do(task, "transfer", **to(other))) == "waiting"


def test_a_kind_that_is_not_there_becomes_normal_and_an_urgency_stays(counter: Counter, tenant: TestTenant) -> None:
    plain = Counter(counter.client, tenant.id, rules={"kinds": ["normal"]})
    first = plain.take()
    urgent = counter.take(kind="emergency", reason="Cut")
    new = counter.do(urgent, "transfer", **to(plain))
    assert extension(new, "ticket-kind") == "normal" and new["priority"] == "stat"
    assert plain.call()["id"] == new["id"] != first["id"]


def test_the_due_time_of_who_came_first_counts(counter: Counter, other: Counter) -> None:
    with later(minutes=-30):
        task = counter.take()
    for _ in range(3):
        other.take()
    new = counter.do(task, "transfer", **to(other))
    assert other.call()["id"] == new["id"]
    assert counter.row(task).arrived_at is not None
    assert counter.row(new).taken_at - counter.row(new).due >= timedelta(minutes=29)
