"""The files of a gzipped tar archive from outside, read once from front to back within hard limits.

Only plain files and folders, as npm's packages have them: no links, no devices, no names that lead elsewhere.
https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html#tag_20_94_13_06 (ustar, and pax' long names)
"""

import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from fhir_server.core.errors import TooLarge, Unprocessable

_BLOCK = 512
_CHUNK = 1 << 16
_HEADER_BYTES = 1 << 16
_FILES, _FOLDER, _PAX, _PAX_GLOBAL, _GNU_NAME = (b"0", b"\0", b"7"), b"5", b"x", b"g", b"L"
_REFUSED = {b"1": "a link", b"2": "a link", b"3": "a device", b"4": "a device", b"6": "a pipe"}
_UNWANTED = re.compile(r"[\x00-\x1f\x7f\\]")


@dataclass(frozen=True, slots=True)
class Limits:
    """packed, unpacked: bytes of the archive; ratio: unpacked bytes for one packed byte, counted from `free` bytes on;
    members: files and folders; member: bytes of one; depth: folders in folders."""

    packed: int = 64 << 20
    unpacked: int = 512 << 20
    ratio: int = 150
    free: int = 4 << 20
    members: int = 20_000
    member: int = 32 << 20
    depth: int = 8


LIMITS = Limits()


def files(data: bytes, wanted: Callable[[str], bool], limits: Limits = LIMITS) -> Iterator[tuple[str, bytes]]:
    """(name, content) of the files whose name is wanted, in the archive's order. Everything else is read over.

    Raises `TooLarge` (413) beyond a limit and `Unprocessable` (422) for what is no such archive, naming the member.
    """
    if len(data) > limits.packed:
        raise TooLarge(f"The package has {len(data)} bytes; at most {limits.packed} are taken.")
    stream = _Unpacked(data, limits)
    seen: set[str] = set()
    long_name = ""
    while (header := _header(stream)) is not None:
        kind, name, size = header
        if kind in (_PAX, _PAX_GLOBAL, _GNU_NAME):
            told = _told(stream, size, name)
            long_name = long_name if kind == _PAX_GLOBAL else _name_in(told, kind, long_name)
            continue
        name, long_name = _checked(long_name or name, limits), ""
        if name in seen:
            raise Unprocessable(f"The package has two members named {name}.")
        seen.add(name)
        if len(seen) > limits.members:
            raise TooLarge(f"The package has more than {limits.members} members.")
        if kind == _FOLDER:
            size = 0
        elif kind not in _FILES:
            raise Unprocessable(f"{name} is {_REFUSED.get(kind, 'no plain file')}: a package holds plain files only.")
        if size > limits.member:
            raise TooLarge(f"{name} has {size} bytes; a member has at most {limits.member}.")
        if kind != _FOLDER and wanted(name):
            yield name, stream.content(size, name)
        else:
            stream.skip(size, name)
    stream.finish()


