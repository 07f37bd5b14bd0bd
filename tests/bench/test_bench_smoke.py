"""The benchmark's parts on one block of data: right replies pass, wrong ones are found, CPU is counted."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench import checking, generator, paging, processes, report
from tests.bench.checking import WrongReply
from tests.bench.data import BLOCK, Site
from tests.bench.exchange import Connection, Reply, Target
from tests.bench.measure import Machine, cell, load
from tests.bench.workloads import WORKLOADS, Call, Want, Workload
from tests.conftest import TestTenant

SITE = Site(BLOCK)


@pytest.fixture(scope="module")
def target(live_server: str, tenant: TestTenant) -> Target:
    """A server with one block of the benchmark's data."""
    made = Target(f"{live_server}/t/{tenant.slug}/fhir", tenant.token("system/*.cruds"))
    loaded = load(Machine(made), SITE, tell=False)
    assert loaded.rate > 0
    return made


@pytest.fixture
def connection(target: Target) -> Iterator[Connection]:
    """A connection to it."""
    made = Connection(target.address)
    yield made
    made.close()


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.name)
def test_sampled_replies_are_right(workload: Workload, target: Target, connection: Connection) -> None:
    entries, size = checking.sample(target, connection, list(workload.calls(SITE)), 3)
    assert entries > 0
    assert size > 200


@pytest.mark.parametrize("sort", ["date", "-_lastUpdated"])
def test_a_walk_shows_every_resource_once(sort: str, target: Target, connection: Connection) -> None:
    walked = paging.walk(target, connection, sort, 10, pages=12)
    assert walked.pages == 12
    assert walked.last != walked.first


@pytest.mark.parametrize("own", [True, False], ids=["own client", "wrk where installed"])
def test_updates_under_load_never_conflict(own: bool, target: Target) -> None:
    update = next(workload for workload in WORKLOADS if workload.name == "update")
    made = cell(Machine(target, seconds=1, runs=1, connections=4, own_client=own), update, SITE)
    assert made.wrong == ""
    assert made.rate > 0
    assert 0 < made.p50 <= made.p95 <= made.p99
    assert "update" in report.line(made, None)


def test_a_server_that_refuses_is_not_fast(target: Target) -> None:
    made = cell(Machine(Target(target.base, "no-such-token"), runs=1), WORKLOADS[0], SITE)
    assert "401" in made.wrong
    assert report.line(made, None).count("WRONG") == 1


def test_a_load_that_is_refused_ends(target: Target) -> None:
    with pytest.raises(WrongReply, match="401"):
        load(Machine(Target(target.base, "no-such-token")), SITE, tell=False)


def test_refusals_under_load_are_counted(target: Target) -> None:
    plan = [generator.Planned(target.request("GET", "Patient/no-such-patient"))]
    outcome = generator.play(target, plan, 2, 1, own=True)
    assert outcome.refused == outcome.requests > 0


def test_only_this_machine_is_loaded() -> None:
    with pytest.raises(ValueError, match="on this machine only"):
        _ = Target("http://192.0.2.1:8080/t/a/fhir", "x").address


_SLOT = b'{"resource":{"resourceType":"Slot","start":"%s"}}'
_TWO = b'{"entry":[' + _SLOT + b"," + _SLOT + b"]}"
_EARLY, _LATE = b"2027-01-01T08:00:00Z", b"2027-01-01T09:00:00+00:00"
_SLOTS = Want(entries={"Slot": 2}, order="start")
_MADE = b'{"entry":[{"response":{"status":"201 Created"}},{"response":{"status":"%s"}}]}'


@pytest.mark.parametrize(
    ("want", "status", "body", "right"),
    [
        (_SLOTS, 200, _TWO % (_EARLY, _LATE), True),
        (_SLOTS, 200, _TWO % (_LATE, _EARLY), False),
        (_SLOTS, 500, _TWO % (_EARLY, _LATE), False),
        (Want(entries={"Slot": 1}), 200, _TWO % (_EARLY, _LATE), False),
        (Want(entries={"Patient": 2}), 200, _TWO % (_EARLY, _LATE), False),
        (Want(texts=("2027",)), 200, _TWO % (_EARLY, _LATE), True),
        (Want(texts=("2028",)), 200, _TWO % (_EARLY, _LATE), False),
        (Want(made=2), 200, _MADE % b"201 Created", True),
        (Want(made=2), 200, _MADE % b"200 OK", False),
    ],
)
def test_check(want: Want, status: int, body: bytes, right: bool) -> None:
    call, reply = Call("GET", "Slot", want), Reply(status, b"", body)
    if right:
        assert checking.check(call, reply) > 0
    else:
        with pytest.raises(WrongReply):
            checking.check(call, reply)


def test_the_shape_stays_whatever_the_size() -> None:
    small, large = Site(2_000), Site(40_000)
    for site in (small, large):
        families, births = site.families, site.births
        assert 1.7 < families.total() / len(families) < 1.85
        assert 1.4 < births.total() / len(births) < 1.6
        assert not any(one != two and two.startswith(one) for one in list(families)[:50] for two in families)
    assert next(small.transactions(0)) == next(large.transactions(0))


_BURN = "import time\nwhile time.process_time() < 0.3: pass\n"


def test_cpu_of_a_child_counts_while_it_runs_and_after() -> None:
    code = f"import subprocess, sys, time\nsubprocess.run([sys.executable, '-c', {_BURN!r}])\nprint(flush=True)\n"
    code += "time.sleep(30)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        time.sleep(0.2)
        early = processes.cpu([parent.pid]).total()
        parent.stdout.readline()
        late = processes.settle([parent.pid])
        parent.kill()
    assert 0 < early < late.total()
    assert 0.29e9 < late.total() < 2e9
    assert late["other"] == late.total()


def test_pages_are_small_where_there_is_little(target: Target) -> None:
    assert paging.page_size(Site(10_000)) == 6
    assert paging.page_size(Site(300_000)) == 20
    assert Path(generator.HERE / "replay.lua").exists()
