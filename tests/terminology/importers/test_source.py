"""The files of a release: damaged, hostile, and told apart by their content."""

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fhir_server.core.errors import Unprocessable
from fhir_server.terminology.importers.source import Source
from tests.terminology.importers.generated import begin, do
from tests.terminology.importers.reading import archive, release

if TYPE_CHECKING:
    from tests.conftest import TestTenant


def test_a_damaged_archive_fails_and_is_not_tried_again(tenant: "TestTenant", tmp_path: Path) -> None:
    path = archive(tmp_path / "own.zip", {"own.csv": "code\n" + "abc\n" * 1000})
    content = bytearray(path.read_bytes())
    content[60:70] = b"\xff" * 10
    path.write_bytes(content)
    ended = do(begin(tenant.id, path, "urn:damaged"))
    assert (ended.status, bool(ended.message)) == ("failed", True)


def test_archives_that_unpack_without_end_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("own.csv", b"code\n" + b"a" * 50_000_000)
    with pytest.raises(Unprocessable, match="far more than text"):
        Source(tmp_path / "bomb.zip")


@pytest.mark.parametrize("name", ["../own.csv", "/etc/own.csv", "a\\..\\own.csv"])
def test_paths_out_of_an_archive_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(Unprocessable, match="no release has"):
        Source(archive(tmp_path / "x.zip", {name: "code\na\n"}))


def test_an_archive_that_says_less_than_it_holds(tmp_path: Path) -> None:
    path = archive(tmp_path / "x.zip", {"own.csv": "code\n" + "abc\n" * 1000})
    content = path.read_bytes()
    path.write_bytes(content.replace((4005).to_bytes(4, "little"), (5).to_bytes(4, "little")))
    source = Source(path)
    with pytest.raises((Unprocessable, zipfile.BadZipFile)):
        list(source.rows("own.csv"))


def test_links_out_of_a_folder_are_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "secret.csv"
    outside.write_text("code\na\n")
    folder = release(tmp_path / "in", {"own.csv": "code\na\n"})
    (folder / "link.csv").symlink_to(outside)
    assert Source(folder).names == ["own.csv"]


def test_the_digest_is_of_the_content(tmp_path: Path) -> None:
    one = release(tmp_path / "one", {"a.csv": "x", "b.csv": ""})
    two = release(tmp_path / "two", {"a.csv": "x", "b.csv": ""})
    assert Source(one).digest() == Source(two).digest()
    release(two, {"b.csv": "y"})
    assert Source(one).digest() != Source(two).digest()
