"""$validate: says everything, stores nothing, always 200 when there is something to validate."""

from typing import Any

import pytest

from tests.client import Answer, Client
from tests.conftest import TestTenant

TEXT = {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">A man</div>'}
GOOD: dict[str, Any] = {"resourceType": "Patient", "text": TEXT, "gender": "male"}
BAD: dict[str, Any] = {"resourceType": "Patient", "genre": "male"}


def severities(answer: Answer) -> set[str]:
    assert answer.status == 200, answer.text
    assert answer.json["resourceType"] == "OperationOutcome"
    return {issue["severity"] for issue in answer.issues}


def wrapped(resource: Any = None, **values: Any) -> dict[str, Any]:
    entries: list[dict[str, Any]] = [{"name": key, "valueCode": value} for key, value in values.items()]
    if resource is not None:
        entries.append({"name": "resource", "resource": resource})
    return {"resourceType": "Parameters", "parameter": entries}


@pytest.fixture(scope="module")
def stored(client: Client) -> str:
    """The id of a stored patient."""
    return str(client.create(GOOD)["id"])


ROWS: list[tuple[str, Any, bool]] = [
    ("Patient/$validate", GOOD, True),
    ("Patient/$validate", BAD, False),
    ("Patient/$validate", wrapped(GOOD), True),
    ("Patient/$validate", wrapped(BAD), False),
    ("Patient/$validate", wrapped(GOOD, mode="create"), True),
    ("Patient/$validate?mode=create", GOOD, True),
    ("Observation/$validate", wrapped(GOOD), False),
    ("Patient/{id}/$validate", wrapped({**GOOD, "id": "other"}, mode="update"), False),
    ("Patient/{id}/$validate", wrapped(mode="delete"), True),
    ("Patient/{id}/$validate", None, True),
]


@pytest.mark.parametrize(("path", "body", "valid"), ROWS)
def test_validate(client: Client, stored: str, path: str, body: Any, valid: bool) -> None:
    found = severities(client.post(path.replace("{id}", stored), body))
    assert ("error" in found) is not valid
    assert not valid or found == {"information"}


def test_the_table_would_notice_a_wrong_row(client: Client) -> None:
    assert severities(client.post("Patient/$validate", BAD)) != {"information"}


def test_a_warning_is_no_error(client: Client) -> None:
    assert severities(client.post("Patient/$validate", {"resourceType": "Patient"})) == {"warning", "information"}


def test_an_error_names_the_element(client: Client) -> None:
    answer = client.post("Patient/$validate", wrapped(BAD))
    assert any("Patient.genre" in issue.get("expression", []) for issue in answer.issues)


def test_nothing_is_stored(client: Client, stored: str) -> None:
    before = client.get("Patient?_summary=count").json["total"]
    client.post("Patient/$validate", GOOD)
    client.post(f"Patient/{stored}/$validate", wrapped(mode="delete"))
    assert client.get("Patient?_summary=count").json["total"] == before
    assert client.get(f"Patient/{stored}").json["meta"]["versionId"] == "1"


VITALS = "http://hl7.org/fhir/StructureDefinition/vitalsigns"
HEART = "http://hl7.org/fhir/StructureDefinition/heartrate"
PULSE: dict[str, Any] = {
    "resourceType": "Observation",
    "text": TEXT,
    "status": "final",
    "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
    "performer": [{"reference": "urn:uuid:5c9c8a4c-6c4c-4f6f-8c41-5f3f0f0f0f0f"}],
}


def with_profiles(resource: Any, *profiles: str, **values: Any) -> dict[str, Any]:
    body = wrapped(resource, **values)
    body["parameter"] += [{"name": "profile", "valueUri": profile} for profile in profiles]
    return body


def test_an_unknown_profile_is_not_found(client: Client) -> None:
    refused = client.post("Patient/$validate", with_profiles(GOOD, "urn:some-profile"))
    assert (refused.status, refused.issues[0]["expression"]) == (404, ["http.profile"])
    assert client.post("Observation/$validate", with_profiles(PULSE, f"{VITALS}|9.9.9")).status == 404


def test_asked_profiles_are_checked_all_at_once(client: Client) -> None:
    assert severities(client.post("Observation/$validate", PULSE)) == {"information"}
    answer = client.post("Observation/$validate", with_profiles(PULSE, VITALS, f"{HEART}|4.0.1"))
    assert "error" in severities(answer)
    broken = {
        (issue["expression"][0], coding["code"])
        for issue in answer.issues
        if issue["severity"] == "error"
        for coding in issue["details"]["coding"]
    }
    assert ("Observation.subject", f"{VITALS}#Observation.subject") in broken
    assert {"Observation.category", "Observation.subject"} <= {place for place, _ in broken}
    checked = answer.issues[-1] if "Checked" in answer.issues[-1]["details"]["text"] else answer.issues[-2]
    assert f"{HEART}|4.0.1" in checked["details"]["text"]


def test_what_is_wrong_at_several_depths_is_told_in_one_go(client: Client) -> None:
    bad = {**PULSE, "status": "done", "referenceRange": [{}, {"text": "x"}]}
    bad["referenceRange"][0] = {"type": {"text": "y"}}
    answer = client.post("Observation/$validate", with_profiles(bad, VITALS))
    places = {issue["expression"][0] for issue in answer.issues if issue["severity"] == "error"}
    assert {"Observation.status", "Observation.referenceRange[0]", "Observation.category"} <= places
    keys = {issue["details"].get("coding", [{}])[0].get("code") for issue in answer.issues}
    assert "obs-3" in keys


def test_a_profile_of_another_type_does_not_fit(client: Client) -> None:
    assert "error" in severities(client.post("Patient/$validate", with_profiles(GOOD, VITALS)))


def test_a_stored_resource_against_a_profile(client: Client) -> None:
    stored = client.create(PULSE)["id"]
    body = {"resourceType": "Parameters", "parameter": [{"name": "mode", "valueCode": "profile"}]}
    assert client.post(f"Observation/{stored}/$validate", body).status == 400
    body["parameter"].append({"name": "profile", "valueUri": VITALS})  # type: ignore[attr-defined]
    assert "error" in severities(client.post(f"Observation/{stored}/$validate", body))
    assert client.post("Observation/$validate", body).status == 400


def test_what_is_only_advised_is_a_warning(client: Client) -> None:
    claiming = {**PULSE, "meta": {"profile": [VITALS, "http://example.org/unknown"]}}
    answer = client.post("Observation/$validate", claiming)
    assert severities(answer) == {"information", "warning"}
    places = {issue["expression"][0] for issue in answer.issues if issue["severity"] == "warning"}
    assert {"Observation.category", "Observation.meta.profile[1]"} <= places


def test_every_entry_of_a_bundle(client: Client) -> None:
    good, bad = {"resource": {**PULSE, "performer": []}}, {"resource": {**PULSE, "meta": {"profile": [VITALS]}}}
    del good["resource"]["performer"]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [good, bad]}
    answer = client.post("Bundle/$validate", bundle)
    assert any(issue.get("expression") == ["Bundle.entry[1].resource.category"] for issue in answer.issues)
    assert not any("entry[0]" in issue.get("expression", [""])[0] for issue in answer.issues)


