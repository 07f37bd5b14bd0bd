"""The hub answers health, and refuses what is no stream in FHIR's words. Its streams: tests/events/test_hub.py."""

import asyncio
import json
from typing import Any

import pytest

from fhir_server.hub import app


def _call(scope: dict[str, Any]) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    asyncio.run(app(scope, receive, send))
    return sent


def test_it_is_live() -> None:
    start, body = _call({"type": "http", "path": "/health/live"})
    assert start["status"] == 200
    assert json.loads(body["body"]) == {"status": "live", "streams": 0}


@pytest.mark.parametrize(
    ("method", "path", "accept", "status"),
    [
        ("GET", "/t/demo/fhir/Patient", "*/*", 404),
        ("GET", "/t/demo/events/", "*/*", 404),
        ("GET", "/t/../events", "*/*", 404),
        ("POST", "/t/demo/events", "*/*", 405),
        ("GET", "/t/demo/events", "application/json", 406),
        ("GET", "/t/demo/events", "*/*", 400),
    ],
)
def test_what_is_no_stream_is_refused(method: str, path: str, accept: str, status: int) -> None:
    headers = [(b"accept", accept.encode())]
    query = b"" if status != 400 else b"nonsense=1"
    scope = {"type": "http", "method": method, "path": path, "headers": headers, "query_string": query}
    start, body = _call(scope)
    assert start["status"] == status
    assert json.loads(body["body"])["resourceType"] == "OperationOutcome"
    assert int(dict(start["headers"])[b"content-length"]) == len(body["body"])


def test_a_socket_is_closed() -> None:
    assert _call({"type": "websocket", "path": "/"}) == [{"type": "websocket.close", "code": 4404}]
