"""One cell of the table: replies checked, then warmed up, then measured a few times; the median is what counts."""

import statistics
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from queue import SimpleQueue
from time import monotonic

from tests.bench import processes
from tests.bench.checking import WrongReply, check, planned, sample
from tests.bench.data import BLOCK, PER_TRANSACTION, Site
from tests.bench.exchange import Connection, Target
from tests.bench.generator import Outcome, Planned, play
from tests.bench.workloads import Call, Want, Workload

SAMPLES = 24
LOAD_CONNECTIONS = 4
_SIZE_MAY_DIFFER = 0.25
# Cores that somebody else may use during a run before it is repeated.
_DISTURBED = 0.2
# What the generator saw, CPU by group in ns, cores used elsewhere.
Result = tuple[Outcome, Counter[str], float]


@dataclass(frozen=True, slots=True)
class Machine:
    """How to measure. `roots`: processes whose trees' CPU is counted; without any there are no CPU figures."""

    target: Target
    roots: tuple[int, ...] = ()
    seconds: int = 1
    runs: int = 3
    connections: int = 8
    own_client: bool = False


@dataclass(slots=True)
class Cell:
    """Medians of the runs. `cpu`: ms per request by group; `elsewhere`: cores that others used meanwhile."""

    name: str
    title: str
    connections: int
    rate: float
    p50: float
    p95: float
    p99: float
    cpu: dict[str, float] = field(default_factory=dict)
    entries: float = 0.0
    size: float = 0.0
    spread: float = 0.0
    elsewhere: float = 0.0
    target: float | None = None
    peer: float | None = None
    peer_rate: float | None = None
    wrong: str = ""

    @property
    def cost(self) -> float | None:
        """CPU ms per request of everything that belongs to the server."""
        return sum(self.cpu.values()) if self.cpu else None


def cell(machine: Machine, workload: Workload, site: Site) -> Cell:
    """Measure a workload. A wrong or refused reply is told in `wrong`; the figures then mean nothing."""
    calls = list(workload.calls(site))
    connection = Connection(machine.target.address)
    connections = workload.connections or machine.connections
    made = Cell(workload.name, workload.title, connections, 0, 0, 0, 0)
    made.target, made.peer, made.peer_rate = workload.target, workload.peer, workload.peer_rate
    samples = min(SAMPLES, 4 if workload.longer > 1 else SAMPLES)
    try:
        made.entries, made.size = sample(machine.target, connection, calls, samples)
        _play_some(machine, made, calls, connection, workload)
        sample(machine.target, connection, calls, samples)
    except WrongReply as error:
        made.wrong = str(error)
    finally:
        connection.close()
    return made


def _play_some(machine: Machine, made: Cell, calls: Sequence[Call], connection: Connection, workload: Workload) -> None:
    """The warm-up and the runs. A run that others' work disturbed is repeated, as often as there are runs at most."""
    moving = any(call.updates for call in calls)
    plan: list[Planned] = []
    results: list[Result] = []
    quiet = 0
    for number in range(2 * machine.runs + 1):
        if moving or not plan:
            plan = planned(machine.target, connection, calls)
        result = _once(machine, plan, made.connections, machine.seconds * workload.longer if number else 1)
        _check_run(made, result[0])
        if number:
            results.append(result)
            quiet += result[2] < _DISTURBED
        if quiet >= machine.runs:
            break
    _medians(made, sorted(results, key=lambda result: result[2])[: machine.runs])


def _check_run(made: Cell, outcome: Outcome) -> None:
    if outcome.refused or outcome.broken or not outcome.requests:
        told = f"{outcome.refused} refused, {outcome.broken} broken of {outcome.requests} requests"
        raise WrongReply(f"{made.name}: {told}")
    size = outcome.bytes / outcome.requests
    if abs(size - made.size) > _SIZE_MAY_DIFFER * made.size:
        raise WrongReply(f"{made.name}: replies of {size:.0f} bytes under load, {made.size:.0f} when checked")


def _once(machine: Machine, plan: Sequence[Planned], connections: int, seconds: int) -> Result:
    before = processes.settle(machine.roots)
    busy, started = processes.machine(), monotonic()
    outcome = play(machine.target, plan, connections, seconds, own=machine.own_client)
    took = monotonic() - started
    busy = processes.machine() - busy
    after = processes.cpu(machine.roots)
    elsewhere = (busy - outcome.cpu - (after.total() - before.total()) / 1e9) / took if machine.roots else 0.0
    after = processes.settle(machine.roots)
    used = Counter({group: after[group] - before[group] for group in after})
    return outcome, used, max(0.0, elsewhere)


def _medians(made: Cell, results: Sequence[Result]) -> None:
    median = statistics.median
    rates = [outcome.rate for outcome, _, _ in results]
    made.rate = median(rates)
    made.spread = (max(rates) - min(rates)) / made.rate
    made.p50 = median(outcome.p50 for outcome, _, _ in results)
    made.p95 = median(outcome.p95 for outcome, _, _ in results)
    made.p99 = median(outcome.p99 for outcome, _, _ in results)
    made.elsewhere = median(elsewhere for _, _, elsewhere in results)
    groups = results[0][1]
    made.cpu = {group: median(used[group] / 1e6 / outcome.requests for outcome, used, _ in results) for group in groups}


def load(machine: Machine, site: Site, *, tell: bool = True) -> Cell:
    """Load the data by transactions of 100 over HTTP, 4 at a time; the cell's rate is resources per second."""
    free: SimpleQueue[Connection] = SimpleQueue()
    latencies: list[float] = []
    want = Call("POST", "", Want(made=PER_TRANSACTION))

    def one_block(number: int) -> None:
        connection = free.get()
        try:
            for body in site.transactions(number):
                started = monotonic()
                check(want, connection.exchange(machine.target.request("POST", "", body)))
                latencies.append((monotonic() - started) * 1000)
        finally:
            free.put(connection)

    before = processes.settle(machine.roots)
    started = monotonic()
    with ExitStack() as stack, ThreadPoolExecutor(LOAD_CONNECTIONS) as pool:
        for _ in range(LOAD_CONNECTIONS):
            connection = Connection(machine.target.address)
            stack.callback(connection.close)
            free.put(connection)
        for number, _ in enumerate(pool.map(one_block, range(site.blocks + 1)), 1):
            if tell and number % max(1, site.blocks // 5) == 0:
                rate = number * BLOCK / (monotonic() - started)
                print(f"  loaded {number * BLOCK:,} of {site.resources:,} ({rate:,.0f} resources/s)", flush=True)
    took = monotonic() - started
    after = processes.settle(machine.roots)
    marks = statistics.quantiles(latencies, n=100)
    made = Cell("load", "load, transactions of 100 (resources/s)", LOAD_CONNECTIONS, site.resources / took, *_at(marks))
    made.entries = PER_TRANSACTION
    made.cpu = {group: (after[group] - before[group]) / 1e6 / len(latencies) for group in after}
    return made


def _at(marks: list[float]) -> tuple[float, float, float]:
    return marks[49], marks[94], marks[98]
