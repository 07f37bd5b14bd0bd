"""What is wrong with a resource is found, placed and coded: one crafted fault per row."""

import copy
from decimal import Decimal
from typing import Any

import pytest

from fhir_server.conformance.registry import base_registry
from fhir_server.core.errors import Unprocessable
from fhir_server.validation.run import check, validate

DIV = '<div xmlns="http://www.w3.org/1999/xhtml">{}</div>'

BASES: dict[str, dict[str, Any]] = {
    "Patient": {
        "resourceType": "Patient",
        "id": "p",
        "name": [{"use": "official", "family": "Diop", "given": ["Awa", "Marie"]}],
        "gender": "female",
        "birthDate": "1980-02-29",
    },
    "Observation": {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
        "subject": {"reference": "Patient/p"},
        "effectiveDateTime": "2020-01-01T10:00:00Z",
        "issued": "2020-01-01T10:00:00.120+01:00",
        "valueQuantity": {"value": Decimal("1.00"), "system": "http://unitsofmeasure.org", "code": "/min"},
    },
    "Appointment": {
        "resourceType": "Appointment",
        "status": "booked",
        "start": "2020-01-01T10:00:00Z",
        "end": "2020-01-01T10:20:00Z",
        "participant": [{"actor": {"reference": "Patient/p"}, "status": "accepted"}],
    },
    "Claim": {
        "resourceType": "Claim",
        "status": "active",
        "type": {"coding": [{"code": "professional"}]},
        "use": "claim",
        "patient": {"reference": "Patient/p"},
        "created": "2020-01-01",
        "provider": {"reference": "Practitioner/d"},
        "priority": {"coding": [{"code": "normal"}]},
        "insurance": [{"sequence": 1, "focal": True, "coverage": {"reference": "Coverage/c"}}],
        "total": {"value": Decimal("10.50"), "currency": "MAD"},
    },
}

GONE = object()
CONTAINED = {"resourceType": "Patient", "id": "c"}

