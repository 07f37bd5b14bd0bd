"""JSON of resources, with decimals kept as written.

A decimal is decoded to `Decimal` and written back with its digits (`1.00` stays `1.00`).
https://hl7.org/fhir/R4/datatypes.html#decimal
"""

import json
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from fhir_server.core.errors import Invalid, TooLarge

_MOST_PLACES = 400


def sent_decimal(text: str) -> Decimal:
    """A number from outside, with its digits. Raises `Invalid` beyond what float8 holds: nothing could compare or
    search it, and as an integer it would fill the memory."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = None
    if value is None or not -_MOST_PLACES <= value.adjusted() <= _MOST_PLACES:
        raise Invalid(f"A number's exponent is beyond {_MOST_PLACES}.", code="value")
    return value


_decoder = msgspec.json.Decoder(float_hook=Decimal)
_sent_decoder = msgspec.json.Decoder(float_hook=sent_decimal)
_encoder = msgspec.json.Encoder(decimal_format="number")

MAX_DEPTH = 64


def decode(body: bytes | str) -> Any:
    """Parse JSON text. Raises `Invalid` (400, `structure`) naming the offset when it is not JSON."""
    return _decoded(_decoder, body)


def _decoded(decoder: msgspec.json.Decoder[Any], body: bytes | str) -> Any:
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, InvalidOperation) as error:
        raise Invalid(f"The body is not valid JSON: {error}", code="structure") from None


def decode_sent(body: bytes, *, max_values: int, max_string: int) -> Any:
    """Parse a body from outside: as `decode`, and each property once, no U+0000, no number beyond float8, and nothing
    beyond the limits.

    Values are counted by their commas and brackets, before memory is spent on them. Raises `Invalid` and `TooLarge`.
    """
    if body.count(b",") + body.count(b"[") + body.count(b"{") > max_values:
        raise TooLarge(f"The body has more than {max_values} values.")
    value = _decoded(_sent_decoder, body)
    # Of a property that stands twice, decoding keeps one: its quotes are missing when the value is written again.
    # Only a quote written as a code can hide that.
    if b"\\u0022" in body or body.count(b'"') != _encoder.encode(value).count(b'"'):
        _refuse_duplicates(body)
    if b"\\u0000" in body and any("\0" in text for _, text in _strings(value)):
        raise Invalid("The body contains a character that text cannot hold (U+0000).", code="value")
    if len(body) > max_string:
        check_strings(value, max_string)
    return value


def check_strings(value: Any, longest: int) -> None:
    """Raise `TooLarge` for a string of more characters than `longest`, other than base64 data and narrative."""
    for name, text in _strings(value):
        if len(text) > longest and name not in ("data", "div"):
            raise TooLarge(f"A string is longer than {longest} characters.")


def _strings(value: Any) -> Iterator[tuple[str, str]]:
    """Every string with the name of the property that it or its array stands under; every name as a string too."""
    waiting = [("", value)]
    while waiting:
        name, node = waiting.pop()
        if isinstance(node, str):
            yield name, node
        elif isinstance(node, dict):
            waiting.extend(node.items())
            waiting.extend(("", key) for key in node)
        elif isinstance(node, list):
            waiting.extend((name, child) for child in node)


def _refuse_duplicates(body: bytes) -> None:
    def once(pairs: list[tuple[str, Any]]) -> None:
        if len({name for name, _ in pairs}) < len(pairs):
            raise Invalid("A JSON object has two properties of the same name.", code="structure")

    try:
        json.loads(body, object_pairs_hook=once, parse_float=str, parse_int=str)
    except (ValueError, RecursionError):
        raise Invalid("The body is not valid JSON.", code="structure") from None


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
