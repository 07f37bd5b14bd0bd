"""Imports as jobs: asked for, taken up by the worker or a command, cancelled; and what removes systems."""

import secrets
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from fhir_server.core.errors import Conflict, Invalid, NotFound
from fhir_server.storage import concept_imports as rows
from fhir_server.storage import terminology_jobs
from fhir_server.storage.concept_imports import Run
from fhir_server.storage.session import Session
from fhir_server.storage.terminology_jobs import OPEN, Job
from fhir_server.terminology.importers import uploads
from fhir_server.terminology.importers.formats import FORMATS
from fhir_server.terminology.importers.importing import Tell, run

WORKER, COMMAND = "worker", "command"
MOST_OPEN = 10


def new_job(tenant_id: int, format_: str, source: str, options: Mapping[str, Any], by: str) -> Job:
    """A job that is not kept yet. Raises `Invalid` for a format that there is not."""
    if format_ not in FORMATS:
        raise Invalid(f"There is no format {format_!r}. There are: {', '.join(FORMATS)}.", expression="http.format")
    given = {name: value for name, value in options.items() if value}
    return Job(tenant_id, secrets.token_hex(6), format_, source, {**given, "by": by})


def ask(as_run: Run, job: Job, content: bytes | None) -> None:
    """Keep a job that the worker is to do, with the content of its file where it came with the request; whoever else
    asks in the tenant meanwhile waits. Raises `Conflict` when as many wait for the worker as a tenant may have."""
    as_run([terminology_jobs.turn(job.tenant_id)])
    waiting = [other for other in terminology_jobs.unfinished(as_run, job.tenant_id) if _wanted(other)]
    if sum(other.status in OPEN for other in waiting) >= MOST_OPEN:
        raise Conflict(f"{MOST_OPEN} imports are not done yet. Wait for them, or cancel some.", code="conflict")
    if content is not None:
        uploads.keep(job, content, {other.id for other in waiting})
    terminology_jobs.create(as_run, job)


def in_library(name: str) -> Path:
    """A file or folder that the operator put there. Raises `NotFound`, also for a path out of it."""
    home = uploads.library().resolve()
    try:
        place = (home / name).resolve()
        fit = place.is_relative_to(home) and place != home and not place.is_relative_to(home / uploads.FOLDER)
        there = fit and place.exists()
    except (OSError, ValueError):
        # A name that no file can have.
        there = False
    if not there:
        raise NotFound("There is no such file in the server's folder terminology.", expression="http.file")
    return place


def path_of(job: Job) -> Path:
    """Where the files of a job are."""
    if job.options.get("uploaded"):
        return uploads.place(job)
    return uploads.library() / job.source if job.options.get("by") == WORKER else Path(job.source)


def run_job(db: Session, job: Job, tell: Tell = lambda phase, done, total: None) -> Job | None:
    """Do a job, as `importing.run`."""
    ended = run(db, job, path_of(job), tell)
    if ended is not None and ended.status not in OPEN:
        uploads.forget(job)
    return ended


def open_jobs(run: Run, tenant_id: int) -> bool:
    """Whether there is something for `run_jobs` to do in a tenant, or for the site (0)."""
    return rows.hidden(run, tenant_id) or any(map(_wanted, terminology_jobs.unfinished(run, tenant_id)))


def run_jobs(db: Session, tenant_id: int) -> None:
    """Do the imports that requests asked for, tidy up after cancelled ones and delete removed systems. Whoever is here
    second finds nothing to do."""
    as_server = partial(rows.run_as, db, tenant_id)
    for job in filter(_wanted, terminology_jobs.unfinished(as_server, tenant_id)):
        if job.status == "cancelled":
            tidy(db, job)
        else:
            run_job(db, job)
    while rows.sweep(db, tenant_id):
        pass


def _wanted(job: Job) -> bool:
    # A cancelled one has left rows, whoever did it.
    return job.status == "cancelled" or job.options.get("by") == WORKER


def forget(job: Job) -> None:
    """Delete what came with a job that was cancelled before anybody began it."""
    if job.status == "waiting":
        uploads.forget(job)


def tidy(db: Session, job: Job) -> None:
    """Give up what a cancelled job has stored, unless somebody is still at it, who then does so."""
    forget(job)
    if job.system_id is None or not terminology_jobs.hold(db, job.tenant_id, job.id):
        return
    try:
        as_server, at = partial(rows.run_as, db, job.tenant_id), (job.tenant_id, job.system_id)
        name = rows.name_of(as_server, at)
        # Another job of the same files may be going on with its rows.
        free = name is None or terminology_jobs.hold(db, job.tenant_id, name)
        as_server([*([rows.abandon(at)] if free else []), terminology_jobs.forget_system(job)])
    finally:
        terminology_jobs.release(db)
    uploads.forget(job)


def cancel(as_run: Run, tenant_id: int, job_id: str) -> Job:
    """End an import that is not done; nothing of it stays. Raises `NotFound`."""
    job = terminology_jobs.find(as_run, tenant_id, job_id)
    if job is None or not as_run([terminology_jobs.end(job, "cancelled", "Cancelled.")])[0]:
        raise NotFound("There is no import with this id that is not finished.", expression="http.job")
    return job


def remove(as_run: Run, tenant_id: int, url: str, version: str | None) -> list[str]:
    """Take a system out of use at once; its rows are deleted by and by. The versions that were there. Raises `NotFound`
    when there is none of one's own."""
    gone = rows.retire(as_run, tenant_id, url, version)
    if not gone:
        held = f"{url} in version {version}" if version else url
        raise NotFound(
            f"There is no imported code system {held} here that is yours. What is being imported is cancelled by job.",
            expression="http.system",
        )
    return gone
