"""What the mode `tag` keeps, and dates of other millennia, on the pages of those who work with it: never a fault."""

from collections import defaultdict
from typing import Any

import pytest

from tests.hardening.conformance.hostile import Json, tags
from tests.hardening.conformance.odd_variants import FAR, variants
from tests.ui.conftest import Demo, clinic
from tests.ui.odd.records import of_a_patient
from tests.ui.odd.test_odd_records import DOCTOR, Odd, addresses
from tests.ui.test_every_page import said

__all__ = ["clinic"]
WHO = "Patient/demo-0001"
ME = {"reference": WHO}
# One in so many of the broken records: all of them were walked once.
EVERY = 29
CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
CATEGORY = [
    {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "laboratory"}]}
]
WHOLE: Json = {
    "resourceType": "Patient", "active": True, "gender": "male", "birthDate": "1980-02-03",
    "name": [{"use": "official", "family": "X", "given": ["Y"], "period": {"start": "2020-01-01", "end": "2021-01-01"}}],
    "telecom": [{"system": "phone", "value": "+212600000000", "use": "mobile", "rank": 1}],
    "address": [{"use": "home", "type": "postal", "line": ["x"]}], "contact": [{"name": {"text": "x"}}],
    "link": [{"other": {"reference": "Patient/demo-0002"}, "type": "seealso"}],
}  # fmt: skip
# Each of these once took a page away, in the mode `tag` or in every one.
FOUND: list[Json] = [
    {**WHOLE, "gender": "zzz"},
    {"resourceType": "Appointment", "status": "booked", "start": "2031-01-01T10:00:00Z", "participant": [{"actor": ME, "status": "accepted"}]},
    {"resourceType": "Condition", "subject": ME, "code": {"text": "x"},
     "clinicalStatus": {"coding": [{"display": "x"}, {"system": CLINICAL, "code": "inactive"}]}},
]  # fmt: skip


def _far(date: str) -> list[Json]:
    """What a patient may write about himself."""
    return [
        {"resourceType": "Observation", "status": "final", "category": CATEGORY, "code": {"text": "x"}, "subject": ME,
         "effectiveDateTime": date, "valueQuantity": {"value": 5}},
        {"resourceType": "DocumentReference", "status": "current", "subject": ME, "author": [ME], "date": date,
         "content": [{"attachment": {"contentType": "text/plain", "data": "eA==", "creation": date}}]},
    ]  # fmt: skip


@pytest.fixture(scope="module")
def odd(clinic: Demo) -> Odd:  # noqa: F811
    """The ids of what was kept, by the parameter of an address that takes them."""
    client = clinic.client()
    for kind in (
        "Patient",
        "Appointment",
        "Condition",
        "Observation",
        "Encounter",
        "AllergyIntolerance",
        "Immunization",
    ):
        tags(client, kind)
    sound = [WHOLE, *client.search("Appointment?_count=2&_sort=-_lastUpdated"), *of_a_patient(WHO, DOCTOR)]
    broken = [each for record in sound for each in variants(record)]
    kept: dict[str, list[str]] = defaultdict(list)
    for record in [*FOUND, *(each for date in FAR[:3] for each in _far(date)), *broken[::EVERY]]:
        answer = client.post(record["resourceType"], record)
        assert answer.status in (201, 409, 422), answer.text
        if answer.status == 201:
            kept[record["resourceType"]].append(str(answer.id))
    assert len(kept["Patient"]) > 1
    assert sum(map(len, kept.values())) > 20
    people, visits = kept["Patient"][:8], kept["Appointment"][:8]
    found = {
        "patient_id": ["demo-0001", *people], "resource_id": people, "visit_id": visits, "appointment_id": visits,
        "portal_visit": visits, "invoice_id": kept["Invoice"][:4], "resource_type": ["Patient"],
    }  # fmt: skip
    return {name: ids for name, ids in found.items() if ids}


@pytest.mark.parametrize("role", ["practitioner", "receptionist", "patient"])
def test_every_page_is_shown(clinic: Demo, odd: Odd, role: str) -> None:  # noqa: F811
    person: Any = clinic.person(role)
    answers = {path: person.get(path).status_code for path in addresses(odd)}
    assert len(answers) > 40
    said([f"{path}: {status}" for path, status in answers.items() if status >= 500])
