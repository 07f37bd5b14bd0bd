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


def test_profiles_are_honestly_not_checked(client: Client) -> None:
    body = wrapped(GOOD)
    body["parameter"].append({"name": "profile", "valueUri": "urn:some-profile"})
    answer = client.post("Patient/$validate", body)
    assert severities(answer) == {"information"}
    assert "not-supported" in {issue["code"] for issue in answer.issues}


def test_refusals(client: Client, tenant: TestTenant, stored: str) -> None:
    assert client.post("Patient/$validate").status == 400
    assert client.post("Patient/$validate", "{").status == 400
    assert client.post("Patient/$validate", wrapped(GOOD, mode="sometimes")).status == 400
    assert client.post("Patient/$validate", wrapped(GOOD, mode="delete")).status == 400
    assert client.post("Patient/no-such/$validate", wrapped(mode="delete")).status == 404
    reader = tenant.client("system/Patient.rs")
    assert reader.post(f"Patient/{stored}/$validate", wrapped(mode="delete")).status == 403
    assert severities(reader.post("Patient/$validate", GOOD)) == {"information"}
