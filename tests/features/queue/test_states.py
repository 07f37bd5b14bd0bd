"""Every action in every position: table 6.2 of the reference, as profiles/queue/states.json has it."""

from collections.abc import Callable
from typing import Any

import pytest

from fhir_server.core import clock
from fhir_server.features.queue.tickets import moves, position, positions
from fhir_server.interactions.worlds import world
from fhir_server.rest.dispatch import session
from fhir_server.validation.run import check
from tests.client import Client
from tests.conftest import TestTenant
from tests.features.queue.counter import Counter, later, state

Task = dict[str, Any]
# What the reference says: business state, Task, Encounter, Appointment (None: as it was).
TABLE = {
    "remote": ("waiting", "requested", None, None),
    "waiting": ("waiting", "accepted", "arrived", "checked-in"),
    "called": ("called", "ready", "arrived", "checked-in"),
    "absent": ("called", "on-hold", "arrived", "checked-in"),
    "serving": ("serving", "in-progress", "in-progress", "checked-in"),
    "served": ("served", "completed", "finished", "fulfilled"),
    "cancelled": ("cancelled", "cancelled", "cancelled", "cancelled"),
    "expired": ("expired", "failed", "cancelled", "checked-in"),
    "no-show": ("no-show", "failed", "cancelled", "noshow"),
    "transferred": ("transferred", "cancelled", "arrived", "checked-in"),
}
# How a ticket comes where it stands.
PATHS = {
    "remote": (),
    "waiting": (),
    "called": ("call",),
    "absent": ("call", "absent"),
    "serving": ("call", "start"),
    "served": ("call", "start", "finish"),
    "cancelled": ("cancel",),
    "expired": ("expire",),
    "no-show": ("call", "no-show"),
    "transferred": ("transfer",),
}
ACTIONS = ("check-in", "call", "recall", "absent", "return", "start", "finish", "no-show", "skip", "transfer", "cancel")
REASON = {"reason": "It must be so."}


@pytest.fixture(scope="module")
def other(tenant: TestTenant, client: Client) -> Counter:
    return Counter(client, tenant.id)


@pytest.fixture
def make(tenant: TestTenant, client: Client, other: Counter) -> Callable[[str], tuple[Counter, Task]]:
    """A queue with one ticket of a booking in a position."""

    def made(place: str) -> tuple[Counter, Task]:
        counter = Counter(client, tenant.id)
        booked = counter.appointment(counter.patient(), clock.now())
        if place == "remote":
            task = counter.take(appointment=f"Appointment/{booked['id']}", remote=True)
        else:
            task = counter.ask(f"Appointment/{booked['id']}/$check-in").json
        for action in PATHS[place]:
            if action == "expire":
                counter.queue("close", expire=True)
            else:
                act(counter, task, action, other)
        return counter, counter.read(task)

    return made


def act(counter: Counter, task: Task, action: str, other: Counter) -> int:
    given: dict[str, Any] = REASON if action in ("call", "skip", "cancel") else {}
    if action == "transfer":
        given = {"to": f"HealthcareService/{other.id}"}
    return counter.ask(f"Task/{task['id']}/${action}", **given).status


def test_the_table_is_that_of_the_reference() -> None:
    ours = {name: (p.state, p.task, p.encounter, p.appointment) for name, p in positions().items()}
    kept = {"expired": (2,), "transferred": (2,)}
    for name, row in TABLE.items():
        assert ours[name][:2] == row[:2], name
        if name not in kept:
            assert ours[name] == row, name
    assert set(moves()) == {*ACTIONS, "expire", "undo"}
    # What is over is not over for `return` and `undo` alone.
    for ended in ("served", "cancelled", "expired", "transferred", "no-show"):
        assert {name for name, move in moves().items() if ended in move.sources} <= {"return", "undo"}


@pytest.mark.parametrize("place", TABLE)
def test_task_visit_and_booking_are_what_the_table_says(make: Callable[[str], tuple[Counter, Task]], place: str) -> None:
    counter, task = make(place)
    business, status, visit, booking = TABLE[place]
    assert (state(task), task["status"]) == (business, status)
    assert position(counter.row(task)) == place
    if visit is None:
        assert "encounter" not in task
    else:
        assert counter.read(task["encounter"])["status"] == visit
    assert counter.read(task["focus"])["status"] == (booking or "booked")


