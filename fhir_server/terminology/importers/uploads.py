"""Files that came with requests, until their imports have ended: a folder for each tenant."""

import time
from collections.abc import Collection
from pathlib import Path

from fhir_server.core.errors import Conflict
from fhir_server.settings import settings
from fhir_server.storage.terminology_jobs import Job

FOLDER = "uploads"
# A request is over long before; what no open import needs then came with one that was undone.
_ABANDONED_SECONDS = 600.0
MOST_KEPT = 20


def library() -> Path:
    """The folder in which the operator puts the files that tenants may import."""
    return Path(settings.data_dir).absolute() / "terminology"


def place(job: Job) -> Path:
    """Where the content of a job is."""
    return library() / FOLDER / str(job.tenant_id) / job.id


def keep(job: Job, content: bytes, needed: Collection[str]) -> None:
    """Put what came with a request where the worker finds it. `needed`: ids of the tenant's open imports; what else has
    lain there for a while is deleted. Raises `Conflict` when too much has not."""
    file = place(job)
    file.parent.mkdir(parents=True, exist_ok=True)
    kept = 0
    for other in file.parent.iterdir():
        if other.name not in needed and time.time() - other.stat().st_mtime > _ABANDONED_SECONDS:
            other.unlink(missing_ok=True)
        else:
            kept += 1
    if kept >= MOST_KEPT:
        raise Conflict("Too many files were sent just now. Wait ten minutes, or let some imports end.", code="conflict")
    file.write_bytes(content)


def forget(job: Job) -> None:
    """Delete the content of a job that has ended; of one that came without, nothing."""
    if job.options.get("uploaded"):
        place(job).unlink(missing_ok=True)
