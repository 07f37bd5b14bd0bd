"""A short day against a real web server, with and without a hub, by the command."""

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import click
import pytest

from fhir_server.cli.simulate import simulate
from fhir_server.simulation import place as places
from fhir_server.simulation import play as playing
from fhir_server.simulation.api import Api
from fhir_server.simulation.plan import Person
from tests.conftest import TestTenant
from tests.events.hubs import Hub
from tests.features.queue.place import plain

# Everything that does not need the worker, which ends a period of grace.
PLAN = [
    Person(20, "normal", 1.0, 3.0),
    Person(21, "normal", 1.5, 3.0, at_call="late"),
    Person(22, "normal", 2.0, 3.0, at_call="returns"),
    Person(23, "normal", 14.0, 4.0, home=13.0),
    Person(24, "normal", 3.0, 2.0, sent_on=True),
    Person(25, "normal", 3.1, 20.0),
    Person(26, "normal", 3.2, 20.0),
    Person(27, "normal", 5.0, 3.0, leaves=2.0),
    Person(28, "normal", 5.5, 3.0, first=True),
    Person(29, "emergency", 6.0, 3.0),
    Person(35, "normal", 7.0, 3.0),
]
SPEED = 300


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    found = Hub()
    found.start()
    yield found
    found.stop()


def day(tenant: TestTenant, server: str, events: str, **more: str) -> tuple[int, dict[str, Any]]:
    """Exit code and report of the command."""
    shown: list[str] = []
    options = {"speed": str(SPEED), "hours": "0.6", "desks": "2", "seed": "1", **more}
    arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(playing, "people", lambda *_: PLAN)
        patch.setattr(places, "_PREPARATION", 1.0)
        patch.setattr("fhir_server.cli.options.print", lambda text, **_: shown.append(text), raising=False)
        code = simulate.main(
            [
                "--tenant",
                tenant.slug,
                "--url",
                server,
                "--events-url",
                events,
                "--token",
                tenant.token(),
                "--json",
                *arguments,
            ],
            standalone_mode=False,
        )
    return code, json.loads(shown[0])


def test_a_day_with_all_that_happens(new_tenant: Any, live_server: str, hub: Hub) -> None:
    tenant = new_tenant()
    # Slowly enough that everybody is served before the day ends, also by a slow machine.
    code, found = day(tenant, live_server, f"http://127.0.0.1:{hub.port}", speed="120")
    assert code == 0, found
    assert found["events"]["by"] == "stream"
    happened = found["happened"]
    assert (happened["emergency"], happened["absent"], happened["sent on"]) == (1, 2, 1)
    assert happened["came back late"] == 2 and happened["pauses"] == happened["resumed"] == 1
    assert found["served"] + found["cancelled"] + found["transferred"] == found["tickets"] == len(PLAN) + 1
    assert found["waits"]["emergency"]["n"] == 1 and found["estimates"]["n"] >= 9
    client = tenant.client()
    for queue in ("simulation-queue", "simulation-laboratory"):
        assert plain(client.get(f"HealthcareService/{queue}/$queue").json)["state"] == "closed"
    for kind in ("HealthcareService?_id=simulation-visit", "Schedule?actor=Practitioner/simulation-1"):
        assert [each["active"] for each in client.search(kind)] == [False], kind


def test_a_day_that_is_cut_off_leaves_nothing_to_book(new_tenant: Any, live_server: str) -> None:
    def interrupted(*_: Any) -> list[Person]:
        raise KeyboardInterrupt

    tenant = new_tenant()
    client = tenant.client()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(playing, "people", interrupted)
        patch.setattr(places, "_PREPARATION", 1.0)
        wanted = playing.Wanted(f"{live_server}/t/{tenant.slug}", "http://127.0.0.1:9", tenant.token(), 60, 4, 2, 1)
        with pytest.raises(KeyboardInterrupt):
            playing.play(wanted, lambda _: None)
    assert len(client.search("Appointment?status=booked")) > 5
    assert len(client.search("Schedule?active=true")) == 0 and len(client.search("Schedule?active=false")) == 4
    service = client.get("HealthcareService/simulation-visit").json
    assert service["active"] is False


