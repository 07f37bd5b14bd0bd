"""ConceptMap/$translate. https://hl7.org/fhir/R4/conceptmap-operation-translate.html, https://hl7.org/fhir/R4/conceptmap.html"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fhir_server.terminology.definitions import Definitions
from fhir_server.terminology.resources import is_version

Map = Mapping[str, Any]
Coding = Mapping[str, Any]
# These say that there is nothing to translate to.
_NO_MATCH = frozenset({"unmatched", "disjoint"})
# What an equivalence is when the map is read the other way round.
_REVERSED: Mapping[str, str] = {
    "wider": "narrower", "narrower": "wider", "subsumes": "specializes", "specializes": "subsumes",
}  # fmt: skip
_DEEPEST = 5


@dataclass(frozen=True, slots=True)
class Translation:
    """What is to be translated. `target`: url of the value set, `target_system`: the code system to translate to;
    `dependencies`: {element: codes} that are known besides; `reverse`: from the maps' targets to their sources."""

    codings: Sequence[Coding]
    source: str | None = None
    target: str | None = None
    target_system: str | None = None
    dependencies: Mapping[str, Sequence[Coding]] = field(default_factory=dict)
    reverse: bool = False


@dataclass(frozen=True, slots=True)
class Match:
    """One target: how it stands to what was translated, and the url of the map that says so."""

    equivalence: str
    concept: Coding | None
    source: str | None
    products: Sequence[Mapping[str, Any]] = ()
    comment: str | None = None


def translate(definitions: Definitions, maps: Iterable[Map], asked: Translation) -> list[Match]:
    """Every match that the maps have for any of the codings, in the order of maps, groups and elements, each once."""
    found: dict[tuple[Any, ...], Match] = {}
    work = _Work(definitions)
    for concept_map in maps:
        if not _concerns(concept_map, asked):
            continue
        for coding in asked.codings:
            for match in _of_map(work, concept_map, asked, coding, ()):
                concept = match.concept or {}
                found.setdefault((match.equivalence, concept.get("system"), concept.get("code"), match.source), match)
    return list(found.values())


def parameters(matches: Sequence[Match]) -> dict[str, Any]:
    """The operation's output."""
    result = any(match.equivalence not in _NO_MATCH for match in matches)
    out: list[dict[str, Any]] = [{"name": "result", "valueBoolean": result}]
    if not result:
        said = "The map says that there is no match." if matches else "There is no map for what was given."
        out.append({"name": "message", "valueString": said})
    out += [{"name": "match", "part": list(_parts(match))} for match in matches]
    return {"resourceType": "Parameters", "parameter": out}


def _parts(match: Match) -> Iterator[dict[str, Any]]:
    yield {"name": "equivalence", "valueCode": match.equivalence}
    if match.concept is not None:
        yield {"name": "concept", "valueCoding": dict(match.concept)}
    for product in match.products:
        concept = {k: product[k] for k in ("system", "display") if k in product} | {"code": product["value"]}
        parts = [{"name": "element", "valueUri": product["property"]}, {"name": "concept", "valueCoding": concept}]
        yield {"name": "product", "part": parts}
    if match.source:
        yield {"name": "source", "valueUri": match.source}


# -- which maps --------------------------------------------------------------------------------------------------------


def _scope(concept_map: Map, end: str) -> str:
    named = concept_map.get(f"{end}Canonical") or concept_map.get(f"{end}Uri") or ""
    return str(named).partition("|")[0]


def _concerns(concept_map: Map, asked: Translation) -> bool:
    """Whether the map is between the value sets that were named, where any were."""
    ends = ("target", "source") if asked.reverse else ("source", "target")
    wanted = zip(ends, (asked.source, asked.target), strict=True)
    return all(url is None or _scope(concept_map, end) == url.partition("|")[0] for end, url in wanted)


# -- within a map ------------------------------------------------------------------------------------------------------


