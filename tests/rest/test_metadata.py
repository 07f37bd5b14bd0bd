"""The CapabilityStatement, and that it does not lie. https://hl7.org/fhir/R4/http.html#capabilities"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from fhir_server.conformance.registry import base_registry
from tests.client import Client
from tests.rest.answers import entries, refused
from tests.rest.bodies import bundle, entry, mark

if TYPE_CHECKING:
    from tests.conftest import TestTenant

VALUES = {
    "number": "1",
    "date": "ge2020-01-01",
    "string": "x",
    "token": "x",
    "reference": "x",
    "quantity": "1",
    "uri": "http://example.org",
    "special": "0|0|1",
}


@pytest.fixture(scope="module")
def statement(client: Client) -> dict[str, Any]:
    found: dict[str, Any] = client.get("metadata").json
    return found


def rest(statement: dict[str, Any]) -> dict[str, Any]:
    (one,) = statement["rest"]
    assert one["mode"] == "server"
    return dict(one)


def test_it_needs_no_token_and_says_what_it_is(client: Client, statement: dict[str, Any]) -> None:
    answer = Client(client.slug, None).get("metadata")
    assert answer.status == 200
    assert answer.json == statement
    assert statement["resourceType"] == "CapabilityStatement"
    assert statement["fhirVersion"] == "4.0.1"
    assert statement["kind"] == "instance"
    assert statement["implementation"]["url"] == client.base
    assert {"application/fhir+json", "application/fhir+xml"} <= set(statement["format"])
    assert "application/json-patch+json" in statement["patchFormat"]


def test_every_resource_type_is_there(statement: dict[str, Any]) -> None:
    named = [one["type"] for one in rest(statement)["resource"]]
    assert sorted(named) == sorted(base_registry().resource_types)


def test_it_is_valid_by_the_servers_own_rules(client: Client, statement: dict[str, Any]) -> None:
    answer = client.post("CapabilityStatement/$validate", statement)
    assert answer.status == 200
    assert not [issue for issue in answer.issues if issue["severity"] in ("error", "fatal")], answer.text


def value(resource_type: str, code: str, kind: str) -> str:
    """A value that makes sense for the parameter."""
    if kind != "composite":
        return VALUES[kind]
    parts = base_registry().search_params(resource_type)[code].components
    return "$".join(VALUES[part.type] for part, _ in parts)


def test_every_search_parameter_it_names_answers(client: Client, statement: dict[str, Any]) -> None:
    asked = [
        f"{one['type']}?{parameter['name']}={value(one['type'], parameter['name'], parameter['type'])}&_count=1"
        for one in rest(statement)["resource"]
        for parameter in one["searchParam"]
        if parameter["name"] not in ("_has", "_filter", "_list")
    ]
    assert len(asked) > 1_500
    failed = []
    for start in range(0, len(asked), 200):
        sent = bundle("batch", *(entry("GET", url) for url in asked[start : start + 200]))
        found = entries(client.post("", sent))
        urls = asked[start : start + 200]
        failed += [(u, o["response"]) for u, o in zip(urls, found, strict=True) if o["response"]["status"] != "200 OK"]
    assert not failed, failed[:10]


def test_every_include_it_names_answers(client: Client, statement: dict[str, Any]) -> None:
    asked = []
    for one in rest(statement)["resource"]:
        asked += [f"{one['type']}?_count=1&_include={value}" for value in one.get("searchInclude", [])]
        asked += [f"{one['type']}?_count=1&_revinclude={value}" for value in one.get("searchRevInclude", [])[:20]]
    failed = [url for url in asked[::5] if client.get(url).status != 200]
    assert not failed, failed[:10]


def test_every_operation_it_names_exists(client: Client, statement: dict[str, Any]) -> None:
    one = rest(statement)
    asked = [f"${operation['name']}" for operation in one.get("operation", [])]
    for resource in one["resource"]:
        if resource["type"] in ("Patient", "ValueSet", "CodeSystem", "Observation", "Encounter"):
            asked += [f"{resource['type']}/${operation['name']}" for operation in resource.get("operation", [])]
    assert asked
    for url in asked:
        answer = client.get(url)
        assert answer.status < 500
        if answer.status >= 400:
            assert "not an operation" not in refused(answer, (400, 404, 405, 415, 422)).lower()


def test_what_it_says_about_every_type_is_so_for_one(client: Client, statement: dict[str, Any]) -> None:
    (one,) = [each for each in rest(statement)["resource"] if each["type"] == "Basic"]
    codes = {each["code"] for each in one["interaction"]}
    assert codes == {
        "read", "vread", "update", "patch", "delete", "history-instance", "history-type", "create", "search-type"
    }  # fmt: skip
    assert (one["versioning"], one["updateCreate"], one["conditionalCreate"]) == ("versioned-update", True, True)
    assert (one["conditionalRead"], one["conditionalUpdate"]) == ("full-support", True)
    assert one["conditionalDelete"] == "multiple"


def test_modes(client: Client) -> None:
    assert client.get("metadata?mode=full").json["resourceType"] == "CapabilityStatement"
    assert client.get("metadata?mode=terminology").json["resourceType"] == "TerminologyCapabilities"
    refused(client.get("metadata?mode=nonsense"), 400, "http.mode")


def test_a_tenants_own_search_parameter_is_in_its_statement_only(new_tenant: "Callable[[], TestTenant]") -> None:
    from fhir_server.worker import backfill

    tenant = new_tenant()
    mine, other = tenant.client(), new_tenant().client()
    code = mark()
    mine.create(
        {
            "resourceType": "SearchParameter",
            "url": f"http://example.org/SearchParameter/{code}",
            "name": code,
            "status": "active",
            "description": "test",
            "code": code,
            "base": ["Patient"],
            "type": "token",
            "expression": "Patient.maritalStatus",
        }
    )

    def named(client: Client) -> bool:
        types = rest(client.get("metadata").json)["resource"]
        (patient,) = [one for one in types if one["type"] == "Patient"]
        return any(parameter["name"] == code for parameter in patient["searchParam"])

    assert not named(mine), "a parameter is not promised before it is indexed"
    backfill(tenant.slug)
    assert (named(mine), named(other)) == (True, False)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_other_methods_are_405(client: Client, method: str) -> None:
    refused(client.request(method, "metadata"), 405)
