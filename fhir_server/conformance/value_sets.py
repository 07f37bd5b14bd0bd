"""Codes of value sets that the package itself can enumerate.

Enough for bindings: concept lists, whole code systems, `concept` and property filters, imported value sets, excludes.
A value set that needs an external code system (SNOMED CT, LOINC, UCUM, BCP 47 ...) as a whole is not enumerable.
https://hl7.org/fhir/R4/valueset.html#compositions
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

Definition = dict[str, Any]
Codes = frozenset[tuple[str, str]]
MAX_NESTING = 12


class Expander:
    """Enumerates value sets; results are kept. `value_set` and `code_system` find definitions by canonical url."""

    def __init__(
        self, value_set: Callable[[str], Definition | None], code_system: Callable[[str], Definition | None]
    ) -> None:
        self._value_set = value_set
        self._code_system = code_system
        self._done: dict[str, Codes | None] = {}

    def codes(self, url: str, nesting: int = 0) -> Codes | None:
        """(system, code) pairs of a value set; None when it is unknown or not enumerable."""
        url = url.split("|")[0]
        if url not in self._done:
            definition = self._value_set(url) if nesting < MAX_NESTING else None
            self._done[url] = self._enumerate(definition, nesting) if definition else None
        return self._done[url]

    def _enumerate(self, definition: Definition, nesting: int) -> Codes | None:
        compose = definition.get("compose")
        if compose is None:
            return _expanded(definition)
        found: set[tuple[str, str]] = set()
        for include in compose.get("include", ()):
            codes = self._component(include, nesting)
            if codes is None:
                return None
            found |= codes
        for exclude in compose.get("exclude", ()):
            codes = self._component(exclude, nesting)
            if codes is None:
                return None
            found -= codes
        return frozenset(found)

    def _component(self, part: Definition, nesting: int) -> Codes | None:
        """One include or exclude: its system's codes, within every value set that it names."""
        codes: Codes | None = None
        if "system" in part:
            codes = self._of_system(part)
            if codes is None:
                return None
        for url in part.get("valueSet", ()):
            named = self.codes(url, nesting + 1)
            if named is None:
                return None
            codes = named if codes is None else codes & named
        return codes

    def _of_system(self, part: Definition) -> Codes | None:
        system = part["system"]
        if "concept" in part:
            return frozenset((system, concept["code"]) for concept in part["concept"])
        definition = self._code_system(system)
        if definition is None or definition.get("content") != "complete":
            return None
        concepts = list(walk(definition.get("concept", ())))
        wanted = {concept["code"] for concept, _ in concepts}
        for rule in part.get("filter", ()):
            matching = filtered(concepts, rule)
            if matching is None:
                return None
            wanted &= matching
        return frozenset((system, code) for code in wanted)


def _expanded(definition: Definition) -> Codes | None:
    if "expansion" not in definition:
        return None
    contains = definition["expansion"].get("contains", ())
    return frozenset((c.get("system", ""), c["code"]) for c in _flat(contains) if "code" in c and not c.get("abstract"))


def _flat(contains: Any) -> Iterator[Definition]:
    for entry in contains:
        yield entry
        yield from _flat(entry.get("contains", ()))


def walk(concepts: Any, ancestors: frozenset[str] = frozenset()) -> Iterator[tuple[Definition, frozenset[str]]]:
    """Every concept of a code system with the codes of its ancestors by nesting."""
    for concept in concepts:
        yield concept, ancestors
        yield from walk(concept.get("concept", ()), ancestors | {concept["code"]})


def properties(concept: Definition, code: str) -> list[Any]:
    """Values of a concept's property, in order."""
    return [
        value for held in concept.get("property", ()) if held["code"] == code
        for name, value in held.items() if name.startswith("value")
    ]


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def filtered(concepts: list[tuple[Definition, frozenset[str]]], rule: Definition) -> set[str] | None:
    """Codes that pass a compose filter; None when the operator or property is not one the package can answer.

    Polyhierarchy: `child`, `parent` and `subsumedBy` properties count as well as nesting.
    """
    operator, name, value = rule["op"], rule["property"], rule["value"]
    if operator == "regex" and name == "code":
        pattern = re.compile(value)
        return {c["code"] for c, _ in concepts if pattern.fullmatch(c["code"])}
    if operator == "=" and name == "parent":
        return {c["code"] for c, _ in concepts if c["code"] in _children(concepts).get(value, ())}
    if operator == "=":
        return {c["code"] for c, _ in concepts if value in map(_text, properties(c, name))}
    if operator in ("is-a", "descendent-of", "is-not-a") and name in ("concept", "code"):
        below = _descendants(concepts, value)
        if operator == "descendent-of":
            return below
        below.add(value)
        codes = {c["code"] for c, _ in concepts}
        return codes & below if operator == "is-a" else codes - below
    return None


def _children(concepts: list[tuple[Definition, frozenset[str]]]) -> dict[str, set[str]]:
    children: dict[str, set[str]] = {}
    for concept, _ in concepts:
        code = concept["code"]
        below = children.setdefault(code, set())
        below.update(child["code"] for child in concept.get("concept", ()))
        below.update(map(str, properties(concept, "child")))
        for parent in [*properties(concept, "parent"), *properties(concept, "subsumedBy")]:
            children.setdefault(str(parent), set()).add(code)
    return children


def _descendants(concepts: list[tuple[Definition, frozenset[str]]], top: str) -> set[str]:
    children = _children(concepts)
    found: set[str] = set()
    waiting = [top]
    while waiting:
        for code in children.get(waiting.pop(), ()):
            if code not in found:
                found.add(code)
                waiting.append(code)
    return found
