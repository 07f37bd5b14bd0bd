"""The worker process: a Celery application. A message only says that there may be work; PostgreSQL says which.

Every task names its tenant, or asks the directory for all of them, and enters a tenant like a request does. A lost
message costs seconds: the sweep finds the work again.
"""

import logging
import threading

from celery import Celery
from celery.signals import setup_logging

from fhir_server import observability
from fhir_server.interactions.reindex import run_backfill
from fhir_server.interactions.worlds import refresh
from fhir_server.rest.dispatch import session
from fhir_server.security import audit_seal, mailing
from fhir_server.settings import settings
from fhir_server.storage import accounts, oauth_grants, tenants
from fhir_server.storage.errors import DefinitionsChanged
from fhir_server.storage.reindex import Job, jobs
from fhir_server.storage.session import Session
from fhir_server.storage.tenants import TenantState

_SWEEP_SECONDS = 5.0
# Batches of the audit log that one tenant gets sealed before the next one has its turn.
_SEALS_AT_ONCE = 20
_OPEN = ("waiting", "running")
_busy: set[str] = set()
_guard = threading.Lock()
_log = logging.getLogger(__name__)


def _celery_url(url: str) -> str:
    # redis-py says unix:///path, Celery says redis+socket:///path.
    return "redis+socket://" + url.removeprefix("unix://") if url.startswith("unix://") else url


celery = Celery("fhir_server", broker=_celery_url(settings.broker_url()))
celery.conf.update(
    task_ignore_result=True,
    task_acks_late=True,
    task_serializer="json",
    accept_content=["json"],
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    worker_prefetch_multiplier=1,
    task_default_queue="salam",
    enable_utc=True,
    beat_schedule={"sweep": {"task": "salam.sweep", "schedule": _SWEEP_SECONDS, "options": {"expires": 5}}},
)


@setup_logging.connect  # type: ignore[untyped-decorator]
def _logging(**_: object) -> None:
    observability.configure(settings.log_level)
    # One line for every message would say every five seconds that nothing happened.
    logging.getLogger("celery").setLevel(logging.WARNING)


@celery.task(name="salam.sweep")  # type: ignore[untyped-decorator]
def sweep() -> None:
    """For every active tenant: seal the audit log, send mail that is due, delete what expired, and send a wake-up when
    it has search parameters to index."""
    db = session()
    for state in tenants.all_tenants(db):
        if state.status == "active":
            try:
                if _tended(db, state):
                    backfill.delay(state.tenant.slug)
            except DefinitionsChanged:
                backfill.delay(state.tenant.slug)
            except Exception:
                # One tenant's trouble is not the others'.
                _log.exception("a tenant could not be tended")
                db.rollback()


def _tended(db: Session, state: TenantState) -> bool:
    """What a tenant needs every few seconds; whether it has search parameters to index."""
    tenant_id = state.tenant.id
    db.enter(tenant_id, None, state.registry_version)
    for _ in range(_SEALS_AT_ONCE):
        if not audit_seal.seal(db, tenant_id):
            break
    mailing.send_due(db, tenant_id)
    db.run([*oauth_grants.sweep(tenant_id), *accounts.sweep(tenant_id)], final=True)
    return any(job.status in _OPEN for job in jobs(db, tenant_id))


@celery.task(name="salam.backfill")  # type: ignore[untyped-decorator]
def backfill(slug: str) -> None:
    """Index the existing resources of one tenant for its new search parameters, batch by batch."""
    with _guard:
        if slug in _busy:
            return
        _busy.add(slug)
    try:
        while _next_batch(slug):
            pass
    finally:
        with _guard:
            _busy.discard(slug)


def _next_batch(slug: str) -> Job | None:
    """Do one batch of the first open job under the tenant's definitions of this moment; None when no job is open."""
    db = session()
    place = refresh(db, slug)
    db.enter(place.tenant.id, None, place.version)
    try:
        job = next((job for job in jobs(db, place.tenant.id) if job.status in _OPEN), None)
        if job is None:
            return None
        return run_backfill(db, place.tenant.id, place.registry, job, base=settings.fhir_base(slug))
    except DefinitionsChanged:
        return _next_batch(slug)
