"""CPU time of process trees, in nanoseconds, from the kernel's scheduler statistics.

`/proc/PID/task/*/schedstat` counts what each thread really ran; user and system time of `/proc/PID/stat` come in steps
of 10 ms and serve only for children that have ended (a PostgreSQL autovacuum worker), whose own files are gone.
"""

import os
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

GROUPS = ("web", "postgres", "valkey", "other")
_NS_PER_TICK = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
_MARKS = (("valkey-server", "valkey"), ("fhir_server.app:app", "web"), ("tests.bench.ceiling:app", "web"))


def cpu(roots: Sequence[int]) -> Counter[str]:
    """CPU that the trees of some processes have used so far, by group; empty without roots."""
    if not roots:
        return Counter()
    used: Counter[str] = Counter(dict.fromkeys(GROUPS, 0))
    children = _children()
    todo = [(root, "other") for root in roots]
    while todo:
        pid, inherited = todo.pop()
        group = _group(pid) or inherited
        used[group] += _live(pid) + _ended(pid)
        todo += [(child, group) for child in children.get(pid, ())]
    return used


def settle(roots: Sequence[int], *, quiet: float = 0.03, longest: float = 3.0) -> Counter[str]:
    """Wait until the trees use less than `quiet` cores, `longest` seconds at most; their CPU then."""
    if not roots:
        return Counter()
    deadline = time.monotonic() + longest
    before, at = cpu(roots), time.monotonic()
    while True:
        time.sleep(0.15)
        now, then = cpu(roots), time.monotonic()
        if now.total() - before.total() < quiet * (then - at) * 1e9 or then > deadline:
            return now
        before, at = now, then


def machine() -> float:
    """CPU seconds that the whole machine has used so far."""
    numbers = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    idle = numbers[3] + numbers[4]
    return (sum(numbers[:8]) - idle) * _NS_PER_TICK / 1e9


def _children() -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            fields = _stat(int(name))
            if fields:
                found.setdefault(int(fields[1]), []).append(int(name))
    return found


def _stat(pid: int) -> list[str]:
    """The fields after the name: state, parent, …"""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _group(pid: int) -> str | None:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return None
    if command.startswith("postgres:") or command.split(" ", 1)[0].endswith("/postgres"):
        return "postgres"
    return next((group for mark, group in _MARKS if mark in command), None)


def _live(pid: int) -> int:
    total = 0
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            total += int(Path(f"/proc/{pid}/task/{task}/schedstat").read_text().split()[0])
    except OSError:
        pass
    return total


def _ended(pid: int) -> int:
    fields = _stat(pid)
    return (int(fields[13]) + int(fields[14])) * _NS_PER_TICK if fields else 0
