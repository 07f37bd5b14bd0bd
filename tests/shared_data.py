"""Where the specifications' own data lies, for the tests that read it: the folder `shared` beside the checkout."""

import gzip
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest


def _find() -> Path | None:
    given = os.environ.get("SALAM_SHARED")
    place = Path(given) if given else Path(__file__).resolve().parents[2] / "shared"
    return place if (place / "data").is_dir() else None


SHARED = _find()
needs_shared = pytest.mark.skipif(
    SHARED is None,
    reason="the folder `shared` with the specifications' data is not beside the checkout (or in SALAM_SHARED)",
)


def shared_file(name: str) -> Path:
    """A file below shared/data. Only for tests marked `needs_shared`."""
    assert SHARED is not None
    return SHARED / "data" / name


def examples() -> Iterator[tuple[str, str]]:
    """The official R4 examples: file name and text exactly as published; none where they are absent."""
    if SHARED is None:
        return
    with gzip.open(shared_file("fhir-r4/examples.ndjson.gz"), "rt", encoding="utf-8") as lines:
        for line in lines:
            row = msgspec.json.decode(line)
            yield row["file"], row["text"]
