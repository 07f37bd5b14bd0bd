"""500 open streams on one hub: how long from the answer of a write until the event is with everybody whom it concerns.

Run with `-m slow -s` to see the figures. Clients, web server, hub and database share the machine.
"""

import asyncio
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.bench.processes import cpu
from tests.client import Client
from tests.conftest import TestTenant
from tests.events.hubs import Hub, hub_apart

STREAMS, PER_TOKEN = 500, 10
PROMISED_MS = 300
# Of the processor for one write. What is told takes the hub a fifth of what is promised, so a machine of which it gets
# that much keeps the promise; whether this one does is measured where nothing else runs (SALAM_STORMS).
WORK_MS = PROMISED_MS / 5


@dataclass(slots=True)
class Crowd:
    """What many streams hear: by (type, id, version), when each of them heard it."""

    heard: dict[tuple[str, str, int], list[float]] = field(default_factory=dict)
    hellos: int = 0

    def take(self, text: bytes, at: float) -> None:
        """One event."""
        if text.startswith(b"event: hello"):
            self.hellos += 1
        elif text.startswith(b"event: change"):
            data = json.loads(text.partition(b"data: ")[2])
            self.heard.setdefault((data["type"], data["id"], data["version"]), []).append(at)


async def _follow(crowd: Crowd, port: int, slug: str, topic: str, token: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    request = f"GET /t/{slug}/events?topic={topic} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n"
    writer.write(request.encode())
    await reader.readuntil(b"\r\n\r\n")
    rest = b""
    try:
        while data := await reader.read(65536):
            at = time.perf_counter()
            # Frames of the chunked body stand between events; what follows the last blank line waits.
            *texts, rest = (rest + data).split(b"\n\n")
            for text in texts:
                begin = text.find(b"event:")
                if begin >= 0:
                    crowd.take(text[begin:], at)
    finally:
        writer.transport.abort()


async def _write(port: int, slug: str, token: str, patient: str) -> tuple[tuple[str, str, int], float]:
    """Create an Observation of a patient; its version, and when the answer was here."""
    body = json.dumps({
        "resourceType": "Observation", "status": "final", "code": {"text": "pulse"},
        "subject": {"reference": f"Patient/{patient}"},
    })  # fmt: skip
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST /t/{slug}/fhir/Observation HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    head += f"Content-Type: application/fhir+json\r\nAuthorization: Bearer {token}\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write((head + body).encode())
    answer = await reader.read()
    at = time.perf_counter()
    writer.close()
    await writer.wait_closed()
    made = json.loads(answer.partition(b"\r\n\r\n")[2])
    return ("Observation", made["id"], 1), at


async def _until(done: Callable[[], bool], seconds: float = 180) -> None:
    deadline = time.perf_counter() + seconds
    while not done() and time.perf_counter() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(0.05)


async def _measured(
    hub: Hub, web: int, tenant: TestTenant, patients: list[str], topics: list[str], rate: float, count: int
) -> tuple[float, float, str]:
    """Open the streams, write at a rate, and say how long the events took: 95 of 100 in milliseconds, the milliseconds of
    the processor for one write, and all of it in words. Raises when one is missing."""
    crowd, tokens = Crowd(), [tenant.token("system/*.rs") for _ in range(STREAMS // PER_TOKEN)]
    writer = tenant.token()
    tasks = [
        asyncio.create_task(_follow(crowd, hub.port, tenant.slug, topics[n % len(topics)], tokens[n // PER_TOKEN]))
        for n in range(STREAMS)
    ]
    await _until(lambda: crowd.hellos == STREAMS)
    assert hub.process is not None
    await asyncio.sleep(1)
    before, began = cpu([hub.process.pid]).total(), time.perf_counter()
    answered = {}
    for number in range(count):
        what, at = await _write(web, tenant.slug, writer, patients[number % len(patients)])
        answered[what] = at
        await asyncio.sleep(max(0.0, began + (number + 1) / rate - time.perf_counter()))
    concerned = STREAMS * len(patients) // len(set(topics)) // len(patients)
    await _until(lambda: all(len(crowd.heard.get(what, ())) == concerned for what in answered))
    used = (cpu([hub.process.pid]).total() - before) / 1e6
    assert {what: len(crowd.heard.get(what, ())) for what in answered} == dict.fromkeys(answered, concerned)
    last = sorted((max(crowd.heard[what]) - at) * 1000 for what, at in answered.items())
    every = sorted((at - answered[what]) * 1000 for what in answered for at in crowd.heard[what])
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.sleep(0.1)
    p95 = every[int(len(every) * 0.95)]
    return p95, used / count, (
        f"{count} writes at {count / (max(answered.values()) - began):.0f}/s, {concerned} of {STREAMS} streams each:"
        f" p50 {every[len(every) // 2]:.0f} ms, p95 {p95:.0f} ms, max {every[-1]:.0f} ms;"
        f" until the last stream has it: p95 {last[int(len(last) * 0.95)]:.0f} ms;"
        f" hub CPU {used / count:.1f} ms a write, {used / (time.perf_counter() - began) / 10:.0f} % of a core"
    )


@pytest.mark.slow
@pytest.mark.parametrize(("rate", "count", "everybody"), [(5, 60, True), (20, 200, False), (1000, 200, False)])
def test_500_streams(
    tenant: TestTenant, client: Client, live_server: str, rate: float, count: int, everybody: bool
) -> None:
    patients = [client.create({"resourceType": "Patient"})["id"] for _ in range(1 if everybody else 25)]
    topics = ["type:Observation"] if everybody else [f"patient:{each}" for each in patients]
    web = int(live_server.rpartition(":")[2])
    with hub_apart() as hub:
        p95, work, told = asyncio.run(_measured(hub, web, tenant, patients, topics, rate, count))
    print(f"\n{told}", flush=True)
    assert work <= WORK_MS
    assert p95 <= PROMISED_MS or "SALAM_STORMS" not in os.environ
    report = os.environ.get("SALAM_BENCH_REPORT")
    if report:
        with Path(report).open("a") as file:
            file.write(told + "\n")