# base, path to set, value (GONE removes), expected (code, expression)
CASES: list[tuple[str, str, Any, str, str]] = [
    ("Observation", "code", GONE, "required", "Observation.code"),
    ("Claim", "insurance.0.coverage", GONE, "required", "Claim.insurance[0].coverage"),
    ("Observation", "status", GONE, "required", "Observation.status"),
    ("Appointment", "participant.0.status", GONE, "required", "Appointment.participant[0].status"),
    ("Appointment", "participant", GONE, "required", "Appointment.participant"),
    ("Patient", "name", {"family": "Diop"}, "structure", "Patient.name"),
    ("Patient", "gender", ["female"], "structure", "Patient.gender"),
    ("Observation", "code", [{"text": "x"}], "structure", "Observation.code"),
    ("Patient", "name", [], "structure", "Patient.name"),
    ("Patient", "name.0.given", [], "structure", "Patient.name[0].given"),
    ("Patient", "name", [{}], "structure", "Patient.name[0]"),
    ("Patient", "maritalStatus", {}, "structure", "Patient.maritalStatus"),
    ("Patient", "birthDate", None, "structure", "Patient.birthDate"),
    ("Patient", "name.0.given", ["Awa", None], "structure", "Patient.name[0].given"),
    ("Patient", "gender", "woman", "code-invalid", "Patient.gender"),
    ("Observation", "status", "done", "code-invalid", "Observation.status"),
    ("Patient", "name.0.use", "first", "code-invalid", "Patient.name[0].use"),
    ("Patient", "birthDate", "2020-13-45", "value", "Patient.birthDate"),
    ("Patient", "birthDate", "2021-02-30", "value", "Patient.birthDate"),
    ("Patient", "birthDate", "2021-02-29", "value", "Patient.birthDate"),
    ("Observation", "effectiveDateTime", "2020-01-01T10:00:00", "value", "Observation.effective"),
    ("Observation", "issued", "2020-01-01T10:00:00", "value", "Observation.issued"),
    ("Patient", "surname", "Diop", "structure", "Patient.surname"),
    ("Patient", "name.0.first", "Awa", "structure", "Patient.name[0].first"),
    ("Appointment", "virtualService", [{}], "structure", "Appointment.virtualService"),
    ("Observation", "valueString", "x", "structure", "Observation.value"),
    ("Patient", "id", "no spaces allowed", "value", "Patient.id"),
    ("Patient", "id", "x" * 65, "value", "Patient.id"),
    ("Patient", "active", "true", "structure", "Patient.active"),
    ("Observation", "valueQuantity.value", "1.00", "structure", "Observation.value.value"),
    ("Patient", "implicitRules", "http://example.org/a b", "value", "Patient.implicitRules"),
    ("Patient", "photo", [{"contentType": "image/png", "data": "not base64!"}], "value", "Patient.photo[0].data"),
    ("Claim", "insurance.0.sequence", 0, "value", "Claim.insurance[0].sequence"),
    ("Observation", "subject.reference", "Claim/1", "value", "Observation.subject.reference"),
    ("Observation", "subject.reference", "Patience/1", "value", "Observation.subject.reference"),
    ("Observation", "subject.reference", "p", "value", "Observation.subject.reference"),
    ("Observation", "subject.type", "Group", "value", "Observation.subject.reference"),
    ("Claim", "total.currency", "DHS", "code-invalid", "Claim.total.currency"),
    ("Patient", "contact", [{"gender": "female"}], "invariant", "Patient.contact[0]"),
    ("Observation", "dataAbsentReason", {"text": "x"}, "invariant", "Observation"),
    ("Patient", "contained", [{**CONTAINED, "contained": [CONTAINED]}], "invariant", "Patient"),
    ("Patient", "contained", [CONTAINED], "invariant", "Patient.contained[0]"),
    ("Observation", "subject.reference", "#nobody", "value", "Observation.subject.reference"),
    ("Patient", "extension", [{"url": "http://x", "valueString": "a", "extension": [{"url": "b", "valueCode": "c"}]}],
     "invariant", "Patient.extension[0]"),
    ("Patient", "extension", [{"url": "http://x"}], "invariant", "Patient.extension[0]"),
    ("Appointment", "start", GONE, "invariant", "Appointment"),
    ("Patient", "name.0.period", {"start": "2021", "end": "2020"}, "invariant", "Patient.name[0].period"),
    ("Patient", "text", {"status": "generated", "div": DIV.format("<script>x()</script>")}, "invariant",
     "Patient.text.div"),
    ("Patient", "text", {"status": "generated", "div": DIV.format('<a href="javascript:x()">x</a>')}, "invariant",
     "Patient.text.div"),
    ("Patient", "text", {"status": "generated", "div": DIV.format('<p onclick="x()">x</p>')}, "invariant",
     "Patient.text.div"),
    ("Patient", "maritalStatus", {"id": "x"}, "invariant", "Patient.maritalStatus"),
    ("Patient", "_birthDate", {"value": "x"}, "structure", "Patient.birthDate.value"),
    ("Patient", "name.0._given", [None, {"value": "x"}], "structure", "Patient.name[0].given[1]"),
    ("Patient", "contained", [{"resourceType": "Patience"}], "value", "Patient.contained[0].resourceType"),
    ("Patient", "contained", [{**CONTAINED, "gender": "x"}], "code-invalid", "Patient.contained[0].gender"),
]  # fmt: skip


def changed(base: str, path: str, value: Any) -> dict[str, Any]:
    resource = copy.deepcopy(BASES[base])
    *parents, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    at: Any = resource
    for step in parents:
        at = at[step]
    if value is GONE:
        del at[last]
    else:
        at[last] = value
    return resource


def found(resource: dict[str, Any]) -> set[tuple[str, str | None]]:
    try:
        validate(base_registry(), resource)
    except Unprocessable as error:
        return {(issue.code, issue.expression) for issue in error.issues}
    return set()


@pytest.mark.parametrize("base", BASES)
def test_the_unchanged_base_is_valid(base: str) -> None:
    assert found(BASES[base]) == set()


@pytest.mark.parametrize(("base", "path", "value", "code", "expression"), CASES)
def test_fault_is_found(base: str, path: str, value: Any, code: str, expression: str) -> None:
    assert (code, expression) in found(changed(base, path, value))


SINGLE = [case for case in CASES if case[1] not in ("contained", "start")]


