"""$meta, $meta-add, $meta-delete."""

from typing import Any

import pytest

from tests.client import Answer, Client
from tests.conftest import TestTenant

TAG = {"system": "urn:tags", "code": "a"}
LABEL = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}


def meta(answer: Answer) -> dict[str, Any]:
    assert answer.status == 200, answer.text
    ((parameter,),) = [answer.json["parameter"]]
    assert parameter["name"] == "return"
    found: dict[str, Any] = parameter["valueMeta"]
    return found


def given(**lists: Any) -> dict[str, Any]:
    return {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": lists}]}


@pytest.fixture
def name(client: Client) -> str:
    """A patient with one tag."""
    return f"Patient/{client.create({'resourceType': 'Patient', 'meta': {'tag': [TAG]}})['id']}"


def test_of_an_instance(client: Client, name: str) -> None:
    found = meta(client.get(f"{name}/$meta"))
    assert found["tag"] == [TAG]
    assert found["versionId"] == "1"


def test_add_makes_one_version_and_keeps_what_is_there(client: Client, name: str) -> None:
    found = meta(client.post(f"{name}/$meta-add", given(tag=[TAG, {"code": "b"}], profile=["urn:p"], security=[LABEL])))
    assert found["tag"] == [TAG, {"code": "b"}]
    assert (found["profile"], found["security"], found["versionId"]) == (["urn:p"], [LABEL], "2")
    again = meta(client.post(f"{name}/$meta-add", given(tag=[{**TAG, "display": "other words"}])))
    assert (again["tag"], again["versionId"]) == ([TAG, {"code": "b"}], "2")
    assert len(client.search("Patient?_tag=b")) == 1
    assert client.get(name).json["meta"] == again


def test_delete_removes_what_is_named(client: Client, name: str) -> None:
    found = meta(client.post(f"{name}/$meta-delete", given(tag=[TAG, {"code": "absent"}])))
    assert "tag" not in found
    assert found["versionId"] == "2"
    assert meta(client.post(f"{name}/$meta-delete", given(tag=[TAG])))["versionId"] == "2"
    assert name.split("/")[1] not in {r["id"] for r in client.search("Patient?_tag=urn:tags|a")}


def test_of_a_type_and_the_system(tenant: TestTenant, client: Client) -> None:
    for _ in range(3):
        client.create({"resourceType": "Basic", "code": {"text": "x"}, "meta": {"tag": [TAG], "security": [LABEL]}})
    client.create({"resourceType": "Basic", "code": {"text": "x"}, "meta": {"profile": ["urn:of-basic"]}})
    assert meta(client.get("Basic/$meta")) == {"profile": ["urn:of-basic"], "tag": [TAG], "security": [LABEL]}
    assert "urn:of-basic" in meta(client.get("$meta"))["profile"]
    assert "urn:of-basic" not in meta(tenant.client("system/Patient.rs").get("$meta")).get("profile", [])
    assert meta(client.get("Slot/$meta")) == {}
    assert tenant.client("system/Patient.rs").get("Basic/$meta").status == 403


def test_refusals(tenant: TestTenant, client: Client, name: str) -> None:
    assert client.get(f"{name}/$meta-add").status == 405
    assert client.post(f"{name}/$meta-add").status == 400
    assert client.post("Patient/$meta-add", given(tag=[TAG])).status == 400
    assert client.post("Patient/no-such/$meta-add", given(tag=[TAG])).status == 404
    assert tenant.client("system/Patient.rs").post(f"{name}/$meta-add", given(tag=[TAG])).status == 403
    assert meta(client.get(f"{name}/$meta"))["versionId"] == "1"
