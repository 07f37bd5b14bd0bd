"""What `load` finds, and in which order."""

import gzip
from pathlib import Path

import click
import pytest

from fhir_server.cli.sources import find_sources


def test_folders_are_searched_and_synthea_order_holds(tmp_path: Path) -> None:
    for name in (
        "b.json",
        "a.ndjson.gz",
        "sub/practitionerInformation1.json",
        "sub/hospitalInformation1.json",
        "x.txt",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{}")
    names = [source.path.name for source in find_sources((str(tmp_path), str(tmp_path / "b.json")))]
    assert names == ["hospitalInformation1.json", "practitionerInformation1.json", "a.ndjson.gz", "b.json"]


def test_nothing_to_load_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(click.UsageError, match="No"):
        find_sources((str(tmp_path),))


def test_identity_is_the_content(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text("{}")
    first = find_sources((str(file),))[0].identity()
    file.write_text("[]")
    assert find_sources((str(file),))[0].identity() != first


def test_gzip_is_unpacked(tmp_path: Path) -> None:
    file = tmp_path / "A.NDJSON.GZ"
    file.write_bytes(gzip.compress(b"{}\n"))
    source = find_sources((str(file),))[0]
    assert source.ndjson
    with source.open() as lines:
        assert lines.read() == b"{}\n"
