"""HL7's FHIRPath suite: its tests, run and judged."""

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any

from fhir_server.conformance.registry import base_registry
from fhir_server.core.resource_json import decode
from fhir_server.fhirpath import FhirPathError, Node, evaluate
from fhir_server.fhirpath.nodes import KINDS, QUANTITY
from fhir_server.rest.xml_format import from_xml
from tests.shared_data import SHARED, shared_file


@dataclass(frozen=True)
class Case:
    """outputs: (type or None, text) per expected item. invalid: the kind of error wanted, if any."""

    group: str
    name: str
    input: str | None
    expression: str
    invalid: str | None
    predicate: bool
    ordered: bool
    outputs: tuple[tuple[str | None, str], ...]


def cases() -> Iterator[Case]:
    """Every test of the suite, in order; none where the suite is absent."""
    if SHARED is None:
        return
    for group in ET.parse(shared_file("fhirpath/tests-fhir-r4.xml")).getroot():
        for test in group.iter("test"):
            expression = test.find("expression")
            assert expression is not None
            yield Case(
                group.get("name", ""),
                test.get("name", ""),
                test.get("inputfile"),
                expression.text or "",
                expression.get("invalid"),
                test.get("predicate") == "true",
                test.get("ordered") != "false",
                tuple((output.get("type"), output.text or "") for output in test.iter("output")),
            )


@cache
def resource(name: str | None) -> dict[str, Any]:
    """An input resource, XML or JSON."""
    if not name:
        return {"resourceType": "Basic", "code": {"text": "no input"}}
    path = shared_file(f"fhirpath/{name}")
    raw = path.read_bytes()
    found: dict[str, Any] = from_xml(raw, base_registry()) if path.suffix == ".xml" else decode(raw)
    return found


def passes(case: Case) -> bool:
    """Whether the suite's expectation is met."""
    try:
        nodes = evaluate(case.expression, resource(case.input), base_registry(), strict=True)
    except FhirPathError:
        return case.invalid is not None
    if case.invalid is not None:
        return False
    if case.predicate:
        return [str(bool(nodes)).lower()] == [text for _, text in case.outputs]
    actual = [shown(node) for node in nodes]
    wanted = [text.lstrip("@").removeprefix("T") for _, text in case.outputs]
    if not case.ordered:
        actual, wanted = sorted(actual), sorted(wanted)
    if len(actual) != len(wanted) or not all(map(alike, actual, wanted)):
        return False
    return not case.ordered or all(
        type_ is None or of_type(node, type_) for node, (type_, _) in zip(nodes, case.outputs, strict=True)
    )


def of_type(node: Node, wanted: str) -> bool:
    """Whether a node is of the output's type: FHIR's, or FHIRPath's of the same name."""
    return node[0] == wanted or KINDS.get(node[0], "").removeprefix("System.").lower() == wanted.lower()


def shown(node: Node) -> str:
    """A value as the suite writes it, without the signs of its type."""
    if node[0] == QUANTITY:
        amount, unit = node[1]
        return f"{amount}{unit}" if unit.startswith(" ") else f"{amount} '{unit}'"
    if isinstance(node[1], bool):
        return str(node[1]).lower()
    return f"{node[1]:f}" if isinstance(node[1], Decimal) else str(node[1])


def alike(actual: str, wanted: str) -> bool:
    """Equality; numbers by value."""
    if actual == wanted:
        return True
    try:
        return Decimal(actual) == Decimal(wanted)
    except ArithmeticError:
        return False
