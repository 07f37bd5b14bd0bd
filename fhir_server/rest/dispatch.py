"""A FHIR request in, a FHIR answer out; no web framework. One transaction per request.

HTTP, bundle entries, the command line and (later) the UI all come through here.
"""

import contextlib
import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from fhir_server.core.context import Context, Principal
from fhir_server.core.errors import FhirError, Invalid, Issue, NotFound, NotSupported, Unavailable, outcome
from fhir_server.core.messages import FhirRequest, FhirResponse
from fhir_server.core.resource_json import encode
from fhir_server.events import wake
from fhir_server.fhirpath.allowance import Together
from fhir_server.interactions.acting import server_context
from fhir_server.interactions.worlds import World, refresh, world
from fhir_server.rest import bundles
from fhir_server.rest.bundles import ATTEMPTS
from fhir_server.rest.guards import GUARDS
from fhir_server.rest.handlers import HANDLERS
from fhir_server.rest.respond import preference
from fhir_server.rest.routes import Route, meant, route
from fhir_server.security import audit, throttle
from fhir_server.security.authenticate import authenticate, bearer_digest, forget
from fhir_server.security.scopes import Scopes
from fhir_server.settings import settings
from fhir_server.storage import tenants
from fhir_server.storage.errors import (
    ConnectionLost,
    DefinitionsChanged,
    RightsChanged,
    SerializationFailure,
    UniqueViolation,
)
from fhir_server.storage.session import Session

Also = Callable[[Session], None]

_log = logging.getLogger(__name__)
_local = threading.local()
_OPEN = ("capabilities",)
_READING = ("GET", "HEAD")
_WITHOUT_QUERY = frozenset({"read", "vread", "create", "update", "patch", "delete", "bundle"})
_SHAPING = ("_format", "_pretty", "_summary", "_elements")
ANONYMOUS = Principal("anonymous", Scopes("", ()), None)


def session() -> Session:
    """This thread's database session."""
    db: Session | None = getattr(_local, "session", None)
    if db is None:
        db = _local.session = Session(settings.app_conninfo(), timeout_ms=settings.request_timeout_ms)
        tenants.take_node(db)
    return db


def handle(
    request: FhirRequest,
    slug: str,
    *,
    principal: Principal | None = None,
    before_commit: Also | None = None,
) -> FhirResponse:
    """Answer a request to a tenant. `principal` replaces the bearer token for the server's own work.

    `before_commit` adds statements to the request's transaction (how far a load has come). Never raises for what the
    client did: errors come back as OperationOutcome.
    """
    try:
        return _answer(request, slug, principal, before_commit)
    except FhirError as error:
        _log_refused(request, slug, principal, error.status)
        return error_response(error)
    except Exception:
        _log.exception("request failed")
        _log_refused(request, slug, principal, 500)
        issue = Issue("fatal", "exception", "The server failed on this request. The fault is on our side.")
        return FhirResponse(500, encode(outcome([issue])))


def error_response(error: FhirError) -> FhirResponse:
    """An error as an answer."""
    return FhirResponse(error.status, encode(error.outcome()), dict(error.headers))


def _log_refused(request: FhirRequest, slug: str, principal: Principal | None, status: int) -> None:
    """Put a request that failed into the audit log, in a transaction of its own. The answer is an error either way."""
    try:
        db = session()
        place = world(db, slug)
        for _ in range(ATTEMPTS):
            try:
                return _log_at(db, place, request, principal, status)
            except DefinitionsChanged:
                db.rollback()
                place = refresh(db, slug)
        _log.error("a refused request could not be logged: the definitions change too fast")
    except (ConnectionLost, NotFound):
        # Without a database, or for a tenant that is not there, there is no log to write to.
        pass
    except Exception:
        _log.exception("a refused request could not be logged")


def _log_at(db: Session, place: World, request: FhirRequest, principal: Principal | None, status: int) -> None:
    interaction, type_name = meant(place.registry, request.method, request.path)
    if interaction in _OPEN:
        return
    who = principal
    if who is None:
        with contextlib.suppress(FhirError):
            who = authenticate(db, place.tenant.id, place.version, request.header("authorization"))
    db.enter(place.tenant.id, None, place.version)
    event = audit.refused(
        db,
        place.tenant.id,
        interaction,
        status,
        who=who,
        type_id=place.registry.type_ids.get(type_name or ""),
        request_id=request.header("x-request-id") or "",
        detail={"what": request.path, "query": urlencode(request.query)},
    )
    db.run([event], final=True)


