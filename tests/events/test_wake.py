"""Wake-ups arrive when Valkey is there, and cost nothing and break nothing when it is not."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest

from fhir_server.events import wake
from fhir_server.settings import settings
from tests.events.feeding import eventually
from tests.events.valkeys import Valkey, valkey_apart


@pytest.fixture
def valkey(monkeypatch: pytest.MonkeyPatch) -> Iterator[Valkey]:
    """A Valkey of the test's own, as the one in the settings."""
    with valkey_apart() as running:
        monkeypatch.setattr(settings, "redis_url", running.url)
        yield running


@pytest.fixture
def heard(valkey: Valkey) -> Iterator[list[int | None]]:
    """What a listener heard so far."""
    found: list[int | None] = []
    stopped = threading.Event()
    thread = threading.Thread(target=wake.listen, args=(found.append, stopped))
    thread.start()
    assert eventually(lambda: None in found)
    yield found
    stopped.set()
    thread.join(60)


def _sender() -> Callable[[int], None]:
    return wake.Sender().changed


def _tries(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """Grows with each look for Valkey, while the clock stands still."""
    tries: list[None] = []
    connect, moment = wake.Sender._connect, time.monotonic()

    def counted(self: wake.Sender) -> None:
        tries.append(None)
        connect(self)

    monkeypatch.setattr(wake.Sender, "_connect", counted)
    monkeypatch.setattr(wake, "time", SimpleNamespace(monotonic=lambda: moment))
    return tries


def test_a_change_is_heard(heard: list[int | None]) -> None:
    changed = _sender()
    for number in range(1, 101):
        changed(number)
    assert eventually(lambda: set(range(1, 101)) <= set(heard))
    assert eventually(lambda: len(heard) >= 101)
    assert sorted(each for each in heard if each is not None) == list(range(1, 101))


def test_a_lost_valkey_is_no_matter_and_found_again(
    valkey: Valkey, heard: list[int | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = _sender()
    changed(1)
    assert eventually(lambda: 1 in heard)
    valkey.kill()
    with monkeypatch.context() as watched:
        tries = _tries(watched)
        for _ in range(200):
            changed(2)
    assert len(tries) <= 1, "one look for it, however many have news"
    heard.clear()
    valkey.start()
    # What happened meanwhile may be anything: the listener says so.
    assert eventually(lambda: None in heard)
    assert eventually(lambda: changed(3) or 3 in heard)


def test_a_valkey_that_hangs_delays_nobody(valkey: Valkey, heard: list[int | None]) -> None:
    changed = _sender()
    changed(1)
    assert eventually(lambda: 1 in heard)
    assert valkey.process is not None
    os.kill(valkey.process.pid, signal.SIGSTOP)
    try:
        work = threading.Thread(target=lambda: [changed(2) for _ in range(20_000)], daemon=True)
        work.start()
        work.join(90)
        assert not work.is_alive(), "it waits for who does not read"
    finally:
        os.kill(valkey.process.pid, signal.SIGCONT)
    assert eventually(lambda: 2 in heard)


@pytest.mark.parametrize("url", ["unix:///nowhere/valkey.sock", "redis://127.0.0.1:1/0"])
def test_no_valkey_at_all(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setattr(settings, "redis_url", url)
    changed = _sender()
    for _ in range(1000):
        changed(1)
    time.sleep(0.2)
    changed(1)


def test_a_waker_works_on_each_tenant_once(valkey: Valkey) -> None:
    done: list[int] = []
    going = threading.Event()
    last = 99

    def work(tenant_id: int) -> None:
        done.append(tenant_id)
        if tenant_id == 13:
            raise RuntimeError
        going.wait(90)

    waker = wake.Waker(work)
    waker.start()
    changed = _sender()
    assert eventually(lambda: changed(1) or done)
    assert set(done) == {1}
    for _ in range(50):
        changed(13)
        changed(2)
    changed(last)
    assert eventually(lambda: last in waker._waiting), "all of them are heard while the first one is worked on"
    going.set()
    assert eventually(lambda: {2, 13, last} <= set(done))
    assert done.count(13) == done.count(2) == 1
    waker.stop()
