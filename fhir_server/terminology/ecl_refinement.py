"""Refinements of SNOMED CT's Expression Constraint Language: which concepts have the attributes that are wanted.

Attributes are properties of concepts, so that one by itself is a union of sets of concepts that are stored; role groups
are read from the concepts that can have such a group.
https://confluence.ihtsdotools.org/display/DOCECL/6.2+Refinements
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from fhir_server.core.errors import TooCostly, Unprocessable
from fhir_server.core.spans import NONE, Spans
from fhir_server.terminology.stored import value_text
from fhir_server.terminology.systems import Concept, System

# Concepts whose groups are read for one refinement.
_MOST_READ, _AT_ONCE = 20_000, 2_000


@dataclass(frozen=True, slots=True)
class Cardinality:
    """How many there are, from `least` to `most`; None: any number."""

    least: int = 1
    most: int | None = None

    def holds(self, count: int) -> bool:
        """Whether a number is within."""
        return count >= self.least and (self.most is None or count <= self.most)

    def of(self, counted: Callable[[int], Spans], every: Spans) -> Spans:
        """The concepts with so many. `counted` gives those with at least some number of them."""
        enough = counted(self.least) if self.least else every
        return enough if self.most is None else enough - counted(self.most + 1)


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute with a value that fits. `pairs`: every (attribute, value) that does, with the concepts that have
    it."""

    pairs: Mapping[tuple[str, str], Spans]
    cardinality: Cardinality = Cardinality()

    def concepts(self, system: System, within: Spans) -> Spans:
        """The concepts that have it so often."""
        return self.cardinality.of(lambda count: at_least(count, list(self.pairs.values())), within) & within

    def in_some_group(self) -> Spans | None:
        """The concepts of which a group can have it; None: any."""
        return at_least(1, list(self.pairs.values())) if self.cardinality.least else None

    def fits(self, group: Counter[tuple[str, str]]) -> bool:
        """Whether the attributes of one group are what is wanted."""
        return self.cardinality.holds(sum(count for pair, count in group.items() if pair in self.pairs))


@dataclass(frozen=True, slots=True)
class Among:
    """The concepts themselves: what a reversed attribute points at."""

    found: Spans

    def concepts(self, system: System, within: Spans) -> Spans:
        """Those of them that are within."""
        return self.found & within

    def in_some_group(self) -> Spans | None:
        """Raises `Unprocessable`: a reversed attribute is of other concepts' groups."""
        raise refused("a reversed attribute within a group is not understood here")

    def fits(self, group: Counter[tuple[str, str]]) -> bool:
        """As `in_some_group`."""
        raise refused("a reversed attribute within a group is not understood here")


@dataclass(frozen=True, slots=True)
class Joined:
    """Refinements of which all must hold, or one. A group within a group there is not."""

    parts: Sequence["Refinement"]
    every: bool

    def concepts(self, system: System, within: Spans) -> Spans:
        """The concepts that all, or any, hold of."""
        found = within if self.every else NONE
        for part in self.parts:
            if self.every:
                found = part.concepts(system, found)
            else:
                found |= part.concepts(system, within)
        return found

    def in_some_group(self) -> Spans | None:
        """The concepts of which a group can be so; None: any."""
        known = [found for part in self.parts if (found := part.in_some_group()) is not None]
        if not self.every and len(known) < len(self.parts):
            return None
        joined = known[0] if known else None
        for found in known[1:]:
            joined = (joined or NONE) & found if self.every else (joined or NONE) | found
        return joined

    def fits(self, group: Counter[tuple[str, str]]) -> bool:
        """Whether one group is so."""
        held = (part.fits(group) for part in self.parts)
        return all(held) if self.every else any(held)


@dataclass(frozen=True, slots=True)
class Grouped:
    """Role groups in which a refinement holds."""

    inner: "Refinement"
    cardinality: Cardinality = Cardinality()

    def concepts(self, system: System, within: Spans) -> Spans:
        """The concepts with so many such groups. Raises `TooCostly` when too many would have to be read."""
        if not system.grouped:
            raise refused(f"relationship groups are not kept of the code system {system.url}; import it again")
        able = self.inner.in_some_group()
        if able is None:
            raise refused("a group must name an attribute that is there at least once")
        able &= within
        if len(able) > _MOST_READ:
            raise TooCostly(f"Groups of {len(able)} concepts would have to be read; here it is at most {_MOST_READ}.")
        counts = dict(_groups(system, able, self.inner))

        def counted(least: int) -> Spans:
            return Spans.of(number for number, count in counts.items() if count >= least)

        return self.cardinality.of(counted, within)

    def in_some_group(self) -> Spans | None:
        """Raises `Unprocessable`."""
        raise refused("a group within a group")

    def fits(self, group: Counter[tuple[str, str]]) -> bool:
        """Raises `Unprocessable`."""
        raise refused("a group within a group")


Refinement = Attribute | Among | Joined | Grouped


def _groups(system: System, able: Spans, inner: Refinement) -> list[tuple[int, int]]:
    """(number of the concept, how many of its groups are as wanted)."""
    numbers = list(able)
    found = []
    for start in range(0, len(numbers), _AT_ONCE):
        for concept in system.page(numbers[start : start + _AT_ONCE]):
            found.append((concept.number, sum(inner.fits(group) for group in _of(concept))))
    return found


def _of(concept: Concept) -> list[Counter[tuple[str, str]]]:
    pairs = [(name, value_text(value)) for name, value in concept.properties]
    return [Counter(pairs[place] for place in places) for places in concept.groups]


def at_least(count: int, sets: Sequence[Spans]) -> Spans:
    """The numbers that are in so many of the sets (from 1)."""
    if count == 1:
        return Spans(each for spans in sets for each in spans.ranges)
    changes: Counter[int] = Counter()
    for spans in sets:
        for low, high in spans.ranges:
            changes[low] += 1
            changes[high] -= 1
    found = []
    depth = 0
    for place in sorted(changes):
        before, depth = depth, depth + changes[place]
        if before < count <= depth:
            low = place
        elif depth < count <= before:
            found.append((low, place))
    return Spans(found)


def refused(why: str) -> Unprocessable:
    """That an expression constraint cannot be used, and why."""
    return Unprocessable(f"The expression constraint cannot be used: {why}.", code="not-supported")
