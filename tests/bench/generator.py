"""The load generator: a process apart that plays a plan of requests over some connections for some seconds.

wrk does it where it is installed (it takes 5 µs of CPU per request), else `python -m tests.bench.generator`, which
plays the same plan with asyncio (about 60 µs).
"""

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.bench.exchange import HEAD_END, Target, read_head

HERE = Path(__file__).parent
ROOT = HERE.parent.parent


@dataclass(frozen=True, slots=True)
class Planned:
    """A request of a plan. `version`: the If-Match version to begin with where the request has placeholders, else 0."""

    request: bytes
    version: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the generator saw. Latencies in ms; `refused`: replies of status 400 and more; `cpu`: its own, in s."""

    requests: int
    seconds: float
    bytes: int
    refused: int
    broken: int
    p50: float
    p95: float
    p99: float
    cpu: float

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds if self.seconds else 0.0


def play(target: Target, plan: Sequence[Planned], connections: int, seconds: int, *, own: bool = False) -> Outcome:
    """Run the generator and wait for it. `own`: our client even where wrk is installed."""
    host, port = target.address
    with tempfile.TemporaryDirectory(prefix="salam-bench-") as folder:
        path = Path(folder) / "plan"
        with open(path, "wb") as file:
            for item in plan:
                file.write(b"%d %d\n" % (len(item.request), item.version) + item.request + b"\n")
        wrk = None if own else shutil.which("wrk")
        if wrk:
            command = [wrk, "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "20s"]
            command += ["-s", str(HERE / "replay.lua"), f"http://{host}:{port}", "--", str(path)]
        else:
            command = [sys.executable, "-m", "tests.bench.generator"]
            command += [host, str(port), str(connections), str(seconds), str(path)]
        before = os.times()
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=seconds + 60, check=False)
        after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    line = next((line for line in done.stdout.splitlines() if line.startswith("RESULT ")), None)
    if done.returncode or line is None:
        raise RuntimeError(f"The load generator failed: {done.stderr or done.stdout}")
    requests, micros, size, refused, broken, *latencies = (int(word) for word in line.split()[1:])
    p50, p95, p99 = (value / 1000 for value in latencies)
    return Outcome(requests, micros / 1e6, size, refused, broken, p50, p95, p99, cpu)


class _Run:
    """The plan and the counts of our own client."""

    def __init__(self, plan: list[Planned], until: float) -> None:
        self.plan = plan
        self.versions = [item.version for item in plan]
        self.until = until
        self.index = -1
        self.latencies: list[float] = []
        self.size = self.refused = self.broken = 0

    def next(self) -> bytes:
        """The next request."""
        self.index = (self.index + 1) % len(self.plan)
        request, version = self.plan[self.index].request, self.versions[self.index]
        if version:
            self.versions[self.index] = version + 1
            request = request.replace(b"@VERSION@", b"%d" % version).replace(b"#VERSION", b"%08d" % version)
        return request


class _Player(asyncio.Protocol):
    """One connection: sends the next request when the reply is whole."""

    def __init__(self, run: _Run, ended: asyncio.Future[None]) -> None:
        self.run, self.ended = run, ended
        self.data = bytearray()
        self.sent = 0.0
        self.wanted = 0
        self.status = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._send()

    def _send(self) -> None:
        self.sent = time.perf_counter()
        if self.sent >= self.run.until:
            self.transport.close()
            return
        self.transport.write(self.run.next())

    def data_received(self, data: bytes) -> None:
        self.data += data
        if not self.wanted:
            end = self.data.find(HEAD_END)
            if end < 0:
                return
            self.status, length = read_head(bytes(self.data[: end + 4]))
            self.wanted = end + 4 + length
        if len(self.data) >= self.wanted:
            self.run.latencies.append(time.perf_counter() - self.sent)
            self.run.size += self.wanted
            self.run.refused += self.status >= 400
            self.data.clear()
            self.wanted = 0
            self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        self.run.broken += time.perf_counter() < self.run.until
        self.ended.set_result(None)


def _read(path: str) -> list[Planned]:
    plan = []
    with open(path, "rb") as file:
        while head := file.readline():
            size, version = head.split()
            plan.append(Planned(file.read(int(size)), int(version)))
            file.readline()
    return plan


async def _main(host: str, port: int, connections: int, seconds: int, path: str) -> str:
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    run = _Run(_read(path), started + seconds)
    ended = [loop.create_future() for _ in range(connections)]
    for future in ended:
        await loop.create_connection(partial(_Player, run, future), host, port)
    await asyncio.wait(ended, timeout=seconds + 30)
    micros = int((time.perf_counter() - started) * 1e6)
    ordered = sorted(run.latencies) or [0.0]
    marks = [int(ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1e6) for share in (0.5, 0.95, 0.99)]
    return " ".join(map(str, ["RESULT", len(run.latencies), micros, run.size, run.refused, run.broken, *marks]))


if __name__ == "__main__":
    _host, _port, _connections, _seconds, _path = sys.argv[1:]
    print(asyncio.run(_main(_host, int(_port), int(_connections), int(_seconds), _path)))
