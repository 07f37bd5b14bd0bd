"""The hub process: connections that stay open. ASGI, because in the web process each would hold a thread.

It answers /health/live, and 404 with an OperationOutcome for everything else: this version serves no event stream.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from fhir_server.core.errors import NotFound
from fhir_server.core.messages import FHIR_JSON
from fhir_server.core.resource_json import encode

Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]


async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """The ASGI application that granian serves."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 4404})
    elif scope["type"] == "http":
        if scope["path"] == "/health/live":
            await _answer(send, 200, "application/json", b'{"status":"live"}')
        else:
            missing = NotFound("This is the event hub. It serves no stream at this address.", expression="http.path")
            await _answer(send, 404, FHIR_JSON, encode(missing.outcome()))


async def _answer(send: Send, status: int, content_type: str, body: bytes) -> None:
    headers = [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
