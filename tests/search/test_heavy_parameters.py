"""Search parameters of a tenant that cost too much, or that go in circles: they harm nobody else, and can be mended."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from fhir_server import worker
from fhir_server.fhirpath import allowance

if TYPE_CHECKING:
    from tests.client import Client
    from tests.conftest import TestTenant

URL = "http://clinic.example/fhir/SearchParameter"


def parameter(code: str, **given: Any) -> dict[str, Any]:
    return {
        "resourceType": "SearchParameter", "id": code, "url": f"{URL}/{code}", "name": code, "status": "active",
        "description": "A test.", "code": code, "base": ["Patient"], "type": "token",
        "expression": "Patient.maritalStatus", **given,
    }  # fmt: skip


def composite(code: str, *parts: str, **given: Any) -> dict[str, Any]:
    components = [{"definition": f"{URL}/{part}", "expression": "maritalStatus"} for part in parts]
    return parameter(code, type="composite", expression="Patient", component=components, **given)


@pytest.fixture
def client(new_tenant: "Callable[[], TestTenant]") -> "Client":
    return new_tenant().client()


def ids(client: "Client", asked: str) -> list[str]:
    return [entry["resource"]["id"] for entry in client.get(f"Patient?{asked}").json.get("entry", [])]


def test_parameters_that_take_too_long_find_nothing_and_keep_nobody_from_writing(
    client: "Client", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(allowance, "SHARED_WORK", 300_000)
    monkeypatch.setattr(allowance, "MOST_WORK", 1_000_000)
    # Other for every item, so that nothing of it can be worked out once.
    deep = "($this | %resource).descendants().count() > 0"
    for _ in range(2):
        deep = f"($this | %resource).descendants().where({deep}).count() > 0"
    for number in range(3):
        heavy = parameter(f"heavy{number}", expression=f"Patient.name.where({deep}).family", type="string")
        assert client.put(f"SearchParameter/heavy{number}", heavy).status == 201
    other = parameter("other", expression="Patient.name.where(use = 'old').family.upper()", type="string")
    assert client.put("SearchParameter/other", other).status == 201
    large = {"resourceType": "Patient", "name": [{"family": f"F{n}", "given": ["A", "B"]} for n in range(40)]}
    assert client.put("Patient/large", {**large, "id": "large"}).status == 201
    small = {"resourceType": "Patient", "id": "small", "name": [{"family": "F1", "use": "old"}]}
    assert client.put("Patient/small", small).status == 201
    worker.backfill(client.slug)
    # R4's own parameters have all their rows; of the tenant's what there was work left for.
    assert sorted(ids(client, "family=F1")) == ["large", "small"]
    assert ids(client, "heavy0=F1") == ["small"]
    assert ids(client, "other=F1") == ["small"]
    assert client.delete("SearchParameter/heavy0").status == 204
    entries = [{"resource": large, "request": {"method": "POST", "url": "Patient"}}] * 20
    refused = client.post("", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert refused.status == 422 and refused.issues[0]["code"] == "too-costly"


def test_a_composite_is_no_part_of_a_composite(client: "Client") -> None:
    """Neither of itself, nor of one that is written with it."""
    for code in ("one", "two"):
        assert client.put(f"SearchParameter/{code}", parameter(code)).status == 201
    itself = client.put("SearchParameter/one", composite("one", "one", "two"))
    assert itself.status == 422 and itself.issues[0]["expression"] == ["SearchParameter.component"]
    entries = [{"resource": made, "request": {"method": "PUT", "url": f"SearchParameter/{made['id']}"}}
               for made in (composite("one", "two", "two"), composite("two", "one", "one"))]  # fmt: skip
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    assert client.post("", bundle).status == 422
    assert client.put("SearchParameter/both", composite("both", "one", "two")).status == 201
    # What a composite joins may become one later: the composite then finds nothing, and nothing breaks.
    assert client.put("SearchParameter/two", composite("two", "one", "one")).status == 200
    assert client.post("Patient", {"resourceType": "Patient", "maritalStatus": {"text": "M"}}).status == 201
    assert client.get("Patient?both=a$b").status == 400
