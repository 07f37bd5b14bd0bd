"""fhir-server load"""

import sys
import time
from dataclasses import asdict
from typing import Any

import click

from fhir_server.cli import options
from fhir_server.cli.loading import Advance, Loader, Outcome
from fhir_server.cli.sources import find_sources
from fhir_server.settings import settings
from fhir_server.supervisor.instance import database


@click.command()
@options.tenant
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@options.as_json
@options.data
def load(slug: str, paths: tuple[str, ...], as_json: bool) -> int:
    """Load Bundles (transaction or batch) and NDJSON, plain or .gz, files or folders.

    A transaction is stored whole or not at all. Lines of NDJSON with an id replace the resource with that id. Run again
    after an interruption, it goes on where it ended; a file that is loaded already is not loaded twice.
    """
    sources = find_sources(paths)
    settings.max_bundle_entries = sys.maxsize
    started = time.monotonic()
    outcomes: list[Outcome] = []
    with database():
        loader = Loader(slug)
        with _Bar(sum(source.length for source in sources), not as_json and sys.stderr.isatty()) as advance:
            for source in sources:
                outcomes.append(loader.load(source, advance))
                if not source.ndjson:
                    advance(source.length)
    seconds = time.monotonic() - started
    _report(outcomes, seconds, as_json)
    return 1 if any(outcome.failed for outcome in outcomes) else 0


def _report(outcomes: list[Outcome], seconds: float, as_json: bool) -> None:
    resources, failed = sum(o.resources for o in outcomes), sum(o.failed for o in outcomes)
    if not as_json:
        for outcome in outcomes:
            refused = f", {outcome.failed} refused" if outcome.failed else ""
            print(f"{outcome.status:<15} {outcome.resources:>7} resources{refused}  {outcome.file}")
            for message in outcome.messages:
                print(f"{'':<15} {message}")
    total = {"resources": resources, "failed": failed, "seconds": round(seconds, 3)}
    text = f"{resources} resources, {failed} refused, {len(outcomes)} files, {seconds:.1f} s"
    options.show({"files": [asdict(o) for o in outcomes], **total}, as_json, text)


class _Bar:
    """A bar on the terminal's standard error; nothing when there is no terminal."""

    def __init__(self, length: int, shown: bool) -> None:
        self._bar = click.progressbar(length=length, label="Loading", file=sys.stderr) if shown else None

    def __enter__(self) -> Advance:
        if self._bar is None:
            return lambda count: None
        self._bar.__enter__()
        return self._bar.update

    def __exit__(self, *error: Any) -> None:
        if self._bar is not None:
            self._bar.__exit__(*error)
