"""Work in a tenant for a request that brings no token: the secret in its URL is its right."""

from collections.abc import Callable
from typing import TypeVar

from fhir_server.core.context import Context
from fhir_server.core.errors import Unavailable
from fhir_server.interactions.acting import server_context
from fhir_server.interactions.worlds import refresh, world
from fhir_server.rest import dispatch
from fhir_server.storage.errors import ConnectionLost, DefinitionsChanged, SerializationFailure, UniqueViolation

T = TypeVar("T")
_ATTEMPTS = 5


def in_tenant(slug: str, work: Callable[[Context], T], *, again: bool = True) -> T:
    """Do something in the tenant as the server, in one transaction, once more when it lost a race.

    `again`: also after a lost connection, which work that changes something must not be. Raises `NotFound` for a tenant
    that is not there or suspended.
    """
    db = dispatch.session()
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            ctx = server_context(db, world(db, slug))
            with db.hold():
                found = work(ctx)
            db.commit()
            db.verify()
            return found
        except DefinitionsChanged:
            db.rollback()
            refresh(db, slug)
        except (SerializationFailure, UniqueViolation):
            db.rollback()
            if attempt == _ATTEMPTS:
                raise
        except ConnectionLost:
            if attempt > 1 or not again:
                raise
        except BaseException:
            db.rollback()
            raise
    raise Unavailable("The definitions of this tenant change too fast. Try again.", headers={"Retry-After": "1"})
