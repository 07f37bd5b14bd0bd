"""What the tests of the feed share: contexts, sessions of their own, and waiting for the transactions of others."""

import time
from collections.abc import Callable
from typing import Any

from fhir_server.core.context import Context, Principal
from fhir_server.interactions.worlds import world
from fhir_server.rest.dispatch import session
from fhir_server.security.scopes import Scopes
from fhir_server.settings import settings
from fhir_server.storage import changes
from fhir_server.storage.session import Session
from tests.conftest import TestTenant

_INSERT = "INSERT INTO change (tenant_id, seq, rid, type_id, version, method) VALUES ($1, $2, $3, $5, $4, 'C')"


def entered(tenant: TestTenant, db: Session | None = None) -> Session:
    """A session in the tenant; without `db` this thread's."""
    db = db or session()
    db.enter(tenant.id, None, world(session(), tenant.slug).version)
    return db


def apart(tenant: TestTenant) -> Session:
    """A session with a connection of its own, as another process has one."""
    return entered(tenant, Session(settings.app_conninfo()))


def server(tenant: TestTenant, db: Session | None = None) -> Context:
    """The server's own context, as the worker has it."""
    place = world(session(), tenant.slug)
    me = Principal("server", Scopes("", ()), None)
    return Context(place.tenant, me, place.registry, entered(tenant, db), settings.fhir_base(tenant.slug), b"k")


def write(
    db: Session, tenant: TestTenant, seq: int, *, rid: int = 1, version: int = 1, type_id: int = 1, commit: bool = True
) -> None:
    """A bare change row."""
    db.run([(_INSERT, (tenant.id, seq, rid, version, type_id))], final=commit)


def eventually(ask: Callable[[], Any], seconds: float = 90) -> Any:
    """What `ask` gives as soon as it is true: other tests' transactions may hold the feed back for a moment."""
    deadline = time.monotonic() + seconds
    while True:
        found = ask()
        if found or time.monotonic() > deadline:
            return found
        time.sleep(0.02)


def settle(tenant: TestTenant) -> None:
    """Wait until every transaction that was open when this began has ended."""
    db = entered(tenant)
    _, following = changes.end(db, tenant.id)
    assert eventually(lambda: changes.end(db, tenant.id)[0][0] + 1 >= following)