def _answer(
    request: FhirRequest, slug: str, principal: Principal | None, before_commit: Also | None
) -> FhirResponse:
    db = session()
    place = world(db, slug)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _verified(db, place, request, principal, before_commit)
        except DefinitionsChanged:
            db.rollback()
            place = refresh(db, slug)
        except RightsChanged:
            db.rollback()
            forget(place.tenant.id, bearer_digest(request.header("authorization")))
        except (UniqueViolation, SerializationFailure):
            db.rollback()
            if attempt == ATTEMPTS:
                raise
        except ConnectionLost:
            if request.method not in _READING or attempt > 1:
                raise
        except FhirError as error:
            db.rollback()
            if error.after_rollback is not None:
                error.contained = _helpful(db, place, request, error.after_rollback)
            raise
        except BaseException:
            db.rollback()
            raise
    raise Unavailable("The definitions of this tenant change too fast. Try again.", headers={"Retry-After": "1"})


def _helpful(
    db: Session, place: World, request: FhirRequest, find: Callable[[Context], list[dict[str, Any]]]
) -> list[dict[str, Any]]:
    """What goes with an error, found in a transaction of its own. The error counts, also where nothing is found."""
    try:
        found = find(replace(server_context(db, place), base=request.base))
        db.commit()
        return found
    except (FhirError, DefinitionsChanged):
        db.rollback()
        return []


def _verified(
    db: Session, place: World, request: FhirRequest, principal: Principal | None, before_commit: Also | None
) -> FhirResponse:
    """One attempt. An answer that took no statement rests on what this process remembers of tenant, token and
    definitions, so that is checked before the answer is given."""
    try:
        with Together():
            response = _once(db, place, request, principal, before_commit)
        db.verify()
        return response
    except (ConnectionLost, DefinitionsChanged, RightsChanged, UniqueViolation, SerializationFailure):
        raise
    except Exception:
        db.verify()
        raise


def _once(
    db: Session,
    place: World,
    request: FhirRequest,
    principal: Principal | None,
    before_commit: Also | None,
) -> FhirResponse:
    db.enter(place.tenant.id, None, place.version)
    writing = False
    where = route(place.registry, request.method, request.path)
    if where.interaction in _OPEN:
        who = principal or ANONYMOUS
    else:
        who = principal or authenticate(db, place.tenant.id, place.version, request.header("authorization"))
        if principal is None:
            throttle.fhir(place.tenant.id, who.client_id, who.user.id if who.user else "")
        writing = request.method not in _READING and not request.path.endswith("_search")
        db.enter(place.tenant.id, who.token_hash, place.version, stamp=who.stamp, writing=writing)
    ctx = Context(
        tenant=place.tenant,
        principal=who,
        registry=place.registry,
        db=db,
        base=request.base,
        cursor_key=settings.secret_key(),
        lenient=preference(request, "handling") == "lenient",
        request_id=request.header("x-request-id") or "",
        importing=before_commit is not None,
        guards=GUARDS,
        notes=[] if preference(request, "return") == "OperationOutcome" else None,
    )
    if before_commit is None:
        response = perform(ctx, request, where)
    else:
        with db.hold():
            response = perform(ctx, request, where)
            before_commit(db)
    db.commit()
    if writing:
        wake.changed(place.tenant.id)
    return response


def perform(ctx: Context, request: FhirRequest, where: Route) -> FhirResponse:
    """Run one interaction in the context's transaction."""
    if where.interaction == "bundle":
        return bundles.process(ctx, request, lambda inner: perform(ctx, inner, _inner_route(ctx, inner)))
    if request.query and where.interaction in _WITHOUT_QUERY and not ctx.lenient:
        _check_query(request)
    return HANDLERS[where.interaction](ctx, request, where)


def _check_query(request: FhirRequest) -> None:
    for name, _ in request.query:
        if name not in _SHAPING:
            hint = " For a conditional create, send the condition as If-None-Exist." if request.method == "POST" else ""
            raise NotSupported(f"This interaction takes no parameter {name!r}.{hint}", expression=f"http.{name}")


def _inner_route(ctx: Context, request: FhirRequest) -> Route:
    where = route(ctx.registry, request.method, request.path)
    if where.interaction == "bundle":
        raise Invalid("A Bundle cannot stand in a Bundle's entry as a request.")
    return where

