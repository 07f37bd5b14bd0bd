"""fhir-server terminology import|list|remove|jobs|resume|cancel|sources"""

import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import click
import msgspec

from fhir_server.cli import options
from fhir_server.rest.dispatch import session
from fhir_server.settings import ROOT
from fhir_server.storage import concept_imports, tenants, terminology_jobs
from fhir_server.storage.concepts import SITE, SystemRow
from fhir_server.storage.terminology_jobs import Job
from fhir_server.supervisor.instance import database
from fhir_server.terminology.importers import jobs as imports
from fhir_server.terminology.importers.formats import FORMATS

_SOURCES = ROOT / "terminology" / "sources.json"
_whose = click.option("--tenant", "slug", metavar="SLUG", help="The tenant whose it is.  [default: everybody's]")


@click.group()
def terminology() -> None:
    """Import, list and remove code systems."""


def _tenant_id(slug: str | None) -> int:
    return SITE if slug is None else tenants.find(session(), slug).tenant.id


def _run(tenant_id: int) -> concept_imports.Run:
    return partial(concept_imports.run_as, session(), tenant_id)


@terminology.command("import")
@click.argument("path", type=click.Path(exists=True, path_type=Path), metavar="FILE")
@click.option("--format", "format_", type=click.Choice(list(FORMATS)), required=True, help="What the files are.")
@click.option("--system", metavar="URL", help="The system's URL, where the format does not say it.")
@click.option("--version", metavar="V", help="The version, where the files do not say it.")
@click.option("--name", help="What the system is called.")
@click.option("--language", metavar="LANG", help="Language of the displays, where there are several (SNOMED CT).")
@click.option("--replace", is_flag=True, help="Remove the other versions at the moment this one can be used.")
@_whose
@options.as_json
@options.data
def import_(path: Path, format_: str, slug: str | None, as_json: bool, **given: Any) -> int:
    """Import a code system from a file, folder or zip. Run again after an interruption, it goes on where it was."""
    with database():
        tenant_id = _tenant_id(slug)
        job = imports.new_job(tenant_id, format_, str(path.resolve()), given, imports.COMMAND)
        known = _unfinished(job)
        if known is None:
            terminology_jobs.create(_run(tenant_id), job)
        return _do(known or job, as_json)


def _unfinished(job: Job) -> Job | None:
    """The same import, begun and not finished."""
    wanted = (job.format, job.source, job.options)
    found = terminology_jobs.jobs(_run(job.tenant_id), job.tenant_id)
    same = (each for each in found if (each.format, each.source, each.options) == wanted)
    return next((each for each in same if each.status in (*terminology_jobs.OPEN, "failed")), None)


def _do(job: Job, as_json: bool) -> int:
    line = _Line(not as_json and sys.stderr.isatty())
    ended = imports.run_job(session(), job, line)
    if ended is None:
        raise ValueError(f"The import {job.id} is being done by somebody else, or has ended.")
    seconds = line.seconds()
    took = {name: round(spent, 3) for name, spent in seconds.items()}
    options.show({**_told(ended), "seconds": took}, as_json, f"{_text(ended)} ({sum(seconds.values()):.1f} s)")
    return 0 if ended.status == "done" else 1


class _Line:
    """The line on the terminal that says how far an import is."""

    def __init__(self, shown: bool) -> None:
        self._shown = shown
        self._began: dict[str, float] = {"read": time.monotonic()}

    def seconds(self) -> dict[str, float]:
        """What each phase took, up to now."""
        moments = [*self._began.values(), time.monotonic()]
        return {phase: moments[place + 1] - moments[place] for place, phase in enumerate(self._began)}

    def __call__(self, phase: str, done: int, total: int) -> None:
        self._began.setdefault(phase, time.monotonic())
        if self._shown:
            of = f" of {total:,}" if total else ""
            print(f"\r\x1b[K{phase:<9} {done:,}{of}", end="\r", file=sys.stderr, flush=True)


def _told(job: Job) -> dict[str, Any]:
    kept = ("id", "format", "source", "status", "phase", "done", "total", "message", "created", "updated")
    return {**{name: getattr(job, name) for name in kept}, **{k: v for k, v in job.options.items() if k != "by"}}


