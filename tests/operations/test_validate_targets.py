"""$validate looks at what references lead to, within what the caller may read; writes do not."""

from typing import Any

import pytest

from tests.client import Client

CORE = "http://hl7.org/fhir/StructureDefinition/"
BORN, SEEN = "http://clinic.example/StructureDefinition/born", "http://clinic.example/StructureDefinition/seen-subject"


def profile(url: str, type_: str, **element: Any) -> dict[str, Any]:
    """A profile of one element."""
    return {
        "resourceType": "StructureDefinition", "url": url, "name": "Tried", "status": "active", "kind": "resource", "abstract": False,
        "type": type_, "baseDefinition": CORE + type_, "derivation": "constraint",
        "differential": {"element": [{"id": element["path"], **element}]},
    }  # fmt: skip


@pytest.fixture(scope="module")
def patient(client: Client) -> str:
    """A Patient without date of birth, in a tenant with a profile whose subject has one."""
    client.create(profile(BORN, "Patient", path="Patient.birthDate", min=1))
    subject = {"path": "Observation.subject", "type": [{"code": "Reference", "targetProfile": [BORN]}]}
    client.create(profile(SEEN, "Observation", **subject))
    return str(client.create({"resourceType": "Patient", "gender": "male"})["id"])


def observation(reference: str) -> dict[str, Any]:
    """An Observation that claims the profile."""
    found = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "subject": {"reference": reference}}
    return {**found, "meta": {"profile": [SEEN]}}


def warned(client: Client, reference: str) -> list[str]:
    """Where $validate warns of the subject."""
    issues = client.post("Observation/$validate", observation(reference)).issues
    assert "error" not in {issue["severity"] for issue in issues}
    return [place for issue in issues for place in issue.get("expression", ()) if place == "Observation.subject"]


def test_a_stored_target_that_does_not_conform_is_a_warning(client: Client, patient: str) -> None:
    assert warned(client, f"Patient/{patient}") == ["Observation.subject"]
    assert warned(client, "Patient/nobody") == []


def test_no_write_is_refused_for_it(client: Client, patient: str) -> None:
    client.create(observation(f"Patient/{patient}"))


def test_a_stored_target_that_conforms_is_quiet(client: Client, patient: str) -> None:
    born = client.create({"resourceType": "Patient", "birthDate": "2000"})
    assert warned(client, f"Patient/{born['id']}") == []


def test_a_profile_that_the_caller_may_not_read_is_not_there(tenant: Any, patient: str) -> None:
    """What `$validate` says would tell what is in it."""
    mine = {"resourceType": "Patient", "gender": "male"}
    path = f"Patient/$validate?profile={BORN}"
    assert tenant.client("system/*.cruds").post(path, mine).status == 200
    assert tenant.client("system/Patient.cruds").post(path, mine).status == 404
    asked = f"Patient/{patient}/$fhirpath?expression=conformsTo('{BORN}')"
    assert "valueBoolean" in tenant.client("system/*.cruds").get(asked).text
    assert "valueBoolean" not in tenant.client("system/Patient.cruds").get(asked).text


def test_what_the_caller_may_not_read_is_not_followed(tenant: Any, patient: str) -> None:
    caller = tenant.client("system/Observation.cruds system/StructureDefinition.rs")
    assert warned(caller, f"Patient/{patient}") == []