@pytest.mark.parametrize(("base", "path", "value", "code", "expression"), SINGLE)
def test_one_fault_makes_one_issue(base: str, path: str, value: Any, code: str, expression: str) -> None:
    issues = check(base_registry(), changed(base, path, value))
    assert len([issue for issue in issues if issue.severity == "error"]) == 1


VALID: list[tuple[str, str, Any]] = [
    ("Patient", "name.0.given", ["Awa", None]),
    ("Patient", "birthDate", "2000-02-29"),
    ("Patient", "birthDate", "1980"),
    ("Patient", "deceasedDateTime", "2020-01"),
    ("Patient", "language", "fr-SN"),
    ("Patient", "managingOrganization", {"reference": "urn:uuid:c757873d-ec9a-4326-a141-556f43239520"}),
    ("Patient", "managingOrganization", {"reference": "https://example.org/fhir/Organization/1/_history/2"}),
    ("Patient", "managingOrganization", {"identifier": {"value": "x"}}),
    ("Patient", "photo", [{"contentType": "image/png; charset=x", "data": "QUJD\nREVG"}]),
    ("Patient", "extension", [{"url": "http://x", "valueReference": {"reference": "Claim/1"}}]),
    ("Observation", "subject", {"display": "somebody"}),
    ("Patient", "text", {"status": "generated", "div": DIV.format("a&nbsp;b <b>&lt;</b><br/>")}),
]


@pytest.mark.parametrize(("base", "path", "value"), VALID)
def test_valid_change_is_accepted(base: str, path: str, value: Any) -> None:
    resource = changed(base, path, value)
    if path == "name.0.given":
        resource["name"][0]["_given"] = [None, {"extension": [{"url": "http://x", "valueCode": "masked"}]}]
    assert found(resource) == set()


def test_an_id_alone_may_stand_beside_a_value_and_not_in_its_place() -> None:
    resource = changed("Patient", "birthDate", "1974-12-25")
    resource["_birthDate"] = {"id": "b"}
    given = resource["name"][0]["given"] = ["Awa", "Marie"]
    resource["name"][0]["_given"] = [None, {"id": "g"}]
    assert found(resource) == set()
    del resource["birthDate"]
    given[1] = None
    assert found(resource) == {("structure", "Patient.birthDate"), ("structure", "Patient.name[0].given[1]")}


def test_required_primitive_may_have_only_an_extension() -> None:
    resource = changed("Observation", "status", GONE)
    resource["_status"] = {"extension": [{"url": "http://x", "valueCode": "unknown"}]}
    assert found(resource) == set()


def test_the_resource_is_not_changed() -> None:
    resource = changed("Claim", "use", "claim")
    before = copy.deepcopy(resource)
    validate(base_registry(), resource)
    assert resource == before


TEXTS: list[tuple[str, str, Any, str]] = [
    ("Patient", "birthdate", "1980", "Did you mean 'birthDate'?"),
    ("Patient", "gender", "x", "must be one of: female, male, other, unknown."),
    ("Observation", "value", "x", "carries its type in the name: 'valueQuantity'"),
    ("Patient", "name", {"family": "x"}, "must be a list"),
    ("Patient", "birthDate", "x", "YYYY-MM-DD"),
    ("Appointment", "participant.0.status", GONE, "'status' is required in Appointment.participant but missing."),
    ("Observation", "subject.reference", "Claim/1", "must be to Device, Group, Location, Patient."),
]


@pytest.mark.parametrize(("base", "path", "value", "text"), TEXTS)
def test_message_helps(base: str, path: str, value: Any, text: str) -> None:
    issue, *others = check(base_registry(), changed(base, path, value))
    assert text in issue.text
    assert [other.rule for other in others] in ([], ["dom-6"])


def test_best_practice_is_only_remarked_on_when_asked() -> None:
    validate(base_registry(), BASES["Patient"])
    (issue,) = check(base_registry(), BASES["Patient"])
    assert (issue.severity, issue.expression) == ("warning", "Patient")
    assert "dom-6" in issue.text


def test_messages_do_not_quote_values() -> None:
    for base, path, value, *_ in CASES:
        if isinstance(value, str) and len(value) > 8:
            assert all(value not in issue.text for issue in check(base_registry(), changed(base, path, value)))
