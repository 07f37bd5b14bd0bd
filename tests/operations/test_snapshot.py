"""StructureDefinition/$snapshot. https://hl7.org/fhir/R4/structuredefinition-operation-snapshot.html"""

from typing import Any

import pytest

from tests.client import Client
from tests.conformance.snapshots import profiles
from tests.conformance.snapshots.profiles import CORE
from tests.conftest import TestTenant
from tests.rest.answers import refused

OPERATION = "StructureDefinition/$snapshot"


def profile(*elements: dict[str, Any], **how: str) -> dict[str, Any]:
    """A profile whose entries have ids, as R4 asks of what is stored (sdf-14)."""
    return profiles.profile(*({"id": element["path"], **element} for element in elements), **how)


VISITOR = profile({"path": "Patient.name", "min": 1}, {"path": "Patient.name.family", "min": 1})


def minimum(definition: dict[str, Any], id_: str) -> int:
    """What the snapshot says about the number of an element."""
    return int({element["id"]: element for element in definition["snapshot"]["element"]}[id_]["min"])


def parameters(name: str, **value: Any) -> dict[str, Any]:
    return {"resourceType": "Parameters", "parameter": [{"name": name, **value}]}


def test_the_definition_given_comes_back_with_its_snapshot(client: Client) -> None:
    for body in (VISITOR, parameters("definition", resource=VISITOR)):
        answer = client.post(OPERATION, body)
        assert answer.status == 200, answer.text
        assert minimum(answer.json, "Patient.name.family") == 1
        assert answer.json["differential"] == VISITOR["differential"]
        assert list(answer.json)[-2:] == ["snapshot", "differential"]


def test_a_stored_one_is_named_by_id_or_url(client: Client) -> None:
    stored = client.create(VISITOR)
    assert "snapshot" not in client.get(f"StructureDefinition/{stored['id']}").json
    for answer in (
        client.get(f"StructureDefinition/{stored['id']}/$snapshot"),
        client.get(f"{OPERATION}?url={VISITOR['url']}"),
        client.post(OPERATION, parameters("url", valueString=VISITOR["url"])),
    ):
        assert answer.status == 200, answer.text
        assert minimum(answer.json, "Patient.name") == 1


def test_one_stands_on_another_that_the_tenant_stores(client: Client) -> None:
    base = profile({"path": "Patient.gender", "min": 1}, name="base")
    client.create(base)
    over = profile({"path": "Patient.name", "min": 1}, name="over", base=base["url"])
    assert minimum(client.post(OPERATION, over).json, "Patient.gender") == 1
    gone = refused(client.post(OPERATION, over | {"baseDefinition": base["url"] + "-gone"}), 422)
    assert "store it first" in gone


@pytest.mark.parametrize("name", ["Patient", "vitalsigns", "price"])
def test_r4s_own_and_this_servers_have_theirs(client: Client, name: str) -> None:
    found = client.get(f"StructureDefinition/{name}/$snapshot").json
    assert found["snapshot"]["element"][0]["path"] == found["type"]


def test_a_snapshot_that_is_old_is_made_again(client: Client) -> None:
    root = {"id": "Patient", "path": "Patient", "min": 0, "max": "*", "definition": "A patient."}
    old = {"element": [root | {"base": {"path": "Patient", "min": 0, "max": "*"}}]}
    assert minimum(client.post(OPERATION, VISITOR | {"snapshot": old}).json, "Patient.name") == 1


def test_all_that_is_wrong_is_named(client: Client) -> None:
    wrong = profile({"path": "Patient.nickname"}, {"path": "Patient.gender", "max": "*"})
    answer = client.post(OPERATION, wrong)
    refused(answer, 422)
    assert [issue["expression"][0] for issue in answer.issues] == [
        "StructureDefinition.differential.element[0]", "StructureDefinition.differential.element[1]",
    ]  # fmt: skip


def test_one_definition_is_named(client: Client) -> None:
    refused(client.get(OPERATION), 400)
    refused(client.get(f"StructureDefinition/Patient/$snapshot?url={CORE}Patient"), 400)
    refused(client.get(f"{OPERATION}?url=http://nobody.example/x"), 404)
    refused(client.post(OPERATION, {"resourceType": "StructureDefinition", "url": "x"}), 422)


def test_who_may_not_read_definitions_makes_no_snapshot(tenant: TestTenant) -> None:
    for scope in ("system/Patient.cruds", "system/StructureDefinition.c"):
        refused(tenant.client(scope).post(OPERATION, VISITOR), 403)
        refused(tenant.client(scope).get("StructureDefinition/Patient/$snapshot"), 403)


def test_a_profile_that_cannot_be_used_is_not_stored_while_active(client: Client) -> None:
    wrong = profile({"path": "Patient.nickname"}, name="wrong")
    answer = client.post("StructureDefinition", wrong)
    assert "there is no nickname here" in refused(answer, 422)
    assert client.post("StructureDefinition", wrong | {"status": "draft"}).status == 201


def test_a_profile_and_its_base_come_in_one_bundle(client: Client) -> None:
    base = profile({"path": "Patient.name", "min": 1}, name="with-base")
    over = profile({"path": "Patient.name", "max": "1"}, name="with-over", base=base["url"])
    entry = [{"resource": each, "request": {"method": "POST", "url": "StructureDefinition"}} for each in (over, base)]
    answer = client.post("", {"resourceType": "Bundle", "type": "transaction", "entry": entry})
    assert answer.status == 200, answer.text
