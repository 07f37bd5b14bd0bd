"""The narrative's XHTML (txt-1, txt-2). https://hl7.org/fhir/R4/narrative.html"""

from typing import Any

from fhir_server.conformance.registry import Registry
from fhir_server.conformance.structures import Element, Structure
from fhir_server.fhirpath.xhtml import EMPTY, problems
from fhir_server.validation.walk import Path, Rule, Visit, Walk


def _visit(value: Any, sibling: dict[str, Any] | None, path: Path, walk: Walk) -> None:
    for problem in problems(value):
        key = "txt-2" if problem == EMPTY else "txt-1"
        walk.fail(path, "invariant", f"{problem} ({key})", rule=key)


def _on_element(registry: Registry, structure: Structure, element: Element) -> Visit | None:
    return _visit if element.type == "xhtml" else None


NARRATIVE = Rule("narrative", on_element=_on_element)
