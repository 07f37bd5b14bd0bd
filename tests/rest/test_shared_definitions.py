"""Definitions that every tenant reads though it does not store them."""

from typing import Any

import pytest

from fhir_server.conformance.registry import base_registry
from fhir_server.validation.run import check
from tests.client import Client
from tests.conftest import TestTenant
from tests.rest.answers import refused

CORE = "http://hl7.org/fhir/StructureDefinition/"
SHARED = [
    ("StructureDefinition", "Patient", CORE + "Patient"),
    ("StructureDefinition", "vitalsigns", CORE + "vitalsigns"),
    ("StructureDefinition", "price", "urn:salam:StructureDefinition:price"),
    ("ValueSet", "administrative-gender", "http://hl7.org/fhir/ValueSet/administrative-gender"),
    ("CodeSystem", "administrative-gender", "http://hl7.org/fhir/administrative-gender"),
    ("CodeSystem", "booking", "urn:salam:CodeSystem:booking"),
    ("ConceptMap", "sc-account-status", "http://hl7.org/fhir/ConceptMap/sc-account-status"),
    ("SearchParameter", "individual-birthdate", "http://hl7.org/fhir/SearchParameter/individual-birthdate"),
    ("SearchParameter", "Task-queue", "urn:salam:SearchParameter:Task-queue"),
    ("OperationDefinition", "ValueSet-expand", "http://hl7.org/fhir/OperationDefinition/ValueSet-expand"),
    ("OperationDefinition", "salam-ValueSet-expand", "urn:salam:OperationDefinition:ValueSet-expand"),
    ("OperationDefinition", "apps", "urn:salam:OperationDefinition:apps"),
    ("CompartmentDefinition", "patient", "http://hl7.org/fhir/CompartmentDefinition/patient"),
]
SOURCE = "urn:salam:CodeSystem:definition-source"


def canonical(resource_type: str, url: str, **more: Any) -> dict[str, Any]:
    """A small definition."""
    needed = {"CodeSystem": {"content": "complete"}}.get(resource_type, {})
    return {"resourceType": resource_type, "url": url, "status": "active", **needed, **more}


@pytest.mark.parametrize(("resource_type", "id_", "url"), SHARED)
def test_one_is_read_like_a_stored_resource(client: Client, resource_type: str, id_: str, url: str) -> None:
    answer = client.get(f"{resource_type}/{id_}")
    assert answer.status == 200
    found = answer.json
    assert (found["resourceType"], found["id"], found["url"]) == (resource_type, id_, url)
    assert answer.headers["ETag"] == 'W/"1"'
    assert answer.headers["Last-Modified"].endswith("GMT")
    assert found["meta"]["versionId"] == "1"
    code = "server" if url.startswith("urn:salam:") else "base"
    assert [tag["code"] for tag in found["meta"]["tag"] if tag["system"] == SOURCE] == [code]
    assert [i for i in check(base_registry(), found) if i.severity == "error"] == []


def test_a_structure_definition_comes_with_its_snapshot(client: Client) -> None:
    found = client.get("StructureDefinition/Patient").json
    assert found["snapshot"]["element"][0]["id"] == "Patient"


def test_conditions_and_shapes_are_those_of_every_read(client: Client) -> None:
    local = "StructureDefinition/Patient"
    assert client.get(local, if_none_match='W/"1"').status == 304
    assert client.get(local, if_modified_since="Sun, 01 Jan 2023 00:00:00 GMT").status == 304
    assert client.get(local, if_modified_since="Fri, 01 Jan 2010 00:00:00 GMT").status == 200
    assert "snapshot" not in client.get(f"{local}?_summary=true").json
    chosen = client.get(f"{local}?_elements=url,name").json
    assert {"url", "name"} <= chosen.keys()
    assert "snapshot" not in chosen
    assert client.get(f"{local}?_format=xml").body.startswith(b"<")
    assert client.request("HEAD", local).headers["ETag"] == 'W/"1"'


def test_it_has_one_version(client: Client) -> None:
    local = "ValueSet/administrative-gender"
    assert client.get(f"{local}/_history/1").json == client.get(local).json
    refused(client.get(f"{local}/_history/2"), 404)
    history = client.get(f"{local}/_history").json
    assert [entry["resource"]["id"] for entry in history["entry"]] == ["administrative-gender"]
    assert "entry" not in client.get(f"{local}/_history?_since=2025-01-01").json


@pytest.mark.parametrize("path", ["StructureDefinition/Nothing", "Patient/Patient", "ValueSet/Patient"])
def test_what_is_not_there_is_not_found(client: Client, path: str) -> None:
    refused(client.get(path), 404)


def matches(client: Client, query: str) -> list[str]:
    found = client.get(query).json
    entries = [entry for entry in found.get("entry", ()) if entry["search"]["mode"] == "match"]
    assert all(entry["fullUrl"].endswith(f"/{entry['resource']['id']}") for entry in entries)
    return [entry["resource"]["id"] for entry in entries]


