"""The table that people read, and the JSON that programs read."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.bench import disk
from tests.bench.disk import Disk
from tests.bench.measure import Cell

GROWTH_TARGET, PAGE_TARGET = 1.3, 1.2
TRANSACTION_RATE_TARGET = 3_000
_GROUPS = (("web", 8), ("postgres", 8), ("valkey", 7), ("other", 7))
_HEAD = (
    f"{'workload':<42}{'conn':>5}{'req/s':>8}{'p50':>8}{'p95':>8}{'p99':>8}  {'CPU ms':>7}{'target':>7}{'peer':>7}"
    f"{'web':>8}{'pg':>8}{'valkey':>7}{'other':>7}{'entries':>8}{'bytes':>8}{'of bare':>8}{'±':>5}{'else':>6}"
)


@dataclass(slots=True)
class Report:
    """Everything measured at one size."""

    size: int
    resources: int
    cells: list[Cell] = field(default_factory=list)
    ceiling: Cell | None = None
    disk: Disk | None = None

    def as_json(self) -> dict[str, Any]:
        """For --json."""
        return {**asdict(self), "cells": [{**asdict(made), "cost": made.cost} for made in self.cells]}


_LEGEND = (
    "CPU ms: per request, all of the server's processes (! above the target); p50 p95 p99 in ms; of bare: req/s beside\n"
    "the ceiling's; ±: spread of req/s over the runs; else: cores that others used meanwhile (above 0.2: disturbed)."
)


def head() -> str:
    """What the columns are, and their names."""
    return f"{_LEGEND}\n{_HEAD}"


def line(made: Cell, ceiling: Cell | None) -> str:
    """A cell as a line. "of bare" is the ratio of requests per second to the ceiling's."""
    if made.wrong:
        return f"{made.title:<42}{made.connections:>5}  WRONG: {made.wrong}"
    left = f"{made.title:<42}{made.connections:>5}{made.rate:>8,.0f}{made.p50:>8.2f}{made.p95:>8.2f}{made.p99:>8.2f}"
    missed = made.cost is not None and made.target is not None and made.cost > made.target
    cost = "-" if made.cost is None else f"{made.cost:.3f}"
    middle = f"{'!' if missed else ' ':>2}{cost:>7}{_or(made.target):>7}{_or(made.peer):>7}"
    groups = "".join(f"{made.cpu.get(group, 0):>{width}.3f}" for group, width in _GROUPS)
    bare = f"{made.rate / ceiling.rate:.0%}" if ceiling and ceiling.rate and made is not ceiling else ""
    right = f"{made.entries:>8.1f}{made.size:>8,.0f}{bare:>8}{made.spread:>5.0%}{made.elsewhere:>6.2f}"
    return f"{left}{middle}{groups if made.cpu else ' ' * 30}{right}"


def _or(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def summary(report: Report) -> list[str]:
    """The targets that no single line shows: disk, pages, resources per second, and how many targets are met."""
    lines = []
    if report.disk:
        space = report.disk
        mark = _mark(space.ratio <= disk.TARGET)
        lines.append(
            f"{mark} disk: {space.database:,.0f} bytes per resource, JSON {space.json:,.0f}: {space.ratio:.2f} times"
            f" (target {disk.TARGET}) over {space.resources:,} resources"
        )
        for name, rows, indexes in space.tables:
            lines.append(f"      {name:<20} rows {rows:>7,.0f}   indexes {indexes:>7,.0f}")
    named = {made.name: made for made in report.cells if not made.wrong}
    for name, last in named.items():
        first = named.get(name.replace("page-last", "page-1"))
        if name.startswith("page-last") and first:
            ratio = last.p50 / first.p50
            told = f"p50 {ratio:.2f} times page 1's (target {PAGE_TARGET})"
            lines.append(f"{_mark(ratio <= PAGE_TARGET)} {last.title}: {told}")
    if "transaction" in named:
        rate = named["transaction"].rate * 100
        mark = _mark(rate >= TRANSACTION_RATE_TARGET)
        lines.append(f"{mark} transactions: {rate:,.0f} resources/s (target 3,000, peer 432)")
    aimed = [made for made in report.cells if made.target is not None and (made.cost is not None or made.wrong)]
    met = [made for made in aimed if not made.wrong and (made.cost or 0) <= (made.target or 0)]
    if aimed:
        lines.append(f"{_mark(len(met) == len(aimed))} CPU targets met: {len(met)} of {len(aimed)}")
    return lines


def growth(small: Report, large: Report) -> list[str]:
    """p50 at the large size beside the small one."""
    before = {made.name: made for made in small.cells if not made.wrong}
    lines = [f"p50 at {large.resources:,} resources / p50 at {small.resources:,} (target {GROWTH_TARGET})"]
    for made in large.cells:
        # A page's size differs between sizes; page 1,000 is held against page 1 of its own size.
        if made.wrong or made.name not in before or made.name.startswith("page-"):
            continue
        ratio = made.p50 / before[made.name].p50
        lines.append(f"{_mark(ratio <= GROWTH_TARGET)} {made.title:<44} {ratio:.2f}")
    return lines


def wrong(reports: Sequence[Report]) -> list[str]:
    """What was answered wrongly."""
    return [made.wrong for report in reports for made in report.cells if made.wrong]


def _mark(good: bool) -> str:
    return " ok " if good else "MISS"
