"""`ValueSet.compose.include.filter` over the concepts of a code system.

https://hl7.org/fhir/R4/valueset.html#compositions, operators https://hl7.org/fhir/R4/valueset-filter-operator.html
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from fhir_server.core.errors import Unprocessable
from fhir_server.terminology.code_system import CodeSystemTable, Concept

Test = Callable[[Concept], bool]
_ATOM = re.compile(r"\\.|\[(?:\\.|[^\]])*\]")
_REPEAT = re.compile(r"[*+]|\{\d*,\d*\}")
_REPEATED_GROUP = re.compile(r"\)[*+{]")
_CODE = frozenset({"concept", "code"})
_BUILT_IN: Mapping[str, Callable[[Concept], Iterable[Any]]] = {
    "concept": lambda c: (c.code,),
    "code": lambda c: (c.code,),
    "display": lambda c: () if c.display is None else (c.display,),
    "definition": lambda c: () if c.definition is None else (c.definition,),
    "parent": lambda c: c.parents,
    "child": lambda c: c.children,
    "inactive": lambda c: (c.inactive,),
    "notSelectable": lambda c: (c.abstract,),
}


def selected(table: CodeSystemTable, filters: Sequence[Mapping[str, Any]]) -> list[Concept]:
    """The concepts that pass every filter, in definition order. Raises `Unprocessable` for a filter that the system
    does not define."""
    tests = [_test(table, entry) for entry in filters]
    return [concept for concept in table.concepts.values() if all(test(concept) for test in tests)]


def _test(table: CodeSystemTable, entry: Mapping[str, Any]) -> Test:
    name, operator, value = entry.get("property", ""), entry.get("op", ""), str(entry.get("value", ""))
    if operator in _HIERARCHY:
        if name not in _CODE:
            raise _refused(table, name, operator)
        codes = _HIERARCHY[operator](table, _known(table, value))
        return lambda c: c.code in codes
    if operator == "is-not-a":
        below = _is_a(table, _known(table, value))
        return lambda c: c.code not in below
    if operator not in _VALUES:
        raise _refused(table, name, operator)
    return _VALUES[operator](_reader(table, name, operator), value)


def _known(table: CodeSystemTable, code: str) -> str:
    concept = table.find(code)
    if concept is None:
        raise Unprocessable(f"A filter names the code {code!r}, which the code system {table.url} does not have.")
    return concept.code


def _is_a(table: CodeSystemTable, code: str) -> frozenset[str]:
    return table.descendants(code) | {code}


_HIERARCHY: Mapping[str, Callable[[CodeSystemTable, str], frozenset[str]]] = {
    "is-a": _is_a,
    "descendent-of": lambda table, code: table.descendants(code),
    "generalizes": lambda table, code: table.ancestors(code) | {code},
}


def _reader(table: CodeSystemTable, name: str, operator: str) -> Callable[[Concept], list[str]]:
    built_in = _BUILT_IN.get(name)
    if built_in is not None:
        return lambda c: [_text(v) for v in built_in(c)]
    held = (p for c in table.concepts.values() for p, _ in c.properties)
    if name not in table.property_types and name not in held:
        raise _refused(table, name, operator)
    return lambda c: [_text(v) for code, v in c.properties if code == name]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value.get("code", "")) if isinstance(value, Mapping) else str(value)


def _equals(read: Callable[[Concept], list[str]], value: str) -> Test:
    return lambda c: value in read(c)


def _in(read: Callable[[Concept], list[str]], value: str) -> Test:
    wanted = {part.strip() for part in value.split(",")}
    return lambda c: not wanted.isdisjoint(read(c))


def _not_in(read: Callable[[Concept], list[str]], value: str) -> Test:
    within = _in(read, value)
    return lambda c: not within(c)


def _exists(read: Callable[[Concept], list[str]], value: str) -> Test:
    wanted = value != "false"
    return lambda c: bool(read(c)) is wanted


def _matches(read: Callable[[Concept], list[str]], value: str) -> Test:
    if _costly(value):
        raise Unprocessable("A filter's regular expression has too many repetitions or groups.", code="too-costly")
    try:
        pattern = re.compile(value)
    except re.error as error:
        raise Unprocessable(f"A filter's regular expression is not valid: {error}.") from None
    return lambda c: any(pattern.fullmatch(text[:100]) for text in read(c))


def _costly(pattern: str) -> bool:
    """Whether matching could take more than some thousand steps: a repeated group, or many ways to divide a text."""
    plain = _ATOM.sub("a", pattern)
    repeats, options = len(_REPEAT.findall(plain)), plain.count("?")
    groups, branches = plain.count("("), plain.count("|")
    return bool(_REPEATED_GROUP.search(plain)) or repeats > 2 or options > 10 or groups > 5 or branches > 30


_VALUES: Mapping[str, Callable[[Callable[[Concept], list[str]], str], Test]] = {
    "=": _equals,
    "in": _in,
    "not-in": _not_in,
    "exists": _exists,
    "regex": _matches,
}


def _refused(table: CodeSystemTable, name: str, operator: str) -> Unprocessable:
    return Unprocessable(
        f"The filter {name} {operator} is not one that the code system {table.url} answers here.", code="not-supported"
    )
