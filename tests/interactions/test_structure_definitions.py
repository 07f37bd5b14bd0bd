"""A StructureDefinition that is stored as active can be used; what cannot is refused with the place."""

from typing import Any

from tests.client import Client

BASE = "http://hl7.org/fhir/StructureDefinition/"
MINE = "http://clinic.example/StructureDefinition/"


def profile(name: str, base: str = f"{BASE}Patient", status: str = "active", **element: Any) -> dict[str, Any]:
    return {
        "resourceType": "StructureDefinition", "url": f"{MINE}{name}", "name": name, "status": status, "abstract": False,
        "kind": "resource", "type": "Patient", "baseDefinition": base, "derivation": "constraint",
        "differential": {"element": [{"id": "Patient.birthDate", "path": "Patient.birthDate", **element}]},
    }  # fmt: skip


def test_a_profile_that_narrows_is_stored(client: Client) -> None:
    assert client.post("StructureDefinition", profile("born", min=1)).status == 201


def test_one_that_widens_is_refused_at_its_element_unless_it_is_a_draft(client: Client) -> None:
    refused = client.post("StructureDefinition", profile("often", max="*"))
    assert refused.status == 422
    assert refused.issues[0]["expression"] == ["StructureDefinition.differential.element[0]"]
    assert client.post("StructureDefinition", profile("often", status="draft", max="*")).status == 201


def test_an_unknown_base_and_a_circle_are_refused(client: Client) -> None:
    assert client.post("StructureDefinition", profile("lost", base=f"{MINE}nowhere")).status == 422
    first, second = profile("one", base=f"{MINE}two"), profile("two", base=f"{MINE}one")
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [
        {"resource": each, "request": {"method": "POST", "url": "StructureDefinition"}} for each in (first, second)]}
    refused = client.post("", bundle)
    assert refused.status == 422
    assert "circle" in refused.text


def test_a_base_may_come_in_the_same_bundle(client: Client) -> None:
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [
        {"resource": each, "request": {"method": "POST", "url": "StructureDefinition"}}
        for each in (profile("child", base=f"{MINE}parent", min=1), profile("parent"))]}
    assert client.post("", bundle).status == 200
