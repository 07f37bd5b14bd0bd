"""The terminology operations over HTTP: levels, forms of input, own definitions, errors."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from tests.client import Client
from tests.conftest import TestTenant
from tests.rest.bodies import bundle, entry

GENDER = "http://hl7.org/fhir/administrative-gender"
GENDERS = "http://hl7.org/fhir/ValueSet/administrative-gender"
COLOURS: dict[str, Any] = {
    "resourceType": "CodeSystem",
    "url": "urn:test:colours",
    "version": "1",
    "name": "Colours",
    "status": "active",
    "content": "complete",
    "concept": [
        {"code": "red", "display": "Rouge", "concept": [{"code": "pink", "display": "Rose"}]},
        {"code": "blue"},
    ],
}
WARM: dict[str, Any] = {
    "resourceType": "ValueSet",
    "url": "urn:test:warm",
    "status": "active",
    "compose": {
        "include": [{"system": "urn:test:colours", "filter": [{"property": "concept", "op": "is-a", "value": "red"}]}]
    },
}


def parameters(**values: Any) -> dict[str, Any]:
    """A Parameters resource; a keyword `url__valueUri` gives name and value type."""
    rows = [dict(zip(("name", "kind"), key.split("__"), strict=True)) | {"value": v} for key, v in values.items()]
    return {
        "resourceType": "Parameters",
        "parameter": [{"name": row["name"], row["kind"]: row["value"]} for row in rows],
    }


def codes(answer: Any) -> list[str]:
    assert answer.status == 200, answer.text
    return [item["code"] for item in answer.json["expansion"].get("contains", [])]


def value(answer: Any, name: str) -> Any:
    assert answer.status == 200, answer.text
    (found,) = [p for p in answer.json["parameter"] if p["name"] == name]
    return next(v for k, v in found.items() if k.startswith("value"))


@pytest.fixture(scope="module")
def own(client: Client) -> dict[str, str]:
    """Ids of the tenant's own code system and value set."""
    return {name: client.create(resource)["id"] for name, resource in (("colours", COLOURS), ("warm", WARM))}


def test_expand_in_every_form(client: Client, own: dict[str, str]) -> None:
    by_get = client.get(f"ValueSet/$expand?url={GENDERS}")
    assert codes(by_get) == ["male", "female", "other", "unknown"]
    assert by_get.json["resourceType"] == "ValueSet"
    by_post = client.post("ValueSet/$expand", parameters(url__valueUri=GENDERS, count__valueInteger=2))
    assert codes(by_post) == ["male", "female"]
    assert by_post.json["expansion"]["total"] == 4
    assert {"name": "count", "valueInteger": 2} in by_post.json["expansion"]["parameter"]
    assert codes(client.get(f"ValueSet/{own['warm']}/$expand")) == ["red", "pink"]
    assert codes(client.get("ValueSet/$expand?url=urn:test:warm&filter=ros")) == ["pink"]
    assert codes(client.post("ValueSet/$expand", WARM)) == ["red", "pink"]
    assert codes(client.post("ValueSet/$expand", parameters(valueSet__resource=WARM))) == ["red", "pink"]


def test_an_own_code_system_is_read_as_it_is_now(client: Client) -> None:
    system = {**COLOURS, "url": "urn:test:live"}
    stored = client.create(system)
    whole = {"resourceType": "ValueSet", "status": "active", "compose": {"include": [{"system": "urn:test:live"}]}}
    assert codes(client.post("ValueSet/$expand", whole)) == ["red", "pink", "blue"]
    client.put(f"CodeSystem/{stored['id']}", {**stored, "concept": [{"code": "green"}]})
    assert codes(client.post("ValueSet/$expand", whole)) == ["green"]


