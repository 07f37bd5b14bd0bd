"""References as text."""

import pytest

from fhir_server.core.references import Literal, local_form, parse_literal

BASE = "https://ehr.example/t/demo/fhir"

LITERALS = [
    ("Patient/1", Literal("Patient", "1")),
    ("Patient/1/_history/3", Literal("Patient", "1", None, "3")),
    ("https://a.example/fhir/Patient/x-1.b", Literal("Patient", "x-1.b", "https://a.example/fhir/")),
    ("#p1", None),
    ("urn:uuid:0c3201bd-1b5e-4d3f-9d8c-2c0fd1bd0b3e", None),
    ("Patient?identifier=a|b", None),
    ("http://hl7.org/fhir/ValueSet/x|4.0.1", None),
    ("patient/1", None),
    ("Patient/" + "1" * 65, None),
    ("Patient/1/", None),
    ("Patient/1\n", None),
]


@pytest.mark.parametrize(("text", "expected"), LITERALS)
def test_literal(text: str, expected: Literal | None) -> None:
    assert parse_literal(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Patient/1", "Patient/1"),
        (f"{BASE}/Patient/1", "Patient/1"),
        (f"{BASE}/Patient/1/_history/2", "Patient/1"),
        ("https://other.example/fhir/Patient/1", "https://other.example/fhir/Patient/1"),
        ("https://other.example/fhir/Patient/1/_history/2", "https://other.example/fhir/Patient/1"),
        ("https://ehr.example/t/other/fhir/Patient/1", "https://ehr.example/t/other/fhir/Patient/1"),
        ("urn:oid:1.2.3", "urn:oid:1.2.3"),
    ],
)
def test_local_form(text: str, expected: str) -> None:
    assert local_form(text, BASE) == expected
