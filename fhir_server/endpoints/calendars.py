"""Calendar feeds behind secret links: `GET /t/{tenant}/calendars/{secret}.ics`.

A wrong secret, a revoked one, another tenant's and a tenant that is not there have the same answer.
"""

import hashlib

from flask import Blueprint, Response, request

from fhir_server.core.context import Context
from fhir_server.core.errors import NotFound
from fhir_server.endpoints.tenant_work import in_tenant
from fhir_server.features.scheduling import calendar
from fhir_server.features.scheduling.calendar import Feed
from fhir_server.security import audit
from fhir_server.security.authenticate import token_digest
from fhir_server.storage import calendar_links

bp = Blueprint("calendars", __name__)

_LONGEST = 100
_HEADERS = {
    # To be asked again each time; the answer is short when nothing changed.
    "Cache-Control": "private, no-cache",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
    "Referrer-Policy": "no-referrer",
}


@bp.get("/t/<slug>/calendars/<secret>.ics")
def feed(slug: str, secret: str) -> Response:
    """The calendar of a link, or 304 for whoever has this very text already.

    `Last-Modified` is told, but only `If-None-Match` is answered by 304: what is deleted or falls out of the window
    changes the text without a later version.
    """

    def work(ctx: Context) -> tuple[Feed, str] | None:
        link = calendar_links.find(ctx.db, ctx.tenant.id, token_digest(secret[:_LONGEST]))
        if link is None:
            return None
        found = calendar.feed(ctx, link.actor, names=link.names)
        etag = hashlib.sha256(found.body).hexdigest()[:32]
        if not request.if_none_match.contains(etag):
            # Only a calendar with names shows anybody's data.
            rids = found.rids if link.names else ()
            detail = {"what": f"calendars/{link.id}"}
            ctx.db.run([audit.about(ctx, "search-type", resource_type="Appointment", rids=rids, detail=detail)])
        return found, etag

    try:
        shown = in_tenant(slug, work)
    except NotFound:
        shown = None
    if shown is None:
        return Response("There is no such calendar.\n", 404, _HEADERS, content_type="text/plain; charset=utf-8")
    return _answer(*shown)


def _answer(found: Feed, etag: str) -> Response:
    same = request.if_none_match.contains(etag)
    response = Response(b"" if same else found.body, 304 if same else 200, _HEADERS)
    response.content_type = "text/calendar; charset=utf-8"
    response.set_etag(etag)
    if found.changed is not None:
        response.last_modified = found.changed
    return response
