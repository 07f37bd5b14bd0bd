"""python3 dev.py bench: load deterministic data, play workloads from a process apart, print what a request costs.

What each figure means and the data's shape: tests/bench/data.py, workloads.py, report.py. CPU milliseconds per request
are the figure to compare; requests per second and latencies hold for one machine on one day.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench import (
    bare,
    desk,
    disk,
    fhirpath,
    measure,
    paging,
    profiles,
    report,
    scheduling,
    scoped,
    server,
    terminology,
)
from tests.bench.checking import WrongReply
from tests.bench.data import Site
from tests.bench.exchange import Connection, Target
from tests.bench.measure import Machine
from tests.bench.report import Report
from tests.bench.workloads import WORKLOADS, Workload

_UNITS = {"k": 1_000, "m": 1_000_000}
_PAGES = "pages"


def _size(text: str) -> int:
    number, unit = (text[:-1], _UNITS[text[-1].lower()]) if text[-1:].lower() in _UNITS else (text, 1)
    if not number.isdigit() or not int(number):
        raise argparse.ArgumentTypeError(f"{text!r} is no size such as 10k, 300k or 1m")
    return int(number) * unit


def _arguments() -> argparse.Namespace:
    names = ", ".join([*(workload.name for workload in WORKLOADS), scoped.NAME, scheduling.NAME, desk.NAME, profiles.NAME, terminology.NAME, fhirpath.NAME, _PAGES, "ceiling"])
    parser = argparse.ArgumentParser(prog="dev.py bench", description=(__doc__ or "").split("\n\n")[0])
    sizes = "resources: 10k, 300k, 1m (default 10k)"
    parser.add_argument("--size", nargs="+", type=_size, default=[10_000], metavar="N", help=sizes)
    parser.add_argument("--seconds", type=int, default=1, help="length of a run; three runs a workload (default 1)")
    parser.add_argument("--runs", type=int, default=3, help="runs of each workload, of which the median counts")
    parser.add_argument("--connections", type=int, default=8, help="connections at once (default 8)")
    parser.add_argument("--only", nargs="+", metavar="NAME", help=f"only these: {names}")
    parser.add_argument("--json", metavar="FILE", help="write everything to this file as well")
    parser.add_argument("--own-client", action="store_true", help="load with our own client although wrk is installed")
    parser.add_argument("--keep", metavar="DIR", type=Path, help="keep the server's data in this folder")
    parser.add_argument(
        "--url", help="measure a running server: its FHIR base, such as http://127.0.0.1:8080/t/demo/fhir"
    )
    parser.add_argument("--token", default="", help="an access token for it")
    parser.add_argument("--pid", type=int, help="process id of its supervisor, to count its CPU")
    parser.add_argument("--data", metavar="DIR", type=Path, help="its data folder, to measure its disk and the ceiling")
    parser.add_argument("--loaded", action="store_true", help="it holds the data of this size already")
    arguments = parser.parse_args()
    unknown = set(arguments.only or ()) - set(names.split(", "))
    if unknown:
        parser.error(f"no such workload: {', '.join(sorted(unknown))}. There are: {names}")
    if arguments.url and len(arguments.size) > 1:
        parser.error("a running server can be measured at one size at a time")
    return arguments


@contextmanager
def _server(arguments: argparse.Namespace) -> Iterator[server.Server]:
    if arguments.url:
        yield server.Server(Target(arguments.url.rstrip("/"), arguments.token), arguments.pid, arguments.data)
        return
    with server.started(arguments.keep) as made:
        yield made


def _workloads(target: Target, connection: Connection, site: Site, only: list[str] | None) -> Iterator[Workload]:
    """Reads, then the pages, then writes."""
    for writing in (False, True):
        yield from (w for w in WORKLOADS if w.writes == writing and (only is None or w.name in only))
        if not writing and (only is None or _PAGES in only):
            yield from paging.workloads(target, connection, site)


def _run(arguments: argparse.Namespace, size: int) -> Report:
    site = Site(size)
    made = Report(size, site.resources)
    started = time.monotonic()
    print(f"\n{site.resources:,} resources ({site.patients:,} patients), {arguments.connections} connections")
    with _server(arguments) as serving:
        roots = (serving.pid,) if serving.pid else ()
        machine = Machine(
            serving.target, roots, arguments.seconds, arguments.runs, arguments.connections, arguments.own_client
        )
        before = disk.empty(serving)
        loaded = None if arguments.loaded else measure.load(machine, site)
        made.disk = disk.measure(serving, before) if loaded else None
        if arguments.only is None or "ceiling" in arguments.only:
            made.ceiling = bare.measure(serving, machine)
        print(report.head())
        for ready in filter(None, (loaded, made.ceiling)):
            print(report.line(ready, made.ceiling), flush=True)
        made.cells += [loaded] if loaded else []
        _scoped(made, machine, site, serving, arguments.only)
        _cells(made, machine, site, arguments.only)
        _scheduling(made, machine, site, arguments.only)
        _desk(made, machine, site, serving, arguments.only)
        _terminology(made, machine, serving, arguments.only)
        _profiles(made, arguments.only)
        _fhirpath(arguments.only)
    for text in scoped.summary(made.cells):
        print(text)
    for text in report.summary(made):
        print(text)
    print(f"took {time.monotonic() - started:.0f} s", flush=True)
    return made


def _scoped(made: Report, machine: Machine, site: Site, serving: server.Server, only: list[str] | None) -> None:
    if serving.new_token is None or (only is not None and scoped.NAME not in only):
        return
    for cell in scoped.cells(machine, site, serving.new_token):
        made.cells.append(cell)
        print(report.line(cell, made.ceiling), flush=True)


def _scheduling(made: Report, machine: Machine, site: Site, only: list[str] | None) -> None:
    if only is not None and scheduling.NAME not in only:
        return
    for cell in scheduling.cells(machine, site):
        made.cells.append(cell)
        print(report.line(cell, made.ceiling), flush=True)


def _desk(made: Report, machine: Machine, site: Site, serving: server.Server, only: list[str] | None) -> None:
    if only is not None and desk.NAME not in only:
        return
    for cell in desk.cells(machine, site, serving):
        made.cells.append(cell)
        print(report.line(cell, made.ceiling), flush=True)


def _fhirpath(only: list[str] | None) -> None:
    if only is None or fhirpath.NAME in only:
        print("\n".join(fhirpath.lines()), flush=True)


def _profiles(made: Report, only: list[str] | None) -> None:
    if only is not None and profiles.NAME not in only:
        return
    for cell in profiles.cells():
        made.cells.append(cell)
        print(report.line(cell, made.ceiling), flush=True)


def _terminology(made: Report, machine: Machine, serving: server.Server, only: list[str] | None) -> None:
    if only is not None and terminology.NAME not in only:
        return
    for cell in terminology.cells(machine, serving):
        made.cells.append(cell)
        print(report.line(cell, made.ceiling), flush=True)


def _cells(made: Report, machine: Machine, site: Site, only: list[str] | None) -> None:
    connection = Connection(machine.target.address)
    try:
        for workload in _workloads(machine.target, connection, site, only):
            made.cells.append(measure.cell(machine, workload, site))
            print(report.line(made.cells[-1], made.ceiling), flush=True)
    except WrongReply as error:
        made.cells.append(measure.Cell(_PAGES, "pages", 0, 0, 0, 0, 0, wrong=str(error)))
        print(report.line(made.cells[-1], None), flush=True)
    finally:
        connection.close()


def main() -> int:
    """Run it. Exit code 1 when a reply was wrong; missed targets are told, not failed."""
    arguments = _arguments()
    if arguments.only == [fhirpath.NAME]:
        # Needs no server.
        _fhirpath(arguments.only)
        return 0
    reports = [_run(arguments, size) for size in arguments.size]
    for large in reports[1:]:
        print()
        print("\n".join(report.growth(reports[0], large)))
    if arguments.json:
        Path(arguments.json).write_text(json.dumps([made.as_json() for made in reports], indent=1) + "\n")
    mistakes = report.wrong(reports)
    return 1 if mistakes else 0


if __name__ == "__main__":
    sys.exit(main())