REFUSED = [
    ("ValueSet/$expand", 400, "required"),
    ("ValueSet/$expand?url=urn:nowhere", 404, "not-found"),
    (f"ValueSet/$expand?url={GENDERS}&count=-1", 400, "value"),
    (f"ValueSet/$expand?url={GENDERS}&count=x", 400, "value"),
    (f"ValueSet/$expand?url={GENDERS}&url={GENDERS}", 400, "multiple-matches"),
    (f"ValueSet/$expand?url={GENDERS}&counts=1", 400, "not-supported"),
    (f"ValueSet/$expand?url={GENDERS}&date=2019-10-29", 422, "not-supported"),
    (f"ValueSet/$expand?url={GENDERS}&system-version={GENDER}%7C9", 422, "not-supported"),
    ("ValueSet/$expand?url=http://hl7.org/fhir/ValueSet/body-site", 422, "not-supported"),
    ("ValueSet/$expand?valueSet=x", 400, "invalid"),
    ("CodeSystem/$lookup?system=urn:test:colours", 400, "required"),
    ("CodeSystem/$lookup?system=urn:test:colours&code=x", 404, "not-found"),
    ("CodeSystem/$lookup?system=http://snomed.info/sct&code=1", 422, "not-supported"),
    ("ValueSet/no-such/$expand", 404, "not-found"),
    ("CodeSystem/abc/$lookup?system=urn:x&code=1", 400, "not-supported"),
    ("ValueSet/$validate-code?url=urn:test:warm", 400, "required"),
]


@pytest.mark.parametrize(("path", "status", "code"), REFUSED)
def test_refusals(client: Client, own: dict[str, str], path: str, status: int, code: str) -> None:
    answer = client.get(path)
    assert (answer.status, answer.issues[0]["code"]) == (status, code)
    assert answer.issues[0]["details"]["text"]


def test_the_refusal_table_would_notice_a_wrong_row(client: Client) -> None:
    assert client.get(f"ValueSet/$expand?url={GENDERS}").status not in (400, 404, 422)


def test_the_refusal_of_a_licensed_system_names_it(client: Client) -> None:
    answer = client.get("ValueSet/$expand?url=http://hl7.org/fhir/ValueSet/body-site")
    assert "http://snomed.info/sct" in answer.issues[0]["details"]["text"]


VALID = [
    (f"ValueSet/$validate-code?url={GENDERS}&system={GENDER}&code=male", True),
    (f"ValueSet/$validate-code?url={GENDERS}&system={GENDER}&code=male&display=Male", True),
    (f"ValueSet/$validate-code?url={GENDERS}&system={GENDER}&code=mal", False),
    ("ValueSet/$validate-code?url=urn:test:warm&system=urn:test:colours&code=pink", True),
    ("ValueSet/$validate-code?url=urn:test:warm&system=urn:test:colours&code=blue", False),
    ("CodeSystem/$validate-code?url=urn:test:colours&code=blue", True),
    (f"CodeSystem/$validate-code?url={GENDER}&code=blue", False),
]


@pytest.mark.parametrize(("path", "expected"), VALID)
def test_validate_code(client: Client, own: dict[str, str], path: str, expected: bool) -> None:
    assert value(client.get(path), "result") is expected


def test_the_validate_code_table_would_notice_a_wrong_row(client: Client, own: dict[str, str]) -> None:
    assert value(client.get("CodeSystem/$validate-code?url=urn:test:colours&code=none"), "result") is not True


def test_validate_code_of_a_coding_and_a_concept(client: Client, own: dict[str, str]) -> None:
    right, wrong = {"system": "urn:test:colours", "code": "red"}, {"system": "urn:test:colours", "code": "blue"}
    asked = parameters(url__valueUri="urn:test:warm", coding__valueCoding=right)
    assert value(client.post("ValueSet/$validate-code", asked), "display") == "Rouge"
    concept = {"coding": [wrong, right]}
    asked = parameters(codeableConcept__valueCodeableConcept=concept)
    assert value(client.post(f"ValueSet/{own['warm']}/$validate-code", asked), "result") is True
    asked = parameters(coding__valueCoding=wrong, codeSystem__resource=COLOURS)
    assert value(client.post("CodeSystem/$validate-code", asked), "result") is True
    asked = parameters(coding__valueCoding={"system": GENDER, "code": "male"})
    assert value(client.post(f"CodeSystem/{own['colours']}/$validate-code", asked), "result") is False


