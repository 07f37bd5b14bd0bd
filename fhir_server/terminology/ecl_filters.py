"""Filters of SNOMED CT's Expression Constraint Language, `{{ term = "heart" }}` and `{{ C active = false }}`: those on
terms, their language and type, and on a concept's definition status, module and state.

https://confluence.ihtsdotools.org/display/DOCECL/6.8+Description+Filters, 6.9 (concept filters)
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import translate
from typing import Any

from fhir_server.core.errors import TooCostly
from fhir_server.core.spans import NONE, Spans
from fhir_server.terminology.ecl_refinement import refused
from fhir_server.terminology.systems import Concept, System
from fhir_server.terminology.words import fold, keys_of, words_of

_MOST_READ, _AT_ONCE = 20_000, 2_000
_TYPES: Mapping[str, str] = {
    "fsn": "900000000000003001", "syn": "900000000000013009", "def": "900000000000550004",
}  # fmt: skip
_DEFINED: Mapping[str, str] = {
    "defined": "true", "primitive": "false", "900000000000073002": "true", "900000000000074008": "false",
}  # fmt: skip
Description = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Criterion:
    """`name sign values` as written; a text in quotes keeps them, and `kind` is how it is sought (match, wild)."""

    name: str
    negative: bool
    values: Sequence[str]
    kind: str = "match"


def passing(system: System, found: Spans, criteria: Sequence[Criterion], *, of_concepts: bool) -> Spans:
    """Those of the concepts that meet every criterion; of descriptions, one description must meet them all. Raises
    `Unprocessable` for a criterion that is not understood here, `TooCostly` when too many concepts would be read."""
    if of_concepts:
        for each in criteria:
            test = _OF_CONCEPTS.get(each.name)
            if test is None:
                raise refused(f"the concept filter {each.name} is not understood here")
            these = test(system, each.values)
            found = found - these if each.negative else found & these
        return found
    tests = [_of_description(each) for each in criteria]
    for each in criteria:
        if each.name == "term" and each.kind == "match" and not each.negative:
            found &= Spans(span for text in each.values for span in system.matching(words_of(text)).ranges)
    if len(found) > _MOST_READ:
        raise TooCostly(f"Terms of {len(found)} concepts would have to be read; here it is at most {_MOST_READ}.")
    return Spans.of(
        concept.number for concept in _read(system, found)
        if any(all(test(said) for test in tests) for said in _descriptions(concept))
    )  # fmt: skip


def _read(system: System, found: Spans) -> Iterator[Concept]:
    numbers = list(found)
    for start in range(0, len(numbers), _AT_ONCE):
        yield from system.page(numbers[start : start + _AT_ONCE])


def _descriptions(concept: Concept) -> list[Description]:
    """What a concept is called: its designations, and the display where that is none of them."""
    said = [each for each in concept.designations if "value" in each]
    known = any(each["value"] == concept.display for each in said)
    return said if known or concept.display is None else [{"value": concept.display}, *said]


def _of_description(asked: Criterion) -> Callable[[Description], bool]:
    if asked.name == "term":
        fits = [_wild(text) if asked.kind == "wild" else _words(text) for text in asked.values]
        return lambda said: any(fit(said["value"]) for fit in fits) is not asked.negative
    if asked.name == "language":
        return lambda said: (said.get("language", "").split("-")[0] in asked.values) is not asked.negative
    if asked.name in ("type", "typeId"):
        ids = [_TYPES.get(value.lower(), value) for value in asked.values]
        return lambda said: (said.get("use", {}).get("code") in ids) is not asked.negative
    raise refused(f"the description filter {asked.name} is not understood here")


def _words(text: str) -> Callable[[str], bool]:
    """Each word begins a word of the term."""
    wanted = words_of(text)
    return lambda term: all(any(key.startswith(word) for key in keys_of(term)) for word in wanted)


def _wild(text: str) -> Callable[[str], bool]:
    """`*` stands for any text, `?` for any character."""
    if text.count("*") > 3:
        raise refused("a wild card stands at most three times in a text")
    pattern = re.compile(translate(fold(text).replace("[", "[[]")))
    return lambda term: pattern.match(fold(term)) is not None


def _active(system: System, values: Sequence[str]) -> Spans:
    found = NONE
    for value in values:
        if value.lower() not in ("true", "false", "1", "0"):
            raise refused("active is true or false")
        inactive = system.inactive()
        found |= system.every() - inactive if value.lower() in ("true", "1") else inactive
    return found


def _having(name: str, meaning: Mapping[str, str]) -> Callable[[System, Sequence[str]], Spans]:
    def test(system: System, values: Sequence[str]) -> Spans:
        if name not in system.properties:
            raise refused(f"the code system {system.url} does not say {name} of its concepts")
        found = NONE
        for value in values:
            found |= system.having(name, meaning.get(value.lower(), value))
        return found

    return test


_OF_CONCEPTS: Mapping[str, Callable[[System, Sequence[str]], Spans]] = {
    "active": _active,
    "definitionStatus": _having("sufficientlyDefined", _DEFINED),
    "definitionStatusId": _having("sufficientlyDefined", _DEFINED),
    "moduleId": _having("moduleId", {}),
}
