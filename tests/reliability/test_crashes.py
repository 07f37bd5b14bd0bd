"""kill -9 in the middle of a write storm loses no acknowledged write.

The server is one of its own, started as an operator starts it, with the durability that an operator gets.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from fhir_server.settings import ROOT
from tests.conftest import free_port
from tests.reliability.storm import Storm, check
from tests.reliability.wire import LOST, Http

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes are found in /proc"),
]
BEFORE, AFTER, SECONDS = 150, 60, 300.0


class Server:
    """`fhir-server run` in a data folder of its own."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.killed: list[int] = []

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}/t/storm/fhir"

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "fhir_server.cli", *arguments, "--data", str(self.data)]

    def environment(self) -> dict[str, str]:
        kept = {n: v for n, v in os.environ.items() if not n.startswith(("SALAM_", "DATABASE_", "REDIS_", "PORT"))}
        return {**kept, "PYTHONPATH": str(ROOT)}

    def start(self) -> None:
        with open(self.data / "out.txt", "ab") as out:
            self.process = subprocess.Popen(
                self.command("run", "--port", str(self.port), "--no-demo"),
                stdout=out,
                stderr=out,
                stdin=subprocess.DEVNULL,
                env=self.environment(),
                start_new_session=True,
            )
        self.wait_ready(SECONDS)

    def wait_ready(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not self._ready():
            gone = self.process is None or self.process.poll() is not None
            if gone or time.monotonic() > deadline:
                pytest.fail(f"the server is not ready:\n{(self.data / 'out.txt').read_text()[-3000:]}")
            time.sleep(0.05)

    def _ready(self) -> bool:
        http = Http(f"http://127.0.0.1:{self.port}", "")
        try:
            return http.request("GET", "health/ready").status == 200
        except LOST:
            return False
        finally:
            http.close()

    def run(self, *arguments: str) -> str:
        done = subprocess.run(self.command(*arguments), capture_output=True, text=True, env=self.environment(), timeout=180)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(180)

    def pids(self, word: str) -> list[int]:
        """Process ids below this server whose command line has the word, parents first."""
        assert self.process is not None
        return [pid for pid in _descendants(self.process.pid) if word in _command(pid)]

    def kill(self, pids: list[int]) -> None:
        assert pids
        for pid in pids:
            # One may be gone already: the backends of a killed postmaster end by themselves.
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.killed = pids


def _descendants(root: int) -> list[int]:
    parents: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            parents.setdefault(parent, []).append(int(folder.name))
    found = [root]
    for pid in found:
        found += sorted(parents.get(pid, []))
    return found[1:]


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("crash"))
    try:
        made.start()
        made.run("tenant", "create", "storm")
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def token(server: Server) -> str:
    return server.run("token", "--tenant", "storm", "--scope", "system/*.cruds")


def one_worker(server: Server) -> None:
    parent, *workers = server.pids("fhir_server.app:app")
    server.kill(workers[-1:])
    assert _command(parent), "only the worker is gone"


def whole_web_server(server: Server) -> None:
    pids = server.pids("fhir_server.app:app")
    assert len(pids) > 2, "a parent and its workers"
    server.kill(pids)


def postmaster(server: Server) -> None:
    server.kill([pid for pid in server.pids("postgres") if "-D" in _command(pid)][:1])


def one_backend(server: Server) -> None:
    server.kill([pid for pid in server.pids("postgres") if "fhir_app" in _command(pid)][:1])


def everything(server: Server) -> None:
    assert server.process is not None
    server.kill([server.process.pid, *_descendants(server.process.pid)])
    server.process.wait(60)
    server.start()


@pytest.mark.parametrize("strike", [one_worker, whole_web_server, one_backend, postmaster, everything])
def test_no_acknowledged_write_is_lost(server: Server, token: str, strike: Callable[[Server], None]) -> None:
    storm = Storm(server.base, token)
    storm.start()
    try:
        storm.wait_for(BEFORE, SECONDS)
        strike(server)
        storm.wait_for(AFTER, SECONDS)
    finally:
        storm.stop()
    server.wait_ready(SECONDS)
    assert server.process is not None
    assert not set(server.killed) & {server.process.pid, *_descendants(server.process.pid)}
    check(storm)


def test_a_graceful_stop_finishes_what_it_accepted(server: Server, token: str) -> None:
    storm = Storm(server.base, token)
    storm.start()
    storm.wait_for(BEFORE, SECONDS)
    server.stop()
    storm.stop()
    assert server.process is not None
    assert server.process.returncode == 0
    server.start()
    check(storm)
