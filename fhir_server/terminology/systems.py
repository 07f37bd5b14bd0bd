"""What is asked of a code system, whether it is in memory or in the tables of imported content.

Concepts are numbered from 1, depth first in definition order, so that sets of them are `Spans`: a value set's filter is
union, intersection and difference, and a page of an expansion is the numbers of a place.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from fhir_server.core.spans import Spans


@dataclass(frozen=True, slots=True)
class Concept:
    """A code with what its system says of it. `parents`: codes; `designations`: as in a CodeSystem resource (language,
    use, value); `properties`: (code, value), a Coding as its JSON object; `groups`: places in
    `properties` of those that belong together."""

    number: int
    code: str
    display: str | None
    definition: str | None = None
    designations: Sequence[Mapping[str, Any]] = ()
    properties: Sequence[tuple[str, Any]] = ()
    groups: Sequence[Sequence[int]] = ()
    parents: tuple[str, ...] = ()
    abstract: bool = False
    inactive: bool = False


class System(Protocol):
    """A code system in one version, whose content does not change while it is asked.

    content: as CodeSystem.content. language: of its displays, '' when it does not say. properties: {code: type}.
    languages: those that designations are in. grouped: whether it says of a concept's properties which belong together.
    """

    url: str
    version: str | None
    name: str
    content: str
    language: str
    case_sensitive: bool
    hierarchical: bool
    grouped: bool
    properties: Mapping[str, str]
    languages: frozenset[str]
    total: int

    def find(self, code: str) -> Concept | None:
        """The concept of a code, by the system's own rule about case."""

    def numbers(self, codes: Iterable[str]) -> dict[str, int]:
        """The numbers of those of the codes that there are, in one question."""

    def page(self, numbers: Sequence[int]) -> list[Concept]:
        """The concepts of these numbers, in their order, in one question."""

    def every(self) -> Spans:
        """All concepts."""

    def below(self, code: str) -> Spans:
        """What the code subsumes, without itself; none when there is no such code."""

    def above(self, code: str) -> Spans:
        """What subsumes the code, without itself."""

    def children(self, code: str) -> Spans:
        """What is directly below the code."""

    def inactive(self) -> Spans:
        """The concepts that are not to be used any more."""

    def abstract(self) -> Spans:
        """The concepts that only group others."""

    def having(self, name: str, value: str) -> Spans:
        """The concepts with this value of a property (a Coding's code; true and false as words)."""

    def values(self, name: str) -> Iterable[tuple[str, Spans]]:
        """Every value of a property with the concepts that have it."""

    def matching(self, words: Sequence[str]) -> Spans:
        """The concepts of whose code, display or designations every word (folded, see `words.fold`) begins a word."""


@dataclass(frozen=True, slots=True)
class Part:
    """The concepts of one system that a value set has. `displays`: what the value set itself calls some of them, and
    their further designations, by code: (display or None, designations)."""

    system: System
    concepts: Spans
    displays: Mapping[str, tuple[str | None, Sequence[Mapping[str, Any]]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Selection:
    """A value set worked out. `parts`: a system stands there once. `listed`: codes of systems that are not here, which
    the value set names one by one: {(system, code): (display, designations)}, in its order."""

    parts: tuple[Part, ...] = ()
    listed: Mapping[tuple[str, str], tuple[str | None, Sequence[Mapping[str, Any]]]] = field(default_factory=dict)
