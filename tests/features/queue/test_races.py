"""What many kiosks and desks do at once, over HTTP against a web server of several processes."""

import time
from collections import Counter as Tally
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from fhir_server.core import clock
from fhir_server.features.queue import configuration
from fhir_server.features.queue.action import Action
from fhir_server.features.queue.tickets import position, positions
from tests.client import Client
from tests.conftest import TestTenant
from tests.features.queue.counter import Counter, later, number, parameters, state
from tests.features.queue.replay import Replay
from tests.reliability.wire import Heard, Http, together

KIOSKS, TICKETS = 32, 960
DESKS, CALLS = 8, 576
Ask = Callable[..., Heard]


@pytest.fixture
def connect(tenant: TestTenant, live_server: str) -> Iterator[Callable[[], Ask]]:
    """Makes connections: `ask(path, **parameters)`."""
    token = tenant.token()
    made: list[Http] = []

    def one() -> Ask:
        http = Http(f"{live_server}/t/{tenant.slug}/fhir", token)
        made.append(http)
        return lambda path, **given: http.request("POST", path, parameters(**given))

    yield one
    for each in made:
        each.close()


def each_many(ask: Ask, path: str, times: int, **given: Any) -> list[Heard]:
    return [ask(path, **given) for _ in range(times)]


def replayed(counter: Counter) -> Replay:
    config = configuration.of(counter.read(f"HealthcareService/{counter.id}"))
    assert config is not None
    return Replay(config).play(counter.events())


