"""Server-sent events: their text, and a stream with its buffer.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fhir_server.core.context import Principal
from fhir_server.core.resource_json import encode
from fhir_server.events.feed import as_text
from fhir_server.events.topics import Topic
from fhir_server.storage.changes import Position

CONTENT_TYPE = "text/event-stream; charset=utf-8"
# A client that is so far behind is cut off; it comes back and is given what it missed.
_MOST_WAITING = 256 * 1024
_FAREWELL_S = 10.0


def message(name: str, position: Position, data: dict[str, Any]) -> bytes:
    """One event."""
    return b"event: %b\nid: %b\ndata: %b\n\n" % (name.encode(), as_text(position).encode(), encode(data))


def hello(position: Position) -> bytes:
    """The first event of a stream that begins now."""
    return message("hello", position, {"position": as_text(position)})


def reset(position: Position) -> bytes:
    """The event that says: what you missed cannot be told, read everything anew; it goes on from here."""
    return message("reset", position, {"position": as_text(position)})


def end(reason: str) -> bytes:
    """The event that says why the server closes the stream."""
    return b"event: end\ndata: %b\n\n" % encode({"reason": reason})


def retry(milliseconds: int) -> bytes:
    """How long a client waits before it connects again."""
    return b"retry: %d\n\n" % milliseconds


def keep_alive(position: Position) -> bytes:
    """A comment, so that nobody on the way takes the connection for dead, and how far the stream has come: an id
    without data is no event, but what a browser sends as Last-Event-ID."""
    return b": keep-alive\nid: %b\n\n" % as_text(position).encode()


@dataclass(eq=False, slots=True)
class Stream:
    """An open connection, used on the event loop alone. `after`: from where it has still to be replayed, None to begin
    now; `ticket`: the digest of the ticket by which it came; `reset`: it begins with telling that something was missed;
    `cut_off`: what ends it at once, even while it is sending."""

    principal: Principal
    topics: tuple[Topic, ...]
    after: Position | None
    ticket: bytes | None = None
    reset: bool = False
    ended: bool = False
    cut_off: Callable[[], object] = bool
    _waiting: list[bytes] = field(default_factory=list)
    _size: int = 0
    _told: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, data: bytes) -> None:
        """Send this when the client has taken what came before. A client that takes nothing is cut off."""
        if self.ended or not data:
            return
        if self._waiting and self._size + len(data) > _MOST_WAITING:
            self.cut()
            return
        self._waiting.append(data)
        self._size += len(data)
        self._told.set()

    def cut(self) -> None:
        """End the stream at once."""
        if not self.ended:
            self._waiting.clear()
            self.ended = True
            self._told.set()
            self.cut_off()

    def finish(self, last: bytes = b"") -> None:
        """End the stream after what waits to be sent."""
        if self.ended:
            return
        self.put(last)
        self.ended = True
        self._told.set()
        # Who does not read does not learn of it.
        asyncio.get_running_loop().call_later(_FAREWELL_S, self.cut_off)

    @property
    def taken(self) -> bool:
        """Whether the client has taken all that was put."""
        return not self._waiting

    async def take(self) -> bytes | None:
        """What is to be sent next, as soon as there is something; None at the end."""
        while not self._waiting:
            if self.ended:
                return None
            self._told.clear()
            await self._told.wait()
        data = b"".join(self._waiting)
        self._waiting.clear()
        self._size = 0
        return data
