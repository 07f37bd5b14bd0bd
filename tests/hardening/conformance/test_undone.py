"""Transactions that look at definitions of their own and are then undone: nothing of them is remembered."""

import pytest

from tests.client import Client
from tests.conftest import TestTenant
from tests.hardening.conformance.hostile import URL, Json, code_system, patient, profile, put

SYSTEM, VALUES = f"{URL}undone", f"{URL}undone-values"
# What a request inside of the transaction asks, of what it has just written.
ASKED = (
    "CodeSystem/undone/$validate-code?code=evil",
    "ValueSet/undone/$expand",
    f"ValueSet/undone/$validate-code?system={SYSTEM}&code=evil",
    "Observation?code:in=ValueSet/undone",
    f"Observation?code:in={VALUES}",
    f"Observation?code:below={SYSTEM}|top",
)


def _system(*codes: str) -> Json:
    return code_system("undone", {"code": "top", "concept": [{"code": code} for code in codes]})


def _values(*codes: str) -> Json:
    include = [{"system": SYSTEM, "concept": [{"code": code} for code in codes]}]
    head = {"resourceType": "ValueSet", "id": "undone", "url": VALUES, "status": "active"}
    return {**head, "compose": {"include": include}}


def _undone(client: Client, *entries: Json) -> None:
    """Run the entries, and then one that fails."""
    failing = {"request": {"method": "GET", "url": "Patient/none-such"}}
    answer = client.post("", {"resourceType": "Bundle", "type": "transaction", "entry": [*entries, failing]})
    assert answer.status == 404, answer.text


def _written(resource: Json) -> Json:
    url = f"{resource['resourceType']}/{resource['id']}"
    return {"resource": resource, "request": {"method": "PUT", "url": url}}


def _holds(client: Client, url: str) -> bool:
    said = client.get(url).json["parameter"]
    return bool(next(each["valueBoolean"] for each in said if each["name"] == "result"))


@pytest.fixture(scope="module")
def coded(tenant: TestTenant) -> Client:
    """A tenant with an Observation of each code."""
    client = tenant.client()
    for code in ("good", "evil"):
        coding = [{"system": SYSTEM, "code": code}]
        put(client, {"resourceType": "Observation", "id": code, "status": "final", "code": {"coding": coding}})
    return client


@pytest.mark.parametrize("asked", ASKED)
def test_codes(coded: Client, asked: str) -> None:
    """Known bad: the next version has the number of the undone one, and was taken for it ever after."""
    for definition in (_system("good"), _values("good")):
        assert put(coded, definition).status in (200, 201)
    written = [_written(_system("evil")), _written(_values("evil"))]
    _undone(coded, *written, {"request": {"method": "GET", "url": asked}})
    for definition in ({**_system("good"), "title": asked}, {**_values("good"), "title": asked}):
        assert put(coded, definition).status == 200
    for code, holds in (("good", True), ("evil", False)):
        assert _holds(coded, f"CodeSystem/$validate-code?url={SYSTEM}&code={code}") is holds
        assert _holds(coded, f"ValueSet/$validate-code?url={VALUES}&system={SYSTEM}&code={code}") is holds
    assert [each["code"] for each in coded.get("ValueSet/undone/$expand").json["expansion"]["contains"]] == ["good"]
    for query in ("code:in=ValueSet/undone", f"code:in={VALUES}", f"code:below={SYSTEM}|top"):
        assert [each["id"] for each in coded.search(f"Observation?{query}")] == ["good"], query


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_profiles(client: Client, method: str) -> None:
    definition = profile("undone-profile", {"id": "Patient.birthDate", "path": "Patient.birthDate", "min": 1})
    # A new version each time, so that nothing compiled is left.
    assert put(client, {**definition, "title": method}).status in (200, 201)
    claims = patient("x", "undone-profile", birthDate="2000-01-01")
    parameters = {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": claims}]}
    change = {"request": {"method": method, "url": "StructureDefinition/undone-profile"}}
    if method == "PUT":
        change["resource"] = {**definition, "url": f"{URL}elsewhere"}
    _undone(client, change, {"resource": parameters, "request": {"method": "POST", "url": "Patient/$validate"}})
    assert put(client, claims).status in (200, 201)
    assert put(client, patient("y", "undone-profile")).status == 422


def test_both_of_two_changes_of_policy_count(client: Client) -> None:
    entries = []
    for name in ("Patient", "Observation"):
        given = [{"name": "type", "valueCode": name}, {"name": "mode", "valueCode": "tag"}]
        body = {"resourceType": "Parameters", "parameter": given}
        entries.append({"resource": body, "request": {"method": "POST", "url": "$change-validation-policy"}})
    answer = client.post("", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert answer.status == 200, answer.text
    told = client.get("$validation-policy").json["parameter"]
    named = [{part["name"]: part.get("valueCode") for part in each["part"]} for each in told]
    assert {each["type"] for each in named if each.get("mode") == "tag"} == {"Patient", "Observation"}
