"""Which operations there are, at which level, by which method, with which parameters."""

from typing import Any

import pytest

from fhir_server.conformance.registry import base_registry
from fhir_server.rest.operation_table import OPERATIONS
from tests.client import Client

PARAMETERS = "Parameters.parameter[0]"


def test_every_wired_operation_is_defined_by_the_package() -> None:
    registry = base_registry()
    for resource_type, code in OPERATIONS:
        asked = "Patient" if resource_type == "Resource" else resource_type
        assert (asked, code) in registry.operations, code


def test_the_capability_statement_lists_them(client: Client) -> None:
    (rest,) = client.get("metadata").json["rest"]
    patient = next(entry for entry in rest["resource"] if entry["type"] == "Patient")
    assert {"everything", "validate", "meta", "meta-add"} <= {row["name"] for row in patient["operation"]}
    assert {"meta"} <= {row["name"] for row in rest["operation"]}


UNKNOWN = [
    ("Patient/$everythin", "everything"),
    ("ValueSet/$expnd", "expand"),
    ("$metta", "meta"),
    ("Patient/1/$match", "There are"),
    ("Patient/$graphql", "There are"),
]


@pytest.mark.parametrize(("path", "hint"), UNKNOWN)
def test_unknown_operations_name_the_nearest(client: Client, path: str, hint: str) -> None:
    answer = client.get(path)
    assert (answer.status, answer.issues[0]["code"]) == (404, "not-supported")
    assert hint in answer.issues[0]["details"]["text"]


def test_the_unknown_table_would_notice_a_wrong_row(client: Client) -> None:
    assert client.get("$meta").status != 404


def test_levels_and_methods(client: Client) -> None:
    assert client.get("Patient/$meta-add").status == 400
    assert client.get("CodeSystem/1/$lookup").status == 400
    assert client.get("Patient/1/$meta-add").status == 405
    assert client.get("Patient/1/$meta-add").headers["Allow"] == "POST"
    assert client.put("ValueSet/$expand", {}).status == 405


def posted(**entry: Any) -> dict[str, Any]:
    return {"resourceType": "Parameters", "parameter": [entry]}


BAD: list[tuple[Any, str]] = [
    (posted(name="nothing", valueString="x"), f"{PARAMETERS}.name"),
    (posted(name="count", valueString="3"), f"{PARAMETERS}.valueString"),
    (posted(name="count"), PARAMETERS),
    (posted(name="valueSet", valueUri="urn:x"), f"{PARAMETERS}.resource"),
    (posted(name="valueSet", resource={"resourceType": "Basic", "code": {"text": "x"}}), f"{PARAMETERS}.resource"),
]


@pytest.mark.parametrize(("body", "expression"), BAD)
def test_a_bad_parameter_is_named(client: Client, body: Any, expression: str) -> None:
    answer = client.post("ValueSet/$expand", body)
    assert answer.status in (400, 422), answer.text
    assert answer.issues[0]["expression"] == [expression]


def test_the_bad_parameter_table_would_notice_a_wrong_row(client: Client) -> None:
    good = posted(name="url", valueString="http://hl7.org/fhir/ValueSet/administrative-gender")
    assert client.post("ValueSet/$expand", good).status == 200


def test_bodies_that_are_no_input(client: Client) -> None:
    for body in ("[]", "{", '"x"', {"resourceType": "Basic", "code": {"text": "x"}}):
        assert client.post("ValueSet/$expand", body).status == 400, body
    broken = {"resourceType": "ValueSet", "status": "active", "compose": "all"}
    assert client.post("ValueSet/$expand", broken).status in (400, 422)
    assert client.post("ValueSet/$expand", posted(name="valueSet", resource=broken)).status in (400, 422)


def test_names_that_are_no_text(client: Client) -> None:
    assert client.post("Observation/$lastn", posted(name={"a": 1}, valueString="x")).status in (400, 422)


def test_complex_parameters_do_not_stand_in_a_url(client: Client) -> None:
    answer = client.get("CodeSystem/$lookup?coding=x")
    assert answer.status == 400
    assert "POST" in answer.issues[0]["details"]["text"]


def test_input_and_output_in_xml(client: Client) -> None:
    body = (
        '<Parameters xmlns="http://hl7.org/fhir"><parameter><name value="url"/>'
        '<valueUri value="http://hl7.org/fhir/ValueSet/administrative-gender"/></parameter></Parameters>'
    )
    answer = client.post("ValueSet/$expand", body, content_type="application/fhir+xml", accept="application/fhir+xml")
    assert answer.status == 200, answer.text
    assert '<total value="4"/>' in answer.text
