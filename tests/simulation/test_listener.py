"""Reading server-sent events, and listening through what happens to connections."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any

import pytest

from fhir_server.simulation.listener import Listener, events

CASES = [
    (b"event: hello\nid: 1\ndata: {}\n\n", [{"event": "hello", "id": "1", "data": "{}"}]),
    (b"data: a\ndata: b\n\n", [{"event": "message", "data": "a\nb"}]),
    (b": keep-alive\nid: 7\n\ndata: x\n\n", [{"event": "message", "id": "7", "data": "x"}]),
    (b"retry: 2000\n\n", []),
    (b"event: change\r\ndata: x\r\n\r\n", [{"event": "change", "data": "x"}]),
    (b"data: never finished", []),
    (b"data:no space\n\n", [{"event": "message", "data": "no space"}]),
]


@pytest.mark.parametrize(("sent", "found"), CASES)
def test_events(sent: bytes, found: list[dict[str, str]]) -> None:
    assert list(events(BytesIO(sent))) == found


class Hub(BaseHTTPRequestHandler):
    """Answers each request with the next script; says which Last-Event-ID it was asked with."""

    scripts: list[Any] = []
    asked: list[str | None] = []

    def do_GET(self) -> None:
        Hub.asked.append(self.headers.get("Last-Event-ID") or self.path.partition("after=")[2] or None)
        script = Hub.scripts.pop(0) if Hub.scripts else (503, b"")
        status, body = script
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[str]:
    Hub.scripts, Hub.asked = [], []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def change(number: int) -> bytes:
    data = json.dumps({"type": "Task", "id": "t", "version": number})
    return f"event: change\nid: {number}\ndata: {data}\n\n".encode()


def listener(hub: str, told: list[Any]) -> Listener:
    return Listener(hub, hub, "/t/x", "token", ["queue:q"], told.append)


def test_it_goes_on_where_a_connection_broke(hub: str) -> None:
    Hub.scripts = [
        (200, b"event: hello\nid: 0\ndata: {}\n\n" + change(1)),
        (200, change(2)),
        (200, change(2) + change(3)),
    ]
    told: list[Any] = []
    ours = listener(hub, told)
    ours.start()
    wanted = {("Task", "t", n) for n in (1, 2, 3)}
    assert ours.wait_for(wanted, 10) == set()
    ours.stop()
    assert Hub.asked[:3] == [None, "1", "2"]
    assert len(told) == 4 and len(ours.seen) == 3 and ours.interruptions >= 2


def test_without_a_hub_it_asks(hub: str) -> None:
    def page(next_: str, *numbers: int, reset: bool = False) -> tuple[int, bytes]:
        listed = [{"type": "Task", "id": "t", "version": n, "position": str(n)} for n in numbers]
        return 200, json.dumps({"events": listed, "next": next_, "reset": reset}).encode()

    Hub.scripts = [(503, b""), (503, b""), (503, b""), page("5"), page("7", 1, 2), (503, b""), page("9", 3, reset=True)]
    ours = listener(hub, [])
    ours.start()
    assert ours.wait_for({("Task", "t", 3)}, 90) == set()
    ours.stop()
    assert ours.ways == {"poll"} and ours.resets == 1
    assert Hub.asked[3:7] == [None, "5", "7", "7"]


def test_it_comes_back_to_the_stream(hub: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fhir_server.simulation.listener._ASK_SECONDS", 0.1)
    asked = 200, json.dumps({"events": [], "next": "4", "reset": False}).encode()
    Hub.scripts = [(503, b""), (503, b""), (503, b""), asked, (200, change(5))]
    ours = listener(hub, [])
    ours.start()
    assert ours.wait_for({("Task", "t", 5)}, 90) == set()
    ours.stop()
    assert ours.ways == {"poll", "stream"} and Hub.asked[:5] == [None, None, None, None, "4"]


def test_what_was_not_told_is_missing(hub: str) -> None:
    Hub.scripts = [(200, b"event: hello\nid: 0\ndata: {}\n\n" + change(1))]
    ours = listener(hub, [])
    ours.start()
    assert ours.wait_for({("Task", "t", 1), ("Task", "t", 2)}, 0.5) == {("Task", "t", 2)}
    ours.stop()


def test_nobody_answers() -> None:
    ours = listener("http://127.0.0.1:9", [])
    with pytest.raises(TimeoutError):
        ours.start(1.0)
    ours.stop()