def test_lookup(client: Client, own: dict[str, str]) -> None:
    answer = client.get("CodeSystem/$lookup?system=urn:test:colours&code=pink&property=parent")
    assert value(answer, "display") == "Rose"
    (parent,) = [p for p in answer.json["parameter"] if p["name"] == "property"]
    assert parent["part"] == [{"name": "code", "valueCode": "parent"}, {"name": "value", "valueCode": "red"}]
    asked = parameters(coding__valueCoding={"system": GENDER, "code": "female"})
    assert value(client.post("CodeSystem/$lookup", asked), "name") == "AdministrativeGender"


def test_subsumes(client: Client, own: dict[str, str]) -> None:
    path = "CodeSystem/$subsumes?system=urn:test:colours&codeA={}&codeB={}"
    assert value(client.get(path.format("red", "pink")), "outcome") == "subsumes"
    assert value(client.get(path.format("blue", "pink")), "outcome") == "not-subsumed"
    assert client.get(path.format("blue", "x")).status == 404
    assert value(client.get(f"CodeSystem/{own['colours']}/$subsumes?codeA=pink&codeB=red"), "outcome") == "subsumed-by"


def test_scopes_hide_the_tenants_own_definitions(tenant: Any, own: dict[str, str]) -> None:
    stranger = tenant.client("system/Patient.rs")
    assert stranger.get("ValueSet/$expand?url=urn:test:warm").status == 404
    assert codes(stranger.get(f"ValueSet/$expand?url={quote(GENDERS)}")) == ["male", "female", "other", "unknown"]
    assert stranger.get(f"ValueSet/{own['warm']}/$expand").status == 403


def test_in_a_batch(client: Client) -> None:
    url = f"ValueSet/$expand?url={GENDERS}&count=1"
    answer = client.post(
        "", {"resourceType": "Bundle", "type": "batch", "entry": [{"request": {"method": "GET", "url": url}}]}
    )
    (entry,) = answer.json["entry"]
    assert entry["resource"]["expansion"]["total"] == 4


def test_what_a_transaction_undid_is_not_remembered(new_tenant: Callable[[], TestTenant]) -> None:
    """Whoever writes next has the same version number."""
    client = new_tenant().client()
    asked = "CodeSystem/c/$validate-code?code="
    systems = [COLOURS | {"id": "c", "concept": [{"code": code}]} for code in ("first", "undone", "second")]
    values = WARM | {"id": "v", "compose": {"include": [{"system": "urn:test:colours", "concept": [{"code": "undone"}]}]}}
    assert client.put("CodeSystem/c", systems[0]).status == 201
    undone = bundle(
        "transaction",
        entry("PUT", "CodeSystem/c", systems[1]),
        entry("PUT", "ValueSet/v", values),
        entry("GET", f"{asked}undone"),
        entry("GET", "Observation?code:in=ValueSet/v"),
        entry("GET", "Patient/none"),
    )
    assert client.post("", undone).status == 404
    assert client.put("CodeSystem/c", systems[2]).status == 200
    values["compose"]["include"][0]["concept"][0]["code"] = "second"
    assert client.put("ValueSet/v", values).status == 201
    assert [value(client.get(f"{asked}{code}"), "result") for code in ("undone", "second")] == [False, True]
    coding = [{"system": "urn:test:colours", "code": "second"}]
    client.create({"resourceType": "Observation", "status": "final", "code": {"coding": coding}})
    assert len(client.search("Observation?code:in=ValueSet/v")) == 1
