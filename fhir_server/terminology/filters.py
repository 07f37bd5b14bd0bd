"""`ValueSet.compose.include.filter` over a code system: each filter is a set of concepts, and all must hold.

https://hl7.org/fhir/R4/valueset.html#compositions, operators https://hl7.org/fhir/R4/valueset-filter-operator.html
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from fhir_server.core.errors import TooCostly, Unprocessable
from fhir_server.core.spans import NONE, Spans
from fhir_server.terminology import ecl, patterns
from fhir_server.terminology.systems import Concept, System

# How R5's operators stand in an R4 resource: https://hl7.org/fhir/R5/versions.html#extensions
R5_OPERATOR = "http://hl7.org/fhir/5.0/StructureDefinition/extension-ValueSet.compose.include.filter.op"
_CODE = frozenset({"concept", "code"})
# Filters on these read every concept.
_READ = frozenset({"display", "definition"})
_MOST_READ = 100_000
_AT_ONCE = 5_000

Test = Callable[[System, str, str], Spans]


def selected(system: System, filters: Sequence[Mapping[str, Any]], spend: Callable[[int], None]) -> Spans:
    """The concepts that pass every filter. `spend` counts work. Raises `Unprocessable` for a filter that the system
    does not define, `TooCostly` for one that would read too much."""
    found = system.every()
    for entry in filters:
        name, operator, value = entry.get("property", ""), _operator(entry), str(entry.get("value", ""))
        spend(1000 + 100 * value.count(",") + (10 * system.total if operator == "regex" or name in _READ else 0))
        test = _OPERATORS.get(operator)
        if test is None:
            raise _refused(system, name, operator)
        passing = test(system, name, value)
        spend(passing.pieces + found.pieces)
        found &= passing
    return found


def _operator(entry: Mapping[str, Any]) -> str:
    for extension in entry.get("_op", {}).get("extension", ()):
        if extension.get("url") == R5_OPERATOR:
            return str(extension.get("valueCode", ""))
    return str(entry.get("op", ""))


# -- by the hierarchy -------------------------------------------------------------------------------------------------


def _code(system: System, name: str, operator: str, code: str) -> Concept:
    if name not in _CODE:
        raise _refused(system, name, operator)
    concept = system.find(code)
    if concept is None:
        raise Unprocessable(f"A filter names the code {code!r}, which the code system {system.url} does not have.")
    return concept


def _is_a(system: System, name: str, value: str) -> Spans:
    concept = _code(system, name, "is-a", value)
    return system.below(concept.code) | Spans.of([concept.number])


def _descendent_of(system: System, name: str, value: str) -> Spans:
    return system.below(_code(system, name, "descendent-of", value).code)


def _is_not_a(system: System, name: str, value: str) -> Spans:
    return system.every() - _is_a(system, name, value)


def _generalizes(system: System, name: str, value: str) -> Spans:
    concept = _code(system, name, "generalizes", value)
    return system.above(concept.code) | Spans.of([concept.number])


def _child_of(system: System, name: str, value: str) -> Spans:
    return system.children(_code(system, name, "child-of", value).code)


# -- by what concepts have --------------------------------------------------------------------------------------------


def _equal(system: System, name: str, value: str) -> Spans:
    built_in = _BUILT_IN.get(name)
    # What the system itself defines under such a name counts with what the name means everywhere.
    if built_in is not None:
        return built_in(system, value) | (system.having(name, value) if name in system.properties else NONE)
    _require(system, name, "=")
    return system.having(name, value)


def _in(system: System, name: str, value: str) -> Spans:
    if name in _CODE:
        # https://hl7.org/fhir/R4/snomedct.html: `concept in` names a reference set.
        members = system.having(ecl.REFSET, value.strip())
        codes = [part.strip() for part in value.split(",")]
        return members or Spans.of(system.numbers(codes).values())
    found = NONE
    for part in value.split(","):
        found |= _equal(system, name, part.strip())
    return found


def _not_in(system: System, name: str, value: str) -> Spans:
    return system.every() - _in(system, name, value)


def _exists(system: System, name: str, value: str) -> Spans:
    have = _with(system, name)
    return system.every() - have if value == "false" else have


def _with(system: System, name: str) -> Spans:
    if name in _CODE:
        return system.every()
    if name in ("display", "definition"):
        return Spans.of(number for _, number in _texts(system, name))
    if name == "parent":
        return Spans.of(concept.number for concept in _read(system) if concept.parents)
    if name == "child":
        parents = {code for concept in _read(system) for code in concept.parents}
        return Spans.of(system.numbers(parents).values())
    if name in ("inactive", "notSelectable"):
        return system.every()
    _require(system, name, "exists")
    return Spans(span for _, concepts in system.values(name) for span in concepts.ranges)


def _regex(system: System, name: str, value: str) -> Spans:
    if name in (*_CODE, "display", "definition"):
        return Spans.of(patterns.matching(value, _texts(system, name)))
    _require(system, name, "regex")
    return Spans(span for spans in patterns.matching(value, system.values(name)) for span in spans.ranges)


_OPERATORS: Mapping[str, Test] = {
    "=": _equal,
    "is-a": _is_a,
    "descendent-of": _descendent_of,
    "is-not-a": _is_not_a,
    "generalizes": _generalizes,
    "child-of": _child_of,
    "in": _in,
    "not-in": _not_in,
    "exists": _exists,
    "regex": _regex,
}


# -- properties that every system has ---------------------------------------------------------------------------------


def _with_code(system: System, value: str) -> Spans:
    return Spans.of(system.numbers([value]).values())


def _above_directly(system: System, value: str) -> Spans:
    concept = system.find(value)
    return NONE if concept is None else Spans.of(system.numbers(concept.parents).values())


def _with_text(name: str) -> Callable[[System, str], Spans]:
    return lambda system, value: Spans.of(number for text, number in _texts(system, name) if text == value)


def _whether(these: Callable[[System], Spans]) -> Callable[[System, str], Spans]:
    return lambda system, value: these(system) if value == "true" else system.every() - these(system)


_BUILT_IN: Mapping[str, Callable[[System, str], Spans]] = {
    "concept": _with_code,
    "code": _with_code,
    "display": _with_text("display"),
    "definition": _with_text("definition"),
    "parent": lambda system, value: system.children(value),
    "child": _above_directly,
    "ancestor": lambda system, value: system.below(value),
    "inactive": _whether(lambda system: system.inactive()),
    "notSelectable": _whether(lambda system: system.abstract()),
    "constraint": ecl.selected,
}


def _texts(system: System, name: str) -> Iterator[tuple[str, int]]:
    for concept in _read(system):
        text = concept.code if name in _CODE else concept.display if name == "display" else concept.definition
        if text is not None:
            yield text, concept.number


def _read(system: System) -> Iterable[Concept]:
    """Every concept, for what is not indexed."""
    if system.total > _MOST_READ:
        raise TooCostly(
            f"A filter on the text of codes and displays reads at most {_MOST_READ} concepts, and the code system"
            f" {system.url} has {system.total}. Filter by hierarchy or by a property."
        )
    for start in range(1, system.total + 1, _AT_ONCE):
        yield from system.page(range(start, min(start + _AT_ONCE, system.total + 1)))


def _require(system: System, name: str, operator: str) -> None:
    if name not in system.properties:
        raise _refused(system, name, operator)


def _refused(system: System, name: str, operator: str) -> Unprocessable:
    return Unprocessable(
        f"The filter {name} {operator} is not one that the code system {system.url} answers here.", code="not-supported"
    )
