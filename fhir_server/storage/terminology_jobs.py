"""Statements on the imports of code systems: what is to be done, how far it is, and who does it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import msgspec

from fhir_server.storage.concept_imports import Run
from fhir_server.storage.concepts import At
from fhir_server.storage.session import Row, Session, Statement

_IMPORT_LOCK, _ASKING_LOCK = 9, 12
OPEN = ("waiting", "running")


@dataclass(frozen=True, slots=True)
class Job:
    """An import. status: waiting, running, done, failed or cancelled. phase: read, number, concepts, postings; done and
    total count what it stores. options: system, version and so on, as they were given; `by`: worker or command."""

    tenant_id: int
    id: str
    format: str
    source: str
    options: Mapping[str, Any]
    status: str = "waiting"
    phase: str = ""
    done: int = 0
    total: int = 0
    system_id: int | None = None
    message: str = ""
    created: str = ""
    updated: str = ""


_INSTANT = 'to_char({0}, \'YYYY-MM-DD"T"HH24:MI:SS"Z"\')'
_COLUMNS = (
    "tenant_id, id, format, source, options, status, phase, done, total, system_id, message,"
    f" {_INSTANT.format('created_at')}, {_INSTANT.format('updated_at')}"
)
_INSERT = (
    "INSERT INTO terminology_job (tenant_id, id, format, source, options, status)"
    " VALUES ($1, $2, $3, $4, $5::jsonb, $6)"
)
_ALL = f"SELECT {_COLUMNS} FROM terminology_job WHERE tenant_id = $1 ORDER BY created_at DESC, id LIMIT $2"
_UNFINISHED = (
    f"SELECT {_COLUMNS} FROM terminology_job WHERE tenant_id = $1 AND (status IN ('waiting', 'running')"
    " OR status = 'cancelled' AND system_id IS NOT NULL) ORDER BY created_at, id"
)
_ONE = f"SELECT {_COLUMNS} FROM terminology_job WHERE tenant_id = $1 AND id = $2"
_START = (
    "UPDATE terminology_job SET status = 'running', message = '', updated_at = now() WHERE tenant_id = $1 AND id = $2"
    " AND status IN ('waiting', 'running', 'failed') RETURNING id"
)
_PROGRESS = (
    "UPDATE terminology_job SET phase = $3, done = $4, total = $5, system_id = $6, updated_at = now()"
    " WHERE tenant_id = $1 AND id = $2 AND status = 'running' RETURNING id"
)
_END = (
    "UPDATE terminology_job SET status = $3, message = $4, updated_at = now() WHERE tenant_id = $1 AND id = $2"
    " AND status IN ('waiting', 'running', 'failed') RETURNING id"
)
_FORGET = "UPDATE terminology_job SET system_id = NULL WHERE tenant_id = $1 AND id = $2"


def create(run: Run, job: Job) -> None:
    """Keep a new job."""
    options = msgspec.json.encode(job.options).decode()
    run([(_INSERT, (job.tenant_id, job.id, job.format, job.source, options, job.status))])


def jobs(run: Run, tenant_id: int, most: int = 50) -> list[Job]:
    """A tenant's jobs, the newest first."""
    return [_job(row) for row in run([(_ALL, (tenant_id, most))])[0]]


def unfinished(run: Run, tenant_id: int) -> list[Job]:
    """The jobs that are open, and those that were cancelled and have left rows; the oldest first."""
    return [_job(row) for row in run([(_UNFINISHED, (tenant_id,))])[0]]


def turn(tenant_id: int) -> Statement:
    """Waits until nobody else asks for an import of the tenant; holds until the transaction ends."""
    return "SELECT pg_advisory_xact_lock($1, $2)", (_ASKING_LOCK, tenant_id)


def find(run: Run, tenant_id: int, job_id: str) -> Job | None:
    """A job by its id."""
    rows = run([(_ONE, (tenant_id, job_id))])[0]
    return _job(rows[0]) if rows else None


def start(run: Run, job: Job) -> bool:
    """Take a job up or again; False when it is done or cancelled."""
    return bool(run([(_START, (job.tenant_id, job.id))])[0])


def progress(job: Job, phase: str, done: int, total: int, system_id: int | None) -> Statement:
    """How far a job is; gives no row when it was cancelled."""
    return _PROGRESS, (job.tenant_id, job.id, phase, done, total, system_id)


def end(job: Job, status: str, message: str = "") -> Statement:
    """Say how an open job ended; gives no row when it had ended before."""
    return _END, (job.tenant_id, job.id, status, message[:2000])


def forget_system(job: Job) -> Statement:
    """Of a job that was given up: its system is being deleted."""
    return _FORGET, (job.tenant_id, job.id)


def hold(db: Session, tenant_id: int, what: str) -> bool:
    """Be the one who works on a job (by its id) or stores a system (by its name), until `release` or the end of the
    connection; False when somebody else is."""
    key = crc32(f"{tenant_id}:{what}".encode()) - 2**31
    return db.plain([("SELECT pg_try_advisory_lock($1, $2)", (_IMPORT_LOCK, key))])[0][0][0] == b"t"


def release(db: Session) -> None:
    """Let others take up what this connection held."""
    db.plain([("SELECT pg_advisory_unlock_all()", ())])


def _job(row: Row) -> Job:
    tenant_id, id_, format_, source, options, status, phase, done, total, system_id, message, created, updated = (
        (value or b"").decode() for value in row
    )
    return Job(
        int(tenant_id), id_, format_, source, msgspec.json.decode(options), status, phase, int(done), int(total),
        int(system_id) if system_id else None, message, created, updated,
    )  # fmt: skip


def at(job: Job) -> At | None:
    """Where the rows of a job's system are."""
    return None if job.system_id is None else (job.tenant_id, job.system_id)