class _Unpacked:
    """The archive's bytes as they come out of gzip, counted."""

    def __init__(self, data: bytes, limits: Limits) -> None:
        self._data, self._limits = data, limits
        self._read = self._total = 0
        self._inflate = zlib.decompressobj(wbits=31)
        self._buffer = bytearray()

    def _fill(self, count: int) -> None:
        """Have `count` bytes in the buffer, or all that are left."""
        while len(self._buffer) < count and not self._inflate.eof:
            packed = self._inflate.unconsumed_tail
            if not packed:
                packed = self._data[self._read : self._read + _CHUNK]
                self._read += len(packed)
                if not packed:
                    return
            try:
                piece = self._inflate.decompress(packed, _CHUNK)
            except zlib.error:
                raise Unprocessable("The package is not a gzipped tar archive, or it is damaged.") from None
            self._buffer += piece
            self._total += len(piece)
            self._count()

    def _count(self) -> None:
        limits = self._limits
        if self._total > limits.unpacked:
            raise TooLarge(f"The package is larger than {limits.unpacked} bytes when it is unpacked.")
        if self._total > limits.free and self._total > limits.ratio * self._read:
            raise TooLarge(f"The package unpacks to more than {limits.ratio} times its size; that is no text.")

    def take(self, count: int) -> bytes:
        """The next `count` bytes, or fewer at the end."""
        self._fill(count)
        piece = bytes(self._buffer[:count])
        del self._buffer[:count]
        return piece

    def content(self, size: int, name: str) -> bytes:
        """A member's bytes; the padding after them is read over."""
        parts = []
        for count in _chunks(size):
            parts.append(self._exactly(count, name))
        self.take(-size % _BLOCK)
        return b"".join(parts)

    def skip(self, size: int, name: str) -> None:
        """Read over a member and its padding."""
        for count in _chunks(size):
            self._exactly(count, name)
        self.take(-size % _BLOCK)

    def finish(self) -> None:
        """Read over what follows the last member: only the end of the stream tells whether all of it arrived whole."""
        while not self._inflate.eof:
            self._buffer.clear()
            self._fill(1)
            if not self._buffer and not self._inflate.eof:
                raise Unprocessable("The package's last bytes are missing.")

    def _exactly(self, count: int, name: str) -> bytes:
        piece = self.take(count)
        if len(piece) < count:
            raise Unprocessable(f"The package ends in the middle of {name}.")
        return piece


def _chunks(size: int) -> Iterator[int]:
    while size > 0:
        yield min(size, _CHUNK)
        size -= _CHUNK


def _header(stream: _Unpacked) -> tuple[bytes, str, int] | None:
    """(kind, name, size) of the next member; None at the end."""
    block = stream.take(_BLOCK)
    if block.count(0) == _BLOCK:
        return None
    if len(block) < _BLOCK:
        raise Unprocessable("The package is not a gzipped tar archive, or its end is missing.")
    if _number(block[148:156]) != sum(block) - sum(block[148:156]) + 8 * 32:
        raise Unprocessable("The package is not a gzipped tar archive, or it is damaged.")
    name = _text(block[:100])
    prefix = _text(block[345:500]) if block[257:263] == b"ustar\0" else ""
    return block[156:157], f"{prefix}/{name}" if prefix else name, _number(block[124:136])


def _number(field: bytes) -> int:
    text = field.strip(b" \0")
    if not re.fullmatch(rb"[0-7]{0,12}", text):
        raise Unprocessable("The package is not a plain tar archive: a header holds no number where one belongs.")
    return int(text or b"0", 8)


def _text(field: bytes) -> str:
    try:
        return field.split(b"\0", 1)[0].decode()
    except UnicodeDecodeError:
        raise Unprocessable("A member's name is not UTF-8.") from None


def _told(stream: _Unpacked, size: int, name: str) -> bytes:
    if size > _HEADER_BYTES:
        raise TooLarge(f"The header of {name[:80]} has {size} bytes; at most {_HEADER_BYTES} are taken.")
    return stream.content(size, name[:80])


def _name_in(told: bytes, kind: bytes, known: str) -> str:
    """The long name in an extended header: all of it (GNU), or its record `path` (pax)."""
    if kind == _GNU_NAME:
        return _text(told)
    while told:
        length, _, _ = told[:12].partition(b" ")
        if not length.isdigit() or not len(length) < int(length) <= len(told):
            raise Unprocessable("The package is damaged: an extended header cannot be read.")
        key, _, value = told[len(length) + 1 : int(length)].rstrip(b"\n").partition(b"=")
        known = _text(value) if key == b"path" else known
        told = told[int(length) :]
    return known


def _checked(name: str, limits: Limits) -> str:
    """The name without `./` in front and `/` behind, if it stays inside of the package."""
    plain = name.removeprefix("./").rstrip("/")
    steps = plain.split("/")
    if _UNWANTED.search(plain) or len(plain) > 500 or (plain and any(step in ("", ".", "..") for step in steps)):
        shown = _UNWANTED.sub("?", name)[:120]
        raise Unprocessable(f"{shown} is no name of a member: it must be a plain path inside of the package.")
    if len(steps) > limits.depth:
        raise TooLarge(f"{plain[:120]} lies deeper than {limits.depth} folders.")
    return plain
