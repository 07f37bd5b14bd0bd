"""`=` and `!=`, `~` and `!~` contradict each other on whatever they are given. https://hl7.org/fhirpath/N1/#equality

Items are equal only when they are of one type, or one of them becomes the other's by itself, as an integer becomes a
decimal and a date a dateTime. No text becomes a date: R4 makes a `date` a System.Date, and a quoted literal is a String.
https://hl7.org/fhir/R4/fhirpath.html#types
"""

from decimal import Decimal
from itertools import product
from typing import Any

import pytest

from fhir_server.conformance.registry import base_registry
from fhir_server.fhirpath import FhirPathError, Node, Nodes, compile_expression, equality, evaluate, literals
from tests.fhirpath.test_shortcuts import Long, answer

LITERALS = [
    "{}", "'1974-12-25'", "'true'", "'1'", "'text'", "'TEXT'", "true", "false", "1", "1.0", "2.5", "@1974-12-25", "@1974",
    "@1974-12-25T10:00:00Z", "@1974-12-25T12:00:00+02:00", "@T10:00", "@T10:00:00", "1 'kg'", "1000 'g'", "1 'mm'",
    "1 year", "1 'a'", "('text' | 'more')", "(1 | 2)",
]  # fmt: skip
VALUES: dict[str, Any] = {
    "valueDate": "1974-12-25",
    "valueDateTime": "1974-12-25T10:00:00Z",
    "valueInstant": "1974-12-25T10:00:00Z",
    "valueTime": "10:00:00",
    "valueString": "1974-12-25",
    "valueCode": "text",
    "valueUri": "1",
    "valueBoolean": True,
    "valueInteger": 1,
    "valueDecimal": Decimal("1.0"),
    "valueQuantity": {"value": 1, "system": "http://unitsofmeasure.org", "code": "kg"},
    "valueAge": {"value": 1, "system": "http://unitsofmeasure.org", "code": "a"},
    "valueCoding": {"code": "text"},
    "valueCodeableConcept": {"text": "text"},
    "valuePeriod": {"start": "1974-12-25"},
    "valueReference": {"reference": "text"},
}
EXTENSION = {"extension": [{"url": "u", "valueCode": "x"}]}
RESOURCE: dict[str, Any] = {
    "resourceType": "Parameters",
    "parameter": [
        *[{"name": name, name: value} for name, value in VALUES.items()],
        *[{"name": f"_{name}", f"_{name}": EXTENSION} for name, value in VALUES.items() if type(value) is not dict],
        {"name": "valueQuantity-empty", "valueQuantity": {"unit": "kg"}},
    ],
}
ELEMENTS = [f"parameter.where(name = '{each['name']}').value" for each in RESOURCE["parameter"]]
PAIRS = [*product(ELEMENTS, LITERALS), *product(ELEMENTS[:20:3], ELEMENTS), *product(LITERALS, LITERALS)]


def told(expression: str) -> bool | None:
    found: Nodes = evaluate(expression, RESOURCE, base_registry())
    return found[0][1] if found else None


def faulty(pair: tuple[str, str]) -> bool:
    left, right = pair
    equal, unequal = told(f"{left} = {right}"), told(f"{left} != {right}")
    alike, unlike = told(f"{left} ~ {right}"), told(f"{left} !~ {right}")
    return unequal is not (None if equal is None else not equal) or alike is None or unlike is alike


def test_no_two_values_are_both_equal_and_unequal() -> None:
    assert [pair for pair in PAIRS if faulty(pair)] == []


def test_either_side_may_stand_first() -> None:
    differing = [(a, b) for a, b in PAIRS for sign in "=~" if told(f"{a} {sign} {b}") is not told(f"{b} {sign} {a}")]
    assert differing == []


def test_the_short_way_says_the_same() -> None:
    node: Node = ("Parameters", RESOURCE, None)
    for left, right in product(ELEMENTS, LITERALS):
        for sign in ("=", "!="):
            found = answer((f"{left} {sign} {right}", node), Long)
            assert found is not None and told(f"{left} {sign} {right}") is (found[0][1] if found else None)


TYPES = [
    ("Patient.birthDate = '1974-12-25'", False),
    ("Patient.birthDate != '1974-12-25'", True),
    ("Patient.birthDate ~ '1974-12-25'", False),
    ("Patient.birthDate = @1974-12-25", True),
    ("Patient.birthDate != @1974-12-25", False),
    ("Patient.birthDate.toString() = '1974-12-25'", True),
    ("Patient.birthDate = '1974-12-25'.toDate()", True),
    ("Patient.birthDate = @1974-12-25T10:00:00Z", None),
    ("Patient.birthDate != @1974-12-25T10:00:00Z", None),
    ("Patient.active = 'true'", False),
    ("Patient.active != 'true'", True),
    ("Patient.gender = 'male'", True),
    ("Patient.gender != 'male'", False),
    ("Patient.id.exists(('p' | 'q') contains $this)", True),
    ("Patient.birthDate in ('1974-12-25' | 'x')", False),
    ("('1974-12-25' | 'x') contains Patient.birthDate", False),
]
PATIENT = {"resourceType": "Patient", "id": "p", "active": True, "gender": "male", "birthDate": "1974-12-25"}


@pytest.mark.parametrize(("expression", "expected"), TYPES)
def test_what_is_not_of_one_type_is_not_equal(expression: str, expected: bool | None) -> None:
    found = compile_expression(expression, "Patient", base_registry())(PATIENT)
    assert found == ([] if expected is None else [("System.Boolean", expected, None)])
    assert evaluate(expression, PATIENT, base_registry()) == found


def test_the_check_sees_texts_that_equal_dates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Known bad: what `=` once was."""
    monkeypatch.setattr(literals, "STRING", "System.Date")
    assert any(faulty(pair) for pair in PAIRS if pair[1] == "'1974-12-25'")


def test_what_cannot_be_compared_is_no_mistake_of_the_server() -> None:
    with pytest.raises(FhirPathError):
        evaluate("(1 | 2) in (1 | 2)", RESOURCE, base_registry())
    assert equality.alike(("integer", None, EXTENSION), ("integer", None, EXTENSION)) is True
