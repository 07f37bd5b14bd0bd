"""Calling: by the policy, for some kinds, out of order, again; and nobody when the queue is paused or empty."""

import pytest

from tests.client import Client
from tests.conftest import TestTenant
from tests.features.queue.counter import Counter, parameters, state
from tests.features.queue.place import plain


@pytest.fixture
def counter(tenant: TestTenant, client: Client) -> Counter:
    return Counter(client, tenant.id)


def test_the_next_one_is_called_to_the_desk(counter: Counter) -> None:
    first, second = counter.take(), counter.take()
    called = counter.call(desk="Window 4")
    assert called["id"] == first["id"] and (state(called), called["status"]) == ("called", "ready")
    assert called["output"] == [{"type": {"text": "desk"}, "valueString": "Window 4"}]
    assert counter.read(first) == called and state(counter.read(second)) == "waiting"
    assert counter.row(first).desk == "Window 4"


def test_the_one_who_serves_is_the_owner(counter: Counter) -> None:
    doctor = counter.client.create({"resourceType": "Practitioner", "name": [{"family": "Alaoui"}]})
    counter.take()
    called = counter.call(owner=f"Practitioner/{doctor['id']}")
    assert called["owner"] == {"reference": f"Practitioner/{doctor['id']}"}


def test_nobody_is_called_when_nobody_waits_or_the_queue_is_paused(counter: Counter) -> None:
    assert plain(counter.call()) == {"empty": True, "reason": "nobody-waiting"}
    counter.take()
    counter.queue("pause")
    assert plain(counter.call()) == {"empty": True, "reason": "paused"}
    counter.queue("resume")
    counter.queue("close")
    assert state(counter.call()) == "called"
    assert plain(counter.call()) == {"empty": True, "reason": "closed"}


def test_a_desk_can_serve_some_kinds_only(counter: Counter) -> None:
    normal = counter.take()
    urgent = counter.take(kind="emergency", reason="Bleeding")
    assert plain(counter.call(kinds=["appointment"]))["reason"] == "nobody-waiting"
    assert counter.call(kinds=["normal", "appointment"])["id"] == normal["id"]
    assert counter.call(kinds=["emergency"])["id"] == urgent["id"]


def test_a_call_out_of_order_needs_a_reason_that_is_kept(counter: Counter) -> None:
    tasks = [counter.take() for _ in range(3)]
    assert counter.refused(tasks[2], "call") == (422, "required")
    called = counter.do(tasks[2], "call", reason="Interpreter leaves", desk="1")
    assert state(called) == "called"
    (note,) = counter.client.search(f"Provenance?target=Task/{called['id']}")
    assert note["reason"] == [{"text": "Interpreter leaves"}]
    assert note["extension"][0]["extension"] == [{"url": "before", "valuePositiveInt": 3}]
    assert counter.call()["id"] == tasks[0]["id"]
    counter.queue("pause")
    assert counter.refused(tasks[1], "call", reason="now") == (409, "wrong-state")


def test_recalls_are_counted(tenant: TestTenant, client: Client) -> None:
    counter = Counter(client, tenant.id, rules={"maxRecalls": 2})
    task = counter.take()
    counter.call()
    counter.do(task, "recall")
    counter.do(task, "absent")
    back = counter.do(task, "recall")
    assert back["status"] == "ready" and "restriction" not in back
    assert counter.refused(task, "recall") == (422, "limit-reached")
    counter.do(task, "absent")
    assert counter.refused(task, "recall") == (422, "limit-reached")


def test_a_call_that_is_sent_again_calls_nobody_else(counter: Counter) -> None:
    for _ in range(3):
        counter.take()
    path = f"HealthcareService/{counter.id}/$call-next"
    first, second = (counter.client.post(path, parameters(desk="1"), idempotency_key="click-1") for _ in range(2))
    assert first.json == second.json and [event.action for event in counter.events()].count("call") == 1
    assert counter.client.post(path, parameters(desk="1"), idempotency_key="click-2").json["id"] != first.json["id"]


def test_paid_kinds_pass_within_the_bound_and_never_an_emergency(tenant: TestTenant, client: Client) -> None:
    kinds = ["normal", "vip", "emergency"]
    counter = Counter(client, tenant.id, rules={"kinds": kinds, "paidEvery": 2, "starvationBound": 1})
    normal = [counter.take()["id"] for _ in range(4)]
    paid = [counter.take(kind="vip")["id"] for _ in range(3)]
    urgent = counter.take(kind="emergency", reason="Stroke")["id"]
    order = [counter.call()["id"] for _ in range(8)]
    assert order[0] == urgent
    assert order.index(paid[0]) < order.index(normal[-1])
    for place, id_ in enumerate(normal):
        before = [each for each in order[: order.index(id_)] if each in paid]
        assert len(before) <= 1 or place > 1, order
    assert max(counter.row({"id": each}).passed for each in normal) == 1
    assert [event.action for event in counter.events()].count("call") == 8


def test_undoing_a_paid_call_gives_the_passed_their_place_again(tenant: TestTenant, client: Client) -> None:
    counter = Counter(client, tenant.id, rules={"kinds": ["normal", "vip"], "paidEvery": 1, "starvationBound": 2})
    normal, paid = counter.take(), counter.take(kind="vip")
    assert counter.call()["id"] == paid["id"]
    assert counter.row(normal).passed == 1
    counter.do(paid, "undo")
    assert counter.row(normal).passed == 0
    assert counter.call()["id"] == paid["id"]
