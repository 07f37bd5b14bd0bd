"""Every row of the SMART checklist is named by a test, or docs/smart-checklist.md says why not."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]
ROWS = 250
_NAMED = re.compile(r"smart-(\d+(?:\s*(?:,|–|-|and)\s*\d+)*)")
_LEFT_OUT = re.compile(r"^\| ([\d, -]+) \|", re.MULTILINE)


def rows(text: str) -> Iterator[int]:
    """The numbers of `1, 4-6 and 9`."""
    for part in re.split(r",|and", text):
        first, _, last = part.strip().replace("–", "-").partition("-")
        yield from range(int(first), int(last or first) + 1)


def named() -> set[int]:
    """What the tests name."""
    sources = [path for path in (ROOT / "tests").rglob("*.py") if "node_modules" not in path.parts]
    texts = [path.read_text() for path in sources if path != Path(__file__)]
    return {row for text in texts for found in _NAMED.findall(text) for row in rows(found)}


def left_out() -> set[int]:
    """What the document's first table gives reasons for."""
    table = (ROOT / "docs" / "smart-checklist.md").read_text().partition("Named, but")[0]
    return {row for found in _LEFT_OUT.findall(table) for row in rows(found)}


def test_every_row_is_somewhere() -> None:
    assert set(range(1, ROWS + 1)) - named() - left_out() == set()


def test_no_row_is_left_out_and_named() -> None:
    assert named() & left_out() == set()


def test_ranges_are_read() -> None:
    assert list(rows("1, 4-6 and 9")) == [1, 4, 5, 6, 9]
