"""An event is told because a wake-up came, not because somebody looked by himself: here nobody does."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest

from fhir_server.endpoints import event_access, event_tails
from fhir_server.events import wake
from tests.conftest import TestTenant
from tests.events.feeding import eventually
from tests.events.valkeys import Valkey


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """What the streams run on. It is closed when nobody can wake them any more."""
    made = asyncio.new_event_loop()
    yield made
    made.close()


@pytest.fixture
def woken(valkey: Valkey, loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int | None]]:
    """The wake-ups that this process heard, whose streams look only then."""
    assert event_tails._LOOK_S <= 1, "who hears nothing looks every second"
    monkeypatch.setattr(event_tails, "_LOOK_S", 3600.0)
    found: list[int | None] = []
    stopped, ended = threading.Event(), threading.Event()

    def listen(heard: Callable[[int | None], None], _: threading.Event) -> None:
        def noted(tenant_id: int | None) -> None:
            found.append(tenant_id)
            heard(tenant_id)

        wake.listen(noted, stopped)
        ended.set()

    monkeypatch.setattr(event_tails, "wake", SimpleNamespace(listen=listen))
    yield found
    stopped.set()
    assert ended.wait(90)


@pytest.fixture
def told(woken: list[int | None], loop: asyncio.AbstractEventLoop, tenant: TestTenant) -> Iterator[Callable[[], int]]:
    """How many changes of patients a stream told until now."""
    parts: list[bytes] = []
    asked = event_access.asked([("topic", "type:Patient")], f"Bearer {tenant.token()}", None)
    tails = event_tails.Tails()

    async def follow() -> None:
        stream = await tails.open(tenant.slug, asked)
        while (data := await stream.take()) is not None:
            parts.append(data)
        looking = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in looking:
            task.cancel()
        await asyncio.gather(*looking, return_exceptions=True)

    thread = threading.Thread(target=loop.run_until_complete, args=(follow(),), daemon=True)
    thread.start()
    assert eventually(lambda: any(b"event: hello" in part for part in parts))
    yield lambda: b"".join(parts).count(b"event: change")

    def end() -> None:
        for stream in list(tails._of):
            tails.close(stream)

    loop.call_soon_threadsafe(end)
    thread.join(90)


def test_a_wake_up_is_enough_also_after_valkey_was_away(
    valkey: Valkey, tenant: TestTenant, woken: list[int | None], told: Callable[[], int]
) -> None:
    client = tenant.client()
    client.create({"resourceType": "Patient"})
    assert eventually(lambda: told() == 1)
    valkey.kill()
    before = len(woken)
    assert eventually(lambda: None in woken[before:]), "what happened meanwhile may be anything: everybody looks"
    valkey.start()
    made = [1]

    def heard_of() -> bool:
        client.create({"resourceType": "Patient"})
        made.append(1)
        return tenant.id in woken[before:]

    assert eventually(heard_of)
    assert eventually(lambda: told() == len(made))
