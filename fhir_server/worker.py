"""The worker process: a Celery application. A message only says that there may be work; PostgreSQL says which.

Every task names its tenant, or asks the directory for all of them, and enters a tenant like a request does. A lost
message costs seconds: the sweep finds the work again.
"""

import logging
import secrets
import threading
from collections.abc import Callable
from functools import partial

from celery import Celery
from celery.signals import setup_logging, worker_ready, worker_shutdown

from fhir_server import observability
from fhir_server.core.context import Context
from fhir_server.events import follow, wake
from fhir_server.features.notifications import delays, delivery, occasions, reminders
from fhir_server.features.queue import follow as queue_follow
from fhir_server.features.queue import tend as queue_tend
from fhir_server.features.scheduling import hold, questionnaires, reconcile, waitlist
from fhir_server.interactions.acting import server_context
from fhir_server.interactions.reindex import run_backfill
from fhir_server.interactions.worlds import refresh, world
from fhir_server.rest.dispatch import session
from fhir_server.security import audit_seal, mailing
from fhir_server.settings import settings
from fhir_server.storage import accounts, event_tickets, idempotency, oauth_grants, tenants, ticket_links
from fhir_server.storage.concept_imports import run_as
from fhir_server.storage.concepts import SITE
from fhir_server.storage.errors import DefinitionsChanged
from fhir_server.storage.reindex import Job, jobs
from fhir_server.storage.session import Session
from fhir_server.storage.tenants import TenantState
from fhir_server.terminology.importers import jobs as imports

_SWEEP_SECONDS = 5.0
# Batches of the audit log that one tenant gets sealed before the next one has its turn.
_SEALS_AT_ONCE = 20
_OPEN = ("waiting", "running")
# Who is told of changes. A follower's place in the feed is kept under its name; a new name begins at the feed's end.
FOLLOWERS: dict[str, follow.Follower] = {
    "reconcile": reconcile.follow,
    "waitlist": waitlist.follow,
    "questionnaires": questionnaires.follow,
    "queue": queue_follow.follow,
    "notifications": occasions.follow,
}
# What each of them looks at; changes of other types are passed over.
FOLLOWED: dict[str, tuple[str, ...]] = {
    "reconcile": ("Appointment",),
    "waitlist": waitlist.WATCHED,
    "questionnaires": ("QuestionnaireResponse", "Appointment"),
    "queue": ("Appointment",),
    "notifications": ("Appointment", "Task"),
}
# What features look after every few seconds and after changes.
TENDERS: tuple[Callable[[Context], None], ...] = (
    hold.tend,
    waitlist.tend,
    queue_tend.tend,
    reminders.tend,
    delays.tend,
    delivery.tend,
)
_busy: set[str] = set()
_guard, _importing = threading.Lock(), threading.Lock()
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
    """For every active tenant: tell its followers what changed, seal the audit log, send mail that is due, delete what
    expired, and send a wake-up when it has search parameters to index."""
    db = session()
    active = [state for state in tenants.all_tenants(db) if state.status == "active"]
    # In another order each time, so that a worker which is restarted again and again comes to everybody; and what
    # people wait for comes before what only has to be done some time.
    secrets.SystemRandom().shuffle(active)
    for work in (_attend, _tend):
        for state in active:
            try:
                work(db, state)
            except Exception:
                # One tenant's trouble is not the others'.
                _log.exception("a tenant could not be tended")
                db.rollback()
    if imports.open_jobs(partial(run_as, db, SITE), SITE):
        terminology.delay(SITE)


def _attend(db: Session, state: TenantState) -> None:
    attend(state.tenant.slug)


def _tend(db: Session, state: TenantState) -> None:
    try:
        indexing, importing = _tended(db, state)
    except DefinitionsChanged:
        indexing = importing = True
    if indexing:
        backfill.delay(state.tenant.slug)
    if importing:
        terminology.delay(state.tenant.id)


def _tended(db: Session, state: TenantState) -> tuple[bool, bool]:
    """What a tenant needs every few seconds; whether it has search parameters to index, and code systems to import."""
    tenant_id = state.tenant.id
    db.enter(tenant_id, None, state.registry_version)
    for _ in range(_SEALS_AT_ONCE):
        if not audit_seal.seal(db, tenant_id):
            break
    mailing.send_due(db, tenant_id)
    importing = imports.open_jobs(db.run, tenant_id)
    expired = [event_tickets.sweep(tenant_id), idempotency.sweep(tenant_id), *ticket_links.sweep(tenant_id)]
    db.run([*oauth_grants.sweep(tenant_id), *accounts.sweep(tenant_id), *expired], final=True)
    return any(job.status in _OPEN for job in jobs(db, tenant_id)), importing


def attend(slug: str) -> None:
    """Tell a tenant's followers what changed, and let the features look after what is due."""
    db = session()
    place = world(db, slug)
    for _ in range(3):
        try:
            while follow.run(server_context(db, place), FOLLOWERS, types=FOLLOWED):
                pass
            break
        except DefinitionsChanged:
            place = refresh(db, slug)
    for tend in TENDERS:
        try:
            tend(server_context(db, place))
        except DefinitionsChanged:
            # It looks again in a moment, by what holds now.
            db.rollback()
            place = refresh(db, slug)
        except Exception:
            # One feature's trouble is not the others'.
            _log.exception("a feature could not look after a tenant")
            db.rollback()


_slugs: dict[int, str] = {}


def _changed(tenant_id: int) -> None:
    """What a wake-up means: something changed in that tenant."""
    if tenant_id not in _slugs:
        _slugs.update({state.tenant.id: state.tenant.slug for state in tenants.all_tenants(session())})
    if tenant_id in _slugs:
        attend(_slugs[tenant_id])


_waker = wake.Waker(_changed)


@worker_ready.connect  # type: ignore[untyped-decorator]
def _listen(**_: object) -> None:
    _waker.start()


@worker_shutdown.connect  # type: ignore[untyped-decorator]
def _stop_listening(**_: object) -> None:
    _waker.stop()


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


@celery.task(name="salam.terminology")  # type: ignore[untyped-decorator]
def terminology(tenant_id: int) -> None:
    """Do the imports of code systems that wait, and delete what was removed: one tenant's at a time, since the other
    thread has to go on with what people wait for. Who finds another at it comes again with the next sweep."""
    if _importing.acquire(blocking=False):
        try:
            imports.run_jobs(session(), tenant_id)
        finally:
            _importing.release()


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
