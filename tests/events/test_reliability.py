"""Nothing is lost when Valkey dies, when the hub restarts, and when clients go and come."""

import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from fhir_server.core.messages import FhirRequest
from fhir_server.rest.dispatch import handle, session
from fhir_server.settings import settings
from fhir_server.storage.session import Session
from tests.client import Client
from tests.conftest import TestTenant
from tests.events.feeding import eventually
from tests.events.hubs import Hub, Listener, hub_apart
from tests.events.valkeys import Valkey

PATIENT: dict[str, Any] = {"resourceType": "Patient"}
Version = tuple[str, str, int]


@pytest.fixture
def place(new_tenant: Callable[[], TestTenant]) -> TestTenant:
    """A tenant of the test's own."""
    return new_tenant()


def _history(client: Client) -> set[Version]:
    """Every version of the tenant's patients, as its history has them."""
    found, path = set(), "Patient/_history?_count=1000"
    while path:
        page = client.get(path).json
        for entry in page.get("entry", ()):
            id_ = entry["fullUrl"].rpartition("/")[2]
            found.add(("Patient", id_, int(entry["response"]["etag"].strip('W/"'))))
        path = next((link["url"] for link in page["link"] if link["relation"] == "next"), "")
    return found


def _writer(client: Client, stop: threading.Event) -> threading.Thread:
    """Creates and updates patients until it is told to stop."""

    def work() -> None:
        while not stop.is_set():
            made = client.create(PATIENT)
            client.put(f"Patient/{made['id']}", {**made, "gender": "male"})
            time.sleep(0.01)
        session().close()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def _more(stream: Listener, number: int) -> None:
    """Wait until so many more changes were told."""
    before = len(stream.changes())
    stream.wait(before + number)


def test_a_killed_valkey_loses_no_event(valkey: Valkey, place: TestTenant) -> None:
    client = place.client()
    with hub_apart(REDIS_URL=valkey.url) as hub:
        stream = Listener(hub.port, place.slug, ["type:Patient"], place.token())
        stream.wait(1, "hello")
        client.create(PATIENT)
        stream.wait()
        stop = threading.Event()
        writing = _writer(client, stop)
        _more(stream, 20)
        valkey.kill()
        # What was on its way is told in the first looks; the others happened without any wake-up.
        for _ in range(3):
            _more(stream, 20)
        valkey.start()
        _more(stream, 40)
        stop.set()
        writing.join()
        expected = _history(client)
        assert eventually(lambda: set(stream.changes()) == expected)
        assert len(stream.changes()) == len(expected) > 100
        assert stream.ended is False
        stream.close()


def test_a_valkey_that_hangs_keeps_no_event_back(valkey: Valkey, place: TestTenant) -> None:
    client = place.client()
    with hub_apart(REDIS_URL=valkey.url) as hub:
        stream = Listener(hub.port, place.slug, ["type:Patient"], place.token())
        stream.wait(1, "hello")
        assert valkey.process is not None
        os.kill(valkey.process.pid, signal.SIGSTOP)
        try:
            for number in range(1, 4):
                client.create(PATIENT)
                stream.wait(number)
        finally:
            os.kill(valkey.process.pid, signal.SIGCONT)
        stream.close()


def test_who_leaves_during_a_long_transaction_misses_nothing(place: TestTenant) -> None:
    """Its change has a smaller number than one that was told already, and is committed after that."""
    client = place.client()
    written, go = threading.Event(), threading.Event()

    def wait(db: Session) -> None:
        written.set()
        go.wait(300)

    def work() -> None:
        base = settings.fhir_base(place.slug)
        request = FhirRequest("PUT", "Patient/slow", [], {"authorization": f"Bearer {place.token()}"}, b'{"resourceType": "Patient", "id": "slow"}', base)
        request.headers["content-type"] = "application/fhir+json"
        assert handle(request, place.slug, before_commit=wait).status == 201
        session().close()

    with hub_apart() as hub:
        first = Listener(hub.port, place.slug, ["type:Patient"], place.token())
        first.wait(1, "hello")
        slow = threading.Thread(target=work, daemon=True)
        slow.start()
        assert written.wait(90)
        fast = client.create(PATIENT)["id"]
        first.wait()
        assert first.changes() == [("Patient", fast, 1)]
        first.close()
        first.wait_end()
        go.set()
        slow.join(90)
        again = Listener(hub.port, place.slug, ["type:Patient"], place.token(), after=first.last_id)
        assert eventually(lambda: ("Patient", "slow", 1) in again.changes())
        again.close()


def test_a_restarted_hub_loses_no_event(place: TestTenant) -> None:
    client = place.client()
    hub = Hub()
    hub.start()
    heard: set[Version] = set()
    stop = threading.Event()
    try:
        stream = Listener(hub.port, place.slug, ["type:Patient"], place.token())
        stream.wait(1, "hello")
        writing = _writer(client, stop)
        for kill in (False, True):
            _more(stream, 20)
            # It does not wait for its streams to end by themselves, which they never do.
            hub.stop(kill=kill)
            stream.wait_end()
            heard |= set(stream.changes())
            hub.start()
            stream = Listener(hub.port, place.slug, ["type:Patient"], place.token(), headers={"Last-Event-ID": stream.last_id})
        _more(stream, 20)
        stop.set()
        writing.join()
        expected = _history(client)
        assert eventually(lambda: heard | set(stream.changes()) == expected)
        assert not any(each.name == "reset" for each in stream.events)
        stream.close()
    finally:
        stop.set()
        hub.stop()


def test_who_comes_and_goes_misses_nothing(place: TestTenant) -> None:
    client = place.client()
    with hub_apart() as hub:
        token = place.token()
        first = Listener(hub.port, place.slug, ["type:Patient"], token)
        place_ = first.wait(1, "hello")[0].id
        first.close()
        stop = threading.Event()
        writers = [_writer(place.client(), stop) for _ in range(3)]
        heard: list[Version] = []
        for turn in range(12):
            stream = Listener(hub.port, place.slug, ["type:Patient"], token, after=place_)
            time.sleep(0.05 * (turn % 5))
            stream.close()
            stream.wait_end()
            heard += stream.changes()
            place_ = stream.last_id or place_
        stop.set()
        for each in writers:
            each.join()
        last = Listener(hub.port, place.slug, ["type:Patient"], token, after=place_)
        expected = _history(client)
        assert eventually(lambda: set(heard) | set(last.changes()) == expected)
        last.close()
