"""A cancelled booking takes its ticket out of the queue."""

from typing import Any

import pytest

from fhir_server.core import clock
from fhir_server.features.queue.follow import follow
from fhir_server.interactions.acting import server_context
from fhir_server.interactions.worlds import world
from fhir_server.rest.dispatch import session
from fhir_server.storage.changes import Change
from tests.client import Client
from tests.conftest import TestTenant
from tests.features.queue.counter import Counter, state


@pytest.fixture
def counter(tenant: TestTenant, client: Client) -> Counter:
    return Counter(client, tenant.id)


def changed(counter: Counter, task: dict[str, Any]) -> None:
    """The follower is told that the booking of a ticket changed."""
    db = session()
    ctx = server_context(db, world(db, counter.client.slug))
    rid = counter.row(task).appointment
    assert rid is not None
    ctx = server_context(db, world(db, counter.client.slug))
    with db.hold():
        follow(ctx, [Change(1, 1, rid, ctx.registry.type_ids["Appointment"], 2, "U")])
    db.commit()


def booked(counter: Counter, *actions: str) -> tuple[dict[str, Any], dict[str, Any]]:
    booking = counter.appointment(counter.patient(), clock.now())
    task = counter.ask(f"Appointment/{booking['id']}/$check-in").json
    for action in actions:
        counter.do(task, action, **({"reason": "x"} if action == "call" else {}))
    return counter.read(booking), task


def test_a_cancelled_or_deleted_booking_gives_its_ticket_up(counter: Counter) -> None:
    for actions in ((), ("call",), ("call", "absent")):
        booking, task = booked(counter, *actions)
        changed(counter, task)
        assert state(counter.read(task)) != "cancelled"
        answer = counter.client.put(f"Appointment/{booking['id']}", {**booking, "status": "cancelled"})
        assert answer.status == 200, answer.text
        changed(counter, task)
        given_up = counter.read(task)
        assert (state(given_up), given_up["statusReason"]["coding"][0]["code"]) == ("cancelled", "cancelled")
        assert counter.read(task["encounter"])["status"] == "cancelled"
        changed(counter, task)
        assert counter.read(task) == given_up
    booking, task = booked(counter)
    assert counter.client.delete(f"Appointment/{booking['id']}").status in (200, 204)
    changed(counter, task)
    assert state(counter.read(task)) == "cancelled"


def test_who_is_being_served_stays(counter: Counter) -> None:
    booking, task = booked(counter, "call", "start")
    counter.client.put(f"Appointment/{booking['id']}", {**booking, "status": "cancelled"})
    changed(counter, task)
    assert state(counter.read(task)) == "serving"