def test_32_kiosks_take_960_tickets(
    tenant: TestTenant, client: Client, connect: Callable[[], Ask], record_property: Callable[[str, object], None]
) -> None:
    counter = Counter(client, tenant.id, rules={"width": 1})
    path = f"HealthcareService/{counter.id}/$take-ticket"
    asks = [connect() for _ in range(KIOSKS)]
    started = time.perf_counter()
    work = [partial(each_many, ask, path, TICKETS // KIOSKS) for ask in asks]
    answers = [each for some in together(work, 240) for each in some]
    seconds = time.perf_counter() - started
    record_property("tickets per second", round(TICKETS / seconds, 1))
    print(f"{TICKETS / seconds:.0f} tickets/s")
    assert Tally(each.status for each in answers) == {200: TICKETS}
    assert sorted(int(number(each.json)[2:]) for each in answers) == list(range(1, TICKETS + 1))
    events = counter.events()
    assert [event.seq for event in events] == list(range(1, TICKETS + 1))
    assert [event.detail["after"]["number"] for event in events] == list(range(1, TICKETS + 1))
    due = [event.detail["after"]["due"] for event in events]
    assert due == sorted(due), "who has the lower number is due first"


def test_8_desks_call_576_tickets_in_the_order_of_the_policy(
    tenant: TestTenant, client: Client, connect: Callable[[], Ask], record_property: Callable[[str, object], None]
) -> None:
    kinds = ["normal", "vip", "express", "emergency"]
    counter = Counter(client, tenant.id, rules={"kinds": kinds, "paidEvery": 3, "starvationBound": 2})
    path = f"HealthcareService/{counter.id}"
    asks = [connect() for _ in range(DESKS)]

    def fill(ask: Ask, way: int) -> None:
        for index in range(CALLS // DESKS):
            kind = kinds[(index + way) % 9] if (index + way) % 9 < 4 else "normal"
            assert ask(f"{path}/$take-ticket", kind=kind, reason="x").status == 200

    together([partial(fill, ask, way) for way, ask in enumerate(asks)], 240)

    def call_all(ask: Ask, desk: str) -> list[str]:
        called = []
        while (answer := ask(f"{path}/$call-next", desk=desk).json)["resourceType"] == "Task":
            called.append(answer["id"])
        return called

    started = time.perf_counter()
    called = together([partial(call_all, ask, f"desk {n}") for n, ask in enumerate(asks)], 240)
    seconds = time.perf_counter() - started
    record_property("calls per second", round(CALLS / seconds, 1))
    print(f"{CALLS / seconds:.0f} calls/s")
    everybody = [each for some in called for each in some]
    assert len(everybody) == CALLS == len(set(everybody))
    replay = replayed(counter)
    assert not replay.wrong and len(replay.calls) == CALLS == len(set(replay.calls))
    assert max(ticket.passed for ticket in replay.tickets.values()) == 2


def test_tickets_and_calls_at_once_keep_the_order(
    tenant: TestTenant, client: Client, connect: Callable[[], Ask]
) -> None:
    counter = Counter(client, tenant.id)
    path = f"HealthcareService/{counter.id}"

    def take(ask: Ask) -> None:
        for index in range(15):
            ask(f"{path}/$take-ticket", **({"kind": "emergency", "reason": "x"} if index % 7 == 3 else {}))

    def serve(ask: Ask) -> None:
        for _ in range(15):
            task = ask(f"{path}/$call-next").json
            if task["resourceType"] == "Task":
                assert ask(f"Task/{task['id']}/$start").status == 200
                assert ask(f"Task/{task['id']}/$finish").status == 200

    together([partial(do, connect()) for do in (take, serve) for _ in range(6)], 120)
    replay = replayed(counter)
    assert not replay.wrong and len(replay.tickets) == 90
    tasks = client.search(f"Task?queue=HealthcareService/{counter.id}&_count=200")
    assert len(tasks) == 90
    for task in tasks:
        row = counter.row(task)
        told = {name: getattr(replay.tickets[row.rid], name) for name in ("state", "called_at", "started_at", "ended_at")}
        assert told == {name: getattr(row, name) for name in told}
        assert task["status"] == positions()[position(row)].task and state(task) == row.state


def test_the_place_after_the_last_is_refused_to_everybody(
    tenant: TestTenant, client: Client, connect: Callable[[], Ask]
) -> None:
    for rules in ({"maxWaiting": 10}, {"maxPerDay": 10}):
        counter = Counter(client, tenant.id, rules=rules)
        path = f"HealthcareService/{counter.id}/$take-ticket"
        answers = together([partial(connect(), path) for _ in range(50)], 60)
        assert Tally(each.status for each in answers) == {200: 10, 409: 40}
        assert sorted(number(each.json) for each in answers if each.status == 200)[-1] == "A-010"
        assert len(counter.events()) == 10


def test_nobody_is_called_during_a_pause(tenant: TestTenant, client: Client, connect: Callable[[], Ask]) -> None:
    counter = Counter(client, tenant.id)
    path = f"HealthcareService/{counter.id}"
    for _ in range(60):
        counter.take()

    def call(ask: Ask) -> None:
        for _ in range(12):
            ask(f"{path}/$call-next")

    def pause(ask: Ask) -> None:
        for _ in range(4):
            assert ask(f"{path}/$pause").status == 200
            assert ask(f"{path}/$resume").status == 200

    callers = [partial(call, connect()) for _ in range(6)]
    together([*callers, partial(pause, connect())], 120)
    replay = replayed(counter)
    assert not replay.called_in_pause and not replay.wrong
    assert [event.action for event in counter.events()].count("pause") == 4


def test_one_patient_gets_one_ticket(tenant: TestTenant, client: Client, connect: Callable[[], Ask]) -> None:
    counter = Counter(client, tenant.id)
    who = counter.patient()
    path = f"HealthcareService/{counter.id}/$take-ticket"
    answers = together([partial(connect(), path, patient=who) for _ in range(20)], 60)
    assert Tally(each.status for each in answers) == {200: 1, 409: 19}
    assert number(counter.take()) == "A-002", "what was refused took no number"


def test_one_booking_gets_one_ticket(tenant: TestTenant, client: Client, connect: Callable[[], Ask]) -> None:
    queues = [Counter(client, tenant.id) for _ in range(2)]
    booked = queues[0].appointment(queues[0].patient(), clock.now())
    path = f"Appointment/{booked['id']}/$check-in"
    named = [f"HealthcareService/{queue.id}" for queue in queues for _ in range(10)]
    answers = together([partial(connect(), path, queue=name) for name in named], 60)
    assert {each.status for each in answers} == {200}
    assert len({each.json["id"] for each in answers}) == 1
    assert len(queues[0].events()) + len(queues[1].events()) == 1
    assert len(client.search(f"Encounter?appointment=Appointment/{booked['id']}")) == 1


def test_one_desk_starts_a_ticket(tenant: TestTenant, client: Client, connect: Callable[[], Ask]) -> None:
    counter = Counter(client, tenant.id)
    counter.take()
    task = counter.call()
    answers = together([partial(connect(), f"Task/{task['id']}/$start") for _ in range(10)], 60)
    assert Tally(each.status for each in answers) == {200: 1, 409: 9}


def test_people_sent_to_and_fro_are_not_lost(tenant: TestTenant, client: Client, connect: Callable[[], Ask]) -> None:
    one, two = Counter(client, tenant.id), Counter(client, tenant.id, rules={"prefix": "B"})

    def wander(ask: Ask, start: Counter, other: Counter) -> str:
        who = start.patient()
        task = ask(f"HealthcareService/{start.id}/$take-ticket", patient=who).json
        for _ in range(3):
            answer = ask(f"Task/{task['id']}/$transfer", to=f"HealthcareService/{other.id}")
            assert answer.status == 200, answer.body
            task, start, other = answer.json, other, start
        return str(task["id"])

    last = together([partial(wander, connect(), *way) for way in ((one, two), (two, one)) for _ in range(5)], 120)
    assert {state(one.read(f"Task/{id_}")) for id_ in last} == {"waiting"}
    for queue in (one, two):
        events = queue.events()
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        numbers = [event.detail["after"]["number"] for event in events if event.action == "take"]
        assert numbers == list(range(1, 21))


def test_several_workers_end_a_ticket_once(tenant: TestTenant, client: Client) -> None:
    counter = Counter(client, tenant.id)
    for _ in range(12):
        task = counter.take()
        counter.call()
        counter.do(task, "absent")
    with later(minutes=16):
        together([counter.tend] * 4)
    actions = Tally(event.action for event in counter.events())
    assert actions == {"take": 12, "call": 12, "absent": 12, "no-show": 12}
    replayed(counter)


def test_a_transaction_that_fails_takes_no_number(
    tenant: TestTenant, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter = Counter(client, tenant.id)
    who = counter.patient()
    counter.take()
    write = Action.write

    def broken(self: Action) -> Any:
        write(self)
        raise RuntimeError("the process dies before the commit")

    monkeypatch.setattr(Action, "write", broken)
    assert counter.ask(f"HealthcareService/{counter.id}/$take-ticket", patient=who).status == 500
    monkeypatch.undo()
    assert number(counter.take()) == "A-002"
    assert [event.seq for event in counter.events()] == [1, 2]
    assert len(client.search(f"Task?queue=HealthcareService/{counter.id}")) == 2
    assert not client.search(f"Encounter?patient={who}")
