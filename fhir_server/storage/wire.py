"""Parameters and results of statements on the wire.

Arrays and timestamps go in PostgreSQL's binary form: no quoting, no parsing on either side.
https://www.postgresql.org/docs/18/protocol-message-formats.html
"""

import struct
from collections.abc import Iterable, Sequence
from functools import lru_cache

_EPOCH_2000_US = 946_684_800_000_000
_HEADER = struct.Struct(">iiIii")
_INT8, _INT4, _INT2, _BOOL, _TEXT, _BYTEA, _FLOAT8, _TIMESTAMPTZ = 20, 23, 21, 16, 25, 17, 701, 1184


class Binary(bytes):
    """A parameter that is already in binary form."""


Param = int | float | str | bytes | bool | None


@lru_cache(maxsize=1024)
def _packer(code: str, count: int) -> struct.Struct:
    return struct.Struct(f"{_HEADER.format}{('i' + code) * count}")


def _fixed(oid: int, width: int, code: str, values: Sequence[int] | Sequence[float]) -> Binary:
    count = len(values)
    packer = _packer(code, count)
    flat: list[int | float] = [width] * (2 * count)
    flat[1::2] = values
    return Binary(packer.pack(1, 0, oid, count, 1, *flat))


def bigints(values: Sequence[int]) -> Binary:
    """bigint[]"""
    return _fixed(_INT8, 8, "q", values)


def integers(values: Sequence[int]) -> Binary:
    """integer[]"""
    return _fixed(_INT4, 4, "i", values)


def smallints(values: Sequence[int]) -> Binary:
    """smallint[]"""
    return _fixed(_INT2, 2, "h", values)


def floats(values: Sequence[float]) -> Binary:
    """double precision[]"""
    return _fixed(_FLOAT8, 8, "d", values)


def booleans(values: Sequence[bool]) -> Binary:
    """boolean[]"""
    return _fixed(_BOOL, 1, "?", values)


def timestamps(values: Sequence[int]) -> Binary:
    """timestamptz[] from microseconds since 1970."""
    return _fixed(_TIMESTAMPTZ, 8, "q", [v - _EPOCH_2000_US for v in values])


def timestamp(us: int) -> Binary:
    """timestamptz from microseconds since 1970."""
    return Binary(struct.pack(">q", us - _EPOCH_2000_US))


def bigint(value: int) -> Binary:
    """bigint, for places where the type of a text parameter cannot be inferred."""
    return Binary(struct.pack(">q", value))


def texts(values: Iterable[str | bytes]) -> Binary:
    """text[]"""
    return _varying(_TEXT, [v if isinstance(v, bytes) else v.encode() for v in values])


def byteas(values: Sequence[bytes]) -> Binary:
    """bytea[]"""
    return _varying(_BYTEA, values)


def _varying(oid: int, values: Sequence[bytes]) -> Binary:
    parts = [_HEADER.pack(1, 0, oid, len(values), 1)]
    for value in values:
        parts.append(struct.pack(">i", len(value)))
        parts.append(value)
    return Binary(b"".join(parts))


def encode(values: Sequence[Param]) -> tuple[list[bytes | None], list[int]]:
    """Parameter values and their formats (0 text, 1 binary) as libpq takes them."""
    out: list[bytes | None] = []
    formats: list[int] = []
    for value in values:
        formats.append(0)
        if isinstance(value, str):
            out.append(value.encode())
        elif value is None or isinstance(value, bytes):
            out.append(value)
            if isinstance(value, Binary):
                formats[-1] = 1
        elif isinstance(value, bool):
            out.append(b"t" if value else b"f")
        else:
            out.append(str(value).encode())
    return out, formats
