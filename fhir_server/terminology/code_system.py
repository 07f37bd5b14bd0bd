"""A code system made ready to ask: concepts by code, parents, children, properties.

https://hl7.org/fhir/R4/codesystem.html
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

_INACTIVE = frozenset({"retired", "inactive"})


@dataclass(slots=True)
class Concept:
    """A code with what the code system says of it. `parents` and `children` hold codes, in definition order."""

    code: str
    display: str | None
    definition: str | None
    designations: Sequence[Mapping[str, Any]]
    properties: Sequence[tuple[str, Any]]
    parents: list[str] = field(default_factory=list)
    children: list[str] = field(default_factory=list)

    @property
    def abstract(self) -> bool:
        """Whether the code only groups others (`notSelectable`, and `abstract` as older systems name it)."""
        return any(code in ("notSelectable", "abstract") and value is True for code, value in self.properties)

    @property
    def inactive(self) -> bool:
        """Whether the code is not to be used any more. A deprecated code still may be.
        https://hl7.org/fhir/R4/codesystem-concept-properties.html"""
        return any(
            (code == "inactive" and value is True) or (code == "status" and value in _INACTIVE)
            for code, value in self.properties
        )


class CodeSystemTable:
    """The concepts of one CodeSystem resource, in definition order, with their hierarchy resolved once."""

    def __init__(self, definition: Mapping[str, Any]) -> None:
        self.url: str = definition.get("url", "")
        self.version: str | None = definition.get("version")
        self.name: str = definition.get("name") or self.url
        self.content: str = definition.get("content", "complete")
        self.property_types: dict[str, str] = {p["code"]: p["type"] for p in definition.get("property", ())}
        self._ignore_case = definition.get("caseSensitive") is False
        self.concepts: dict[str, Concept] = {}
        self._add(definition.get("concept", ()), None)
        self._link()
        self._ancestors: dict[str, frozenset[str]] = {}
        self._descendants: dict[str, frozenset[str]] = {}

    def find(self, code: str) -> Concept | None:
        """The concept of a code, by the system's own rule about case."""
        concept = self.concepts.get(code)
        if concept is None and self._ignore_case:
            concept = self._folded.get(code.casefold())
        return concept

    def descendants(self, code: str) -> frozenset[str]:
        """Codes below `code`, without itself."""
        return self._closure(code, self._descendants, "children")

    def ancestors(self, code: str) -> frozenset[str]:
        """Codes above `code`, without itself."""
        return self._closure(code, self._ancestors, "parents")

    @cached_property
    def _folded(self) -> dict[str, Concept]:
        return {code.casefold(): concept for code, concept in self.concepts.items()}

    def _add(self, concepts: Sequence[Mapping[str, Any]], parent: str | None) -> None:
        for item in concepts:
            code = item["code"]
            concept = self.concepts.get(code)
            if concept is None:
                concept = Concept(
                    code,
                    item.get("display"),
                    item.get("definition"),
                    item.get("designation", ()),
                    tuple(_properties(item)),
                )
                self.concepts[code] = concept
            if parent is not None:
                _join(concept.parents, parent)
            self._add(item.get("concept", ()), code)

    def _link(self) -> None:
        """Take the hierarchy from nesting and from the properties `parent` and `child` together: a code that stands
        below several others is nested below one of them only."""
        for code, concept in self.concepts.items():
            for name, value in concept.properties:
                if name in ("parent", "subsumedBy") and value in self.concepts:
                    _join(concept.parents, value)
                elif name == "child" and value in self.concepts:
                    _join(self.concepts[value].parents, code)
        for code, concept in self.concepts.items():
            for parent in concept.parents:
                _join(self.concepts[parent].children, code)

    def _closure(self, code: str, known: dict[str, frozenset[str]], side: str) -> frozenset[str]:
        found = known.get(code)
        if found is None:
            reached: set[str] = set()
            waiting = [code]
            while waiting:
                concept = self.concepts.get(waiting.pop())
                fresh = [c for c in getattr(concept, side, ()) if c not in reached]
                reached.update(fresh)
                waiting.extend(fresh)
            found = known[code] = frozenset(reached - {code})
        return found


def _join(codes: list[str], code: str) -> None:
    if code not in codes:
        codes.append(code)


def _properties(item: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for entry in item.get("property", ()):
        for name, value in entry.items():
            if name.startswith("value"):
                yield entry["code"], value
