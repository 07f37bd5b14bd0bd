"""Looks at the end of a feed: each change is told once to each stream, whatever happens between two looks."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from fhir_server.events import topics, watch
from fhir_server.events.feed import as_text
from fhir_server.events.stream import Stream, keep_alive
from fhir_server.events.watch import Told, Watch
from fhir_server.interactions.acting import SERVER
from fhir_server.storage import changes, clock
from fhir_server.storage.changes import Position
from fhir_server.storage.errors import ConnectionLost
from tests.client import Client
from tests.conftest import TestTenant
from tests.events.feeding import apart, entered, server, settle, write

PATIENT: dict[str, Any] = {"resourceType": "Patient"}


@pytest.fixture
def place(new_tenant: Callable[[], TestTenant]) -> TestTenant:
    """A tenant of the test's own."""
    return new_tenant()


def _stream(place: TestTenant, after: Position | None = None) -> Stream:
    ctx = server(place)
    ctx.principal = SERVER
    return Stream(SERVER, topics.parse(ctx, ["type:Patient"]), after)


def _ids(told: Told, stream: Stream) -> list[str]:
    """The ids of the resources that a stream is told of."""
    return [
        data.partition(b'"id":"')[2].partition(b'"')[0].decode()
        for each, data in told
        if each is stream and data.startswith(b"event: change")
    ]


def _made(client: Client, count: int) -> list[str]:
    return [client.create(PATIENT)["id"] for _ in range(count)]


def test_each_look_tells_what_is_new(place: TestTenant) -> None:
    client, eye, stream = place.client(), Watch(), _stream(place)
    told, joined = eye.look(server(place), (), [stream])
    assert joined == [stream]
    assert told[0][1].startswith(b"event: hello")
    made = _made(client, 3)
    streams = (stream,)
    assert _ids(eye.look(server(place), streams, ())[0], stream) == made
    assert eye.look(server(place), streams, ())[0] == []


def test_a_look_that_fails_tells_it_the_next_time(place: TestTenant, monkeypatch: pytest.MonkeyPatch) -> None:
    client, eye, stream = place.client(), Watch(), _stream(place)
    eye.look(server(place), (), [stream])
    made, streams = _made(client, 2), (stream,)

    def lost(*_: Any) -> Any:
        raise ConnectionLost("gone")

    with monkeypatch.context() as broken:
        broken.setattr(watch, "events_of", lost)
        with pytest.raises(ConnectionLost):
            eye.look(server(place), streams, ())
    assert _ids(eye.look(server(place), streams, ())[0], stream) == made


def test_a_small_page_tells_all_in_several_looks(place: TestTenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "_PAGE", 2)
    client, eye, stream = place.client(), Watch(), _stream(place)
    eye.look(server(place), (), [stream])
    made, heard, streams = _made(client, 7), [], (stream,)
    for _ in range(20):
        heard += _ids(eye.look(server(place), streams, ())[0], stream)
        if not eye.more:
            break
    assert heard == made


def test_who_comes_back_joins_without_gap_or_repetition(place: TestTenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "_PAGE", 2)
    client, eye = place.client(), Watch()
    settle(place)
    begin, _ = changes.end(entered(place), place.id)
    other = _stream(place)
    eye.look(server(place), (), [other])
    made, heard = _made(client, 5), []
    settle(place)
    stream = _stream(place, begin)
    streams: tuple[Stream, ...] = (other,)
    for turn in range(20):
        if turn < 4:
            made += _made(client, 1)
        told, joined = eye.look(server(place), streams, [] if stream in streams else [stream])
        heard += _ids(told, stream)
        if joined:
            streams = (*streams, *joined)
    assert stream in streams
    assert sorted(heard) == sorted(made)


def test_what_happens_while_somebody_joins_is_told_once(place: TestTenant, monkeypatch: pytest.MonkeyPatch) -> None:
    client, eye, other = place.client(), Watch(), _stream(place)
    settle(place)
    begin, _ = changes.end(entered(place), place.id)
    eye.look(server(place), (), [other])
    made, real, calls = _made(client, 1), changes.visible, []

    def visible(*asked: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            # Between what is new for all and what this one missed.
            write(apart(place), place, clock.tick(), rid=rid)
        return real(*asked)

    rid = changes.visible(entered(place), place.id, begin, 10)[0][0].rid
    monkeypatch.setattr(changes, "visible", visible)
    stream = _stream(place, begin)
    told, joined = eye.look(server(place), (other,), [stream])
    assert (_ids(told, stream), joined) == (made, [stream])
    told, _ = eye.look(server(place), (other, stream), ())
    assert _ids(told, stream) == _ids(told, other) == made


def test_an_idle_feed_goes_on_too(place: TestTenant, client: Client) -> None:
    """Otherwise who hears nothing for a day could not come back."""
    eye = Watch()
    eye.look(server(place), (), ())
    first = eye.position
    client.create(PATIENT)
    settle(place)
    eye.look(server(place), (), ())
    assert first is not None
    assert eye.position is not None
    assert eye.position > first
    assert as_text(eye.position).encode() in keep_alive(eye.position)


def test_a_stream_that_is_not_read_is_cut(place: TestTenant) -> None:
    async def act() -> None:
        stream, cut = _stream(place), []
        stream.cut_off = lambda: cut.append(1)
        stream.put(b"x" * 1_000_000)
        assert await stream.take() == b"x" * 1_000_000
        for _ in range(200_000):
            stream.put(b"y" * 100)
        assert stream.ended
        assert cut == [1]
        assert await stream.take() is None

    asyncio.run(act())


def test_a_stream_ends_after_what_waits(place: TestTenant) -> None:
    async def act() -> None:
        stream = _stream(place)
        stream.put(b"a")
        stream.finish(b"b")
        stream.put(b"c")
        assert await stream.take() == b"ab"
        assert await stream.take() is None

    asyncio.run(act())
