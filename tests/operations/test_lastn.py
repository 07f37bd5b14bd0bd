"""Observation/$lastn: the newest of each code, under any search parameters."""

from typing import Any

import pytest

from tests.client import Client
from tests.conftest import TestTenant


def observation(patient: str, code: str, when: str, category: str = "vital-signs") -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "category": [{"coding": [{"code": category}]}],
        "code": {"coding": [{"system": "urn:codes", "code": code}]},
        "subject": {"reference": patient},
        "effectiveDateTime": when,
    }


@pytest.fixture(scope="module")
def patient(client: Client) -> str:
    """A patient with five weights, two heights, one of the same code in another system, and one with text only."""
    made = f"Patient/{client.create({'resourceType': 'Patient'})['id']}"
    other = f"Patient/{client.create({'resourceType': 'Patient'})['id']}"
    for day in (3, 1, 5, 2, 4):
        client.create(observation(made, "weight", f"2024-01-0{day}"))
        client.create(observation(other, "weight", f"2024-02-0{day}"))
    client.create(observation(made, "height", "2024-01-09"))
    client.create(observation(made, "height", "2024-01-08", "survey"))
    foreign = observation(made, "weight", "2023-01-01")
    foreign["code"] = {"coding": [{"system": "urn:others", "code": "weight"}]}
    client.create(foreign)
    client.create({**observation(made, "x", "2022-01-01"), "code": {"text": "Mood"}})
    return made


def days(client: Client, query: str) -> list[tuple[str, str]]:
    answer = client.get(f"Observation/$lastn?{query}")
    assert answer.status == 200, answer.text
    assert answer.json["total"] == len(answer.json.get("entry", []))
    return sorted(
        (
            next((f"{c['system'][4:]}|{c['code']}" for c in r["code"].get("coding", [])), "text"),
            r["effectiveDateTime"][5:],
        )
        for r in (entry["resource"] for entry in answer.json.get("entry", []))
    )


ROWS = [
    ("", [("codes|height", "01-09"), ("codes|weight", "01-05"), ("others|weight", "01-01"), ("text", "01-01")]),
    ("&code=urn:codes|weight", [("codes|weight", "01-05")]),
    ("&code=urn:codes|weight&max=3", [("codes|weight", "01-03"), ("codes|weight", "01-04"), ("codes|weight", "01-05")]),
    ("&category=survey", [("codes|height", "01-08")]),
    ("&date=lt2024-01-03&code=urn:codes|weight", [("codes|weight", "01-02")]),
    ("&code=none", []),
]


@pytest.mark.parametrize(("query", "expected"), ROWS)
def test_newest_of_each_code(client: Client, patient: str, query: str, expected: list[tuple[str, str]]) -> None:
    assert days(client, f"patient={patient}{query}") == expected


def test_the_table_would_notice_a_wrong_row(client: Client, patient: str) -> None:
    assert days(client, f"patient={patient}&code=urn:codes|weight") != [("codes|weight", "01-01")]


def test_newest_first_within_a_code(client: Client, patient: str) -> None:
    answer = client.get(f"Observation/$lastn?patient={patient}&code=urn:codes|weight&max=9")
    times = [entry["resource"]["effectiveDateTime"] for entry in answer.json["entry"]]
    assert times == sorted(times, reverse=True)
    assert len(times) == 5


def test_over_all_patients_and_by_post(client: Client, patient: str) -> None:
    assert ("codes|weight", "02-05") in days(client, "")
    body = {
        "resourceType": "Parameters",
        "parameter": [{"name": "max", "valuePositiveInt": 2}, {"name": "patient", "valueString": patient}],
    }
    answer = client.post("Observation/$lastn", body)
    assert answer.json["total"] == 6


def test_refusals(client: Client, tenant: TestTenant, patient: str) -> None:
    for query in ("max=0", "max=x", "patiënt=1", "_sort=date", "_include=Observation:subject"):
        assert client.get(f"Observation/$lastn?{query}").status == 400, query
    assert tenant.client("system/Patient.rs").get(f"Observation/$lastn?patient={patient}").status == 403
    assert client.get("Patient/$lastn").status == 404