class _Work:
    """One question: each map is asked about each coding once, however many others lead to it, and sorted out once."""

    def __init__(self, definitions: Definitions) -> None:
        self.definitions = definitions
        self._asked: set[tuple[Any, ...]] = set()
        self._elements: dict[tuple[int, bool], dict[str, list[tuple[Map, Map]]]] = {}
        # What is told apart by its place in memory stays there.
        self._held: list[Map] = []
        self._maps: dict[str, Map | None] = {}

    def begins(self, concept_map: Map, coding: Coding) -> bool:
        """Whether the map has not been asked about the coding yet."""
        key = (id(concept_map), coding.get("system"), coding.get("version"), coding["code"])
        if key in self._asked:
            return False
        self._held.append(concept_map)
        self._asked.add(key)
        self.definitions.spend(1 + len(concept_map.get("group", ())))
        return True

    def map(self, canonical: str) -> Map | None:
        """A map that another one leads to, always the same one."""
        if canonical not in self._maps:
            self._maps[canonical] = self.definitions.definition("ConceptMap", canonical)
        return self._maps[canonical]

    def elements(self, group: Map, code: str) -> Sequence[Map]:
        """The elements of a group about a code."""
        return [element for element, _ in self._sorted(group, by_target=False).get(code, ())]

    def targets(self, group: Map, code: str) -> Sequence[tuple[Map, Map]]:
        """(element, target) of a group that lead to a code."""
        return self._sorted(group, by_target=True).get(code, ())

    def _sorted(self, group: Map, *, by_target: bool) -> Mapping[str, Sequence[tuple[Map, Map]]]:
        key = (id(group), by_target)
        found = self._elements.get(key)
        if found is None:
            found = self._elements[key] = {}
            elements = group.get("element", ())
            self.definitions.spend(len(elements))
            for element in elements:
                for named in element.get("target", ()) if by_target else (element,):
                    found.setdefault(named.get("code", ""), []).append((element, named))
        return found


def _of_map(
    work: _Work, concept_map: Map, asked: Translation, coding: Coding, trail: tuple[str, ...]
) -> Iterator[Match]:
    url = concept_map.get("url")
    if len(trail) > _DEEPEST or not work.begins(concept_map, coding):
        return
    for group in concept_map.get("group", ()):
        ends = ("target", "source") if asked.reverse else ("source", "target")
        here, there = (group.get(end) for end in ends)
        if not _is_of(coding, here, group.get(f"{ends[0]}Version")) or not _wanted(there, asked):
            continue
        elements = work.elements(group, coding["code"])
        matches = list(_backwards(work, group, coding) if asked.reverse else _forwards(group, elements, asked))
        if not matches and not asked.reverse and not elements:
            yield from _unmapped(work, group, asked, coding, (*trail, url or ""))
        for equivalence, concept, products in matches:
            yield Match(equivalence, concept, url, products)


def _is_of(coding: Coding, system: str | None, version: str | None) -> bool:
    """Whether a group is about a coding's system, in its version where both say one."""
    if system is not None and coding.get("system") not in (None, system):
        return False
    named = coding.get("version")
    return named is None or version is None or is_version(version, named) or is_version(named, version)


def _wanted(system: str | None, asked: Translation) -> bool:
    return asked.target_system is None or system == asked.target_system.partition("|")[0]


Found = tuple[str, Coding | None, Sequence[Mapping[str, Any]]]


def _forwards(group: Map, elements: Sequence[Map], asked: Translation) -> Iterator[Found]:
    for element in elements:
        for target in element.get("target", ()):
            if all(_holds(each, asked.dependencies) for each in target.get("dependsOn", ())):
                yield target["equivalence"], _concept(group, "target", target), target.get("product", ())


def _backwards(work: _Work, group: Map, coding: Coding) -> Iterator[Found]:
    for element, target in work.targets(group, coding["code"]):
        equivalence = target["equivalence"]
        yield _REVERSED.get(equivalence, equivalence), _concept(group, "source", element), ()


def _concept(group: Map, end: str, item: Map) -> Coding | None:
    if "code" not in item:
        return None
    named = (
        ("system", group.get(end)),
        ("version", group.get(f"{end}Version")),
        ("code", item["code"]),
        ("display", item.get("display")),
    )
    return {name: value for name, value in named if value is not None}


def _holds(depends: Map, known: Mapping[str, Sequence[Coding]]) -> bool:
    """Whether what a target depends on is among what was given."""
    system = depends.get("system")
    return any(
        coding.get("code") == depends["value"] and system in (None, coding.get("system"))
        for coding in known.get(depends["property"], ())
    )


def _unmapped(
    work: _Work, group: Map, asked: Translation, coding: Coding, trail: tuple[str, ...]
) -> Iterator[Match]:
    """What a group says of codes that it does not name. https://hl7.org/fhir/R4/conceptmap.html#unmapped"""
    rule = group.get("unmapped")
    if rule is None:
        return
    if rule.get("mode") == "provided":
        yield Match("equal", _concept(group, "target", coding), trail[-1] or None)
    elif rule.get("mode") == "fixed":
        yield Match("inexact", _concept(group, "target", rule), trail[-1] or None)
    elif rule.get("mode") == "other-map":
        other = work.map(rule.get("url", ""))
        if other is not None:
            yield from _of_map(work, other, asked, coding, trail)
