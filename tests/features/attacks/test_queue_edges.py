"""A queue whose day, clock, service or people change under its tickets."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from fhir_server.core import clock
from tests.client import Client
from tests.conftest import TestTenant
from tests.features.attacks.tries import Json, entry, transaction, without
from tests.features.queue.counter import Counter, later, number, state

ZONE = "Africa/Casablanca"
PATCH = "application/json-patch+json"


@pytest.fixture(autouse=True)
def _clock() -> Iterator[None]:
    yield
    clock.move(timedelta())


@pytest.fixture
def counter(tenant: TestTenant, client: Client) -> Counter:
    return Counter(client, tenant.id, rules={"timezone": ZONE})


def go_to(hour: int, minute: int, days: int = 1) -> None:
    """Move the clock to a time of the queue's zone, so many days from today."""
    now = datetime.now(UTC).astimezone(ZoneInfo(ZONE))
    clock.move((now + timedelta(days=days)).replace(hour=hour, minute=minute, second=0, microsecond=0) - now)


def test_midnight(counter: Counter) -> None:
    who = counter.patient()
    go_to(23, 58)
    tickets = [counter.take(), counter.take(), counter.take(patient=who)]
    counter.call()
    counter.do(tickets[0], "start")
    go_to(0, 2, days=2)
    new = counter.take()
    counter.tend()
    assert number(new) == "A-001"
    assert [state(counter.read(each)) for each in tickets] == ["serving", "expired", "expired"]
    assert state(counter.do(tickets[0], "finish")) == "served"
    assert counter.call()["id"] == new["id"]
    assert number(counter.take(patient=who)) == "A-002"
    assert counter.client.get(f"Task/{tickets[1]['id']}/$position").status == 200


def test_a_clock_that_goes_back_gives_no_number_twice(counter: Counter) -> None:
    counter.take()
    with later(hours=-30):
        counter.take()
        assert counter.call()["resourceType"] == "Task"
    counter.take()
    found = counter.client.search(f"Task?queue=HealthcareService/{counter.id}")
    assert len({(each["identifier"][0]["system"], number(each)) for each in found}) == 3


@pytest.mark.parametrize(
    "step",
    [
        {"op": "replace", "path": "/status", "value": "completed"},
        {"op": "remove", "path": "/businessStatus"},
        {"op": "replace", "path": "/identifier/0/value", "value": "A-999"},
        {"op": "remove", "path": "/extension"},
        {"op": "remove", "path": "/code"},
        {"op": "replace", "path": "/code/coding/0/code", "value": "other"},
        {"op": "remove", "path": "/groupIdentifier"},
        {"op": "replace", "path": "/intent", "value": "plan"},
    ],
)
def test_patches_of_a_ticket(counter: Counter, step: Json) -> None:
    ticket = counter.take(patient=counter.patient())
    assert counter.client.patch(f"Task/{ticket['id']}", [step], content_type=PATCH).status == 422


def test_a_ticket_is_not_copied_and_not_deleted(counter: Counter) -> None:
    ticket, client = counter.take(), counter.client
    other = client.create({"resourceType": "Task", "status": "requested", "intent": "order"})
    path = f"Task/{ticket['id']}"
    answers = [
        client.post("Task", without(ticket, "id", "meta")),
        client.put("Task/of-my-own", {**without(ticket, "meta"), "id": "of-my-own"}),
        client.put(f"Task/{other['id']}", {**without(ticket, "meta"), "id": other["id"]}),
        client.delete(path),
        transaction(client, entry("DELETE", path)),
    ]
    assert [answer.status for answer in answers] == [422] * 5
    assert (
        client.patch(path, [{"op": "add", "path": "/note", "value": [{"text": "x"}]}], content_type=PATCH).status == 200
    )


@pytest.mark.parametrize("gone", ["extension", "service"])
def test_the_queue_goes_away_under_its_tickets(counter: Counter, gone: str) -> None:
    ticket, client, path = counter.take(), counter.client, f"HealthcareService/{counter.id}"
    if gone == "service":
        assert client.delete(path).status == 204
    else:
        assert client.put(path, without(client.get(path).json, "extension")).status in (200, 422)
    answers = [client.get(f"Task/{ticket['id']}/$position"), client.get(f"{path}/$queue")]
    answers += [client.post(f"{path}/${code}") for code in ("take-ticket", "call-next")]
    answers += [client.post(f"Task/{ticket['id']}/${code}") for code in ("start", "cancel", "undo")]
    assert max(answer.status for answer in answers) < 500
    counter.tend()


@pytest.mark.parametrize("element", ["encounter", "for"])
def test_what_a_ticket_refers_to_is_deleted(counter: Counter, element: str) -> None:
    ticket = counter.take(patient=counter.patient())
    assert counter.client.delete(ticket[element]["reference"]).status == 204
    assert counter.call()["id"] == ticket["id"]
    for code in ("start", "finish"):
        assert counter.ask(f"Task/{ticket['id']}/${code}").status < 500


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("prefix", {"valueString": "A" * 500}),
        ("width", {"valuePositiveInt": 2**31 - 1}),
        ("graceMinutes", {"valuePositiveInt": 2**31 - 1}),
        ("serviceMinutes", {"valuePositiveInt": 2**31 - 1}),
        ("starvationBound", {"valuePositiveInt": 2**31 - 1}),
        ("returnPlaces", {"valuePositiveInt": 2**31 - 1}),
        ("timezone", {"valueCode": "Mars/Base"}),
        ("kinds", {"valueCode": "king"}),
    ],
)
def test_rules_that_no_queue_can_have(client: Client, name: str, value: dict[str, Any]) -> None:
    rules = {"url": "urn:salam:StructureDefinition:queue-configuration", "extension": [{"url": name, **value}]}
    answer = client.post("HealthcareService", {"resourceType": "HealthcareService", "extension": [rules]})
    assert answer.status == 422
    assert answer.issues[0]["expression"][0].startswith("HealthcareService.extension")
