"""Imported code systems, asked like any other: a tenant's own before those of the site.

What a system says never changes, so answers are remembered by it; which systems there are is asked every time.
"""

from collections import OrderedDict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from hashlib import blake2b
from threading import Lock
from typing import Any

from fhir_server.conformance.canonicals import version_order
from fhir_server.core.resource_json import decode
from fhir_server.core.spans import Spans
from fhir_server.storage import concepts as stored
from fhir_server.storage.concepts import ABSTRACT, INACTIVE, PROPERTY, ConceptRow, SystemRow
from fhir_server.storage.session import Session
from fhir_server.terminology import dated
from fhir_server.terminology.systems import Concept

SEPARATOR = "\x1f"
# Longer values of properties are kept under their beginning and a digest.
LONGEST_VALUE = 200


class _Remembered:
    """The answers asked for last, no more than so many ranges and concepts in all."""

    def __init__(self, most: int) -> None:
        self._most, self._held = most, 0
        self._answers: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._guard = Lock()

    def get(self, key: Hashable) -> Any:
        with self._guard:
            found = self._answers.get(key)
            if found is None:
                return None
            self._answers.move_to_end(key)
            return found[0]

    def put(self, key: Hashable, answer: Any, size: int) -> None:
        with self._guard:
            if key in self._answers or size > self._most // 2:
                return
            self._answers[key] = (answer, size)
            self._held += size
            while self._held > self._most:
                self._held -= self._answers.popitem(last=False)[1][1]


_remembered = _Remembered(500_000)
_CONCEPT_SIZE = 8


class StoredSystem:
    """A code system in the tables of imported content (`terminology.systems.System`).

    tenant_id, system_id: where its rows are. described: what its importer says of it."""

    def __init__(self, db: Session, row: SystemRow) -> None:
        self._db = db
        self.tenant_id, self.system_id = row.tenant_id, row.system_id
        self._at = (row.tenant_id, row.system_id)
        self.described: Mapping[str, Any] = row.described
        self.url = row.url
        self.version: str | None = row.version or None
        self.name: str = row.described.get("name") or row.url
        self.content: str = row.described.get("content", "complete")
        self.language: str = row.described.get("language", "")
        self.case_sensitive: bool = row.described.get("caseSensitive", True)
        self.hierarchical: bool = row.described.get("hierarchical", False)
        self.grouped: bool = row.described.get("grouped", False)
        self.properties: Mapping[str, str] = row.described.get("properties", {})
        self.languages = frozenset(row.described.get("languages", ()))
        self.total = row.concepts

    def find(self, code: str) -> Concept | None:
        """The concept of a code, by the system's own rule about case."""
        key = (*self._at, "code", code)
        known: Concept | None = _remembered.get(key)
        if known is None:
            row = stored.by_code(self._db, self._at, self._spellings(code))
            if row is None and not self.case_sensitive:
                row = next(iter(stored.by_number(self._db, self._at, self._folded(code).page(0, 1))), None)
            if row is None:
                return None
            known = self._concept(row)
            _remembered.put(key, known, _CONCEPT_SIZE)
        return known

    def numbers(self, codes: Iterable[str]) -> dict[str, int]:
        """The numbers of those of the codes that there are, in one question (of mixed case: one more each)."""
        wanted = list(dict.fromkeys(codes))
        if self.case_sensitive:
            return stored.numbers(self._db, self._at, wanted)
        spelled = {code: self._spellings(code) for code in wanted}
        there = stored.numbers(self._db, self._at, {each for some in spelled.values() for each in some})
        found = {code: next((there[each] for each in some if each in there), 0) for code, some in spelled.items()}
        mixed = self._mixed() if not all(found.values()) else {}
        for code, number in found.items():
            found[code] = number or mixed.get(code.lower(), 0)
        return {code: number for code, number in found.items() if number}

    def page(self, numbers: Sequence[int]) -> list[Concept]:
        """The concepts of these numbers, in their order, in one question."""
        return [self._concept(row) for row in stored.by_number(self._db, self._at, numbers)]

    def every(self) -> Spans:
        """All concepts."""
        return Spans([(1, self.total + 1)])

    def below(self, code: str) -> Spans:
        """What the code subsumes, without itself; none when there is no such code."""
        return self._known("below", code, lambda: stored.below(self._db, self._at, self._own(code)))

    def above(self, code: str) -> Spans:
        """What subsumes the code, without itself."""
        return self._known("above", code, lambda: Spans.of(stored.above(self._db, self._at, self._own(code))))

    def children(self, code: str) -> Spans:
        """What is directly below the code."""
        return self.having("parent", self._own(code))

    def inactive(self) -> Spans:
        """The concepts that are not to be used any more."""
        return self.having("inactive", "true")

    def abstract(self) -> Spans:
        """The concepts that only group others."""
        return self.having("notSelectable", "true")

    def having(self, name: str, value: str) -> Spans:
        """The concepts with this value of a property (a Coding's code; true and false as words)."""
        key = property_key(name, value)
        return self._known(PROPERTY, key, lambda: stored.posting(self._db, self._at, PROPERTY, key))

    def values(self, name: str) -> Iterable[tuple[str, Spans]]:
        """Every value of a property with the concepts that have it, by value; one longer than 200 characters as its
        beginning and a digest."""
        beginning = f"{name}{SEPARATOR}"
        yield from stored.postings(self._db, self._at, PROPERTY, beginning)

    def matching(self, words: Sequence[str]) -> Spans:
        """The concepts of whose code, display or designations every word (see `words.words_of`) begins a word."""
        wanted = list(dict.fromkeys(word for word in words if word))
        found: dict[str, Spans] = {word: _remembered.get((*self._at, "begin", word)) for word in wanted}
        fresh = [word for word in wanted if found[word] is None]
        if fresh:
            for word, spans in zip(fresh, stored.beginning(self._db, self._at, fresh), strict=True):
                found[word] = spans
                _remembered.put((*self._at, "begin", word), spans, 1 + spans.pieces)
        smallest, *others = sorted(found.values(), key=lambda spans: spans.pieces) or [self.every()]
        for spans in others:
            smallest &= spans
        return smallest

    def _spellings(self, code: str) -> list[str]:
        return [code] if self.case_sensitive else list(dict.fromkeys((code, code.upper(), code.lower())))

    def _own(self, code: str) -> str:
        if self.case_sensitive:
            return code
        concept = self.find(code)
        return code if concept is None else concept.code

    def _folded(self, code: str) -> Spans:
        key = code.lower()
        return self._known(stored.CODE, key, lambda: stored.posting(self._db, self._at, stored.CODE, key))

    def _mixed(self) -> dict[str, int]:
        return {code: spans.ranges[0][0] for code, spans in stored.postings(self._db, self._at, stored.CODE, "")}

    def _known(self, kind: str, key: str, ask: Any) -> Spans:
        known: Spans | None = _remembered.get((*self._at, kind, key))
        if known is None:
            known = ask()
            _remembered.put((*self._at, kind, key), known, 1 + known.pieces)
        return known

    def _concept(self, row: ConceptRow) -> Concept:
        detail = decode(row.detail) if row.detail else {}
        return Concept(
            row.number, row.code, row.display or None, detail.get("definition"), detail.get("designation", ()),
            tuple((name, value) for name, value in detail.get("property", ())), detail.get("group", ()), row.parents,
            abstract=bool(row.flags & ABSTRACT), inactive=bool(row.flags & INACTIVE),
        )  # fmt: skip


