"""Listens to the event stream all day: server-sent events of the hub, or where they cannot be had by asking.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from typing import IO, Any
from urllib.parse import urlencode, urlsplit

Name = tuple[str, str, int]
_ATTEMPTS = 3
_POLL_SECONDS, _ASK_SECONDS = 0.5, 5.0
# What a broken connection, or one that is closed while it is read, can end in.
_BROKEN = (OSError, http.client.HTTPException, ValueError, AttributeError)


class Listener:
    """Every change of the topics: `seen` holds (type, id, version). `hub`, `web`: where the hub is, and the web server,
    which is asked again and again when no hub answers; `path`: of the tenant; `tell` is told each change as it comes.
    """

    def __init__(
        self, hub: str, web: str, path: str, token: str, topics: Sequence[str], tell: Callable[[dict[str, Any]], object]
    ) -> None:
        self._hub, self._web = hub, web
        self._path = f"{path}/events?{urlencode([('topic', topic) for topic in topics])}"
        self._token = token
        self._tell = tell
        self._last: str | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)
        self._socket: socket.socket | None = None
        self.ready = threading.Event()
        self.seen: set[Name] = set()
        self.told = 0
        self.resets = 0
        self.interruptions = 0
        self.ways: set[str] = set()

    def start(self, seconds: float = 15.0) -> None:
        """Begin to listen; returns once nothing more can be missed. Raises `TimeoutError`."""
        self._thread.start()
        if not self.ready.wait(seconds):
            raise TimeoutError("The event stream does not begin.")

    def stop(self) -> None:
        """Stop listening."""
        self._stop.set()
        with suppress(OSError, AttributeError):
            # Whoever reads from it wakes up.
            self._socket.shutdown(socket.SHUT_RDWR)  # type: ignore[union-attr]
        self._thread.join(5)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._follow()
            # No stream is to be had now: ask for a while, and try again.
            until = time.monotonic() + _ASK_SECONDS
            while not self._stop.is_set() and time.monotonic() < until:
                try:
                    self._poll()
                except (*_BROKEN, KeyError):
                    self.interruptions += 1
                self._stop.wait(_POLL_SECONDS)

    def _follow(self) -> None:
        """Follow the stream until it cannot be had."""
        failed = 0
        while not self._stop.is_set() and failed < _ATTEMPTS:
            with suppress(*_BROKEN), self._requested(self._hub, self._path, "text/event-stream") as response:
                for event in events(response):
                    failed = 0
                    self.ways.add("stream")
                    self._take(event)
            if not self._stop.is_set():
                failed += 1
                self.interruptions += self.ready.is_set()
                self._stop.wait(0.2)

    def _poll(self) -> None:
        after = f"&{urlencode({'after': self._last})}" if self._last else ""
        with self._requested(self._web, self._path + after, "application/json") as response:
            body = json.loads(response.read())
        self.ways.add("poll")
        self.resets += bool(body["reset"])
        for event in body["events"]:
            self._change(event)
        self._last = body["next"]
        self.ready.set()

    @contextmanager
    def _requested(self, origin: str, path: str, accept: str) -> Iterator[http.client.HTTPResponse]:
        where = urlsplit(origin)
        kind = http.client.HTTPSConnection if where.scheme == "https" else http.client.HTTPConnection
        headers = {"Authorization": f"Bearer {self._token}", "Accept": accept}
        if self._last and accept == "text/event-stream":
            headers["Last-Event-ID"] = self._last
        with closing(kind(where.netloc, timeout=60)) as connection:
            connection.request("GET", path, headers=headers)
            self._socket = connection.sock
            with connection.getresponse() as response:
                if response.status != 200:
                    raise http.client.HTTPException(str(response.status))
                yield response

    def _take(self, event: dict[str, str]) -> None:
        self._last = event.get("id", self._last)
        if event["event"] == "change":
            self._change(json.loads(event["data"]))
        elif event["event"] == "reset":
            self.resets += 1
        if event["event"] in ("hello", "change", "reset"):
            self.ready.set()

    def _change(self, data: dict[str, Any]) -> None:
        self.told += 1
        self.seen.add((data["type"], data["id"], int(data["version"])))
        self._tell(data)

    def wait_for(self, wanted: set[Name], seconds: float) -> set[Name]:
        """What of this is still missing after so long at most."""
        deadline = time.monotonic() + seconds
        while not wanted <= self.seen and time.monotonic() < deadline:
            time.sleep(0.1)
        return wanted - self.seen


def events(stream: IO[bytes]) -> Iterator[dict[str, str]]:
    """The events of a stream: `event`, `data`, and `id` once there was one."""
    fields: dict[str, str] = {}
    last: dict[str, str] = {}
    for line in stream:
        text = line.decode().rstrip("\r\n")
        if not text:
            if "data" in fields:
                yield {"event": "message", **last, **fields}
            fields = {}
            continue
        name, _, value = text.partition(":")
        value = value.removeprefix(" ")
        if name == "id":
            last = {"id": value}
        elif name == "data" and "data" in fields:
            fields["data"] += "\n" + value
        elif name in ("event", "data"):
            fields[name] = value
