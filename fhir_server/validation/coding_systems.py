"""Codings against their own code systems, where those are here: codes and displays that there are not, and codes that
are no longer used. Told to who asks.

https://hl7.org/fhir/R4/datatypes.html#Coding
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from fhir_server.conformance.registry import Registry
from fhir_server.core import ucum
from fhir_server.core.errors import Issue
from fhir_server.validation.walk import Path, expression

Json = Mapping[str, Any]
# What a code system has to say against (system, code, display): issues at `code` or `display`.
Said = Callable[[str, str, "str | None"], Sequence[Issue]]
_MOST = 500
# By the element and severity of what the code system says; what the resource has is not quoted.
_TEXTS = {
    ("code", "error"): ("coding-code", "The code system does not have this code."),
    ("code", "warning"): ("coding-inactive", "The code system says that this code is not to be used any more."),
    ("display", "error"): ("coding-display", "The display is not one that the code system has for this code."),
}


def coding_issues(registry: Registry, resource: dict[str, Any], said: Said) -> Iterator[Issue]:
    """A warning for each of them, inner resources included, but for units, which UCUM makes by rules. The first 500
    codings are looked up."""
    kind = resource["resourceType"]
    for number, (value, path) in enumerate(_codings(registry, kind, resource, (None, kind, None))):
        if number >= _MOST:
            return
        for issue in said(value["system"], value["code"], value.get("display")):
            element = issue.expression or "code"
            if (element, issue.severity) in _TEXTS:
                rule, text = _TEXTS[element, issue.severity]
                yield Issue("warning", "code-invalid", text, expression((path, element, None)), rule=rule)


def _codings(registry: Registry, type_: str, value: Json, path: Path) -> Iterator[tuple[Json, Path]]:
    """Everything that has a system and a code, with its place."""
    structure = registry.structures[type_]
    system, code = value.get("system"), value.get("code")
    if isinstance(system, str) and isinstance(code, str) and system != ucum.SYSTEM and "." not in type_:
        yield value, path
    for key, item in value.items():
        element = structure.elements.get(key)
        if element is None or registry.structures[element.type].kind == "primitive-type":
            continue
        listed = isinstance(item, list)
        for index, each in enumerate(item if listed else (item,)):
            inner = each["resourceType"] if registry.structures[element.type].kind == "resource" else element.type
            place: Path = (path, element.choice or element.name, index if listed else None)
            yield from _codings(registry, inner, each, place)