@pytest.mark.parametrize(("resource_type", "id_", "url"), SHARED)
def test_one_is_found_by_its_url_and_its_id(client: Client, resource_type: str, id_: str, url: str) -> None:
    assert matches(client, f"{resource_type}?url={url}") == [id_]
    assert matches(client, f"{resource_type}?_id={id_}") == [id_]
    assert matches(client, f"{resource_type}?url={url}&_id={id_}") == [id_]
    assert matches(client, f"{resource_type}?url={url}&_id=other") == []


def test_a_search_for_anything_else_is_of_what_the_tenant_stores(client: Client) -> None:
    url = CORE + "Patient"
    for query in ("", "name=Patient", f"url={url}&status=active", f"url:below={CORE}", f"url={url},{CORE}Group"):
        assert matches(client, f"StructureDefinition?{query}") == []
    assert matches(client, f"Patient?_id={url}") == []


def test_the_version_and_the_form_of_a_search_hold(client: Client) -> None:
    query = f"StructureDefinition?url={CORE}Patient"
    assert matches(client, f"{query}&version=4.0.1") == ["Patient"]
    assert matches(client, f"{query}&version=5.0.0") == []
    for form in ("_summary=count", "_count=0"):
        counted = client.get(f"{query}&{form}").json
        assert (counted["total"], "entry" in counted) == (1, False)
    assert "snapshot" not in client.get(f"{query}&_elements=url").json["entry"][0]["resource"]
    assert client.get(query).json["link"][0]["relation"] == "self"
    assert client.post("StructureDefinition/_search", f"url={CORE}Patient",
                       content_type="application/x-www-form-urlencoded").json["total"] == 1  # fmt: skip


def test_what_a_tenant_stores_comes_first_and_stays_gone(new_tenant: Any) -> None:
    client: Client = new_tenant().client()
    url = "http://hl7.org/fhir/ValueSet/administrative-gender"
    own = canonical("ValueSet", url, id="administrative-gender", title="Ours")
    assert client.put("ValueSet/administrative-gender", own).status == 201
    assert client.get("ValueSet/administrative-gender").json["title"] == "Ours"
    assert [e["resource"]["title"] for e in client.get(f"ValueSet?url={url}").json["entry"]] == ["Ours"]
    refused(client.get("ValueSet/administrative-gender/_history/2"), 404)
    client.delete("ValueSet/administrative-gender")
    refused(client.get("ValueSet/administrative-gender"), 410)
    assert matches(client, "ValueSet?_id=administrative-gender") == []
    assert matches(client, f"ValueSet?url={url}") == []
    assert client.get("ValueSet/marital-status").status == 200


def test_another_resource_of_the_same_url_comes_first_in_a_search(new_tenant: Any) -> None:
    client: Client = new_tenant().client()
    url = "http://hl7.org/fhir/ValueSet/marital-status"
    stored = client.create(canonical("ValueSet", url))
    assert matches(client, f"ValueSet?url={url}") == [stored["id"]]
    assert matches(client, "ValueSet?_id=marital-status") == ["marital-status"]


@pytest.mark.parametrize("scope", ["system/Patient.rs", "user/ValueSet.s"])
def test_who_may_not_read_the_type_does_not_read_them(tenant: TestTenant, scope: str) -> None:
    refused(tenant.client(scope).get("StructureDefinition/Patient"), 403)


def test_scopes_that_are_limited_to_some_content_are_kept(tenant: TestTenant) -> None:
    limited = tenant.client("system/StructureDefinition.rs?derivation=constraint")
    assert limited.get("StructureDefinition/vitalsigns").status == 200
    refused(limited.get("StructureDefinition/Patient"), 404)
    refused(limited.get("StructureDefinition/Patient/_history"), 404)
    assert matches(limited, f"StructureDefinition?url={CORE}vitalsigns") == ["vitalsigns"]
    assert matches(limited, f"StructureDefinition?url={CORE}Patient") == []


def test_reading_one_is_written_to_the_audit_log(new_tenant: Any) -> None:
    client: Client = new_tenant().client("system/*.cruds system/AuditEvent.rs")
    for path in ("StructureDefinition/Patient", "ValueSet/marital-status/_history", "CodeSystem/booking/_history/1"):
        assert client.get(path).status == 200
        event = client.get("AuditEvent?_count=1").json["entry"][0]["resource"]
        assert path.removesuffix("/1").removesuffix("/_history") in str(event["entity"])


def test_a_batch_reads_them(client: Client) -> None:
    entry = [{"request": {"method": "GET", "url": "StructureDefinition/Patient"}},
             {"request": {"method": "GET", "url": f"StructureDefinition?url={CORE}Group"}}]  # fmt: skip
    for kind in ("batch", "transaction"):
        found = client.post("", {"resourceType": "Bundle", "type": kind, "entry": entry}).json["entry"]
        assert [each["response"]["status"][:3] for each in found] == ["200", "200"]
        assert found[1]["resource"]["total"] == 1
