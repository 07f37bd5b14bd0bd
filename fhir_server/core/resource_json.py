"""JSON of resources, with decimals kept as written.

A decimal is decoded to `Decimal` and written back with its digits (`1.00` stays `1.00`).
https://hl7.org/fhir/R4/datatypes.html#decimal
"""

from decimal import Decimal
from typing import Any

import msgspec

from fhir_server.core.errors import Invalid

_decoder = msgspec.json.Decoder(float_hook=Decimal)
_encoder = msgspec.json.Encoder(decimal_format="number")

MAX_DEPTH = 64


def decode(body: bytes | str) -> Any:
    """Parse JSON text. Raises `Invalid` (400, `structure`) naming the offset when it is not JSON."""
    try:
        return _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(f"The body is not valid JSON: {error}", code="structure") from None


def encode(value: Any) -> bytes:
    """Write JSON in the order of the dict, compact, UTF-8."""
    return _encoder.encode(value)


def pretty(body: bytes) -> bytes:
    """Indent JSON text that is already encoded, for `_pretty=true`."""
    return msgspec.json.format(body, indent=2)


def depth(value: Any, limit: int = MAX_DEPTH) -> int:
    """Nesting depth of a JSON value, counted to one past `limit` at most."""
    level, layer = 0, [value]
    while layer and level <= limit:
        level += 1
        layer = [
            child
            for node in layer
            if isinstance(node, (dict, list))
            for child in (node.values() if isinstance(node, dict) else node)
        ]
    return level


_sorter = msgspec.json.Encoder(decimal_format="number", order="sorted")


def encode_sorted(value: Any) -> bytes:
    """Write JSON with sorted property names: equal bytes mean equal content, digits of decimals included."""
    return _sorter.encode(value)