def test_nobody_but_the_simulated_can_book(new_tenant: Any, live_server: str) -> None:
    tenant = new_tenant()
    client = tenant.client()
    somebody = client.create({"resourceType": "Patient"})["id"]
    query = f"Appointment/$find?start={datetime.now(UTC).isoformat()}&end={datetime.now(UTC) + timedelta(hours=8):%FT%TZ}"

    def looks(*_: Any) -> list[Person]:
        for who, expected in ((somebody, False), ("simulation-0001", True)):
            answer = tenant.client("patient/*.cruds", patient=who).get(query.replace("+", "%2B"))
            assert answer.status == 200, answer.text
            found = [e for e in answer.json.get("entry", ()) if e["resource"]["resourceType"] == "Appointment"]
            assert bool(found) == expected, who
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(playing, "people", looks)
        patch.setattr(places, "_PREPARATION", 1.0)
        patch.setattr(places, "_book", lambda *_: None)
        wanted = playing.Wanted(f"{live_server}/t/{tenant.slug}", "http://127.0.0.1:9", tenant.token(), 60, 4, 2, 1)
        with pytest.raises(KeyboardInterrupt):
            playing.play(wanted, lambda _: None)


def test_a_second_day_follows_the_first_and_asks_where_no_hub_is(new_tenant: Any, live_server: str) -> None:
    tenant = new_tenant()
    for number in (1, 2):
        code, found = day(tenant, live_server, "http://127.0.0.1:9")
        assert code == 0, found
        assert (found["events"]["by"], found["tickets"]) == ("poll", len(PLAN) + 1), number


def test_a_day_begins_where_nobody_is_left_of_one_that_was_cut_off(new_tenant: Any, live_server: str) -> None:
    tenant = new_tenant()
    assert day(tenant, live_server, "http://127.0.0.1:9")[0] == 0
    client = tenant.client()
    assert client.post("HealthcareService/simulation-queue/$open").status == 200
    for codes in (("start",), ()):
        client.post("HealthcareService/simulation-queue/$take-ticket")
        called = client.post("HealthcareService/simulation-queue/$call-next")
        for code in codes:
            assert client.post(f"Task/{called.id}/${code}").status == 200
    with closing(Api(f"{live_server}/t/{tenant.slug}", tenant.token())) as api:
        places._clear(api)
    assert client.search("Task?status=in-progress,requested,accepted,ready,on-hold") == []


def test_a_lost_event_breaks_the_day(new_tenant: Any, live_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The known-bad row: a listener that drops one change of a ticket."""
    from fhir_server.simulation.listener import Listener

    take, dropped = Listener._change, []

    def drops(self: Listener, data: dict[str, Any]) -> None:
        if data["type"] == "Task" and data["version"] == 3 and not dropped:
            dropped.append(data)
        else:
            take(self, data)

    monkeypatch.setattr(Listener, "_change", drops)
    monkeypatch.setattr(playing, "_DRAIN_SECONDS", 10.0)
    code, found = day(new_tenant(), live_server, "http://127.0.0.1:9")
    assert (code, found["lost_events"], len(dropped)) == (1, 1, 1)


def test_a_server_that_is_not_there(tenant: TestTenant) -> None:
    with pytest.raises(click.ClickException, match="does not answer"):
        day(tenant, "http://127.0.0.1:9", "http://127.0.0.1:9")


def test_a_token_that_may_not(new_tenant: Any, live_server: str) -> None:
    tenant = new_tenant()
    with pytest.raises(click.ClickException, match="401"):
        simulate.main(
            [
                "--tenant",
                tenant.slug,
                "--url",
                live_server,
                "--events-url",
                "http://127.0.0.1:9",
                "--token",
                "nonsense",
            ],
            standalone_mode=False,
        )
