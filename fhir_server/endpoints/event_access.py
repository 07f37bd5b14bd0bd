"""Who may follow events: what a request for them asks, checked like a search, for the hub and the web process alike."""

import contextlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlencode, urlsplit

from fhir_server.core.context import Context, Principal
from fhir_server.core.errors import FhirError, Forbidden, Invalid, NotFound, Unauthenticated, Unavailable
from fhir_server.events import feed, tickets, topics
from fhir_server.events.topics import Topic
from fhir_server.interactions.worlds import World, refresh, world
from fhir_server.rest import dispatch
from fhir_server.security import audit, guests, throttle
from fhir_server.security.authenticate import authenticate, forget, principal_of
from fhir_server.settings import settings
from fhir_server.storage.changes import Position
from fhir_server.storage.errors import ConnectionLost, DefinitionsChanged, RightsChanged
from fhir_server.storage.session import Session

T = TypeVar("T")
_ATTEMPTS = 5
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for events. `after`: from the URL; `last_event_id`: what an EventSource sends when it comes back."""

    authorization: str | None
    ticket: str | None
    topics: tuple[str, ...]
    after: str | None
    last_event_id: str | None


@dataclass(frozen=True, slots=True)
class Admitted:
    """A request that may be answered. `after`: what it has seen, None to begin now; `reset`: it has missed more than
    can be told; `ticket`: the digest of the ticket by which it came."""

    ctx: Context
    topics: tuple[Topic, ...]
    after: Position | None
    reset: bool
    ticket: bytes | None


def asked(query: Sequence[tuple[str, str]], authorization: str | None, last_event_id: str | None) -> Asked:
    """What a request asks. Raises `Invalid` for a parameter that is none or is not understood."""
    known: dict[str, list[str]] = {"topic": [], "after": [], "ticket": []}
    for name, value in query:
        if name == "access_token":
            text = "An access token is sent in the Authorization header, never in the URL. For the URL, get a ticket."
            raise Invalid(text, expression="http.access_token")
        if name not in known:
            raise Invalid("Events take the parameters topic, after and ticket.", expression=f"http.{name[:40]}")
        known[name].append(value)
    for name in ("after", "ticket"):
        if len(known[name]) > 1:
            raise Invalid(f"{name} stands once.", expression=f"http.{name}")
    after = known["after"][0] if known["after"] else None
    if after is not None and feed.parse(after) is None:
        raise Invalid("after takes the id of an event.", expression="http.after", code="value")
    ticket = known["ticket"][0] if known["ticket"] else None
    return Asked(authorization, ticket, tuple(known["topic"]), after, last_event_id)


def admit(slug: str, request: Asked, work: Callable[[Admitted], T]) -> T:
    """Do something for a request that may follow these topics, in one transaction under its token.

    Raises `NotFound` for the tenant, `Unauthenticated`, `Forbidden`, `Invalid`, `Throttled`; what is refused is logged.
    """
    db = dispatch.session()
    try:
        return _tried(db, slug, request, work)
    except FhirError as error:
        db.rollback()
        _log_refused(db, slug, request, error.status)
        raise


def _tried(db: Session, slug: str, request: Asked, work: Callable[[Admitted], T]) -> T:
    place = world(db, slug)
    for attempt in range(_ATTEMPTS):
        who: Principal | None = None
        try:
            who = _principal(db, place, request)
            done = work(_admitted(db, place, request, who))
            db.commit()
            db.verify()
            return done
        except DefinitionsChanged:
            db.rollback()
            place = refresh(db, slug)
        except RightsChanged:
            db.rollback()
            forget(place.tenant.id, who.token_hash if who else None)
        except ConnectionLost:
            if attempt:
                raise
        except BaseException:
            db.rollback()
            raise
    raise Unavailable("The definitions of this tenant change too fast. Try again.", headers={"Retry-After": "1"})


def _principal(db: Session, place: World, request: Asked) -> Principal:
    """Of the token in the header, or of the one that the ticket stands for."""
    tenant_id = place.tenant.id
    db.enter(tenant_id, None, place.version)
    if request.ticket is None or request.authorization:
        return authenticate(db, tenant_id, place.version, request.authorization)
    token = tickets.token_of(db, tenant_id, request.ticket)
    if token is None:
        raise Unauthenticated(
            "The ticket is not valid or has expired. Get a new one: POST $event-ticket.",
            expression="http.ticket",
            headers={"WWW-Authenticate": "Bearer"},
        )
    return principal_of(db, tenant_id, place.version, token)


def _admitted(db: Session, place: World, request: Asked, who: Principal) -> Admitted:
    if who.user is not None and who.user.role == guests.ROLE:
        # Anybody gets a guest's token: streams for all of them would leave none for the clinic.
        raise Forbidden("Visitors without an account cannot follow events.")
    throttle.fhir(place.tenant.id, who.client_id, who.user.id if who.user else "")
    db.enter(place.tenant.id, who.token_hash, place.version, stamp=who.stamp)
    base = settings.fhir_base(place.tenant.slug)
    ctx = Context(place.tenant, who, place.registry, db, base, settings.secret_key())
    wanted = topics.parse(ctx, request.topics)
    seen = request.last_event_id or request.after
    after = feed.parse(seen) if seen else None
    reset = bool(seen) and (after is None or not feed.replayable(db, place.tenant.id, after))
    ticket = tickets.digest(request.ticket) if request.ticket and not request.authorization else None
    return Admitted(ctx, wanted, None if reset else after, reset, ticket)


def log_opened(admitted: Admitted) -> None:
    """Log that a caller follows topics."""
    detail = {"what": "events", "query": urlencode([("topic", topic.text) for topic in admitted.topics])}
    admitted.ctx.db.run([audit.about(admitted.ctx, "operation", detail=detail)])


def _log_refused(db: Session, slug: str, request: Asked, status: int) -> None:
    try:
        place = world(db, slug)
        who = None
        with contextlib.suppress(FhirError):
            who = _principal(db, place, request)
        db.enter(place.tenant.id, None, place.version)
        detail = {"what": "events", "query": urlencode([("topic", text) for text in request.topics[: topics.MOST]])}
        db.run([audit.refused(db, place.tenant.id, "operation", status, who=who, detail=detail)], final=True)
    except (ConnectionLost, DefinitionsChanged, NotFound):
        db.rollback()
    except Exception:
        _log.exception("a refused request for events could not be logged")
        db.rollback()


def cross_origin(origin: str | None, host: str | None) -> dict[str, str]:
    """Headers that let pages of the application's own origin read the answer, and nobody else's.

    `host`: the Host header. Where no SALAM_PUBLIC_URL is set, it names the machine: the web server's port is there.
    """
    headers = {"Vary": "Origin, Authorization, Accept"}
    if origin and origin.lower() in _own_origins(host):
        headers["Access-Control-Allow-Origin"] = origin
        headers["Access-Control-Expose-Headers"] = "ETag, Retry-After, WWW-Authenticate"
    return headers


PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, Last-Event-ID, Accept, Cache-Control, If-None-Match",
    "Access-Control-Max-Age": "86400",
}


def _own_origins(host: str | None) -> tuple[str, ...]:
    if settings.public_url:
        url = urlsplit(settings.public_url.lower())
        return (f"{url.scheme}://{url.netloc}",)
    name = (host or "").lower().rpartition(":")[0] or (host or "").lower()
    return (f"http://{name}:{settings.port}",)
