"""The hub process: `GET /t/{tenant}/events` as streams that stay open. ASGI, because in the web process each would hold
a thread.

One process, one event loop. Whatever asks the database runs in a few threads. Each tenant with open streams has one
`Tail`, which asks the change feed for all of them: when Valkey says that something changed, and every second anyway.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl

from fhir_server.core.errors import FhirError, MethodNotAllowed, NotAcceptable, NotFound
from fhir_server.core.messages import FHIR_JSON
from fhir_server.core.resource_json import encode
from fhir_server.endpoints import event_access
from fhir_server.endpoints.event_tails import Tails
from fhir_server.events import stream as texts
from fhir_server.events.stream import Stream

Scope = dict[str, Any]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]

_PATH = re.compile(r"/t/([a-z0-9][a-z0-9-]{0,62})/events\Z")
_RETRY_MS = 2_000
_STREAM_HEADERS = {
    "Content-Type": texts.CONTENT_TYPE,
    "Cache-Control": "no-store",
    # nginx would keep events back to fill a buffer.
    "X-Accel-Buffering": "no",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_tails = Tails()


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """The ASGI application that granian serves."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 4404})
    elif scope["type"] == "http":
        if scope["path"] == "/health/live":
            body = encode({"status": "live", "streams": _tails.count()})
            await _answer(send, 200, {"Content-Type": "application/json"}, body)
        else:
            await _events(scope, receive, send)


async def _events(scope: Scope, receive: Receive, send: Send) -> None:
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    allowed = event_access.cross_origin(headers.get("origin"), headers.get("host"))
    try:
        stream = await _opened(scope, headers, send, allowed)
    except FhirError as error:
        body = encode(error.outcome())
        kept = {"Content-Type": FHIR_JSON, "Cache-Control": "no-store"}
        await _answer(send, error.status, {**kept, **allowed, **error.headers}, body)
        return
    if stream is not None:
        await _pump(stream, receive, send, allowed)


async def _opened(scope: Scope, headers: dict[str, str], send: Send, allowed: dict[str, str]) -> Stream | None:
    """The stream that a request asks for; None when it was a preflight, which is answered."""
    path = _PATH.match(scope["path"])
    if path is None:
        raise NotFound("This is the event hub. Streams are at /t/{tenant}/events.", expression="http.path")
    if scope["method"] == "OPTIONS":
        await _answer(send, 204, {**allowed, **event_access.PREFLIGHT}, b"")
        return None
    if scope["method"] != "GET":
        raise MethodNotAllowed("Events are read with GET.", headers={"Allow": "GET, OPTIONS"})
    accept = headers.get("accept", "*/*")
    if not any(kind in accept for kind in ("text/event-stream", "text/*", "*/*")):
        text = "The hub gives text/event-stream. The web server gives events as application/json at the same path."
        raise NotAcceptable(text, expression="http.Accept")
    query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    asked = event_access.asked(query, headers.get("authorization"), headers.get("last-event-id"))
    return await _tails.open(path[1], asked)


async def _pump(stream: Stream, receive: Receive, send: Send, allowed: dict[str, str]) -> None:
    """Send what is put into a stream until either side ends it."""
    me = asyncio.current_task()
    assert me is not None
    # A client that takes nothing holds `send` up: then only cancelling ends it.
    stream.cut_off = me.cancel
    watcher = asyncio.create_task(_gone(stream, receive))
    try:
        await send(_start(200, {**_STREAM_HEADERS, **allowed}))
        data: bytes | None = texts.retry(_RETRY_MS)
        while data is not None:
            await send({"type": "http.response.body", "body": data, "more_body": True})
            data = await stream.take()
        await send({"type": "http.response.body", "body": b"", "more_body": False})
    except asyncio.CancelledError:
        if not stream.ended:
            raise
    finally:
        watcher.cancel()
        _tails.close(stream)


async def _gone(stream: Stream, receive: Receive) -> None:
    """End the stream when the client goes."""
    with suppress(Exception):
        while (await receive())["type"] != "http.disconnect":
            pass
    stream.cut()


def _start(status: int, headers: dict[str, str]) -> dict[str, Any]:
    pairs = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    return {"type": "http.response.start", "status": status, "headers": pairs}


async def _answer(send: Send, status: int, headers: dict[str, str], body: bytes) -> None:
    await send(_start(status, {**headers, "Content-Length": str(len(body))}))
    await send({"type": "http.response.body", "body": body})
