"""Checking and evaluating tell nobody what he may not read."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.client import Client
from tests.conftest import TestTenant
from tests.hardening.conformance.hostile import URL, Json, code_system, patient, profile, put, tags

PROFILED = profile("secret", {"id": "Patient.name", "path": "Patient.name", "min": 1},
                   {"id": "Patient.name.family", "path": "Patient.name.family", "fixedString": "HIDDEN"})  # fmt: skip
VALUES: Json = {
    "resourceType": "ValueSet", "id": "secret", "url": f"{URL}secret-values", "status": "active",
    "compose": {"include": [{"system": f"{URL}secret-codes", "concept": [{"code": "HIDDEN"}]}]},
}  # fmt: skip


@pytest.fixture(scope="module")
def full(new_tenant: Callable[[], TestTenant]) -> TestTenant:
    """A tenant with two patients' records and definitions of its own."""
    tenant = new_tenant()
    client = tenant.client()
    definitions = [PROFILED, VALUES, code_system("secret-codes", {"code": "HIDDEN", "display": "HIDDEN"})]
    for resource in (*definitions, patient("own"), patient("other", name=[{"family": "HIDDEN"}])):
        assert put(client, resource).status == 201
    client.create({**_observation("Patient/other"), "status": "final"})
    return tenant


def _observation(subject: str) -> Json:
    coding = [{"system": f"{URL}secret-codes", "code": "HIDDEN"}]
    return {"resourceType": "Observation", "status": "final", "code": {"coding": coding}, "subject": {"reference": subject}}


def _asked(client: Client, resource: Json, *expressions: str) -> Any:
    given: list[Json] = [{"name": "expression", "valueString": each} for each in expressions]
    body = {"resourceType": "Parameters", "parameter": [*given, {"name": "resource", "resource": resource}]}
    return client.post("$fhirpath", body)


SCOPES = [("patient/*.cruds", "own"), ("system/Observation.rs", None), ("system/Basic.rs", None)]


@pytest.mark.parametrize(("scope", "record"), SCOPES)
def test_references_lead_where_the_caller_may_read(full: TestTenant, scope: str, record: str | None) -> None:
    client = full.client(scope, patient=record)
    for reference in ("Patient/other", "Patient/other/_history/1", f"{client.base}/Patient/other"):
        seen = _asked(client, _observation(reference), "subject.resolve().exists()", "subject.resolve().name.family")
        none = _asked(client, _observation("Patient/none"), "subject.resolve().exists()", "subject.resolve().name.family")
        assert seen.status == none.status == 200
        assert seen.json == none.json, "what is hidden looks like what is not there"
    assert _asked(full.client(), _observation("Patient/other"), "subject.resolve().name.family").text.count("HIDDEN") == 1


@pytest.mark.parametrize(("scope", "record"), SCOPES[1:])
def test_definitions_are_asked_as_the_caller(full: TestTenant, scope: str, record: str | None) -> None:
    client = full.client(scope, patient=record)
    told = [
        client.post(f"Patient/$validate?profile={URL}secret", patient("x")),
        _asked(client, patient("x"), f"conformsTo('{URL}secret')"),
        _asked(client, patient("x"), f"name.slice('{URL}secret', 'x')"),
        _asked(client, _observation("Patient/x"), f"code.memberOf('{URL}secret-values')"),
        client.get(f"StructureDefinition/$snapshot?url={URL}secret"),
        client.get(f"ValueSet/$expand?url={URL}secret-values"),
        client.get(f"CodeSystem/$lookup?system={URL}secret-codes&code=HIDDEN"),
    ]
    for answer in told:
        assert 'HIDDEN"' not in answer.text.replace("code=HIDDEN", "") and "must be HIDDEN" not in answer.text
    assert told[0].status == 404
    known = full.client().post(f"Patient/$validate?profile={URL}secret", patient("x"))
    assert "must be HIDDEN" in known.text


@pytest.mark.parametrize("mode", ["update", "delete"])
def test_a_rehearsal_is_no_oracle(full: TestTenant, mode: str) -> None:
    client = full.client("patient/*.cruds", patient="own")
    there, none = (
        client.request("POST", f"Patient/{id_}/$validate?mode={mode}", patient(id_) if mode == "update" else None)
        for id_ in ("other", "none2x")
    )  # fmt: skip
    assert there.status == none.status
    assert there.text.replace("other", "?") == none.text.replace("none2x", "?")


def test_only_one_s_own_records_are_counted_for_review(new_tenant: Callable[[], TestTenant]) -> None:
    tenant = new_tenant()
    client = tenant.client()
    given = [{"name": "mode", "valueCode": "tag"}]
    assert client.post("$change-validation-policy", {"resourceType": "Parameters", "parameter": given}).status == 200
    for name in ("own", "other"):
        assert put(client, patient(name, gender="no-such-code")).status == 201
    one = tenant.client("patient/*.rs", patient="own").get("$needs-review").json["parameter"]
    totals = {part["name"]: part.get("valueInteger") for part in one[0]["part"]}
    assert len(one) == 1 and totals["total"] == 1
    assert tenant.client("system/Observation.rs").get("$needs-review").json.get("parameter") is None


def test_a_consent_that_would_not_be_enforced_is_kept_in_no_mode(new_tenant: Callable[[], TestTenant]) -> None:
    client = new_tenant().client()
    tags(client, "Consent")
    assert put(client, patient("p")).status == 201
    scope = {"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}
    consent: Json = {
        "resourceType": "Consent", "id": "c", "status": "active", "scope": {"coding": [scope]}, "category": [{"text": "x"}],
        "patient": {"reference": "Patient/p"}, "policyRule": {"text": "x"}, "provision": {"type": "deny"},
    }  # fmt: skip
    assert put(client, {**consent, "status": "Active"}).status == 422
    assert put(client, consent).status == 201