def _text(job: Job) -> str:
    far = f" {job.phase} {job.done:,}" if job.status in terminology_jobs.OPEN and job.phase else ""
    said = f"  {job.message}" if job.message else ""
    return f"{job.id}  {job.status:<9} {job.format:<9} {job.source}{far}{said}"


@terminology.command("list")
@_whose
@options.as_json
@options.data
def list_(slug: str | None, as_json: bool) -> None:
    """List the imported code systems that everybody has, and those of a tenant."""
    with database():
        tenant_id = _tenant_id(slug)
        rows = concept_imports.listed(_run(tenant_id), tenant_id)
    shown = [_system(row) for row in rows]
    lines = [
        f"{s['system']}  {s['version'] or '-'}  {s['concepts']:,} concepts  {s['status']}"
        f"  {'site' if s['site'] else slug}  {', '.join(s['languages'])}"
        for s in shown
    ]
    options.show(shown, as_json, "\n".join(lines) or "No code system was imported.")


def _system(row: SystemRow) -> dict[str, Any]:
    return {
        "system": row.url, "version": row.version, "name": row.described.get("name", ""), "concepts": row.concepts,
        "status": row.status, "site": row.tenant_id == SITE, "languages": row.described.get("languages", []),
        "source": row.source, "imported": row.imported_at,
    }  # fmt: skip


@terminology.command()
@click.argument("url")
@click.option("--version", help="Only this one.  [default: all]")
@_whose
@options.as_json
@options.data
def remove(url: str, version: str | None, slug: str | None, as_json: bool) -> None:
    """Remove an imported code system: out of use at once, then deleted."""
    with database():
        tenant_id = _tenant_id(slug)
        gone = imports.remove(_run(tenant_id), tenant_id, url, version)
        while concept_imports.sweep(session(), tenant_id):
            pass
    options.show({"system": url, "versions": gone}, as_json, f"Removed {url} {', '.join(filter(None, gone))}")


@terminology.command()
@_whose
@options.as_json
@options.data
def jobs(slug: str | None, as_json: bool) -> None:
    """List imports, the newest first."""
    with database():
        tenant_id = _tenant_id(slug)
        found = terminology_jobs.jobs(_run(tenant_id), tenant_id)
    options.show([_told(job) for job in found], as_json, "\n".join(map(_text, found)) or "Nothing was imported.")


@terminology.command()
@click.argument("job_id", metavar="ID")
@_whose
@options.as_json
@options.data
def resume(job_id: str, slug: str | None, as_json: bool) -> int:
    """Go on with an import that was interrupted or has failed, from the same files."""
    with database():
        tenant_id = _tenant_id(slug)
        job = terminology_jobs.find(_run(tenant_id), tenant_id, job_id)
        if job is None:
            raise ValueError(f"There is no import {job_id}.")
        return _do(job, as_json)


@terminology.command()
@click.argument("job_id", metavar="ID")
@_whose
@options.as_json
@options.data
def cancel(job_id: str, slug: str | None, as_json: bool) -> None:
    """End an import that is not finished; nothing of it stays."""
    with database():
        tenant_id = _tenant_id(slug)
        job = imports.cancel(_run(tenant_id), tenant_id, job_id)
        imports.tidy(session(), job)
        while concept_imports.sweep(session(), tenant_id):
            pass
    options.show({"id": job_id, "status": "cancelled"}, as_json, f"Cancelled {job_id}")


@terminology.command()
@options.as_json
def sources(as_json: bool) -> None:
    """Say where code systems are to be had, under which licence, and how they are imported."""
    found = msgspec.json.decode(_SOURCES.read_bytes())
    lines = [
        f"{s['name']} ({s['system']})\n  from: {s['where']}\n  licence: {s['licence']}\n"
        f"  fhir-server terminology import FILE --format {s['format']}\n  files: {s['files']}"
        for s in found["sources"]
    ]
    options.show(found["sources"], as_json, "\n".join(lines))
