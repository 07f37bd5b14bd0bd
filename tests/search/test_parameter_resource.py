"""What a tenant's own SearchParameter must fulfil: one row per fault, and the ones that are accepted."""

from typing import Any

import pytest

from fhir_server.conformance.registry import base_registry, tenant_registry
from fhir_server.core.keys import param_id, present_key, token_key
from fhir_server.search.extract import extract
from fhir_server.search.parameter_resource import check_search_parameter

GOOD = {
    "resourceType": "SearchParameter", "url": "http://salam.example/SearchParameter/eye-colour", "name": "EyeColour",
    "status": "active", "description": "Colour of the eyes", "code": "eye-colour", "base": ["Patient"], "type": "token",
    "expression": "Patient.extension('http://salam.example/eye').value",
}  # fmt: skip
BASE_URL = "http://hl7.org/fhir/SearchParameter/"


def texts(change: dict[str, Any]) -> list[str | None]:
    """The elements that the issues name."""
    return [issue.expression for issue in check_search_parameter({**GOOD, **change}, base_registry())]


@pytest.mark.parametrize(
    "change",
    [
        {}, {"base": ["Patient", "Practitioner"], "expression": "Patient.photo.title | Practitioner.photo.title", "type": "string"},
        {"base": ["Resource"], "expression": "Resource.language"},
        {"type": "date", "expression": "Patient.extension.where(url = 'http://x').value as dateTime"},
        {"type": "number", "expression": "Patient.multipleBirth as integer"},
        {"type": "reference", "expression": "Patient.contact.organization"},
        {"expression": "Patient.name.count() > 1"},
        {"base": ["Observation"], "type": "composite", "expression": "Observation", "component": [
            {"definition": BASE_URL + "clinical-code", "expression": "code"},
            {"definition": BASE_URL + "Observation-value-quantity", "expression": "value.as(Quantity)"}]},
    ],
)  # fmt: skip
def test_accepted(change: dict[str, Any]) -> None:
    assert texts(change) == []


@pytest.mark.parametrize(
    ("change", "element"),
    [
        ({"code": "_eye"}, "code"), ({"code": "eye.colour"}, "code"), ({"code": "eye:colour"}, "code"),
        ({"code": "family"}, "code"), ({"code": "", }, "code"), ({"type": "special"}, "type"), ({"type": "colour"}, "type"),
        ({"base": ["Person2"]}, "base"), ({"base": ["Practitioner"]}, "expression"),
        ({"expression": "Patient.nme("}, "expression"), ({"expression": "Patient.name", "type": "quantity"}, "expression"),
        ({"expression": "Patient.birthDate", "type": "reference"}, "expression"),
        ({"url": BASE_URL + "Patient-birthdate"}, "url"), ({"url": "urn:salam:SearchParameter:Task-queue"}, "url"),
        ({"type": "composite", "expression": "Patient", "component": [{"definition": "http://x", "expression": "name"}]},
         "component"),
        ({"type": "composite", "expression": "Patient", "component": [
            {"definition": BASE_URL + "individual-birthdate", "expression": "birthDate"},
            {"definition": BASE_URL + "individual-birthdate", "expression": "birthDate"}]}, "component"),
    ],
)  # fmt: skip
def test_refused_with_the_element_named(change: dict[str, Any], element: str) -> None:
    assert set(texts(change)) == {f"SearchParameter.{element}"}


def test_its_own_earlier_version_is_no_collision_but_anothers_code_is() -> None:
    registry = tenant_registry(1, [GOOD])
    assert check_search_parameter(GOOD, registry) == []
    other = {**GOOD, "url": "http://salam.example/SearchParameter/other"}
    assert [issue.code for issue in check_search_parameter(other, registry)] == ["duplicate"]


def test_own_parameters_are_extracted() -> None:
    patient = {"resourceType": "Patient", "id": "1", "extension": [
        {"url": "http://salam.example/eye", "valueCodeableConcept": {"coding": [{"system": "urn:c", "code": "green"}]}},
        {"url": "http://salam.example/hair", "valueCode": "brown"}]}  # fmt: skip
    rows = extract(tenant_registry(1, [GOOD]), patient, "http://x")
    assert token_key("Patient", "eye-colour", "urn:c|green") in rows.keys
    assert token_key("Patient", "eye-colour", "brown") not in rows.keys
    assert present_key("Patient", "eye-colour") not in extract(base_registry(), patient, "http://x").keys


def test_an_expression_that_fails_on_a_resource_only_gives_no_row() -> None:
    picky = {**GOOD, "type": "token", "expression": "Patient.name.given.toInteger() = 1"}
    rows = extract(
        tenant_registry(1, [picky]),
        {"resourceType": "Patient", "id": "1", "name": [{"given": ["a", "b"], "family": "X"}]},
        "http://x",
    )
    assert present_key("Patient", "eye-colour") not in rows.keys
    assert (param_id("Patient", "family"), "x") in rows.strings
