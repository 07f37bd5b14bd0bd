"""Codings, identifiers and units that nobody else can read: best practice, told to who asks.

https://hl7.org/fhir/R4/datatypes.html#Coding, https://hl7.org/fhir/R4/datatypes.html#Identifier,
https://hl7.org/fhir/R4/datatypes.html#Quantity
"""

from typing import Any

from fhir_server.conformance.registry import Registry
from fhir_server.conformance.structures import Structure
from fhir_server.core import ucum
from fhir_server.validation.references import is_absolute
from fhir_server.validation.walk import Path, Rule, Visit, Walk

_VALUE_SET = "/ValueSet/"
_UCUM = "http://unitsofmeasure.org"
_URI = "urn:ietf:rfc:3986"


def _coding(value: Any, sibling: dict[str, Any] | None, path: Path, walk: Walk) -> None:
    system = value.get("system")
    if system is None:
        if "code" in value:
            text = "A code without its system has no meaning that others could know."
            walk.fail((path, "system", None), "code-invalid", text, "warning", "coding-system")
    elif not is_absolute(system):
        _relative(path, walk)
    elif _VALUE_SET in system:
        text = "The system of a code is a code system, and this is the url of a value set."
        walk.fail((path, "system", None), "code-invalid", text, "warning", "coding-system")


def _identifier(value: Any, sibling: dict[str, Any] | None, path: Path, walk: Walk) -> None:
    system = value.get("system")
    if system is not None and not is_absolute(system):
        _relative(path, walk)
    elif system == _URI and not is_absolute(value.get("value", ":")):
        text = f"An identifier of the system {_URI} is a full URI."
        walk.fail((path, "value", None), "value", text, "warning", "identifier-value")


def _quantity(value: Any, sibling: dict[str, Any] | None, path: Path, walk: Walk) -> None:
    problem = ucum.problem(value["code"]) if value.get("system") == _UCUM and "code" in value else None
    if problem is not None:
        walk.fail((path, "code", None), "code-invalid", problem, "warning", "ucum")


def _relative(path: Path, walk: Walk) -> None:
    text = "A system is an absolute URI, such as http://… or urn:oid:…."
    walk.fail((path, "system", None), "value", text, "warning", "absolute-system")


def _on_object(registry: Registry, structure: Structure) -> Visit | None:
    if {"system", "code", "unit", "value"} <= structure.elements.keys():
        return _quantity
    return {"Coding": _coding, "Identifier": _identifier}.get(structure.name)


CODINGS = Rule("codings", on_object=_on_object)