def stored_system(
    db: Session, tenant_id: int, url: str, version: str | None = None, held: Sequence[SystemRow] | None = None,
    end: int | None = None,
) -> StoredSystem | None:
    """The imported system of a url, the tenant's own before the site's, in this version (or the newest that begins so:
    `2.77` for `2.77.1`, an edition's URI for its releases) or in the newest; None when there is none. `held`: what
    `stored_systems` has just said, to save asking again; `end`: instead of the newest, the one that was in force just
    before this moment. Raises as `dated.in_force`."""
    rows = stored.systems(db, tenant_id, url) if held is None else held
    fit = [row for row in rows if row.status == "active" and row.url == url]
    if version:
        exact = [row for row in fit if row.version == version]
        fit = exact or [row for row in fit if row.version.startswith((f"{version}.", f"{version}/"))]
    own = [row for row in fit if row.tenant_id == tenant_id] or fit
    if end is not None:
        newest_first = sorted(own, key=_order, reverse=True)
        since = [dated.since_version(_released(row), row.imported_at) for row in newest_first]
        then = dated.in_force(zip(since, newest_first, strict=True), end, url)
        return None if then is None else StoredSystem(db, then)
    return StoredSystem(db, max(own, key=_order)) if own else None


def _released(row: SystemRow) -> str:
    return str(row.described.get("released", row.version))


def _order(row: SystemRow) -> tuple[Any, ...]:
    return version_order(_released(row)), row.system_id


def stored_systems(db: Session, tenant_id: int) -> list[SystemRow]:
    """Headers of all systems that a tenant may use or is loading, its own before the site's."""
    return stored.systems(db, tenant_id)


def property_key(name: str, value: Any) -> str:
    """Under which key a property's value is posted."""
    text = value_text(value)
    if len(text) > LONGEST_VALUE:
        text = f"{text[:LONGEST_VALUE]}…{blake2b(text.encode(), digest_size=8).hexdigest()}"
    return f"{name}{SEPARATOR}{text}"


def value_text(value: Any) -> str:
    """A property's value as filters name it: a Coding by its code, true and false as words."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value.get("code", "")) if isinstance(value, Mapping) else str(value)
