"""What holds of any profile: an instance made of what it demands conforms, and one that lacks a part of that does not."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.validation.extensions import extension_issues
from fhir_server.validation.profile import profile_issues
from fhir_server.validation.run import check
from tests.validation.profiles import clinic
from tests.validation.profiles.kit import URL, Json, el, errors, profile, scope_of

# Elements in the order of Patient, each with a value that an instance can have and the way to it.
SAMPLES: list[tuple[str, str, Any]] = [
    ("Patient.language", "Code", "fr"),
    ("Patient.identifier.system", "Uri", "urn:x"),
    ("Patient.identifier.value", "String", "1"),
    ("Patient.active", "Boolean", True),
    ("Patient.name.use", "Code", "official"),
    ("Patient.name.family", "String", "Diop"),
    ("Patient.telecom.system", "Code", "phone"),
    ("Patient.telecom.value", "String", "1"),
    ("Patient.gender", "Code", "female"),
    ("Patient.birthDate", "Date", "1980-01-01"),
    ("Patient.address.city", "String", "Dakar"),
    ("Patient.maritalStatus.text", "String", "x"),
    ("Patient.contact.gender", "Code", "male"),
]
LISTS = {"identifier", "name", "telecom", "address", "contact"}


def put(resource: Json, path: str, value: Any) -> None:
    """Set a value at a path, in the first item of a list."""
    *outer, last = path.split(".")[1:]
    for name in outer:
        below = resource.setdefault(name, [{}] if name in LISTS else {})
        resource = below[0] if isinstance(below, list) else below
    resource[last] = value


def take(resource: Json, path: str) -> Json:
    """A copy without the value at a path, which leaves no empty objects."""
    made: Json = copy.deepcopy(resource)
    steps = path.split(".")[1:]
    held = made
    for name in steps[:-1]:
        held = held[name][0] if isinstance(held[name], list) else held[name]
    del held[steps[-1]]
    if not held:
        del made[steps[0]]
    return made


CHOSEN = st.lists(st.sampled_from(SAMPLES), min_size=1, unique_by=lambda row: row[0])


@given(CHOSEN, st.sets(st.integers(0, len(SAMPLES) - 1)))
def test_what_is_made_of_the_demands_conforms_and_lacks_none(chosen: list[tuple[str, str, Any]], fixed: set[int]) -> None:
    rows = sorted(chosen, key=SAMPLES.index)
    elements: dict[str, Json] = {}
    resource: Json = {"resourceType": "Patient"}
    for path, kind, value in rows:
        outer = path.rpartition(".")[0]
        if outer != "Patient":
            elements.setdefault(outer, el(outer, min=1))
        elements[path] = el(path, min=1, **({f"fixed{kind}": value} if SAMPLES.index((path, kind, value)) in fixed else {}))
        put(resource, path, value)
    if "telecom" in resource:
        resource["telecom"][0].setdefault("system", "phone")
    if "contact" in resource:
        put(resource, "Patient.contact.name", {"text": "x"})
    scope = scope_of(profile("Patient", *elements.values()))
    assert errors(scope, resource) == []
    for path, _, _ in rows:
        found = [issue.rule for issue in profile_issues(scope, take(resource, path), f"{URL}tried")]
        places = {f"{URL}tried#{path}", f"{URL}tried#{path.rpartition('.')[0]}"}
        assert places & set(found), path


def test_the_clinic_s_patient_conforms() -> None:
    scope, patient = clinic.scope(), clinic.patient()
    assert [i for i in check(scope.registry, patient) if i.severity == "error"] == []
    assert profile_issues(scope, patient, clinic.PATIENT) == extension_issues(scope, patient) == []




SPOILED = [
    ("gender", None, "Patient.gender", "Patient.gender"),
    ("identifier", None, "Patient.identifier", "Patient.identifier"),
    ("name", None, "Patient.name", "Patient.name"),
    ("name", [{"text": "x"}], "Patient.name[0]", "clinic-1"),
    ("identifier", [{"value": "1"}], "Patient.identifier[0].system", "Patient.identifier.system"),
    ("telecom", [{"system": "phone", "use": "home"}], "Patient.telecom[0].value", "Patient.telecom.value"),
    ("telecom", [{"system": "phone", "value": str(n)} for n in range(4)], "Patient.telecom[3]", "Patient.telecom:phone"),
    ("birthDate", "1849-12-31", "Patient.birthDate", "Patient.birthDate"),
    ("address", [{"postalCode": "12345678901"}], "Patient.address[0].postalCode", "Patient.address.postalCode"),
    ("address", [{"state": "XX"}], "Patient.address[0].state", "Patient.address.state"),
    ("generalPractitioner", [{"reference": "Organization/1"}], "Patient.generalPractitioner[0]", "Patient.generalPractitioner"),
    ("extension", [{"url": f"{URL}clinic-birth-sex", "valueCode": "x"}], "Patient.extension[0].value", "clinic-birth-sex#Extension.value[x]"),
    ("extension", [{"url": f"{URL}clinic-race", "extension": []}], "Patient.extension[0].extension", "clinic-race#Extension.extension"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value", "at", "rule"), SPOILED)
def test_the_clinic_s_patient_spoiled(name: str, value: Any, at: str, rule: str) -> None:
    patient = {**clinic.patient(), name: value}
    if value is None:
        del patient[name]
    found = {(i.expression, i.rule) for i in profile_issues(clinic.scope(), patient, clinic.PATIENT)}
    wanted = rule if rule == "clinic-1" else URL + (rule if "#" in rule else f"clinic-patient#{rule}")
    assert (at, wanted) in found


@given(st.integers(0, 10_000))
def test_any_of_the_clinic_s_patients_conforms(number: int) -> None:
    assert profile_issues(_CLINIC, clinic.patient(number), clinic.PATIENT) == []


_CLINIC = clinic.scope()
