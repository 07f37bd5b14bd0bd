"""Choosing what a search statement begins with.

A condition that surely has few rows drives at once. Otherwise the candidates are counted, up to a limit, in one round
trip, and the smallest drives; when all are dense, the one whose rows lie sparsest in time is walked in the wanted
order and the rest is checked on the row. What was counted is remembered for a while: it only chooses the way, never
the answer.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeGuard

from fhir_server.search.leaves import Keys, Refers
from fhir_server.search.links import Chain
from fhir_server.search.ranges import DateIs, StringIs
from fhir_server.search.tree import PROBE, SCAN, SURE, UNIQUE, Node, Timed
from fhir_server.storage.session import Row, Statement
from fhir_server.storage.writer import Writer

# More rows than this in a driver are walked in order rather than collected and sorted; the second: when the wanted
# order is not that of the driver's index, so that a walk passes many rows that do not match.
DENSE = 1000
DENSE_SORTED = 20_000
# A chain through at most this many resources is walked by time when nothing better is.
FEW_BRANCHES = 100
# Nodes whose index rows are in the order of the resources' own time.
_TIMED = (Keys, Refers)
_REMEMBERED_SECONDS = 60.0
_MOST_REMEMBERED = 50_000


@dataclass(frozen=True, slots=True)
class Density:
    """Rows of a driver up to the limit of the probe. `reach`: the time of the last row counted, newest first;
    `branches`: resources that a chain goes through, up to one more than are walked."""

    rows: int
    reach: str
    limit: int
    branches: int = 0

    @property
    def dense(self) -> bool:
        """There are at least as many as were counted to."""
        return self.rows >= self.limit


_seen: dict[tuple[int, Node], tuple[float, Density]] = {}


def is_timed(node: Node) -> TypeGuard[Timed]:
    """Whether the node's rows can be walked in time order."""
    return isinstance(node, _TIMED) and not (isinstance(node, Keys) and node.many)


def candidates(nodes: Sequence[Node]) -> list[Node]:
    """The nodes that can drive, most selective rank first."""
    able = [(n.rank, i) for i, n in enumerate(nodes) if n.rank is not None]
    return [nodes[i] for _, i in sorted(able)]


def surely(nodes: Sequence[Node], by_time: bool) -> Node | None:
    """The driver when no counting is needed: one of few rows, or the only one when its index has the wanted order."""
    able = candidates(nodes)
    if not able:
        return None
    if able[0].rank in (UNIQUE, SURE):
        # A day, of birth mostly, divides people finer than the beginning of a name.
        days = [n for n in able if isinstance(n, DateIs) and n.is_day()] if isinstance(able[0], StringIs) else []
        return days[0] if days else able[0]
    if len(able) == 1 and by_time and is_timed(able[0]):
        return able[0]
    return None


def recall(tenant_id: int, nodes: Sequence[Node], limit: int) -> tuple[dict[Node, Density], list[Node]]:
    """What is remembered of the candidates, and those that must be counted: none when a remembered one has few rows."""
    now = time.monotonic()
    known: dict[Node, Density] = {}
    unknown: list[Node] = []
    for node in nodes:
        seen = _seen.get((tenant_id, node))
        if seen is None or seen[0] < now or (seen[1].dense and seen[1].limit < limit):
            unknown.append(node)
        else:
            known[node] = seen[1]
    return known, [] if any(not density.dense for density in known.values()) else unknown


def remember(tenant_id: int, node: Node, density: Density) -> None:
    """Keep a count for a minute; not that of many keys, which would take up too much room."""
    if isinstance(node, Keys) and node.many:
        return
    if len(_seen) >= _MOST_REMEMBERED:
        _seen.clear()
    _seen[tenant_id, node] = time.monotonic() + _REMEMBERED_SECONDS, density


def probe(tenant_id: int, node: Node, limit: int) -> Statement:
    """The statement that counts a driver's rows up to the limit: `count, time of the oldest counted, branches`."""
    w = Writer(tenant_id)
    if is_timed(node):
        walk = node.walk(w)
        if not walk.branches:
            sql = (
                f"SELECT count(*), coalesce(min(ts)::text, ''), 0 FROM (SELECT ts FROM {walk.table} WHERE {walk.where}"
                f" ORDER BY ts DESC, rid DESC LIMIT {limit}) p"
            )
            return sql, w.params
        w = Writer(tenant_id)
    rows = f"SELECT 1 FROM ({node.rows(w)}) s LIMIT {limit}"
    branches = "0"
    if isinstance(node, Chain):
        branches = f"(SELECT count(*) FROM (SELECT 1 FROM ({node.targets(w)}) t LIMIT {FEW_BRANCHES + 1}) b)"
    return f"SELECT count(*), '', {branches} FROM ({rows}) p", w.params


def density(row: Row, limit: int) -> Density:
    """What a probe found."""
    count, reach, branches = row
    return Density(int(count or 0), (reach or b"").decode(), limit, int(branches or 0))


@dataclass(frozen=True, slots=True)
class Choice:
    """What to begin with. `few`: collect all its rows; else walk in the wanted order (its own, when it has it)."""

    driver: Node | None
    few: bool


def choose(densities: dict[Node, Density], by_time: bool) -> Choice:
    """The best of counted candidates."""
    sparse = [(d.rows, i) for i, d in enumerate(densities.values()) if not d.dense]
    nodes = list(densities)
    if sparse:
        return Choice(nodes[min(sparse)[1]], True)
    return Choice(sparsest(densities) if by_time else None, False)


def sparsest(densities: dict[Node, Density]) -> Timed | None:
    """Of the dense nodes that are in time order, the one whose rows lie furthest apart."""
    timed: list[Timed] = [n for n in densities if is_timed(n)]
    if timed:
        return min(timed, key=lambda n: densities[n].reach or "9")
    chains = [n for n, d in densities.items() if isinstance(n, Chain) and d.branches <= FEW_BRANCHES]
    return min(chains, key=lambda n: densities[n].branches) if chains else None


def worth_counting(nodes: Sequence[Node]) -> list[Node]:
    """The candidates to count; a scan of a whole index is only counted when there is nothing else."""
    able = candidates(nodes)
    return [n for n in able if n.rank == PROBE] or [n for n in able if n.rank == SCAN]


def forget() -> None:
    """Drop every remembered count."""
    _seen.clear()
