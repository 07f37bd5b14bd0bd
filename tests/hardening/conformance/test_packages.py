"""What a package may not bring in, whatever it says, and whoever installs it."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.client import Client
from tests.conftest import TestTenant
from tests.hardening.conformance.hostile import patient, put
from tests.packages.making import URL, guide, install, parameter, profile, remove, value_set

Json = dict[str, Any]
SCRIPT = '<div xmlns="http://www.w3.org/1999/xhtml"><script>alert(1)</script></div>'
TEXT = {"status": "generated", "div": SCRIPT}
COMPOSITION: Json = {
    "resourceType": "Composition", "id": "x", "status": "final", "type": {"text": "x"}, "date": "2020-01-01",
    "author": [{"display": "x"}], "title": "t",
}  # fmt: skip
INCLUDE = {"system": "urn:none", "concept": [{"code": "a"}]}


@pytest.mark.parametrize(
    "resource",
    [
        {**COMPOSITION, "section": [{"title": "s", "text": TEXT}]},
        {**COMPOSITION, "section": [{"title": "s", "section": [{"text": TEXT}]}], "text": TEXT},
        {"resourceType": "Bundle", "id": "x", "type": "collection", "entry": [
            {"fullUrl": "urn:uuid:0c3201bd-1b5e-4d3f-9d8c-2c0fd1bd0b3e", "resource": {"resourceType": "Patient", "text": TEXT}}]},
        {"resourceType": "Patient", "id": "x", "text": TEXT},
        {**value_set("x", INCLUDE), "text": TEXT, "contained": [{"resourceType": "Basic", "id": "b", "code": {"text": "x"}, "text": TEXT}]},
    ],
    ids=["section", "section of a section", "entry", "narrative", "contained"],
)  # fmt: skip
def test_no_markup_that_could_run(new_tenant: Callable[[], TestTenant], resource: Json) -> None:
    client = new_tenant().client()
    answer = install(client, guide("hostile.text", "1.0.0", resource), examples=True)
    assert answer.status in (200, 422), answer.text
    stored = client.get(f"{resource['resourceType']}/x")
    assert stored.status in (200, 404)
    assert "script" not in stored.text


@pytest.mark.parametrize("kind", ["AuditEvent", "Consent", "Subscription"])
def test_examples_are_written_with_the_caller_s_own_rights(new_tenant: Callable[[], TestTenant], kind: str) -> None:
    tenant = new_tenant()
    client, installer = tenant.client(), tenant.client("system/Patient.cruds operator")
    assert put(client, patient("p1")).status == 201
    examples: dict[str, Json] = {
        "AuditEvent": {"type": {"code": "rest"}, "recorded": "2020-01-01T00:00:00Z", "agent": [{"requestor": True}],
                       "source": {"observer": {"display": "x"}}},
        "Consent": {"status": "active", "scope": {"text": "x"}, "category": [{"text": "x"}],
                    "patient": {"reference": "Patient/p1"}, "policyRule": {"text": "x"}, "provision": {"type": "deny"}},
        "Subscription": {"status": "active", "reason": "x", "criteria": "Patient?",
                         "channel": {"type": "rest-hook", "endpoint": "http://127.0.0.1:9/"}},
    }  # fmt: skip
    example = {"resourceType": kind, "id": "x", **examples[kind]}
    answer = install(installer, guide("hostile.write", "1.0.0", example), examples=True)
    assert answer.status in (200, 403, 422), answer.text
    assert client.get(f"{kind}/x").status == 404
    assert client.get("Patient/p1").status == 200


BROKEN: dict[str, Json] = {
    "max": profile("broken", snapshot={"element": [
        {"id": "Patient", "path": "Patient"},
        {"id": "Patient.name", "path": "Patient.name", "min": 0, "max": "x", "type": [{"code": "HumanName"}]}]}),
    "no ids": profile("broken", snapshot={"element": [{"path": "Patient"}, {"path": "Patient.name"}]}),
    "its own content": profile("broken", snapshot={"element": [
        {"id": "Patient", "path": "Patient"},
        {"id": "Patient.contact", "path": "Patient.contact", "contentReference": "#Patient.contact"}]}),
    "version": {**value_set("broken", INCLUDE), "version": "1" * 5_000},
    "no date": {**value_set("broken", INCLUDE), "date": "yesterday", "publisher": " "},
    "no url": {**value_set("broken", INCLUDE), "url": ""},
    "a long url": {**value_set("broken", INCLUDE), "url": "http://x/" + "y" * 30_000},
    "counts": {**value_set("broken", INCLUDE), "expansion": {"timestamp": "x", "total": 10**30, "offset": -(10**40)}},
    "a circle of parameters": parameter("broken", "Patient", kind="composite", component=[
        {"definition": f"{URL}/SearchParameter/Patient-broken", "expression": "gender"},
        {"definition": "http://hl7.org/fhir/SearchParameter/individual-birthdate", "expression": "birthDate"}]),
    "FHIR's own value set": {**value_set("broken", {"system": "urn:x"}), "url": "http://hl7.org/fhir/ValueSet/administrative-gender"},
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_what_installs_can_be_lived_with_and_removed(new_tenant: Callable[[], TestTenant], name: str) -> None:
    client = new_tenant().client()
    answer = install(client, guide("hostile.broken", "1.0.0", BROKEN[name]))
    assert answer.status in (200, 422), answer.text
    claims = patient("p", gender="female", contact=[{"name": {"text": "x"}}])
    claims["meta"] = {"profile": [f"{URL}/StructureDefinition/broken"]}
    assert put(client, claims).status in (201, 422)
    _all_answer(client)
    if answer.status == 200:
        assert remove(client, "hostile.broken").status == 200
    assert put(client, patient("p", gender="male")).status in (200, 201)


def _all_answer(client: Client) -> None:
    for path in ("Patient?gender=female", "ValueSet?_count=5", "metadata", "$packages", "ValueSet?date=2020"):
        assert client.get(path).status == 200, path
