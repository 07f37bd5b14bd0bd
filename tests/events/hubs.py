"""A hub as its own process, and clients that read its streams."""

import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from fhir_server.settings import ROOT, settings
from fhir_server.supervisor import programs
from fhir_server.supervisor.process import die_with_parent
from tests.conftest import free_port
from tests.events.feeding import eventually


class Hub:
    """The hub's process on a port that stays the same when it is started again."""

    def __init__(self) -> None:
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.log = Path(settings.data_dir) / "logs" / f"hub-{os.getpid()}-{self.port}.log"

    def start(self, **environment: str) -> None:
        """Start it and wait until it answers."""
        before, settings.hub_port = settings.hub_port, self.port
        command = programs.hub_command()
        settings.hub_port = before
        variables = {**os.environ, **settings.environment(), "PYTHONPATH": str(ROOT), **environment}
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, env=variables, start_new_session=True,
                preexec_fn=die_with_parent(signal.SIGTERM),
            )  # fmt: skip
        deadline = time.monotonic() + 180
        while self._streams() is None:
            assert self.process.poll() is None and time.monotonic() < deadline, self.log.read_text()[-3000:]
            time.sleep(0.05)

    def stop(self, *, kill: bool = False) -> float:
        """Stop it, politely or not; how many seconds that took."""
        assert self.process is not None
        started = time.monotonic()
        if kill:
            os.killpg(self.process.pid, signal.SIGKILL)
        else:
            self.process.terminate()
        self.process.wait(60)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        return time.monotonic() - started

    def streams(self) -> int:
        """How many streams are open."""
        return self._streams() or 0

    def _streams(self) -> int | None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 5) as connection:
            connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            data = b""
            while part := connection.recv(4096):
                data += part
            found: int = json.loads(data.partition(b"\r\n\r\n")[2])["streams"]
            return found
        return None


@contextmanager
def hub_apart(**environment: str) -> Iterator[Hub]:
    """A running hub."""
    hub = Hub()
    try:
        hub.start(**environment)
        yield hub
    finally:
        hub.stop()


@dataclass(frozen=True, slots=True)
class Heard:
    """An event as a client sees it. `at`: time.perf_counter()."""

    name: str
    id: str
    data: Any
    at: float


class Listener:
    """A client of an event stream, in a thread of its own, on a bare socket."""

    def __init__(
        self, port: int, slug: str, topics: list[str], token: str | None, *, headers: dict[str, str] | None = None,
        buffer: int | None = None, **parameters: str,
    ) -> None:  # fmt: skip
        query = urlencode([*(("topic", topic) for topic in topics), *parameters.items()])
        self.events: list[Heard] = []
        self.last_id = ""
        self.ended = False
        self.outcome: Any = None
        self._socket = socket.socket()
        if buffer is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self._socket.connect(("127.0.0.1", port))
        lines = [f"GET /t/{slug}/events?{query} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Accept: text/event-stream"]
        lines += [f"Authorization: Bearer {token}"] if token else []
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        self._socket.sendall("\r\n".join([*lines, "", ""]).encode())
        self._file = self._socket.makefile("rb")
        self.status = int(self._file.readline().split()[1])
        self.headers: dict[str, str] = {}
        while line := self._file.readline().decode("latin-1").strip():
            name, _, value = line.partition(":")
            self.headers[name.lower()] = value.strip()
        if self.status != 200:
            length = int(self.headers.get("content-length", "0"))
            self.outcome = json.loads(self._file.read(length)) if length else None
            self.close()
            self._file.close()
            return
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def changes(self) -> list[tuple[str, str, int]]:
        """(type, id, version) of the changes heard so far."""
        return [(e.data["type"], e.data["id"], e.data["version"]) for e in self.events if e.name == "change"]

    def wait(self, count: int = 1, name: str = "change", seconds: float = 90) -> list[Heard]:
        """The events of a name, as soon as there are so many."""
        assert eventually(lambda: len([e for e in self.events if e.name == name]) >= count, seconds), self.events
        return [e for e in self.events if e.name == name]

    def wait_end(self, seconds: float = 90) -> None:
        """Until the connection has ended."""
        assert eventually(lambda: self.ended, seconds)

    def close(self) -> None:
        """Go away."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _read(self) -> None:
        with suppress(OSError, ValueError):
            name, data = "message", ""
            for line in self._lines():
                if line.startswith("event: "):
                    name = line[7:]
                elif line.startswith("id: "):
                    self.last_id = line[4:]
                elif line.startswith("data: "):
                    data = line[6:]
                elif line == "":
                    if data:
                        self.events.append(Heard(name, self.last_id, json.loads(data), time.perf_counter()))
                    name, data = "message", ""
        with suppress(OSError, ValueError):
            self._file.close()
        self.close()
        self.ended = True

    def _lines(self) -> Iterator[str]:
        """The lines of a chunked body."""
        rest = b""
        while size := int(self._file.readline().strip() or b"0", 16):
            rest += self._file.read(size)
            self._file.readline()
            *lines, rest = rest.split(b"\n")
            yield from (line.decode() for line in lines)
