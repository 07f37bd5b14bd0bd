"""Open, paused, closed: what a queue gives and calls then."""

from datetime import time
from typing import Any

import pytest

from tests.client import Client
from tests.conftest import TestTenant
from tests.features.queue.counter import Counter, later, state


@pytest.fixture
def counter(tenant: TestTenant, client: Client) -> Counter:
    return Counter(client, tenant.id, opening="closed")


def told(service: dict[str, Any]) -> dict[str, Any]:
    parts = next(e for e in service["extension"] if e["url"].endswith("queue-state"))["extension"]
    return {each["url"]: next(v for k, v in each.items() if k != "url") for each in parts}


def test_a_day_of_a_queue(counter: Counter) -> None:
    assert counter.refuses("take-ticket") == (409, "queue-closed")
    opened = counter.queue("open")
    assert told(opened)["state"] == "open" and "since" in told(opened)
    first, second, third = counter.take(), counter.take(), counter.take(patient=counter.patient())
    paused = counter.queue("pause", reason="Fire drill", message="Back at ten.")
    assert {k: v for k, v in told(paused).items() if k != "since"} == {
        "state": "paused", "reason": "Fire drill", "message": "Back at ten."
    }  # fmt: skip
    counter.take()
    assert "message" not in told(counter.queue("resume"))
    assert counter.call()["id"] == first["id"]
    counter.queue("close", message="See you tomorrow.")
    assert counter.refuses("take-ticket") == (409, "queue-closed")
    assert counter.call()["id"] == second["id"]
    counter.do(first, "start")
    counter.queue("close", expire=True)
    assert {state(counter.read(each)) for each in (second, third)} == {"expired"}
    assert counter.read(third["encounter"])["status"] == "cancelled"
    assert state(counter.do(first, "finish")) == "served"
    assert [event.seq for event in counter.events()] == list(range(1, len(counter.events()) + 1))


def test_what_is_so_already_or_cannot_be_is_refused(counter: Counter) -> None:
    for code in ("close", "pause", "resume"):
        assert counter.refuses(code) == (409, "wrong-state"), code
    counter.queue("open")
    for code in ("open", "resume"):
        assert counter.refuses(code) == (409, "wrong-state"), code
    counter.queue("pause")
    for code in ("open", "pause"):
        assert counter.refuses(code) == (409, "wrong-state"), code
    assert counter.refuses("resume", message="x" * 301) == (400, "value")
    counter.queue("close")


def test_no_tickets_before_closing_time(tenant: TestTenant, client: Client) -> None:
    rules = {"closesAt": "18:00:00", "stopMinutesBeforeClosing": 30}
    counter = Counter(client, tenant.id, rules=rules)
    for minutes, given in ((-31, True), (-29, False), (10, False)):
        with later(seconds=counter.until(time(18)).total_seconds() + minutes * 60):
            answer = counter.ask(f"HealthcareService/{counter.id}/$take-ticket")
            assert answer.status == (200 if given else 409), minutes
    assert state(counter.call()) == "called"


def test_a_plain_write_neither_opens_nor_closes_a_queue(counter: Counter) -> None:
    stored = counter.queue("open")
    state = next(e for e in stored["extension"] if e["url"].endswith("queue-state"))
    closed = {**state, "extension": [{"url": "state", "valueCode": "closed"}]}
    for extensions in ([e for e in stored["extension"] if e is not state],
                       [closed if e is state else e for e in stored["extension"]]):  # fmt: skip
        answer = counter.client.put(f"HealthcareService/{counter.id}", {**stored, "extension": extensions})
        assert answer.status == 422 and "$close" in answer.text
    assert counter.client.put(f"HealthcareService/{counter.id}", {**stored, "name": "Echo"}).status == 200
    counter.take()
    plain = counter.client.create({"resourceType": "HealthcareService", "name": "no queue"})
    assert counter.client.put(f"HealthcareService/{plain['id']}", {**plain, "extension": [state]}).status == 422