@pytest.mark.parametrize("place", TABLE)
def test_actions_are_possible_where_the_table_says_and_nowhere_else(
    make: Callable[[str], tuple[Counter, Task]], other: Counter, place: str
) -> None:
    for action in ACTIONS:
        counter, task = make(place)
        before = counter.events()
        if place in moves()[action].sources:
            assert act(counter, task, action, other) == 200, action
            assert len(counter.events()) == len(before) + 1
            continue
        given: dict[str, Any] = REASON if action in ("call", "skip", "cancel") else {}
        if action == "transfer":
            given = {"to": f"HealthcareService/{other.id}"}
        answer = counter.ask(f"Task/{task['id']}/${action}", **given)
        assert answer.status == 409, (action, answer.text)
        assert answer.issues[0]["details"]["coding"][0]["code"] == "wrong-state"
        assert place in answer.issues[0]["details"]["text"]
        assert counter.read(task) == task and counter.events() == before


def test_a_visit_has_its_times_and_its_history(tenant: TestTenant, client: Client) -> None:
    counter = Counter(client, tenant.id)
    doctor = client.create({"resourceType": "Practitioner", "name": [{"family": "B"}]})
    task = counter.take(patient=counter.patient())
    with later(minutes=10):
        counter.call(desk="Room 2", owner=f"Practitioner/{doctor['id']}")
    with later(minutes=12):
        started = counter.do(task, "start")
    with later(minutes=30):
        ended = counter.do(task, "finish")
    visit = counter.read(task["encounter"])
    assert [each["status"] for each in visit["statusHistory"]] == ["arrived", "in-progress"]
    assert visit["statusHistory"][0]["period"]["end"] == visit["statusHistory"][1]["period"]["start"]
    assert visit["period"]["start"] == task["authoredOn"] and visit["period"]["end"] == ended["executionPeriod"]["end"]
    assert visit["participant"][0]["individual"]["reference"] == f"Practitioner/{doctor['id']}"
    assert started["executionPeriod"] == {"start": ended["executionPeriod"]["start"]}
    assert ended["output"] == [{"type": {"text": "desk"}, "valueString": "Room 2"}]
    row = counter.row(task)
    assert row.called_at and row.started_at and row.ended_at
    assert row.taken_at < row.called_at < row.started_at < row.ended_at


def test_undo_brings_everything_back(make: Callable[[str], tuple[Counter, Task]], other: Counter) -> None:
    for place, action in (
        ("remote", "check-in"), ("waiting", "call"), ("waiting", "skip"), ("waiting", "cancel"), ("called", "recall"),
        ("called", "absent"), ("absent", "return"), ("called", "start"), ("serving", "finish"), ("called", "no-show"),
        ("no-show", "return"),
    ):  # fmt: skip
        counter, task = make(place)
        row, booking = counter.row(task), counter.read(task["focus"])
        visit = counter.read(task["encounter"]) if "encounter" in task else None
        assert act(counter, task, action, other) == 200
        back = counter.do(task, "undo")
        assert counter.row(task) == row, (place, action)
        same = {k: v for k, v in back.items() if k not in ("meta", "lastModified", "encounter")}
        assert same == {k: v for k, v in task.items() if k in same}, (place, action)
        assert counter.read(booking)["status"] == booking["status"]
        if visit is not None:
            assert counter.read(visit)["status"] == visit["status"], (place, action)
            assert counter.read(visit)["period"] == visit["period"]
        elif "encounter" in back:
            assert counter.read(back["encounter"])["status"] == "cancelled"
        assert counter.refused(task, "undo") == (409, "wrong-state")


def test_undo_is_for_the_same_agent_within_a_minute(
    make: Callable[[str], tuple[Counter, Task]], tenant: TestTenant
) -> None:
    from fhir_server.cli.token import new_token

    counter, task = make("called")
    counter.do(task, "start")
    with later(seconds=61):
        assert counter.refused(task, "undo") == (409, "wrong-state")
    else_ = Client(tenant.slug, new_token(tenant.slug, "system/*.cruds", 60, "another-app", None)["access_token"])
    assert counter.ask(f"Task/{task['id']}/$undo", by=else_).status == 409
    assert state(counter.do(task, "undo")) == "called"
    counter, task = make("waiting")
    moved = counter.do(task, "transfer", to=f"HealthcareService/{Counter(counter.client, tenant.id).id}")
    for each in (task, moved):
        assert counter.refused(each, "undo") == (409, "wrong-state")


def test_everything_stored_is_valid(make: Callable[[str], tuple[Counter, Task]], tenant: TestTenant) -> None:
    registry = world(session(), tenant.slug).registry
    for place in TABLE:
        counter, task = make(place)
        for resource in (task, counter.read(task["focus"]), *([counter.read(task["encounter"])]
                         if "encounter" in task else [])):  # fmt: skip
            faults = [issue for issue in check(registry, resource) if issue.severity in ("error", "fatal")]
            assert not faults, (place, faults)
