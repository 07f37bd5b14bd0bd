"""Events without an open connection: `GET /t/{tenant}/events` of the web process, for who cannot reach the hub.

As application/json: what happened since `after`, to be asked again. As text/event-stream: the same as a stream that
ends; an EventSource then comes back by itself with the id of the last event.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, request

from fhir_server.core.errors import FhirError, NotAcceptable
from fhir_server.core.messages import FHIR_JSON
from fhir_server.core.resource_json import encode
from fhir_server.endpoints import event_access
from fhir_server.endpoints.event_access import Admitted
from fhir_server.events import feed, stream
from fhir_server.events.audience import Event, events_of, shown
from fhir_server.storage import changes
from fhir_server.storage.changes import Position

bp = Blueprint("events", __name__)

_PAGE, _PAGES, _ENOUGH = 500, 10, 200
_RETRY_MS = 3_000
_NEVER_KEPT = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}


@dataclass(frozen=True, slots=True)
class Answer:
    """The events since a place, up to the place `next`. `idle`: there were none, and there is no more to ask for."""

    events: list[tuple[Event, dict[str, Any]]]
    next: Position
    begins: bool
    reset: bool
    idle: bool


@bp.route("/t/<slug>/events", methods=["OPTIONS"], provide_automatic_options=False)
def preflight(slug: str) -> Response:
    """What a page of the application's own origin may send."""
    return Response(status=204, headers={**_cross_origin(), **event_access.PREFLIGHT})


@bp.get("/t/<slug>/events")
def events(slug: str) -> Response:
    """What happened since `after` or `Last-Event-ID`."""
    try:
        kind = request.accept_mimetypes.best_match(["application/json", "text/event-stream"])
        if kind is None and "Accept" in request.headers:
            raise NotAcceptable("Events come as text/event-stream or application/json.", expression="http.Accept")
        asked = event_access.asked(
            list(request.args.items(multi=True)),
            request.headers.get("Authorization"),
            request.headers.get("Last-Event-ID"),
        )
        answer = event_access.admit(slug, asked, _since)
    except FhirError as error:
        headers = {**_NEVER_KEPT, **_cross_origin(), **error.headers}
        return Response(encode(error.outcome()), error.status, headers, content_type=FHIR_JSON)
    headers = {**_NEVER_KEPT, **_cross_origin()}
    if kind == "text/event-stream":
        return Response(_stream(answer), 200, {**headers, "X-Accel-Buffering": "no"}, content_type=stream.CONTENT_TYPE)
    return _json(answer, headers)


def _cross_origin() -> dict[str, str]:
    return event_access.cross_origin(request.headers.get("Origin"), request.host)


def _since(admitted: Admitted) -> Answer:
    ctx, tenant_id = admitted.ctx, admitted.ctx.tenant.id
    if admitted.after is None:
        event_access.log_opened(admitted)
        end, _ = changes.end(ctx.db, tenant_id)
        return Answer([], end, begins=not admitted.reset, reset=admitted.reset, idle=False)
    place, found, full = admitted.after, [], True
    with ctx.db.hold():
        for _ in range(_PAGES):
            seen, end = changes.visible(ctx.db, tenant_id, place, _PAGE)
            full = len(seen) == _PAGE
            final = [change for change in seen if change.position <= end]
            about = [event for event in events_of(ctx, final) if event.about(admitted.topics)]
            found += [(event, event.data(event.about(admitted.topics))) for event in shown(ctx, about)]
            place = feed.settled(seen, end, _PAGE) or place
            if not full or not final or len(found) >= _ENOUGH:
                break
        if found:
            event_access.log_opened(admitted)
    return Answer(found, place, begins=False, reset=False, idle=not found and not full)


def _stream(answer: Answer) -> bytes:
    parts = [stream.retry(_RETRY_MS)]
    if answer.begins:
        parts.append(stream.hello(answer.next))
    if answer.reset:
        parts.append(stream.reset(answer.next))
    parts += [stream.message("change", event.change.position, data) for event, data in answer.events]
    return b"".join([*parts, stream.keep_alive(answer.next)])


def _json(answer: Answer, headers: dict[str, str]) -> Response:
    listed = [{"position": feed.as_text(event.change.position), **data} for event, data in answer.events]
    body = encode({"events": listed, "next": feed.as_text(answer.next), "reset": answer.reset})
    response = Response(body, 200, headers, content_type="application/json")
    # Nothing new is the same answer, although the feed has gone on; its `next` of before will do.
    response.set_etag("idle" if answer.idle else hashlib.sha256(body).hexdigest()[:32])
    response.make_conditional(request)
    return response
