"""Start everything, keep it running, stop it in order: web first, so that what was accepted is finished."""

import os
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import IO

from fhir_server.settings import settings
from fhir_server.storage import schema
from fhir_server.supervisor import instance, postgres, programs, valkey
from fhir_server.supervisor.layout import CannotStart, Layout, prepare
from fhir_server.supervisor.process import Child

_READY_SECONDS = 90.0
_LOUD = ('"level":"error"', '"level":"critical"', "panic:", "traceback (most recent call last)")


class Supervisor:
    """The instance of one data folder."""

    def __init__(self, announce: Callable[[], None]) -> None:
        self.announce = announce
        self.children: list[Child] = []
        self.stopping = False
        self._read: dict[Path, int] = {}
        self._next_look = 0.0

    def run(self, first_start: Callable[[], None]) -> int:
        """Until a signal comes. `first_start` is called when the database is ready, before the web server starts."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._asked_to_stop)
        data = Path(os.path.abspath(settings.data_dir))
        held = _own(data)
        try:
            with held:
                layout = prepare(data)
                _choose_ports()
                instance.tell_address(held, settings.host, settings.port)
                self._start(layout, first_start)
                while not self.stopping:
                    self._look()
                    time.sleep(0.1)
        except _Stop:
            pass
        finally:
            self._stop()
        return 0

    def _start(self, layout: Layout, first_start: Callable[[], None]) -> None:
        if settings.database_url:
            schema.migrate(settings.owner_conninfo(), "fhir_app", settings.app_user())
            schema.check(settings.app_conninfo())
        else:
            self._add(programs.postgres_server(layout))
            postgres.wait_ready(layout)
            instance.ready_database(layout)
        if not settings.redis_url:
            self._add(programs.valkey_server(layout))
            valkey.wait_ready(layout)
        settings.secret_key()
        first_start()
        for child in programs.own(layout):
            self._add(child)
        self._wait_ready()
        self.announce()

    def _add(self, child: Child) -> None:
        self._read[child.log] = child.log.stat().st_size if child.log.exists() else 0
        child.start()
        self.children.append(child)

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        while not ready():
            self._look()
            web = next(child for child in self.children if child.name == "web")
            if web.restarts > 3 or time.monotonic() > deadline:
                raise CannotStart(f"The web server does not become ready. The end of {web.log}:\n{_tail(web.log)}")
            time.sleep(0.05)

    def _look(self) -> None:
        """Restart what died and show what matters of the logs."""
        for child in self.children:
            told = child.watch()
            if told and not self.stopping:
                print(f"salam: {told}", file=sys.stderr, flush=True)
        if time.monotonic() > self._next_look:
            self._next_look = time.monotonic() + 1.0
            for child in self.children:
                self._show(child)
                child.trim_log()

    def _show(self, child: Child) -> None:
        if not child.log.exists():
            return
        size, position = child.log.stat().st_size, self._read.get(child.log, 0)
        if size <= position:
            self._read[child.log] = size
            return
        with open(child.log, "rb") as file:
            file.seek(max(position, size - 65_536))
            text = file.read(size - file.tell()).decode(errors="replace")
        self._read[child.log] = size
        for line in text.splitlines():
            if any(mark in line.lower() for mark in _LOUD):
                print(f"{child.name}: {line}", file=sys.stderr, flush=True)

    def _asked_to_stop(self, number: int, frame: FrameType | None) -> None:
        if not self.stopping:
            self.stopping = True
            raise _Stop

    def _stop(self) -> None:
        if not self.children:
            return
        print("Stopping ...", flush=True)
        for child in reversed(self.children):
            child.stop()
        print("Stopped.", flush=True)


class _Stop(BaseException):
    """Raised by the signal handler, so that a start that is under way ends at once."""


def ready() -> bool:
    """Whether the web server answers that it can serve."""
    try:
        with urllib.request.urlopen(f"{local_url()}/health/ready", timeout=5) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.HTTPError):
        return False


def local_url() -> str:
    """Scheme, host and port at which this machine reaches the web server."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.host, settings.host)
    return f"http://{host}:{settings.port}"


def _own(data: Path) -> IO[str]:
    deadline = time.monotonic() + 60
    told = False
    while True:
        held = instance.take(data, "run")
        if held is not None:
            return held
        who = instance.owner(data)
        if who.startswith("run ") or time.monotonic() > deadline:
            raise CannotStart(f"{data} is already in use ({who}). Stop that one, or choose another folder with --data.")
        if not told:
            print(f"Waiting for a command that uses {data} to finish ({who}) ...", flush=True)
            told = True
        time.sleep(0.1)


def _choose_ports() -> None:
    # A server that was killed may take a moment to let go of its port.
    deadline = time.monotonic() + 5
    while not _free(settings.host, settings.port):
        if time.monotonic() > deadline:
            raise CannotStart(f"Port {settings.port} on {settings.host} is in use. Choose another with --port.")
        time.sleep(0.1)
    if settings.port == 0:
        settings.port = _any_port(settings.host)
    if settings.hub_port == 0:
        wanted = settings.port + 1
        settings.hub_port = wanted if wanted < 65_536 and _free(settings.host, wanted) else _any_port(settings.host)


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _free(host: str, port: int) -> bool:
    with socket.socket(_family(host)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _any_port(host: str) -> int:
    with socket.socket(_family(host)) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def _tail(log: Path, lines: int = 20) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else ""
