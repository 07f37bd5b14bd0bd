"""Page cursors: opaque to the client, and only good for whom and what they were made for.

A cursor names tenant, query and scopes; the signature covers all of it. One that was altered, or that comes from
another tenant, another query or a caller with other scopes, is refused.
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from hashlib import blake2b
from typing import Any

import msgspec

from fhir_server.core.errors import Invalid

_SIZE = 16


def seal(key: bytes, scope: str, position: Any) -> str:
    """A cursor for `position` (JSON-like), bound to `scope` (a text that names tenant, query and scopes)."""
    payload: bytes = msgspec.msgpack.encode(position)
    return urlsafe_b64encode(_sign(key, scope, payload) + payload).decode().rstrip("=")


def unseal(key: bytes, scope: str, cursor: str) -> Any:
    """The position of a cursor made by `seal` with the same key and scope. Raises `Invalid` for any other."""
    try:
        raw = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except (Error, ValueError):
        raw = b""
    signature, payload = raw[:_SIZE], raw[_SIZE:]
    if len(raw) <= _SIZE or not hmac.compare_digest(signature, _sign(key, scope, payload)):
        raise Invalid(
            "The page link is not valid for this query. Start again from the first page.",
            expression="http._cursor",
            code="value",
        )
    return msgspec.msgpack.decode(payload)


def _sign(key: bytes, scope: str, payload: bytes) -> bytes:
    return blake2b(scope.encode() + b"\x00" + payload, key=key[:64], digest_size=_SIZE).digest()
