"""What terminology costs at the size of SNOMED CT: importing 350,000 concepts, and asking about them.

The system is made up: 15 levels, about 1.5 parents in 19 branches, an English and a French text each. The import is the
operator's command, as the site's own content; the questions go one after another over HTTP. The targets: 20,000 concepts a
second, 5 ms (99 %) for a code, 50 ms for the first page of what somebody types, one letter included.
"""

import json
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from statistics import quantiles
from tempfile import TemporaryDirectory
from time import monotonic
from urllib.parse import quote

from tests.bench import processes, used_codes
from tests.bench.exchange import Connection
from tests.bench.generator import ROOT
from tests.bench.measure import Cell, Machine
from tests.bench.server import Server
from tests.terminology.importers.generated import Generated, generate

NAME = "terminology"
CONCEPTS = 350_000
IMPORT_RATE, CODE_MS, PAGE_MS = 20_000, 5.0, 50.0
URL, EVERY, BELOW = "urn:bench:system", "urn:bench:every", "urn:bench:below"
_REQUESTS, _TABLES = 300, ("concept", "concept_posting")
_LETTERS = "abdefiklmnoprstuv"


def cells(machine: Machine, serving: Server) -> Iterator[Cell]:
    """Import the system, then ask."""
    if serving.data is None:
        return
    made = generate(CONCEPTS)
    yield _import(serving, serving.data, made)
    random = Random(11)
    code = [quote(made.codes[random.randrange(CONCEPTS)]) for _ in range(_REQUESTS)]
    top = made.codes[1]
    _value_sets(machine, top)
    words = [_typed(made, random) for _ in range(_REQUESTS)]
    system = quote(URL)
    asked: list[tuple[str, str, float, Callable[[int], str], int]] = [
        ("find", "a code: $lookup", CODE_MS, lambda n: f"CodeSystem/$lookup?system={system}&code={code[n]}", _REQUESTS),
        ("validate", "a code in a branch: $validate-code", CODE_MS,
         lambda n: f"ValueSet/$validate-code?url={BELOW}&system={system}&code={code[n]}", _REQUESTS),
        ("below", "$subsumes", CODE_MS,
         lambda n: f"CodeSystem/$subsumes?system={system}&codeA={top}&codeB={code[n]}", _REQUESTS),
        ("letter", "what begins with a letter, asked first: $expand", PAGE_MS,
         lambda n: f"ValueSet/$expand?url={EVERY}&filter={_LETTERS[n]}&count=20", len(_LETTERS)),
        ("type", "what somebody types: $expand", PAGE_MS,
         lambda n: f"ValueSet/$expand?url={EVERY}&filter={quote(words[n])}&count=20", _REQUESTS),
        ("type-below", "what somebody types, in a branch: $expand", PAGE_MS,
         lambda n: f"ValueSet/$expand?url={BELOW}&filter={quote(words[n])}&count=20", _REQUESTS),
    ]  # fmt: skip
    for name, title, target, path, count in asked:
        yield _cell(machine, f"terminology-{name}", title, target, path, count)
    yield from used_codes.cells(machine, made, URL, {"every": EVERY, "branch": BELOW}, _cell)


def _typed(made: Generated, random: Random) -> str:
    """The beginnings of one or two words of a text."""
    words = made.texts[random.randrange(CONCEPTS)].lower().replace("(", "").split()
    return " ".join(word[: random.randrange(2, 6)] for word in random.sample(words, k=random.randrange(1, 3)))


def _import(serving: Server, data: Path, made: Generated) -> Cell:
    with TemporaryDirectory(prefix="salam-bench-") as folder:
        file = made.write(Path(folder) / "system.csv")
        command = [sys.executable, "-m", "fhir_server.cli", "terminology", "import", str(file), "--format", "csv",
                   "--system", URL, "--version", "1", "--json", "--data", str(data)]  # fmt: skip
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(command, check=True, capture_output=True, cwd=ROOT, text=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    told = json.loads(done.stdout)
    if told["status"] != "done":
        raise RuntimeError(f"the import: {told['message']}")
    seconds = sum(told["seconds"].values())
    tables = ", ".join(f"pg_total_relation_size('{name}')" for name in _TABLES)
    sizes = serving.sql(f"SELECT {tables}")[0]
    phases = " ".join(f"{phase} {spent:.1f}" for phase, spent in told["seconds"].items())
    disk = " + ".join(f"{size / 2**20:.0f}" for size in sizes)
    title = f"import {CONCEPTS:,} concepts: {phases} s; disk {disk} MB; memory {after.ru_maxrss / 1024:.0f} MB"
    cell = Cell("terminology-import", title, 1, CONCEPTS / seconds, 0, 0, 0)
    cell.cpu = {"import": (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000 / CONCEPTS}
    cell.entries = 1
    if cell.rate < IMPORT_RATE:
        cell.title += f" (below {IMPORT_RATE:,}/s)"
    return cell


def _value_sets(machine: Machine, top: str) -> None:
    connection = Connection(machine.target.address)
    below = {"system": URL, "filter": [{"property": "concept", "op": "is-a", "value": top}]}
    for id_, url, include in (("bench-every", EVERY, {"system": URL}), ("bench-below", BELOW, below)):
        resource_ = {"resourceType": "ValueSet", "id": id_, "url": url, "status": "active",
                     "compose": {"include": [include]}}  # fmt: skip
        body = json.dumps(resource_).encode()
        reply = connection.exchange(machine.target.request("PUT", f"ValueSet/{id_}", body))
        if reply.status not in (200, 201):
            raise RuntimeError(f"storing a value set: {reply.status} {reply.body[:300]!r}")
    connection.close()


def _cell(
    machine: Machine, name: str, title: str, target: float, path: Callable[[int], str], count: int
) -> Cell:  # fmt: skip
    """One request after another; `target` is of the 99th percentile, in ms, and told when it is missed."""
    connection = Connection(machine.target.address)
    before, took, size = processes.settle(machine.roots), [], 0
    started = monotonic()
    wrong = ""
    for number in range(count):
        began = monotonic()
        reply = connection.exchange(machine.target.request("GET", path(number)))
        took.append((monotonic() - began) * 1000)
        size += reply.size
        if reply.status != 200:
            wrong = f"{path(number)}: {reply.status} {reply.body[:200]!r}"
    rate = count / (monotonic() - started)
    after, marks = processes.settle(machine.roots), quantiles(took, n=100)
    connection.close()
    made = Cell(name, title, 1, rate, marks[49], marks[94], marks[98], wrong=wrong)
    made.cpu = {group: (after[group] - before[group]) / 1e6 / count for group in after}
    made.size, made.entries = size / count, 1
    if made.p99 > target:
        made.title += f" (p99 over {target:.0f} ms)"
    return made
