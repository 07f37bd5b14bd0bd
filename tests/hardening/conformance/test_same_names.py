"""Two tenants with definitions of the same ids, urls and versions, told apart by everything that is remembered."""

from collections.abc import Callable

from tests.client import Client
from tests.conftest import TestTenant
from tests.hardening.conformance.hostile import URL, Json, code_system, patient, profile, put


def _tenant(client: Client, code: str) -> None:
    """Definitions that allow this code alone."""
    include = [{"system": f"{URL}same", "filter": [{"property": "concept", "op": "is-a", "value": "top"}]}]
    path = "Patient.maritalStatus"
    definitions: list[Json] = [
        code_system("same", {"code": "top", "concept": [{"code": code, "display": f"shown {code}"}]}, version="1"),
        {"resourceType": "ValueSet", "id": "same", "url": f"{URL}values", "version": "1", "status": "active",
         "compose": {"include": include}},
        profile("same-profile", {"id": path, "path": path, "min": 1,
                                 "binding": {"strength": "required", "valueSet": f"{URL}values"}}, version="1"),
        {"resourceType": "ConceptMap", "id": "same", "url": f"{URL}map", "version": "1", "status": "active", "group": [
            {"source": f"{URL}same", "target": "urn:t",
             "element": [{"code": "top", "target": [{"code": f"to-{code}", "equivalence": "equal"}]}]}]},
    ]  # fmt: skip
    for definition in definitions:
        assert put(client, definition).status == 201


def _married(code: str) -> Json:
    return patient("p", "same-profile", maritalStatus={"coding": [{"system": f"{URL}same", "code": code}]})


def _sees(client: Client, own: str, other: str) -> None:
    """The answers to every question are those of the tenant's own definitions."""
    expanded = client.get(f"ValueSet/$expand?url={URL}values").json["expansion"]["contains"]
    assert {each["code"] for each in expanded} == {"top", own}
    assert client.get(f"CodeSystem/$lookup?system={URL}same&code={own}").status == 200
    assert client.get(f"CodeSystem/$lookup?system={URL}same&code={other}").status == 404
    asked = f"ConceptMap/$translate?url={URL}map&system={URL}same&code=top"
    assert f"to-{own}" in client.get(asked).text
    assert put(client, _married(other)).status == 422
    assert put(client, _married(own)).status in (200, 201)
    expression = f"maritalStatus.memberOf('{URL}values')"
    for code, result in ((own, True), (other, False)):
        found = client.post(f"Patient/$fhirpath?expression={expression}", _married(code)).json
        assert found["parameter"][0]["part"][-1]["part"][-1]["valueBoolean"] is result
    found = client.search(f"Observation?code:below={URL}same|top")
    assert [each["code"]["coding"][0]["code"] for each in found] == [own]


def test_neither_sees_the_other_s(new_tenant: Callable[[], TestTenant]) -> None:
    first, second = new_tenant().client(), new_tenant().client()
    for client, code in ((first, "a"), (second, "b")):
        _tenant(client, code)
        coding = [{"system": f"{URL}same", "code": code}]
        client.create({"resourceType": "Observation", "status": "final", "code": {"coding": coding}})
    for _ in range(2):
        _sees(first, "a", "b")
        _sees(second, "b", "a")
