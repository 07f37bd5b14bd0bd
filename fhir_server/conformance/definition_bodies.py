"""Definitions as read, kept by version: tenants whose definitions say the same hold what they say once."""

import hashlib
from collections.abc import Hashable
from typing import Any

from fhir_server.core.resource_json import decode, encode

Body = dict[str, Any]

# What says where a definition is stored, and nothing of what it defines.
_OF_THE_COPY = frozenset({"id", "meta"})
_COPY_BYTES = 2048


def said(definition: Body) -> Body:
    """What a definition says, whoever stores it."""
    return {name: value for name, value in definition.items() if name not in _OF_THE_COPY}


def digest(definition: Body) -> bytes:
    """SHA-256 of what a definition says."""
    return hashlib.sha256(encode(said(definition))).digest()


class Bodies:
    """Decoded definitions. `most`: bytes of JSON text that they may have together; decoded they take some three times
    as much. When it is reached all are forgotten and read anew."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._bytes = 0
        self._bodies: dict[Hashable, Body] = {}
        self._contents: dict[bytes, Body] = {}

    def get(self, key: Hashable) -> Body | None:
        """The definition of a key, if it is here."""
        return self._bodies.get(key)

    def put(self, key: Hashable, text: bytes) -> Body:
        """Decode and keep a definition. Nobody changes what he is given."""
        if self._bytes >= self._most:
            self._bodies.clear()
            self._contents.clear()
            self._bytes = 0
        body: Body = decode(text)
        same = self._contents.setdefault(digest(body), body)
        if same is not body:
            body = {name: value if name in _OF_THE_COPY else same[name] for name, value in body.items()}
        self._bytes += len(text) if same is body else _COPY_BYTES
        self._bodies[key] = body
        return body
