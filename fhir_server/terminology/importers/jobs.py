"""Imports as jobs: asked for, taken up by the worker or a command, cancelled; and what removes systems."""

import secrets
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from fhir_server.core.errors import Conflict, Invalid, NotFound
from fhir_server.settings import settings
from fhir_server.storage import concept_imports as rows
from fhir_server.storage import terminology_jobs
from fhir_server.storage.concept_imports import Run
from fhir_server.storage.session import Session
from fhir_server.storage.terminology_jobs import OPEN, Job
from fhir_server.terminology.importers.formats import FORMATS
from fhir_server.terminology.importers.importing import Tell, run

WORKER, COMMAND = "worker", "command"
_UPLOADS = "uploads"
MOST_OPEN = 10


def library() -> Path:
    """The folder in which the operator puts the files that tenants may import."""
    return Path(settings.data_dir).absolute() / "terminology"


def new_job(tenant_id: int, format_: str, source: str, options: Mapping[str, Any], by: str) -> Job:
    """A job that is not kept yet. Raises `Invalid` for a format that there is not."""
    if format_ not in FORMATS:
        raise Invalid(f"There is no format {format_!r}. There are: {', '.join(FORMATS)}.", expression="http.format")
    given = {name: value for name, value in options.items() if value}
    return Job(tenant_id, secrets.token_hex(6), format_, source, {**given, "by": by})


def check_room(as_run: Run, tenant_id: int) -> None:
    """Raise `Conflict` when as many imports wait for the worker as a tenant may have."""
    waiting = [job for job in terminology_jobs.jobs(as_run, tenant_id) if job.status in OPEN and _wanted(job)]
    if len(waiting) >= MOST_OPEN:
        raise Conflict(f"{len(waiting)} imports are not done yet. Wait for them, or cancel some.", code="conflict")


def in_library(name: str) -> Path:
    """A file or folder that the operator put there. Raises `NotFound`, also for a path out of it."""
    home = library().resolve()
    try:
        place = (home / name).resolve()
        fit = place.is_relative_to(home) and place != home and not place.is_relative_to(home / _UPLOADS)
        there = fit and place.exists()
    except (OSError, ValueError):
        # A name that no file can have.
        there = False
    if not there:
        raise NotFound("There is no such file in the server's folder terminology.", expression="http.file")
    return place


def keep_upload(job: Job, content: bytes) -> None:
    """Put what came with a request where the worker finds it, until the job has ended."""
    folder = library() / _UPLOADS
    folder.mkdir(parents=True, exist_ok=True)
    (folder / job.id).write_bytes(content)


def path_of(job: Job) -> Path:
    """Where the files of a job are."""
    if job.options.get("uploaded"):
        return library() / _UPLOADS / job.id
    return library() / job.source if job.options.get("by") == WORKER else Path(job.source)


def run_job(db: Session, job: Job, tell: Tell = lambda phase, done, total: None) -> Job | None:
    """Do a job, as `importing.run`."""
    path = path_of(job)
    ended = run(db, job, path, tell)
    if ended is not None and ended.status not in OPEN and job.options.get("uploaded"):
        path.unlink(missing_ok=True)
    return ended


def open_jobs(run: Run, tenant_id: int) -> bool:
    """Whether there is something for `run_jobs` to do in a tenant, or for the site (0)."""
    return rows.hidden(run, tenant_id) or any(map(_wanted, terminology_jobs.jobs(run, tenant_id)))


def run_jobs(db: Session, tenant_id: int) -> None:
    """Do the imports that requests asked for, tidy up after cancelled ones and delete removed systems. Whoever is here
    second finds nothing to do."""
    as_server = partial(rows.run_as, db, tenant_id)
    for job in reversed(terminology_jobs.jobs(as_server, tenant_id)):
        if not _wanted(job):
            continue
        if job.status == "cancelled":
            tidy(db, job)
        else:
            run_job(db, job)
    while rows.sweep(db, tenant_id):
        pass


def _wanted(job: Job) -> bool:
    if job.status == "cancelled":
        return job.system_id is not None
    return job.status in OPEN and job.options.get("by") == WORKER


def tidy(db: Session, job: Job) -> None:
    """Give up what a cancelled job has stored, unless somebody is still at it, who then does so."""
    if job.system_id is None or not terminology_jobs.hold(db, job):
        return
    try:
        gone = [rows.abandon((job.tenant_id, job.system_id)), terminology_jobs.forget_system(job)]
        rows.run_as(db, job.tenant_id, gone)
    finally:
        terminology_jobs.release(db, job)
    if job.options.get("uploaded"):
        path_of(job).unlink(missing_ok=True)


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
        raise NotFound(f"There is no imported code system {held} here that is yours.", expression="http.system")
    return gone
