"""$needs-review: what was kept although it breaks rules, counted within what the caller may see."""

from typing import Any

import pytest

from tests.client import Answer, Client
from tests.conftest import TestTenant

Json = dict[str, Any]


@pytest.fixture(scope="module", autouse=True)
def kept(client: Client) -> list[str]:
    """Two patients and an observation that break rules, and one patient who does not; the patients' ids."""
    parameter = [{"name": "mode", "valueCode": "tag"}]
    assert client.post("$change-validation-policy", {"resourceType": "Parameters", "parameter": parameter}).status == 200
    wrong = {"resourceType": "Patient", "gender": "x"}
    found = [client.create(wrong)["id"], client.create({**wrong, "contact": [{"gender": "male"}]})["id"]]
    client.create({"resourceType": "Patient", "gender": "male"})
    subject = {"reference": f"Patient/{found[0]}"}
    client.create({"resourceType": "Observation", "status": "x", "code": {"text": "x"}, "subject": subject})
    return found


def counts(answer: Answer) -> dict[str, Json]:
    assert answer.status == 200, answer.text
    found = {}
    for parameter in answer.json.get("parameter", ()):
        values = {part["name"]: next(v for k, v in part.items() if k != "name") for part in parameter["part"]}
        rules = [
            {part["name"]: next(v for k, v in part.items() if k != "name") for part in rule["part"]}
            for rule in parameter["part"]
            if rule["name"] == "rule"
        ]
        found[values["type"]] = {"total": values["total"], "search": values["search"], "rules": rules}
    return found


def test_by_type_and_rule(client: Client) -> None:
    found = counts(client.get("$needs-review"))
    assert {name: each["total"] for name, each in found.items()} == {"Patient": 2, "Observation": 1}
    assert [(rule["key"], rule["total"]) for rule in found["Patient"]["rules"]] == [
        ("http://hl7.org/fhir/StructureDefinition/Patient#Patient.gender", 2),
        ("pat-1", 1),
    ]
    assert len(client.search(found["Patient"]["search"])) == 2


def test_one_type(client: Client) -> None:
    assert set(counts(client.get("$needs-review?type=Observation"))) == {"Observation"}
    assert client.get("$needs-review?type=Patience").status == 400


def test_within_what_the_caller_may_see(client: Client, tenant: TestTenant, kept: list[str]) -> None:
    assert set(counts(tenant.client("system/Observation.rs").get("$needs-review"))) == {"Observation"}
    assert tenant.client("system/Observation.rs").get("$needs-review?type=Patient").status == 403
    mine = counts(tenant.client("patient/*.rs", patient=kept[0]).get("$needs-review"))
    assert {name: each["total"] for name, each in mine.items()} == {"Patient": 1, "Observation": 1}


def test_what_is_mended_or_deleted_needs_no_review(client: Client, kept: list[str]) -> None:
    made = client.create({"resourceType": "Device", "status": "x"})
    assert "Device" in counts(client.get("$needs-review"))
    client.request("PUT", f"Device/{made['id']}", {**made, "status": "active"})
    assert "Device" not in counts(client.get("$needs-review"))
    other = client.create({"resourceType": "Device", "status": "x"})
    client.request("DELETE", f"Device/{other['id']}")
    assert "Device" not in counts(client.get("$needs-review"))
