"""The simple FHIRPath expressions that almost all search parameters are, as typed steps over the JSON names.

`Patient.name.given`, `(Observation.value as Quantity)`, `X.telecom.where(system='email')`,
`X.subject.where(resolve() is Patient)`, `X.extension('url').value`. Whatever else an expression does is left to the
FHIRPath compiler. https://hl7.org/fhir/R4/searchparameter-definitions.html#SearchParameter.expression
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from fhir_server.conformance.registry import Registry
from fhir_server.conformance.search_parameters import split_union

__all__ = ["Path", "Step", "simple_paths", "split_union", "values_at"]

_AS_PREFIX = re.compile(r"\(?\s*(?P<path>[\w.]+) as (?P<type>[\w.]+)\s*\)?(?P<rest>(?:\.\w+)*)\Z")
_SEGMENT = re.compile(
    r"(?:\.|\A)(?:"
    r"where\(resolve\(\) is (?P<resolves>\w+)\)"
    r"|where\((?P<child>\w+)\s*=\s*'(?P<equals>[^'\\]*)'\)"
    r"|(?:as|ofType)\((?P<cast>\w+)\)"
    r"|extension\('(?P<extension>[^'\\]*)'\)"
    r"|(?P<name>\w+)(?![\w(])"
    r")"
)
_ROOTS = ("Resource", "DomainResource")


@dataclass(frozen=True, slots=True)
class Step:
    """One JSON name; with `where` only the items whose child (a primitive) equals the value."""

    name: str
    where: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Path:
    """Steps from an element to elements of one FHIR type. `resolves_to`: only references to that resource type."""

    steps: tuple[Step, ...]
    type: str
    resolves_to: str | None = None


def simple_paths(expression: str, context_type: str, registry: Registry) -> list[Path] | None:
    """The paths of one alternative of an expression, one for each type of a choice element.

    None when the expression is not of the simple form (or names an element that the structures do not have).
    """
    cast = _AS_PREFIX.match(expression)
    if cast:
        expression = f"{cast['path']}.as({cast['type']}){cast['rest']}"
    paths = [Path((), context_type)]
    at = 0
    for match in _segments(expression):
        if match["name"] and at == 0 and match["name"] in (context_type, *_ROOTS):
            at = match.end()
            continue
        at = match.end()
        found = _advance(paths, match, registry)
        if found is None:
            return None
        paths = found
    return paths if at == len(expression) else None


def _segments(expression: str) -> Iterator[re.Match[str]]:
    at = 0
    while at < len(expression):
        match = _SEGMENT.match(expression, at)
        if match is None:
            return
        yield match
        at = match.end()


def _advance(paths: list[Path], match: re.Match[str], registry: Registry) -> list[Path] | None:
    if any(path.resolves_to for path in paths):
        return None
    if match["name"]:
        return _children(paths, match["name"], registry)
    if match["cast"]:
        wanted = match["cast"]
        # The published definitions write `DateTime` for `dateTime` in one place.
        return [path for path in paths if path.type == wanted or path.type == wanted[0].lower() + wanted[1:]]
    if match["resolves"]:
        return [replace(path, resolves_to=match["resolves"]) for path in paths if path.type == "Reference"]
    if match["extension"] is not None:
        children = _children(paths, "extension", registry)
        return None if children is None else _filtered(children, "url", match["extension"])
    return _filtered(paths, match["child"], match["equals"])


def _children(paths: list[Path], name: str, registry: Registry) -> list[Path] | None:
    found = []
    for path in paths:
        structure = registry.structures.get(path.type)
        if structure is None or path.type == "Resource":
            return None
        names = structure.choices.get(name) or ((name,) if name in structure.elements else ())
        if not names:
            return None
        for json_name in names:
            element = structure.elements[json_name]
            found.append(Path((*path.steps, Step(json_name)), element.type))
    return found


def _filtered(paths: list[Path], child: str, equals: str) -> list[Path] | None:
    if any(not path.steps or path.steps[-1].where for path in paths):
        return None
    return [replace(path, steps=(*path.steps[:-1], Step(path.steps[-1].name, (child, equals)))) for path in paths]


def values_at(element: dict[str, Any], steps: tuple[Step, ...]) -> list[Any]:
    """The values that the steps reach from an element, in document order; None items are left out."""
    level: list[Any] = [element]
    for step in steps:
        reached: list[Any] = []
        for item in level:
            value = item.get(step.name)
            if type(value) is list:
                reached.extend([each for each in value if each is not None])
            elif value is not None:
                reached.append(value)
        if step.where is not None:
            child, equals = step.where
            reached = [item for item in reached if item.get(child) == equals]
        level = reached
    return level
