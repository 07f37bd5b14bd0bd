"""What the reception's pages cost with many patients and appointments: the day, the search as one types, the actions.

As many patients as the size says, up to 100,000, and as many appointments, spread over the year up to today: about 280
and 150 today. Requests go one after another, as those of one desk do, with a browser's cookie. Latencies are
what counts here: 150 ms for an action, 80 ms for a search.
"""

import gzip
import json
import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import quantiles
from time import monotonic
from typing import Any
from urllib.parse import urlencode

import msgspec

from fhir_server.demo.people import COUNTRIES
from tests.bench import processes
from tests.bench.data import Site
from tests.bench.exchange import HEAD_END, Connection, Reply, Target
from tests.bench.generator import ROOT
from tests.bench.measure import Cell, Machine
from tests.bench.server import TENANT, Server

NAME = "desk"
ACTION_MS, SEARCH_MS = 150.0, 80.0
MOST, DAYS, DOCTORS = 100_000, 360, 20
_BATCH, _LOADERS, _REQUESTS, _WAITING = 100, 4, 150, 20
_EMAIL, _PASSWORD = "desk@bench.example", "reception-bench-2026"
_QUEUE = "desk-queue"
_CSRF = re.compile(r'name="csrf" (?:content|value)="([^"]+)"')


class Desk:
    """A browser at the reception, on one connection."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.connection = Connection(target.address)
        self.cookie, self.csrf = "", ""

    def ask(self, method: str, path: str, form: dict[str, str] | None = None) -> Reply:
        """A page, or a form. Raises RuntimeError for an answer of 400 or more."""
        host, port = self.target.address
        body = urlencode(form).encode() if form is not None else b""
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host}:{port}", "Accept-Encoding: gzip", "HX-Request: true"]
        if self.cookie:
            lines.append(f"Cookie: {self.cookie}")
        if form is not None:
            lines += [f"X-CSRF: {self.csrf}", f"Content-Length: {len(body)}"]
            lines.append("Content-Type: application/x-www-form-urlencoded")
        reply = self.connection.exchange("\r\n".join(lines).encode() + HEAD_END + body)
        # What was refused is told in a message, with status 200.
        if reply.status >= 400 or b'"danger"' in reply.head:
            raise RuntimeError(f"{method} {path}: {reply.status} {reply.body[:300]!r}")
        for line in reply.head.decode().splitlines():
            if line.lower().startswith("set-cookie: salam-"):
                self.cookie = line.partition(": ")[2].partition(";")[0]
        return reply

    def sign_in(self) -> None:
        """Sign in with the password."""
        login = f"/t/{TENANT}/oauth/login"
        self.csrf = _token(self.ask("GET", login))
        form = {"csrf": self.csrf, "username": _EMAIL, "password": _PASSWORD}
        self.ask("POST", login, form)
        self.csrf = _token(self.ask("GET", f"/t/{TENANT}/ui/desk/"))


def _token(reply: Reply) -> str:
    packed = b"content-encoding: gzip" in reply.head.lower()
    found = _CSRF.search((gzip.decompress(reply.body) if packed else reply.body).decode())
    if found is None:
        raise RuntimeError("a page without the token of its forms")
    return found[1]


def cells(machine: Machine, site: Site, serving: Server) -> Iterator[Cell]:
    """Store the clinic, sign a receptionist in, and measure what is done all day."""
    if serving.data is None:
        return
    count = min(MOST, site.resources)
    _load(machine.target, count)
    _account(serving.data)
    desk = Desk(machine.target)
    desk.sign_in()
    base, rng = f"/t/{TENANT}/ui/desk", random.Random("salam desk")
    words = [_words(rng, number) for number in range(_REQUESTS)]
    size = f"{count // 1000}k"
    yield _cell(machine, "desk-day", f"desk: today, {size} appointments", ACTION_MS,
                lambda number: desk.ask("GET", f"{base}/day"))  # fmt: skip
    yield _cell(machine, "desk-search", f"desk: search as one types, {size} patients", SEARCH_MS,
                lambda number: desk.ask("POST", f"{base}/search", {"q": words[number]}))  # fmt: skip
    yield _cell(machine, "desk-card", "desk: a patient's card", ACTION_MS,
                lambda number: desk.ask("GET", f"{base}/patients/desk-{number}"))  # fmt: skip
    yield _cell(machine, "desk-check-in", "desk: check in, with the day anew", ACTION_MS,
                lambda number: desk.ask("POST", f"{base}/visits/desk-now-{number}/check-in", {"queue": _QUEUE}),
                lambda number: _serve(machine.target, call=number >= _WAITING))  # fmt: skip
    yield _cell(machine, "desk-call", "desk: call next, with the day anew", ACTION_MS,
                lambda number: desk.ask("POST", f"{base}/queues/{_QUEUE}/call-next", {}),
                lambda number: _serve(machine.target, take=True))  # fmt: skip
    desk.connection.close()


def _serve(target: Target, *, call: bool = False, take: bool = False) -> None:
    """What others do meanwhile, so that about as many wait as before: who is called is served; `call`: the next one is
    called first; `take`: somebody new comes."""
    connection = Connection(target.address)

    def ask(method: str, path: str) -> dict[str, Any]:
        made: dict[str, Any] = json.loads(connection.exchange(target.request(method, path)).body)
        return made

    if take:
        ask("POST", f"HealthcareService/{_QUEUE}/$take-ticket")
    if call:
        ask("POST", f"HealthcareService/{_QUEUE}/$call-next")
    for entry in ask("GET", f"Task?queue=HealthcareService/{_QUEUE}&status=ready&_count=5").get("entry", ()):
        for action in ("start", "finish"):
            ask("POST", f"Task/{entry['resource']['id']}/${action}")
    connection.close()


def _cell(
    machine: Machine,
    name: str,
    title: str,
    target: float,
    ask: Callable[[int], Reply],
    then: Callable[[int], None] | None = None,
) -> Cell:
    """One request after another. `target` is of the 95th percentile, in ms, and told when it is missed; `then` is done
    after each of them and not measured, and its CPU cannot be told apart."""
    before, took, size = processes.settle(machine.roots), [], 0
    started = monotonic()
    for number in range(_REQUESTS):
        began = monotonic()
        size += ask(number).size
        took.append((monotonic() - began) * 1000)
        if then is not None:
            then(number)
    rate = _REQUESTS / (monotonic() - started)
    after, marks = processes.settle(machine.roots), quantiles(took, n=100)
    made = Cell(name, title, 1, rate, marks[49], marks[94], marks[98])
    made.cpu = {} if then else {group: (after[group] - before[group]) / 1e6 / _REQUESTS for group in after}
    made.size, made.entries = size / _REQUESTS, 1
    if made.p95 > target:
        made.title += f" (p95 over {target:.0f} ms)"
    return made


def _account(data: Path) -> None:
    command = [sys.executable, "-m", "fhir_server.cli", "user", "create", "--tenant", TENANT, "--email", _EMAIL,
               "--password", "-", "--role", "receptionist", "--resource", "Practitioner/desk-0", "--data", str(data)]  # fmt: skip
    subprocess.run(command, input=_PASSWORD, check=True, stdout=subprocess.DEVNULL, cwd=ROOT, text=True)


# -- the clinic --------------------------------------------------------------------------------------------------------


def _words(rng: random.Random, number: int) -> str:
    """What somebody types: the beginning of a name, two beginnings, a number's first or last digits."""
    who = _patient(rng.randrange(MOST // 2))
    name, phone = who["name"][0], who["telecom"][0]["value"]
    given, family = name["given"][0].lower(), name["family"].lower()
    return (given[:3], family[:4], f"{given[:3]} {family[:3]}", f"0{phone[4:9]}", phone[-4:], f"{family} {who['birthDate'][:4]}",
            family.split()[-1][:5], who["identifier"][0]["value"].lower())[number % 8]  # fmt: skip


def _load(target: Target, count: int) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    entries = [_put("Practitioner", f"desk-{n}", active=True, name=[{"family": f"Desk{n}"}]) for n in range(DOCTORS)]
    parts = [{"url": "prefix", "valueString": "A"}, {"url": "earlyTolerance", "valueUnsignedInt": 1440}]
    state = [{"url": "state", "valueCode": "open"}]
    extension = [{"url": f"urn:salam:StructureDefinition:{name}", "extension": value}
                 for name, value in (("queue-configuration", parts), ("queue-state", state))]  # fmt: skip
    entries.append(_put("HealthcareService", _QUEUE, active=True, name="Desk", extension=extension))
    _send(target, entries)

    def batch(first: int) -> None:
        numbers = range(first, min(first + _BATCH, count))
        _send(target, [_put("Patient", f"desk-{n}", **_patient(n)) for n in numbers])

    def agenda(first: int) -> None:
        made = []
        for n in range(first, min(first + _BATCH, count)):
            day = n * DAYS // count - DAYS + 1
            start = now.replace(hour=7, minute=0, second=0) + timedelta(days=day, minutes=5 * (n % 120))
            made.append(_visit(f"desk-{n}", n, start, "fulfilled" if day < 0 else "booked"))
        _send(target, made)

    with ThreadPoolExecutor(_LOADERS) as pool:
        for work in (batch, agenda):
            list(pool.map(work, range(0, count, _BATCH)))
    _send(
        target,
        [_visit(f"desk-now-{n}", n + _REQUESTS, now - timedelta(seconds=60 + n), "booked") for n in range(_REQUESTS)],
    )


def _send(target: Target, entries: list[dict[str, Any]]) -> None:
    connection = Connection(target.address)
    try:
        body = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        reply = connection.exchange(target.request("POST", "", msgspec.json.encode(body)))
        if reply.status != 200:
            raise RuntimeError(f"loading the clinic: {reply.status} {json.loads(reply.body)}"[:500])
    finally:
        connection.close()


def _patient(number: int) -> dict[str, Any]:
    rng = random.Random(f"desk {number}")
    country = rng.choice(COUNTRIES)
    prefix, digits = country.phone
    name = {"family": rng.choice(country.families), "given": [rng.choice((*country.women, *country.men))]}
    born = datetime(1940, 1, 1, tzinfo=UTC) + timedelta(days=rng.randrange(30_000))
    return {
        "active": True, "name": [name], "birthDate": f"{born:%Y-%m-%d}", "gender": rng.choice(("female", "male")),
        "telecom": [{"system": "phone", "value": f"{prefix}{rng.randrange(10**digits):0{digits}d}"}],
        "identifier": [{"system": "urn:bench:cin", "value": f"BK{number:07d}"}],
    }  # fmt: skip


def _visit(own: str, number: int, start: datetime, status: str) -> dict[str, Any]:
    actors = (f"Patient/desk-{number}", f"Practitioner/desk-{number % DOCTORS}", f"HealthcareService/{_QUEUE}")
    return _put(
        "Appointment", own, status=status, start=start.isoformat(), end=(start + timedelta(minutes=15)).isoformat(),
        participant=[{"actor": {"reference": actor}, "status": "accepted"} for actor in actors],
    )  # fmt: skip


def _put(kind: str, own: str, **content: Any) -> dict[str, Any]:
    resource = {"resourceType": kind, "id": own, **content}
    return {"fullUrl": f"urn:salam:{kind}:{own}", "resource": resource,
            "request": {"method": "PUT", "url": f"{kind}/{own}"}}  # fmt: skip
