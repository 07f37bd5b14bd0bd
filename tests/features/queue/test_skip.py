"""Going before all others: with a reason, which can be read afterwards."""

import pytest

from tests.client import Client
from tests.conftest import TestTenant
from tests.features.queue.counter import Counter


@pytest.fixture
def counter(tenant: TestTenant, client: Client) -> Counter:
    return Counter(client, tenant.id)


def test_without_a_reason_nobody_goes_first(counter: Counter) -> None:
    counter.take()
    task = counter.take()
    for given in ({}, {"reason": "  "}):
        assert counter.refused(task, "skip", **given) == (422, "required")
    assert counter.read(task) == task and len(counter.events()) == 2


def test_the_reason_is_in_the_ticket_the_provenance_and_the_log(counter: Counter, tenant: TestTenant) -> None:
    tasks = [counter.take() for _ in range(4)]
    task = counter.do(tasks[3], "skip", reason="Fever of 41")
    assert (task["priority"], task["reasonCode"]["text"]) == ("stat", "Fever of 41")
    (note,) = counter.client.search(f"Provenance?target=Task/{task['id']}")
    assert note["reason"] == [{"text": "Fever of 41"}] and note["activity"]["coding"][0]["code"] == "skip"
    assert {each["url"]: each["valuePositiveInt"] for each in note["extension"][0]["extension"]} == {
        "before": 4, "after": 1
    }  # fmt: skip
    assert note["agent"][0]["who"]["identifier"]["value"] == "tests"
    logged = tenant.client("system/AuditEvent.rs").search(f"AuditEvent?entity=Task/{task['id']}&_count=50")
    (told,) = [each for each in logged if each.get("outcomeDesc") == "Fever of 41"]
    assert told["subtype"][0]["code"] == "operation"
    assert counter.call()["id"] == task["id"]


def test_the_last_one_put_first_is_first(counter: Counter) -> None:
    urgent = counter.take(kind="emergency", reason="Asthma")
    tasks = [counter.take() for _ in range(3)]
    for task in tasks[1:]:
        counter.do(task, "skip", reason="Worse")
    order = [counter.call()["id"] for _ in range(4)]
    assert order == [tasks[2]["id"], tasks[1]["id"], urgent["id"], tasks[0]["id"]]


def test_the_log_tells_who_was_put_first_and_when(counter: Counter) -> None:
    counter.take()
    task = counter.take()
    counter.do(task, "skip", reason="Pain")
    event = counter.events()[-1]
    assert (event.action, event.seq, event.rid) == ("skip", 3, counter.row(task).rid)
    assert event.detail["after"]["rank"] == 0 < event.detail["before"]["rank"]
    assert "Pain" not in str(event.detail)
