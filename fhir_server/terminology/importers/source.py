"""The files of a release: one file, a folder, or a zip archive that is read where it lies, never unpacked to disk."""

import csv
import io
import sys
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatch
from hashlib import blake2b
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO

from fhir_server.core.errors import Unprocessable

_MOST_FILES = 20_000
_MOST_BYTES = 32 * 2**30
# Text of terminologies shrinks to a tenth; what shrinks much further is made to fill memory.
_MOST_RATIO = 150
_SMALL = 2**20
_LONGEST_FIELD = 2**20
_LISTED = 12


class Source:
    """A release to import. Raises `Unprocessable` for what is no file, folder or archive, or is suspicious."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._zip: zipfile.ZipFile | None = None
        if path.is_dir():
            self._sizes = dict(_in_folder(path))
        elif not path.is_file():
            raise Unprocessable(f"There is no file or folder {path.name}.")
        elif zipfile.is_zipfile(path):
            self._zip = zipfile.ZipFile(path)
            self._sizes = _in_archive(self._zip)
        else:
            self._sizes = {path.name: path.stat().st_size}

    def close(self) -> None:
        """Let go of the archive."""
        if self._zip is not None:
            self._zip.close()

    @property
    def names(self) -> list[str]:
        """The files, with / between folders."""
        return sorted(self._sizes)

    def digest(self) -> bytes:
        """Of all content: the same release gives the same."""
        made = blake2b(digest_size=32)
        for name in [""] if self._zip is not None else self.names:
            made.update(f"{name}\0{self._sizes.get(name, 0)}\0".encode())
            with open(self.path, "rb") if self.path.is_file() else open(self.path / name, "rb") as file:
                while block := file.read(1 << 20):
                    made.update(block)
        return made.digest()

    def all(self, *patterns: str) -> list[str]:
        """The files whose own name (without folders, whatever the case) is like one of the patterns."""
        wanted = [pattern.lower() for pattern in patterns]
        return [n for n in self.names if any(fnmatch(PurePosixPath(n).name.lower(), p) for p in wanted)]

    def one(self, *patterns: str, what: str) -> str:
        """The one file that is like the first pattern of which there is any. Raises `Unprocessable` with what there is
        instead, or with the names when there are several."""
        for pattern in patterns:
            found = self.all(pattern)
            if len(found) == 1:
                return found[0]
            if found:
                raise Unprocessable(f"There are several files for {what}: {_few(found)}. Give those of one release.")
        there = _few(self.names) if self.names else "nothing"
        raise Unprocessable(f"There is no file for {what} ({' or '.join(patterns)}) in {self.path.name}, but {there}.")

    def optional(self, *patterns: str) -> str | None:
        """The first file that is like one of the patterns."""
        found = self.all(*patterns)
        return found[0] if found else None

    @contextmanager
    def binary(self, name: str) -> Iterator[BinaryIO]:
        """The bytes of a file. What an archive holds more than it says raises `Unprocessable`."""
        if self._zip is not None:
            with self._zip.open(name) as packed:
                yield io.BufferedReader(_Counted(packed, self._sizes[name], name), 1 << 16)  # type: ignore[type-var]
        else:
            with open(self.path if self.path.is_file() else self.path / name, "rb") as file:
                yield file

    @contextmanager
    def text(self, name: str, encoding: str = "utf-8-sig") -> Iterator[io.TextIOWrapper]:
        """The text of a file, line ends as they are."""
        with self.binary(name) as file, io.TextIOWrapper(file, encoding, errors="strict", newline="") as text:
            try:
                yield text
            except UnicodeDecodeError:
                raise Unprocessable(f"{name} is not text in {encoding}.") from None

    def rows(self, name: str, *, delimiter: str = "", quoted: bool = True) -> Iterator[tuple[int, list[str]]]:
        """The rows of a table with the numbers of their lines, from 1. Without `delimiter` it is told from the first
        line: a tab, a semicolon or a comma."""
        csv.field_size_limit(_LONGEST_FIELD)
        with self.text(name) as text:
            if not delimiter:
                first = text.readline()
                delimiter = max("\t;,|", key=first.count)
                text.seek(0)
            quoting = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
            reader = csv.reader(text, delimiter=delimiter, quoting=quoting)  # type: ignore[arg-type]
            try:
                for row in reader:
                    yield reader.line_num, row
            except csv.Error as error:
                raise Unprocessable(f"{name}, line {reader.line_num}: {error}.") from None


class _Counted(io.RawIOBase):
    """Reads no more than was said."""

    def __init__(self, inner: IO[bytes], most: int, name: str) -> None:
        self._inner, self._left, self._name = inner, most, name

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        try:
            block = self._inner.read(len(buffer))
        except (zipfile.BadZipFile, zipfile.zlib.error, EOFError):  # type: ignore[attr-defined]
            raise Unprocessable(f"{self._name} in the archive is damaged.") from None
        self._left -= len(block)
        if self._left < 0:
            raise Unprocessable(f"{self._name} in the archive is larger than the archive says.")
        buffer[: len(block)] = block
        return len(block)


def _in_folder(folder: Path) -> Iterator[tuple[str, int]]:
    top = folder.resolve()
    total = 0
    for count, path in enumerate(sorted(folder.rglob("*"))):
        if count > _MOST_FILES:
            raise Unprocessable(f"The folder has more than {_MOST_FILES} files: give that of one release.")
        if path.is_file() and path.resolve().is_relative_to(top):
            total += path.stat().st_size
            if total > _MOST_BYTES:
                raise Unprocessable("The folder holds more than 32 GB: give that of one release.")
            yield path.relative_to(folder).as_posix(), path.stat().st_size


def _in_archive(archive: zipfile.ZipFile) -> dict[str, int]:
    entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    if len(entries) > _MOST_FILES:
        raise Unprocessable(f"The archive has more than {_MOST_FILES} files.")
    if sum(entry.file_size for entry in entries) > _MOST_BYTES:
        raise Unprocessable("The archive unpacks to more than 32 GB.")
    sizes: dict[str, int] = {}
    for entry in entries:
        path = PurePosixPath(entry.filename)
        if path.is_absolute() or ".." in path.parts or "\\" in entry.filename or entry.filename in sizes:
            raise Unprocessable("The archive has a file with a name that no release has: a path out of it, or twice.")
        if entry.flag_bits & 1:
            raise Unprocessable("The archive is locked by a password.")
        if entry.file_size > _SMALL and entry.file_size > _MOST_RATIO * max(entry.compress_size, 1):
            raise Unprocessable("The archive unpacks to far more than text does; it is not read.")
        sizes[entry.filename] = entry.file_size
    return sizes


def columns(row: Sequence[str], needed: Sequence[str], name: str) -> dict[str, int]:
    """Where the columns of a table are, by the folded names of its first row. Raises `Unprocessable` naming those that
    are missing and those that are there."""
    found: dict[str, int] = {}
    for place, title in enumerate(row):
        found.setdefault(sys.intern(title.strip().lower()), place)
    missing = [each for each in needed if each.lower() not in found]
    if missing:
        there = _few([title.strip() for title in row if title.strip()] or ["nothing"])
        raise Unprocessable(f"{name} has no column {', '.join(missing)}; its first line says: {there}.")
    return found


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(name[:80] for name in names[:_LISTED]) + more
