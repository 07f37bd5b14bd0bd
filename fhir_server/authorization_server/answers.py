"""How the OAuth endpoints answer: JSON, never kept, errors by the names of the RFCs, and who may read it in a browser.

RFC 6749 section 5.2, RFC 6750 section 3. A refusal is an outcome like another: what it changed (a burnt code, a revoked
family) is committed.
"""

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from authlib.oauth2.rfc6749.errors import OAuth2Error
from flask import Response, request

from fhir_server.core.errors import FhirError, NotFound, Throttled, Unavailable
from fhir_server.interactions.worlds import World, refresh, world
from fhir_server.rest import dispatch
from fhir_server.security import throttle
from fhir_server.security.oauth.token_state import BadBearer
from fhir_server.security.oauth.urls import Realm, urls
from fhir_server.security.proxies import origin
from fhir_server.storage import oauth_tokens
from fhir_server.storage.errors import (
    ConnectionLost,
    DefinitionsChanged,
    SerializationFailure,
    UniqueViolation,
)
from fhir_server.storage.session import Session

T = TypeVar("T")
Work = Callable[[Session, Realm], T]

_log = logging.getLogger(__name__)
_ATTEMPTS = 5
_NEVER_KEPT = {
    "Cache-Control": "no-store",
    "Pragma": "no-cache",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def in_realm(slug: str, work: Work[T]) -> T:
    """Do something in the tenant, in one transaction, again when it lost a race. Raises `NotFound` for a tenant that
    is not there or suspended."""
    db = dispatch.session()
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return _once(db, world(db, slug), slug, work)
        except DefinitionsChanged:
            db.rollback()
            refresh(db, slug)
        except (SerializationFailure, UniqueViolation):
            db.rollback()
            if attempt == _ATTEMPTS:
                raise
        except ConnectionLost:
            if attempt > 1:
                raise
        except BaseException:
            db.rollback()
            raise
    raise Unavailable("The definitions of this tenant change too fast. Try again.", headers={"Retry-After": "1"})


def _once(db: Session, place: World, slug: str, work: Work[T]) -> T:
    db.enter(place.tenant.id, None, place.version)
    try:
        found = work(db, Realm(place.tenant.id, urls(origin(request.environ), slug), place.registry))
    except (OAuth2Error, BadBearer):
        db.commit()
        db.verify()
        raise
    db.commit()
    db.verify()
    return found


def respond(slug: str, work: Work[Response], *, cross_origin: bool = False) -> Response:
    """The answer of an endpoint, errors included. `cross_origin`: pages of public clients may read it."""
    try:
        response = in_realm(slug, work)
    except Exception as error:
        response = failure(error)
    if cross_origin and response.status_code != 404:
        _allow_origin(slug, response)
    return response


def failure(error: Exception) -> Response:
    """An error as an answer."""
    if isinstance(error, OAuth2Error):
        return _oauth_failure(error)
    if isinstance(error, BadBearer):
        challenge = f'Bearer error="{error.error}"'
        return reply({"error": error.error}, error.status, {"WWW-Authenticate": challenge})
    if isinstance(error, NotFound):
        return reply({"error": "not_found"}, 404)
    if isinstance(error, Throttled | Unavailable):
        body = {"error": "temporarily_unavailable", "error_description": str(error)}
        return reply(body, error.status, error.headers)
    if isinstance(error, FhirError):
        return reply({"error": "invalid_request", "error_description": "The request cannot be understood."}, 400)
    _log.error("an OAuth request failed", exc_info=error)
    return reply({"error": "server_error", "error_description": "The fault is on our side."}, 500)


def _oauth_failure(error: OAuth2Error) -> Response:
    body = {"error": error.error}
    if error.description:
        body["error_description"] = error.description
    headers = {}
    status = error.status_code
    if error.error == "invalid_client":
        status = 401
        if request.headers.get("Authorization", "").lower().startswith("basic"):
            headers["WWW-Authenticate"] = 'Basic realm="oauth", charset="UTF-8"'
    return reply(body, status, headers)


def reply(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """JSON that nobody keeps; None is an empty body."""
    body = b"" if value is None else json.dumps(value, ensure_ascii=False).encode()
    response = Response(body, status, {**_NEVER_KEPT, **(headers or {})}, content_type="application/json")
    if value is None:
        del response.headers["Content-Type"]
    return response


def published(value: Any, seconds: int) -> Response:
    """JSON that anybody may read, in any page, and keep so long."""
    body = value if isinstance(value, bytes) else json.dumps(value, ensure_ascii=False).encode()
    headers = {
        "Cache-Control": f"public, max-age={seconds}",
        "Access-Control-Allow-Origin": "*",
        "X-Content-Type-Options": "nosniff",
    }
    response = Response(body, 200, headers, content_type="application/json")
    response.add_etag()
    response.make_conditional(request)
    return response


def wrong_method(*allowed: str) -> Response:
    """405."""
    return reply({"error": "invalid_request", "error_description": f"Use {' or '.join(allowed)}."}, 405, {
        "Allow": ", ".join(allowed)
    })  # fmt: skip


def preflight(slug: str, methods: str) -> Response:
    """The answer to a browser that asks whether a page may call."""
    response = Response(b"", 204, _NEVER_KEPT)
    _allow_origin(slug, response)
    if "Access-Control-Allow-Origin" in response.headers:
        response.headers["Access-Control-Allow-Methods"] = methods
        response.headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type"
        response.headers["Access-Control-Max-Age"] = "600"
    return response


def body(limit: int) -> bytes:
    """The request's body, cut off one byte after the limit."""
    return request.stream.read(limit + 1)


def address() -> str:
    """Where the request comes from."""
    return throttle.client_address(request.environ)


def _allow_origin(slug: str, response: Response) -> None:
    response.headers.add("Vary", "Origin")
    page = request.headers.get("Origin", "")
    if not 0 < len(page) <= 300 or not page.isascii() or not page.isprintable():
        return
    try:
        known = in_realm(slug, lambda db, realm: oauth_tokens.is_public_origin(db, realm.tenant_id, page))
    except FhirError:
        return
    if known:
        response.headers["Access-Control-Allow-Origin"] = page
