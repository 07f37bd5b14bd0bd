"""Nobody came: the grace period, late returns, and the end of the day."""

from collections.abc import Sequence
from datetime import time
from typing import Any

import pytest

from fhir_server.core import clock
from fhir_server.core.errors import Unprocessable
from fhir_server.interactions.acting import server_context
from fhir_server.interactions.changes import Changes
from fhir_server.interactions.worlds import world
from fhir_server.rest.dispatch import session
from fhir_server.storage.session import Row, Session, Statement
from tests.client import Client
from tests.conftest import TestTenant
from tests.features.queue.counter import Counter, later, number, state


@pytest.fixture
def counter(tenant: TestTenant, client: Client) -> Counter:
    return Counter(client, tenant.id)


def checked_in(counter: Counter) -> tuple[dict[str, Any], dict[str, Any]]:
    booked = counter.appointment(counter.patient(), clock.now())
    return booked, counter.ask(f"Appointment/{booked['id']}/$check-in").json


def test_absent_for_15_minutes_and_a_second_is_a_no_show(counter: Counter) -> None:
    booked, task = checked_in(counter)
    counter.call()
    absent = counter.do(task, "absent")
    assert absent["status"] == "on-hold"
    until = counter.row(task).absent_until
    assert until is not None and absent["restriction"]["period"]["end"][:19] == until.isoformat()[:19]
    with later(minutes=14, seconds=58):
        counter.tend()
        assert counter.read(task)["status"] == "on-hold"
    with later(minutes=15, seconds=1):
        counter.tend()
        missed = counter.read(task)
    assert (state(missed), missed["status"]) == ("no-show", "failed")
    assert "restriction" not in missed
    assert counter.read(booked)["status"] == "noshow"
    assert counter.read(task["encounter"])["status"] == "cancelled"
    assert counter.events()[-1].agent == "server"


def test_the_grace_period_is_that_of_the_queue(tenant: TestTenant, client: Client) -> None:
    counter = Counter(client, tenant.id, rules={"graceMinutes": 5})
    task = counter.take()
    counter.call()
    counter.do(task, "absent")
    with later(minutes=5, seconds=1):
        counter.tend()
    assert state(counter.read(task)) == "no-show"


def test_a_late_return_is_three_places_behind_and_the_third_is_refused(counter: Counter) -> None:
    booked, task = checked_in(counter)
    others = [counter.take() for _ in range(10)]
    for come_back in range(2):
        assert counter.call()["id"] == task["id"]
        counter.do(task, "absent")
        if come_back:
            with later(minutes=15, seconds=1):
                counter.tend()
            assert state(counter.read(task)) == "no-show"
        back = counter.do(task, "return")
        assert (state(back), back["status"]) == ("waiting", "accepted") and "output" not in back
        assert counter.read(task["encounter"])["status"] == "arrived"
        assert counter.read(booked)["status"] == "checked-in"
        assert [counter.call()["id"] for _ in range(3)] == [o["id"] for o in others[come_back * 3 : come_back * 3 + 3]]
    assert counter.call()["id"] == task["id"]
    counter.do(task, "absent")
    assert counter.refused(task, "return") == (422, "limit-reached")
    counter.do(task, "no-show")
    assert counter.refused(task, "return") == (422, "limit-reached")


def test_a_return_behind_fewer_than_three_is_at_the_end(counter: Counter) -> None:
    task, other = counter.take(), counter.take()
    counter.call()
    counter.do(task, "absent")
    counter.do(task, "return")
    assert [counter.call()["id"], counter.call()["id"]] == [other["id"], task["id"]]


def test_a_no_show_of_another_day_does_not_come_back(counter: Counter) -> None:
    task = counter.take()
    counter.call()
    counter.do(task, "no-show")
    with later(days=1):
        counter.take()
        assert counter.refused(task, "return") == (409, "wrong-state")
    again = Counter(counter.client, counter.tenant_id)
    who = again.patient()
    first = again.take(patient=who)
    again.call()
    again.do(first, "no-show")
    again.take(patient=who)
    assert again.refused(first, "return") == (409, "already-waiting")


