"""What `load` reads: files of Bundles and NDJSON, plain or gzipped, in an order in which references resolve."""

import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, cast

import click

_ENDINGS = (".json", ".ndjson", ".json.gz", ".ndjson.gz")
# Synthea's patients refer to these by conditional references, so they come first.
_FIRST = ("hospitalinformation", "practitionerinformation")


@dataclass(frozen=True, slots=True)
class Source:
    """A file to load. `size`: its bytes on disk."""

    path: Path
    size: int

    @property
    def ndjson(self) -> bool:
        """One resource a line, rather than one Bundle."""
        return self.path.name.lower().removesuffix(".gz").endswith(".ndjson")

    @property
    def length(self) -> int:
        """About how many bytes it has unpacked, for the progress bar."""
        return self.size * 8 if self.path.name.lower().endswith(".gz") else self.size

    def open(self) -> BinaryIO:
        """The content, unpacked."""
        if self.path.name.lower().endswith(".gz"):
            return cast(BinaryIO, gzip.open(self.path, "rb"))
        return open(self.path, "rb")

    def identity(self) -> str:
        """Name, size and SHA-256 of the content: a changed file is another source."""
        digest = sha256()
        with open(self.path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
        return f"{self.path.name}:{self.size}:{digest.hexdigest()}"


def find_sources(paths: tuple[str, ...]) -> list[Source]:
    """The files that the paths name, folders searched to any depth. Raises click's UsageError when there is none."""
    found: dict[Path, Source] = {}
    for name in paths:
        path = Path(name)
        candidates: Iterator[Path] = iter([path])
        if path.is_dir():
            candidates = (p for p in sorted(path.rglob("*")) if p.name.lower().endswith(_ENDINGS))
        for file in candidates:
            if not file.is_file():
                raise click.UsageError(f"{file} is not a file or folder.")
            found.setdefault(file.resolve(), Source(file, file.stat().st_size))
    if not found:
        raise click.UsageError("No *.json, *.ndjson or .gz of them was found there.")
    return sorted(found.values(), key=lambda source: not source.path.name.lower().startswith(_FIRST))