def test_what_would_stand_in_the_way_of_a_write(client: Client, tenant: TestTenant, stored: str) -> None:
    patient = {**GOOD, "id": stored}
    path = f"Patient/{stored}/$validate"
    assert severities(client.post(path, wrapped(patient, mode="update"), if_match='W/"1"')) == {"information"}
    late = client.post(path, wrapped({**patient, "active": True}, mode="update"), if_match='W/"7"')
    assert "error" in severities(late)
    owner = tenant.client("patient/*.cruds", patient=stored)
    other = {**PULSE, "subject": {"reference": "Patient/somebody-else"}}
    assert "error" in severities(owner.post("Observation/$validate", wrapped(other, mode="create")))
    mine = {**PULSE, "subject": {"reference": f"Patient/{stored}"}}
    assert severities(owner.post("Observation/$validate", wrapped(mine, mode="create"))) == {"information"}
    assert client.get(f"Patient/{stored}").json["meta"]["versionId"] == "1"
    dangling = client.post("Observation/$validate", wrapped(other, mode="create"))
    assert severities(dangling) == {"information", "warning"}


def test_business_rules_are_told_too(client: Client) -> None:
    visit = {
        "resourceType": "Appointment",
        "text": TEXT,
        "status": "booked",
        "start": "2030-01-01T10:00:00Z",
        "end": "2030-01-01T10:20:00Z",
        "participant": [{"actor": {"reference": "Patient/p"}, "status": "accepted"}],
    }
    stored = client.create({**visit, "status": "fulfilled"})
    body = wrapped({**stored, "status": "booked"}, mode="update")
    answer = client.post(f"Appointment/{stored['id']}/$validate", body)
    assert "business-rule" in {issue["code"] for issue in answer.issues if issue["severity"] == "error"}, answer.text


def test_refusals(client: Client, tenant: TestTenant, stored: str) -> None:
    assert client.post("Patient/$validate").status == 400
    assert client.post("Patient/$validate", "{").status == 400
    assert client.post("Patient/$validate", wrapped(GOOD, mode="sometimes")).status == 400
    assert client.post("Patient/$validate", wrapped(GOOD, mode="delete")).status == 400
    assert client.post("Patient/no-such/$validate", wrapped(mode="delete")).status == 404
    reader = tenant.client("system/Patient.rs")
    assert reader.post(f"Patient/{stored}/$validate", wrapped(mode="delete")).status == 403
    assert severities(reader.post("Patient/$validate", GOOD)) == {"information"}


ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"


@pytest.mark.parametrize(
    ("coding", "place"),
    [
        ({"system": ACT, "code": "AMB"}, ""), ({"system": ACT, "code": "AMB", "display": "Ambulatory"}, ""),
        ({"system": ACT, "code": "AMBX"}, "code"), ({"system": ACT, "code": "AMB", "display": "Flying"}, "display"),
        ({"system": "http://snomed.info/sct", "code": "1"}, ""),
    ],
)  # fmt: skip
def test_what_a_code_system_says_against_a_coding_is_a_warning(client: Client, coding: dict[str, Any], place: str) -> None:
    """Of systems that are not here nothing is said; and nothing is quoted."""
    issues = client.post("Patient/$validate", {**GOOD, "maritalStatus": {"coding": [coding]}}).issues
    said = [issue for issue in issues if "The code system does" in str(issue) or "The display is" in str(issue)]
    assert [issue["expression"] for issue in said] == [[f"Patient.maritalStatus.coding[0].{place}"]] * bool(place)
    assert all(issue["severity"] == "warning" and "AMB" not in str(issue) and "Flying" not in str(issue) for issue in said)
