"""What CodeSystem supplements add to a code system: designations and properties of its concepts, never concepts.

https://hl7.org/fhir/R4/codesystem.html#supplements
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from fhir_server.core.spans import NONE, Spans
from fhir_server.terminology.code_system import CodeSystemTable
from fhir_server.terminology.systems import Concept, System


class Supplemented:
    """A `System` with its supplements, whichever kind it is. `inner`: the system without them; numbers are the same."""

    def __init__(self, inner: System, supplements: Sequence[CodeSystemTable]) -> None:
        self.inner = inner
        self._supplements = supplements
        self.url, self.version, self.name, self.content = inner.url, inner.version, inner.name, inner.content
        self.case_sensitive, self.hierarchical, self.total = inner.case_sensitive, inner.hierarchical, inner.total
        self.grouped, self.language = inner.grouped, inner.language
        added = {name: kind for s in supplements for name, kind in s.properties.items()}
        self.properties: Mapping[str, str] = {**added, **inner.properties}
        self.languages = inner.languages.union(*(s.languages for s in supplements))
        self._places: list[dict[int, int]] = []

    @property
    def keys(self) -> tuple[object, ...]:
        """What tells the supplements apart from others; None among them for one that was given for a request."""
        return tuple(s.key for s in self._supplements)

    def find(self, code: str) -> Concept | None:
        """The concept of a code with what the supplements add."""
        found = self.inner.find(code)
        return None if found is None else self._with(found)

    def numbers(self, codes: Iterable[str]) -> dict[str, int]:
        """The numbers of those of the codes that there are."""
        return self.inner.numbers(codes)

    def page(self, numbers: Sequence[int]) -> list[Concept]:
        """The concepts of these numbers with what the supplements add."""
        return [self._with(concept) for concept in self.inner.page(numbers)]

    def every(self) -> Spans:
        """All concepts."""
        return self.inner.every()

    def below(self, code: str) -> Spans:
        """What the code subsumes, without itself."""
        return self.inner.below(code)

    def above(self, code: str) -> Spans:
        """What subsumes the code, without itself."""
        return self.inner.above(code)

    def children(self, code: str) -> Spans:
        """What is directly below the code."""
        return self.inner.children(code)

    def inactive(self) -> Spans:
        """The concepts that are not to be used any more."""
        return self.inner.inactive()

    def abstract(self) -> Spans:
        """The concepts that only group others."""
        return self.inner.abstract()

    def having(self, name: str, value: str) -> Spans:
        """The concepts with this value of a property, here or in a supplement."""
        found = self.inner.having(name, value)
        for place, supplement in enumerate(self._supplements):
            found |= self._here(place, supplement.having(name, value))
        return found

    def values(self, name: str) -> Iterable[tuple[str, Spans]]:
        """Every value of a property with the concepts that have it."""
        found = dict(self.inner.values(name))
        for place, supplement in enumerate(self._supplements):
            for value, concepts in supplement.values(name):
                found[value] = found.get(value, NONE) | self._here(place, concepts)
        return found.items()

    def matching(self, words: Sequence[str]) -> Spans:
        """The concepts of whose texts, here and in the supplements, every word begins a word."""
        found = self.every()
        for word in words:
            some = self.inner.matching([word])
            for place, supplement in enumerate(self._supplements):
                some |= self._here(place, supplement.matching([word]))
            found &= some
        return found

    def _with(self, concept: Concept) -> Concept:
        added = [more for s in self._supplements if (more := s.find(concept.code)) is not None]
        if not added:
            return concept
        return replace(
            concept,
            designations=[*concept.designations, *(d for more in added for d in more.designations)],
            properties=[*concept.properties, *(p for more in added for p in more.properties)],
        )

    def _here(self, place: int, theirs: Spans) -> Spans:
        """The concepts of this system that are these of a supplement."""
        if not theirs:
            return NONE
        if not self._places:
            self._places = [self._numbers_of(supplement) for supplement in self._supplements]
        numbers = self._places[place]
        return Spans.of(numbers[number] for number in theirs if number in numbers)

    def _numbers_of(self, supplement: CodeSystemTable) -> dict[int, int]:
        codes = {concept.code: concept.number for concept in supplement.page(list(supplement.every()))}
        return {codes[code]: number for code, number in self.inner.numbers(codes).items()}
