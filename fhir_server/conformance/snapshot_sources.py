"""What a snapshot is made from: the snapshots of bases and types, each made once, within limits.

https://hl7.org/fhir/R4/profiling.html#snapshot
"""

from collections.abc import Callable, Iterator
from typing import Any

from fhir_server.conformance.element_tree import Element, Node, tree_of
from fhir_server.conformance.element_types import STRUCTURE
from fhir_server.core.errors import Unprocessable

Definition = dict[str, Any]
Find = Callable[[str, str], Definition | None]
Make = Callable[[Definition, "Sources"], list[Element]]

MOST_ELEMENTS = 20_000
MOST_BASES = 20


class Sources:
    """The definitions that one snapshot needs. `make` makes the snapshot of one that has none."""

    def __init__(self, find: Find, make: Make) -> None:
        self._find = find
        self._make = make
        self._elements: dict[str, list[Element]] = {}
        self._asking: list[str] = []
        self._left = MOST_ELEMENTS

    def definition(self, canonical: str) -> Definition | None:
        """The structure definition of a url; of a type's name too."""
        url = canonical if ":" in canonical else STRUCTURE + canonical
        return self._find("StructureDefinition", url)

    def elements(self, definition: Definition) -> list[Element]:
        """The elements of a definition's snapshot. Raises `Unprocessable` where making it would need itself."""
        held: list[Element] = definition.get("snapshot", {}).get("element", [])
        if held:
            return held
        url = str(definition.get("url", ""))
        if url in self._elements:
            return self._elements[url]
        if url in self._asking:
            way = " needs ".join([*self._asking[self._asking.index(url) :], url])
            raise Unprocessable(
                f"The definitions go in a circle: {way}. Give one of them another base.",
                expression="StructureDefinition.baseDefinition",
            )
        if len(self._asking) >= MOST_BASES:
            raise Unprocessable(
                f"More than {MOST_BASES} definitions stand on one another.",
                expression="StructureDefinition.baseDefinition",
            )
        self._asking.append(url)
        try:
            self._elements[url] = self._make(definition, self)
        finally:
            self._asking.pop()
        return self._elements[url]

    def tree(self, definition: Definition) -> Node:
        """The elements of a definition as a tree of its own."""
        elements = self.elements(definition)
        self.spend(len(elements))
        try:
            return tree_of(elements)
        except (ValueError, KeyError):
            raise Unprocessable(
                f"The snapshot of {definition.get('url')} is not in order.",
                expression="StructureDefinition.snapshot",
            ) from None

    def spend(self, elements: int) -> None:
        """Count elements that are made. Raises `Unprocessable` when they become too many."""
        self._left -= elements
        if self._left < 0:
            raise Unprocessable(
                f"The snapshot would need more than {MOST_ELEMENTS} elements.",
                expression="StructureDefinition.differential",
                code="too-costly",
            )

    def bases(self, canonical: str) -> Iterator[Definition]:
        """A definition and what it stands on, as far as they are known."""
        for _ in range(MOST_BASES):
            found = self.definition(canonical) if canonical else None
            if found is None:
                return
            yield found
            canonical = found.get("baseDefinition", "")

    def is_a(self, canonical: str, other: str) -> bool:
        """Whether a type or profile is one of another: by its bases, or as a profile of the other's type. What nobody
        here knows may be one."""
        url = (other if ":" in other else STRUCTURE + other).partition("|")[0]
        known = list(self.bases(canonical))
        if not known:
            return ":" in canonical
        if any(definition["url"] == url for definition in known):
            return True
        wanted = self.definition(other)
        return wanted is not None and ":" in canonical and known[0].get("type") == wanted.get("type")