def test_who_waits_when_the_day_ends_expires(counter: Counter) -> None:
    waiting, remote = counter.take(patient=counter.patient()), counter.take(remote=True)
    called, serving = counter.take(), counter.take()
    counter.do(called, "call", reason="test")
    counter.do(serving, "call", reason="test")
    counter.do(serving, "start")
    counter.tend()
    assert state(counter.read(waiting)) == "waiting"
    with later(seconds=counter.until(time(), days=1).total_seconds() - 1):
        counter.tend()
        assert state(counter.read(waiting)) == "waiting"
    with later(seconds=counter.until(time(), days=1).total_seconds()):
        counter.tend()
        for each in (waiting, remote, called):
            assert (state(counter.read(each)), counter.read(each)["status"]) == ("expired", "failed")
        assert counter.read(waiting["encounter"])["status"] == "cancelled"
        assert state(counter.read(serving)) == "serving"
        before = counter.events()
        counter.tend()
        assert counter.events() == before
        assert number(counter.take()) == "A-001"
        counter.do(serving, "finish")
    assert [event.seq for event in counter.events()] == list(range(1, len(counter.events()) + 1))


def test_many_tickets_of_a_day_end(counter: Counter) -> None:
    tasks = [counter.take() for _ in range(60)]
    with later(days=1, hours=1):
        counter.tend()
    assert {state(counter.read(each)) for each in tasks} == {"expired"}


def test_a_queue_that_is_no_more_lets_its_tickets_end(counter: Counter) -> None:
    task, other = counter.take(), counter.take()
    assert counter.client.delete(f"HealthcareService/{counter.id}").status in (200, 204)
    assert counter.refuses("take-ticket")[0] == 404
    assert state(counter.do(other, "cancel")) == "cancelled"
    with later(days=1):
        counter.tend()
    assert state(counter.read(task)) == "expired"


def test_a_ticket_whose_record_was_erased_is_forgotten(counter: Counter) -> None:
    def erased() -> None:
        task = counter.take()
        db = session()
        unit = Changes(server_context(db, world(db, counter.client.slug)))
        with db.hold():
            unit.remove("Task", task["id"])
            unit.run()
        db.commit()

    erased()
    second = counter.take()
    assert counter.call()["id"] == second["id"]
    erased()
    assert counter.call()["resourceType"] == "Parameters"
    erased()
    with later(days=1):
        counter.tend()
    assert [event.seq for event in counter.events()] == list(range(1, len(counter.events()) + 1))
    assert [event.rid for event in counter.events()].count(None) == 3


def test_one_ticket_in_trouble_does_not_keep_the_others(counter: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = [counter.take() for _ in range(5)]
    lock = Changes.lock

    def broken(self: Changes, resource_type: str, resource_id: str) -> dict[str, Any]:
        if resource_id == tasks[2]["id"]:
            raise Unprocessable("in trouble")
        return lock(self, resource_type, resource_id)

    monkeypatch.setattr(Changes, "lock", broken)
    with later(days=1):
        counter.tend()
        found = [state(counter.read(each)) for each in tasks]
        assert found == ["expired", "expired", "waiting", "expired", "expired"]
        monkeypatch.undo()
        counter.tend()
    assert state(counter.read(tasks[2])) == "expired"
    assert [event.seq for event in counter.events()] == list(range(1, 11))


def test_tending_is_one_statement_when_nothing_is_due(counter: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    counter.take()
    counter.tend()
    sent: list[int] = []
    run = Session.run

    def counted(self: Session, statements: Sequence[Statement], **more: bool) -> list[list[Row]]:
        sent.append(len(statements))
        return run(self, statements, **more)

    monkeypatch.setattr(Session, "run", counted)
    counter.tend()
    assert sent == [1]
