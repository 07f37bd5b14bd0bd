"""A CodeSystem resource made ready to ask: a `System` in memory.

https://hl7.org/fhir/R4/codesystem.html
"""

from bisect import bisect_left
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from fhir_server.core.spans import NONE, Spans
from fhir_server.terminology.stored import value_text
from fhir_server.terminology.systems import Concept
from fhir_server.terminology.words import keys_of

_INACTIVE = frozenset({"retired", "inactive"})
_CONCEPT_PROPERTIES = "http://hl7.org/fhir/concept-properties#"
_KINDS: Mapping[str, str] = {
    "valueBoolean": "boolean", "valueCode": "code", "valueCoding": "Coding", "valueDateTime": "dateTime",
    "valueDecimal": "decimal", "valueInteger": "integer", "valueString": "string",
}  # fmt: skip


class CodeSystemTable:
    """The concepts of one CodeSystem resource, numbered in definition order, with their hierarchy resolved once.

    `key` tells this content apart from any other, so that what is worked out from it can be kept; None: it was given
    for one request.
    """

    def __init__(self, definition: Mapping[str, Any], key: Hashable | None = None) -> None:
        self.key = key
        self.url: str = definition.get("url", "")
        self.version: str | None = definition.get("version")
        self.name: str = definition.get("name") or self.url
        self.content: str = definition.get("content", "complete")
        self.language: str = definition.get("language", "")
        self.case_sensitive: bool = definition.get("caseSensitive") is not False
        declared = definition.get("property", ())
        self.properties: Mapping[str, str] = {p["code"]: p["type"] for p in declared}
        self._meaning = {p["code"]: p["uri"].removeprefix(_CONCEPT_PROPERTIES) for p in declared if "uri" in p}
        self._concepts: list[Concept] = []
        self._numbers: dict[str, int] = {}
        # Dicts, since a list would be gone through for each of a hundred thousand parents.
        self._parents: list[dict[int, None]] = []
        self._children: list[list[int]] = []
        self._read(definition.get("concept", ()))
        self.total = len(self._concepts)
        self.hierarchical = any(self._parents)
        self.grouped = False
        self.languages = frozenset(
            d["language"] for c in self._concepts for d in c.designations if isinstance(d.get("language"), str)
        )
        self._below: dict[int, Spans] = {}
        self._above: dict[int, Spans] = {}

    # -- building ----------------------------------------------------------------------------------------------------

    def _read(self, concepts: Sequence[Mapping[str, Any]]) -> None:
        items: list[Mapping[str, Any]] = []
        waiting: list[tuple[Mapping[str, Any], int]] = [(item, 0) for item in reversed(concepts)]
        while waiting:
            item, parent = waiting.pop()
            number = self._numbers.get(item["code"])
            if number is None:
                items.append(item)
                number = self._numbers[item["code"]] = len(items)
                self._parents.append({})
                self._children.append([])
            if parent:
                self._parents[number - 1][parent] = None
            waiting.extend((child, number) for child in reversed(item.get("concept", ())))
        held = [tuple(_properties(item)) for item in items]
        self.properties = {**_used(items), **self.properties}
        self._link(held)
        for number, (item, properties) in enumerate(zip(items, held, strict=True), 1):
            self._concepts.append(self._concept(number, item, properties, items))

    def _link(self, held: Sequence[Sequence[tuple[str, Any]]]) -> None:
        """Take the hierarchy from nesting and from the properties `parent` and `child` together: a code that stands
        below several others is nested below one of them only."""
        for number, properties in enumerate(held, 1):
            for name, value in properties:
                other = self._numbers.get(value) if isinstance(value, str) else None
                meaning = self._meaning.get(name, name)
                if other is not None and meaning in ("parent", "subsumedBy"):
                    self._parents[number - 1][other] = None
                elif other is not None and meaning == "child":
                    self._parents[other - 1][number] = None
        for number, parents in enumerate(self._parents, 1):
            for parent in parents:
                self._children[parent - 1].append(number)

    def _concept(
        self, number: int, item: Mapping[str, Any], properties: Sequence[tuple[str, Any]], items: Sequence[Any]
    ) -> Concept:
        said = [(self._meaning.get(name, name), value) for name, value in properties]
        return Concept(
            number,
            item["code"],
            item.get("display"),
            item.get("definition"),
            item.get("designation", ()),
            properties,
            (),
            tuple(items[parent - 1]["code"] for parent in self._parents[number - 1]),
            # `abstract` as older systems name it.
            abstract=any(name in ("notSelectable", "abstract") and value is True for name, value in said),
            # A deprecated code may still be used: https://hl7.org/fhir/R4/codesystem-concept-properties.html
            inactive=any(
                (name == "inactive" and value is True) or (name == "status" and value in _INACTIVE)
                for name, value in said
            ),
        )

    # -- a System ----------------------------------------------------------------------------------------------------

    def find(self, code: str) -> Concept | None:
        """The concept of a code, by the system's own rule about case."""
        number = self._number(code)
        return None if number is None else self._concepts[number - 1]

    def numbers(self, codes: Iterable[str]) -> dict[str, int]:
        """The numbers of those of the codes that there are."""
        return {code: number for code in codes if (number := self._number(code)) is not None}

    def page(self, numbers: Sequence[int]) -> list[Concept]:
        """The concepts of these numbers, in their order."""
        return [self._concepts[number - 1] for number in numbers]

    def every(self) -> Spans:
        """All concepts."""
        return Spans([(1, self.total + 1)])

    def below(self, code: str) -> Spans:
        """What the code subsumes, without itself."""
        return self._closure(code, self._below, self._children)

    def above(self, code: str) -> Spans:
        """What subsumes the code, without itself."""
        return self._closure(code, self._above, self._parents)

    def children(self, code: str) -> Spans:
        """What is directly below the code."""
        number = self._number(code)
        return NONE if number is None else Spans.of(self._children[number - 1])

    def inactive(self) -> Spans:
        """The concepts that are not to be used any more."""
        return self._inactive

    def abstract(self) -> Spans:
        """The concepts that only group others."""
        return self._abstract

    def having(self, name: str, value: str) -> Spans:
        """The concepts with this value of a property."""
        return self._values.get(name, {}).get(value, NONE)

    def values(self, name: str) -> Iterable[tuple[str, Spans]]:
        """Every value of a property with the concepts that have it."""
        return self._values.get(name, {}).items()

    def matching(self, words: Sequence[str]) -> Spans:
        """The concepts of whose code, display or designations every word begins a word."""
        found = self.every()
        for word in words:
            found &= self._beginning(word)
        return found

    # -- worked out on first use ---------------------------------------------------------------------------------------

    def _number(self, code: str) -> int | None:
        number = self._numbers.get(code)
        return self._folded.get(code.casefold()) if number is None and not self.case_sensitive else number

    def _closure(self, code: str, known: dict[int, Spans], sides: Sequence[Collection[int]]) -> Spans:
        start = self._number(code)
        if start is None:
            return NONE
        found = known.get(start)
        if found is None:
            reached: set[int] = set()
            waiting = [start]
            while waiting:
                fresh = [number for number in sides[waiting.pop() - 1] if number not in reached]
                reached.update(fresh)
                waiting.extend(fresh)
            found = known[start] = Spans.of(reached - {start})
        return found

    def _beginning(self, word: str) -> Spans:
        words, held = self._words
        numbers: set[int] = set()
        place = bisect_left(words, word)
        while place < len(words) and words[place].startswith(word):
            numbers.update(held[words[place]])
            place += 1
        return Spans.of(numbers)

    def _that(self, test: Callable[[Concept], bool]) -> Spans:
        return Spans.of(concept.number for concept in self._concepts if test(concept))

    @cached_property
    def _inactive(self) -> Spans:
        return self._that(lambda concept: concept.inactive)

    @cached_property
    def _abstract(self) -> Spans:
        return self._that(lambda concept: concept.abstract)

    @cached_property
    def _folded(self) -> dict[str, int]:
        return {code.casefold(): number for code, number in self._numbers.items()}

    @cached_property
    def _values(self) -> dict[str, dict[str, Spans]]:
        held: dict[str, dict[str, list[int]]] = {}
        for concept in self._concepts:
            for name, value in concept.properties:
                held.setdefault(name, {}).setdefault(value_text(value), []).append(concept.number)
        return {name: {v: Spans.of(numbers) for v, numbers in values.items()} for name, values in held.items()}

    @cached_property
    def _words(self) -> tuple[list[str], dict[str, list[int]]]:
        held: dict[str, list[int]] = {}
        for concept in self._concepts:
            texts = (concept.code, concept.display or "", *(d.get("value", "") for d in concept.designations))
            for word in set().union(*map(keys_of, texts)):
                held.setdefault(word, []).append(concept.number)
        return sorted(held), held


def _properties(item: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for entry in item.get("property", ()):
        for name, value in entry.items():
            if name.startswith("value"):
                yield entry["code"], value


def _used(items: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The properties that concepts have, whether declared or not, with the type of a value."""
    return {
        entry["code"]: _KINDS.get(name, "string")
        for item in items
        for entry in item.get("property", ())
        for name in entry
        if name.startswith("value")
    }
