"""The first phase of an import: what a source says, gathered so that it can be stored in the order of the numbers.

Texts are written to a temporary file as they come and read back one by one; memory holds codes, links and the words.
"""

import mmap
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from tempfile import TemporaryFile
from typing import Any

import msgspec

from fhir_server.storage.concepts import ABSTRACT, INACTIVE
from fhir_server.terminology.importers.records import Record, Report
from fhir_server.terminology.stored import property_key
from fhir_server.terminology.words import keys_of

_encode = msgspec.json.Encoder(decimal_format="number").encode
_LONGEST_CODE = 500
# Longer words are only found by their beginning; an index row cannot hold more.
_LONGEST_WORD = 100
Places = dict[str, list[int]]
Append = Callable[[int], None]


class _Postings(dict[Any, Append]):
    """What takes the places of a key, which is made when it is first asked for."""

    def __init__(self) -> None:
        self.places: dict[Any, list[int]] = {}

    def __missing__(self, key: Any) -> Append:
        made: list[int] = []
        self.places[key] = made
        self[key] = made.append
        return made.append


class Gathered:
    """The concepts of a source, by place from 0. words, properties: which places each key has."""

    def __init__(self) -> None:
        self.codes: list[str] = []
        self.flags = bytearray()
        self.parents: list[Sequence[int]] = []
        self.words: Places = {}
        self.properties: Places = {}
        self.languages: set[str] = set()
        self._pieces, self._values = _Postings(), _Postings()
        self._above: list[Sequence[str]] = []
        self._file = TemporaryFile(prefix="terminology-")  # noqa: SIM115  (held until `close`)
        self._starts, self._middles = array("q", [0]), array("i")
        self._map: mmap.mmap | None = None

    def add(self, records: Iterable[Record], report: Report) -> None:
        """Take the concepts of a source; one whose code cannot be stored or is there already is left out. Every parent
        that they name must be there in the end."""
        places: dict[str, int] = {}
        pieces = self._pieces
        for record in records:
            code, place = record.code, len(self.codes)
            if not code or len(code) > _LONGEST_CODE or code.isspace() or "\0" in code:
                report.refuse(code[:40] or "a line", "has no code that can be stored.")
                continue
            if places.setdefault(code, place) != place:
                report.refuse(code, "stands there twice; the first one counts.")
                continue
            self.codes.append(code)
            self.flags.append((INACTIVE if record.inactive else 0) | (ABSTRACT if record.abstract else 0))
            self._above.append(record.parents)
            said = record.display
            if record.designations:
                said = " ".join([said, *[each["value"] for each in record.designations]])
            for piece in set(said.split()):
                pieces[piece](place)
            self._write(record.display.encode(), self._detail(record, place))
        self._settle(places, report)

    def _detail(self, record: Record, place: int) -> bytes:
        detail: dict[str, Any] = {}
        if record.definition:
            detail["definition"] = record.definition
        if record.designations:
            detail["designation"] = record.designations
            for designation in record.designations:
                self.languages.add(designation.get("language", ""))
        if record.groups:
            detail["group"] = record.groups
        if record.properties:
            detail["property"] = record.properties
            for pair in record.properties:
                # Equal numbers may be written in several ways, and a Coding is no key.
                self._values[pair if type(pair[1]) is str else (property_key(*pair),)](place)
        for pair in record.found_by:
            self._values[pair](place)
        return _encode(detail) if detail else b""

    def _write(self, display: bytes, detail: bytes) -> None:
        if b"\0" in display or b"\\u0000" in detail:
            display, detail = display.replace(b"\0", b" "), detail.replace(b"\\u0000", b" ")
        self._file.write(display + detail)
        self._middles.append(len(display))
        self._starts.append(self._starts[-1] + len(display) + len(detail))

    def _settle(self, numbers: Mapping[str, int], report: Report) -> None:
        for place, above in enumerate(self._above):
            found = [numbers[code] for code in above if code in numbers]
            if len(found) < len(above):
                missing = next(code for code in above if code not in numbers)
                report.refuse(self.codes[place], f"names the parent {missing[:40]}, which is not there.")
            self.parents.append(found if len(found) < 2 else list(dict.fromkeys(found)))
        self._above.clear()
        for piece, places in self._pieces.places.items():
            for key in keys_of(piece):
                _join(self.words, key[:_LONGEST_WORD], places)
        for pair, places in self._values.places.items():
            _join(self.properties, pair[0] if len(pair) == 1 else property_key(*pair), places)
        for name, flag in (("inactive", INACTIVE), ("notSelectable", ABSTRACT)):
            flagged = [place for place, flags in enumerate(self.flags) if flags & flag]
            if flagged:
                _join(self.properties, property_key(name, True), flagged)
        self._pieces = self._values = _Postings()
        self._file.flush()
        if self._starts[-1]:
            self._map = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)

    def texts(self, place: int) -> tuple[bytes, bytes]:
        """Display and detail of a concept."""
        if self._map is None:
            return b"", b""
        start, end = self._starts[place], self._starts[place + 1]
        middle = start + self._middles[place]
        return self._map[start:middle], self._map[middle:end]

    def close(self) -> None:
        """Give the temporary file up."""
        if self._map is not None:
            self._map.close()
        self._file.close()


def _join(held: Places, key: str, places: list[int]) -> None:
    # Always a copy: the same places may stand under other keys, and some keys come from very many pieces.
    held.setdefault(key, []).extend(places)


def gather(records: Iterable[Record], report: Report) -> Gathered:
    """Read a source to its end."""
    made = Gathered()
    try:
        made.add(records, report)
    except BaseException:
        made.close()
        raise
    return made
