"""A ticket that was given by mistake is taken back: its booking and visit are as before."""

from datetime import timedelta

import pytest

from fhir_server.cli.token import new_token
from fhir_server.core import clock
from tests.client import Client
from tests.conftest import TestTenant
from tests.features.queue.counter import Counter, later, refusal, state


@pytest.fixture
def counter(tenant: TestTenant, client: Client) -> Counter:
    return Counter(client, tenant.id)


def test_a_check_in_by_mistake_leaves_the_booking_as_it_was(counter: Counter) -> None:
    booked = counter.appointment(counter.patient(), clock.now() + timedelta(minutes=10))
    task = counter.ask(f"Appointment/{booked['id']}/$check-in").json
    back = counter.do(task, "undo")
    assert (state(back), back["status"]) == ("cancelled", "cancelled")
    assert counter.read(booked)["status"] == "booked"
    assert counter.read(task["encounter"])["status"] == "cancelled"
    again = counter.ask(f"Appointment/{booked['id']}/$check-in").json
    assert again["id"] != task["id"] and state(again) == "waiting"
    assert counter.read(booked)["status"] == "checked-in"


def test_a_walk_in_ticket_is_cancelled_with_its_visit(counter: Counter) -> None:
    task = counter.take(patient=counter.patient())
    assert state(counter.do(task, "undo")) == "cancelled"
    assert counter.read(task["encounter"])["status"] == "cancelled"
    assert refusal(counter.ask(f"Task/{task['id']}/$undo")) == (409, "wrong-state")


def test_it_is_not_for_what_somebody_else_gave_or_after_a_minute(counter: Counter, tenant: TestTenant) -> None:
    task = counter.take()
    other = Client(tenant.slug, new_token(tenant.slug, "system/*.cruds", 60, "another-app", None)["access_token"])
    assert refusal(counter.ask(f"Task/{task['id']}/$undo", by=other)) == (409, "wrong-state")
    with later(seconds=61):
        assert refusal(counter.ask(f"Task/{task['id']}/$undo")) == (409, "wrong-state")


def test_who_was_sent_on_is_not_lost_by_it(counter: Counter, tenant: TestTenant, client: Client) -> None:
    other = Counter(client, tenant.id)
    task = counter.take(patient=counter.patient())
    sent = counter.ask(f"Task/{task['id']}/$transfer", to=f"HealthcareService/{other.id}").json
    assert refusal(counter.ask(f"Task/{sent['id']}/$undo")) == (409, "wrong-state")
    assert state(counter.read(sent)) == "waiting"
