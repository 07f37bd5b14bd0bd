"""The hub answers health, and refuses everything else in FHIR's words."""

import asyncio
import json
from typing import Any

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
    assert json.loads(body["body"]) == {"status": "live"}


def test_no_other_address_is_served() -> None:
    start, body = _call({"type": "http", "path": "/t/demo/events"})
    assert start["status"] == 404
    assert json.loads(body["body"])["resourceType"] == "OperationOutcome"
    assert int(dict(start["headers"])[b"content-length"]) == len(body["body"])


def test_a_socket_is_closed() -> None:
    assert _call({"type": "websocket", "path": "/"}) == [{"type": "websocket.close", "code": 4404}]
