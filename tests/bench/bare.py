"""Runs the ceiling (tests/bench/ceiling.py) beside the server that is measured, and measures it in the same way."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

import psycopg

from tests.bench import ceiling
from tests.bench.data import Site, ident
from tests.bench.exchange import Connection, Target
from tests.bench.generator import ROOT
from tests.bench.measure import Cell, Machine, cell
from tests.bench.server import Server
from tests.bench.workloads import Call, Want, Workload

_WORKERS = 2
_TITLE = "ceiling: granian + one SELECT by key"


def measure(server: Server, machine: Machine) -> Cell | None:
    """The ceiling's cell, with PostgreSQL's CPU; None where the benchmark has no access to the server's database."""
    conninfo = server.conninfo()
    if conninfo is None:
        return None
    with psycopg.connect(conninfo) as db:
        for statement, params in ceiling.set_up():
            db.execute(statement, params)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--workers", str(_WORKERS), "--blocking-threads", "1", "--no-ws", "--http", "1"]
    command += ["--log-level", "warning"]
    process = subprocess.Popen(
        [*command, "tests.bench.ceiling:app"], cwd=ROOT, env={**os.environ, ceiling.CONNINFO: conninfo}
    )
    try:
        target = Target(f"http://127.0.0.1:{port}", "")
        _wait(target)
        # The server stands idle meanwhile; its tree is counted for its PostgreSQL.
        roots = (process.pid, *machine.roots)
        return cell(replace(machine, target=target, roots=roots), Workload("ceiling", _TITLE, _calls), Site(0))
    finally:
        process.terminate()
        process.wait(30)
        server.sql(f"DROP TABLE {ceiling.TABLE}")


def _calls(site: Site) -> Iterator[Call]:
    return (Call("GET", ident("Ceiling", number), Want()) for number in range(ceiling.ROWS))


def _wait(target: Target) -> None:
    deadline = time.monotonic() + 30
    while True:
        with suppress(OSError):
            connection = Connection(target.address)
            connection.exchange(target.request("GET", ident("Ceiling", 0)))
            connection.close()
            return
        if time.monotonic() > deadline:
            raise RuntimeError("The ceiling's server did not start.")
        time.sleep(0.05)
