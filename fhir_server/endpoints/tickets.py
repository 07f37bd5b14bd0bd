"""What the holder of a ticket's secret link can do without an account: follow it, and give it back.

`GET /t/{tenant}/tickets/{secret}`, `POST /t/{tenant}/tickets/{secret}/cancel`. The answers name nobody and are never
kept; a wrong, an expired and another tenant's secret are the same 404, found by the same statement.
"""

import hashlib
import json
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, request

from fhir_server.core.context import Context
from fhir_server.core.errors import FhirError, NotFound
from fhir_server.endpoints.tenant_work import in_tenant
from fhir_server.features.queue import links

bp = Blueprint("tickets", __name__)

_HEADERS = {"Cache-Control": "no-store", "X-Robots-Tag": "noindex", "Vary": "Accept"}


@bp.get("/t/<slug>/tickets/<secret>")
def ticket(slug: str, secret: str) -> Response:
    """The ticket: number, state, position, range. With an ETag, so that a page can ask often. Who opens the link in a
    browser gets the page about it."""
    if "text/html" in request.accept_mimetypes.values() and "application/json" not in request.accept_mimetypes.values():
        return Response(status=303, headers={**_HEADERS, "Location": f"/t/{slug}/ui/ticket/{secret}"})

    def work(ctx: Context) -> dict[str, Any]:
        return links.seen(ctx, links.follow(ctx, secret))

    return _answer(slug, work)


@bp.post("/t/<slug>/tickets/<secret>/cancel")
def cancel(slug: str, secret: str) -> Response:
    """Give the ticket back. Once it is given back, the same answer again."""

    def work(ctx: Context) -> dict[str, Any]:
        links.give_back(ctx, links.follow(ctx, secret))
        return links.seen(ctx, links.follow(ctx, secret))

    return _answer(slug, work)


def _answer(slug: str, work: Callable[[Context], dict[str, Any]]) -> Response:
    try:
        found = in_tenant(slug, work, again=request.method == "GET")
    except NotFound:
        # One text for every reason, that of a tenant which is not there included.
        return _reply(NotFound("There is no such ticket here, or its link has expired.").outcome(), 404)
    except FhirError as error:
        return _reply(error.outcome(), error.status, error.headers)
    response = _reply(found, 200)
    # When it was computed is not what it says.
    said = json.dumps({name: value for name, value in found.items() if name != "computedAt"}, sort_keys=True)
    response.set_etag(hashlib.sha256(said.encode()).hexdigest()[:32])
    if request.method == "GET":
        response.make_conditional(request)
    return response


def _reply(value: dict[str, Any], status: int, headers: dict[str, str] | None = None) -> Response:
    body = json.dumps(value, ensure_ascii=False)
    return Response(body, status, {**_HEADERS, **(headers or {})}, content_type="application/json")
