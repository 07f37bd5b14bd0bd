"""Everything of the web process that is not FHIR: health, metrics, the front door."""

import hmac
import os
import re
from urllib.parse import urlsplit

import redis
from flask import Flask, Response, jsonify, redirect, request
from flask.typing import ResponseReturnValue
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest, multiprocess
from prometheus_client import REGISTRY as PROCESS_REGISTRY
from werkzeug.exceptions import HTTPException

from fhir_server.core.errors import FhirError, Issue, outcome
from fhir_server.rest import dispatch
from fhir_server.security.proxies import origin
from fhir_server.settings import settings
from fhir_server.storage import tenants
from fhir_server.storage.errors import StatementError

site = Flask(__name__)
# A path that is not written the one way names nothing: no redirects to what it could have meant.
site.url_map.merge_slashes = False
site.url_map.strict_slashes = True
site.url_map.redirect_defaults = False
site.config.update(MAX_CONTENT_LENGTH=1024 * 1024, MAX_FORM_MEMORY_SIZE=256 * 1024, MAX_FORM_PARTS=200)
# For what says nothing about itself; pages bring their own policy, public documents their own life.
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_BESIDE_FHIR = re.compile(r"/t/[^/]+/(calendars|events|messages|tickets)(/|\Z)")
_SAID = {
    404: ("not-found", "There is nothing at this address."),
    405: ("not-supported", "This address does not take this method. Allow says which ones it takes."),
}


@site.before_request
def check_origin() -> None:
    """Refuse a Host that is none, and plain http where clients use https."""
    origin(request.environ)


@site.after_request
def add_headers(response: Response) -> Response:
    """What every answer carries unless it says otherwise."""
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    if settings.public_url.startswith("https:") or _came_by_https():
        response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    return response


def _came_by_https() -> bool:
    try:
        return origin(request.environ).startswith("https:")
    except FhirError:
        return False


@site.errorhandler(FhirError)
def refused(error: FhirError) -> ResponseReturnValue:
    """An error of the engine, where the page or endpoint has no form of its own for it."""
    return jsonify(error.outcome()), error.status, error.headers


@site.errorhandler(HTTPException)
def failed(error: HTTPException) -> ResponseReturnValue:
    """Any other error: its name and nothing of the request. Beside FHIR, in the form that errors have there."""
    headers = {name: value for name, value in error.get_headers() if name in ("Allow", "Retry-After")}
    status = error.code or 500
    if not _BESIDE_FHIR.match(request.path):
        return jsonify(error=error.name), status, headers
    code, text = _SAID.get(status, ("processing", f"{error.name}."))
    return jsonify(outcome([Issue("error", code, text)])), status, headers


@site.get("/health/live")
def live() -> ResponseReturnValue:
    """The process answers."""
    return jsonify(status="live")


@site.get("/health/ready")
def ready() -> ResponseReturnValue:
    """The process can serve: the database answers and has the tables.

    Without Valkey requests are served all the same and only work for later waits, so that is told, not failed.
    """
    try:
        dispatch.session().plain([("SELECT count(*) FROM tenant", ())])
    except (FhirError, StatementError):
        return jsonify(status="unavailable", reason="the database does not answer"), 503
    return jsonify(status="ready", worker_queue="up" if _queue_answers() else "down")


def _queue_answers() -> bool:
    try:
        with redis.Redis.from_url(settings.broker_url(), socket_timeout=1, socket_connect_timeout=1) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


@site.get("/metrics")
def metrics() -> ResponseReturnValue:
    """Prometheus metrics of all web workers: for the holder of SALAM_METRICS_TOKEN, or for this machine only."""
    if not _may_read_metrics():
        return jsonify(error="Metrics need the token in SALAM_METRICS_TOKEN."), 401, {"WWW-Authenticate": "Bearer"}
    registry = PROCESS_REGISTRY
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def _may_read_metrics() -> bool:
    if settings.metrics_token:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
        return hmac.compare_digest(given.encode(), settings.metrics_token.encode())
    # A proxy on this machine speaks for clients elsewhere.
    forwarded = "X-Forwarded-For" in request.headers or "Forwarded" in request.headers
    return not forwarded and (request.remote_addr or "") in ("127.0.0.1", "::1", "")


@site.get("/")
def front_door() -> ResponseReturnValue:
    """Where things are; at a tenant's own domain, and where there is only one, its pages."""
    if "text/html" in request.accept_mimetypes.values():
        host = urlsplit(origin(request.environ)).hostname or ""
        every = tenants.all_tenants(dispatch.session())
        slug = tenants.at_domain(dispatch.session(), host) or (every[0].tenant.slug if len(every) == 1 else None)
        if slug is not None:
            return redirect(f"/t/{slug}/ui/", 302)
    return jsonify(name="Salam", fhir="/t/{tenant}/fhir", health="/health/ready", metrics="/metrics")
