"""FHIRPath Patch, one behaviour of https://hl7.org/fhir/R4/fhirpatch.html per row."""

import copy
from typing import Any

import pytest

from fhir_server.conformance.registry import base_registry
from fhir_server.core.errors import FhirError, Invalid, Unprocessable
from fhir_server.interactions.patch_fhirpath import apply_fhirpath_patch
from fhir_server.validation.run import validate

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p",
    "birthDate": "1920-01-01",
    "deceasedBoolean": False,
    "name": [{"family": "Diop", "given": ["Awa", "Marie"], "_given": [None, {"id": "g", "extension": [
        {"url": "http://x", "valueCode": "c"}]}]}],
    "identifier": [{"system": "a", "value": "1"}, {"system": "b", "value": "2"}, {"system": "c", "value": "3"}],
    "contact": [{"name": {"text": "a name"}}],
}  # fmt: skip

INTEGERS = ("index", "source", "destination")


def operation(**parts: Any) -> dict[str, Any]:
    """`value` is the part without its name; everything else is text or a number."""
    found: list[dict[str, Any]] = []
    for name, given in parts.items():
        if name == "value":
            found.append({"name": name, **given})
        else:
            found.append({"name": name, "valueInteger" if name in INTEGERS else "valueString": given})
    return {"name": "operation", "part": found}


def patched(*operations: dict[str, Any]) -> dict[str, Any]:
    parameters = {"resourceType": "Parameters", "parameter": list(operations)}
    return apply_fhirpath_patch(PATIENT, parameters, base_registry())


TEXT = {"valueCodeableConcept": {"text": "x"}}
NEW = {"valueIdentifier": {"value": "new"}}

DONE: list[tuple[dict[str, Any], str, Any]] = [
    (operation(type="add", path="Patient", name="maritalStatus", value=TEXT), "maritalStatus", {"text": "x"}),
    (operation(type="add", path="Patient", name="gender", value={"valueCode": "female"}), "gender", "female"),
    (operation(type="add", path="Patient", name="identifier", value=NEW), "identifier.3.value", "new"),
    (operation(type="add", path="Patient", name="telecom", value={"valueContactPoint": {"system": "sms"}}),
     "telecom", [{"system": "sms"}]),
    (operation(type="add", path="Patient.name[0]", name="given", value={"valueString": "Fatou"}),
     "name.0.given", ["Awa", "Marie", "Fatou"]),
    (operation(type="add", path="Patient", name="multipleBirth", value={"valueInteger": 2}), "multipleBirthInteger", 2),
    (operation(type="add", path="Patient.birthDate", name="extension",
               value={"part": [{"name": "url", "valueUri": "http://x"}, {"name": "value", "valueCode": "c"}]}),
     "_birthDate.extension.0.valueCode", "c"),
    (operation(type="add", path="Patient", name="contact", value={"part": [
        {"name": "name", "valueHumanName": {"text": "b"}},
        {"name": "relationship", "valueCodeableConcept": {"text": "r1"}},
        {"name": "relationship", "valueCodeableConcept": {"text": "r2"}},
        {"name": "period", "part": [{"name": "start", "valueDateTime": "2020"}]}]}),
     "contact.1", {"name": {"text": "b"}, "relationship": [{"text": "r1"}, {"text": "r2"}], "period": {"start": "2020"}}),
    (operation(type="add", path="Patient", name="extension", value={"part": [
        {"name": "url", "valueUri": "http://x"}, {"name": "value", "valueString": "v"}]}),
     "extension", [{"url": "http://x", "valueString": "v"}]),
    (operation(type="insert", path="Patient.identifier", index=1, value=NEW), "identifier.1.value", "new"),
    (operation(type="insert", path="Patient.identifier", index=3, value=NEW), "identifier.3.value", "new"),
    (operation(type="insert", path="Patient.photo", index=0, value={"valueAttachment": {"title": "t"}}),
     "photo", [{"title": "t"}]),
    (operation(type="insert", path="Patient.name[0].given", index=1, value={"valueString": "Fatou"}),
     "name.0.given", ["Awa", "Fatou", "Marie"]),
    (operation(type="delete", path="Patient.birthDate"), "birthDate", None),
    (operation(type="delete", path="Patient.maritalStatus"), "maritalStatus", None),
    (operation(type="delete", path="Patient.identifier.where(system = 'b')"), "identifier.1.system", "c"),
    (operation(type="delete", path="Patient.contact[0].name.text"), "contact", None),
    (operation(type="delete", path="Patient.name[0].given[0]"), "name.0._given.0.id", "g"),
    (operation(type="delete", path="Patient.deceased"), "deceasedBoolean", None),
    (operation(type="replace", path="Patient.birthDate", value={"valueDate": "1930-01-01"}), "birthDate", "1930-01-01"),
    (operation(type="replace", path="Patient.contact[0].name", value={"valueHumanName": {"text": "b"}}),
     "contact.0.name", {"text": "b"}),
    (operation(type="replace", path="Patient.deceased", value={"valueDateTime": "2020"}), "deceasedDateTime", "2020"),
    (operation(type="replace", path="Patient.deceased", value={"valueDateTime": "2020"}), "deceasedBoolean", None),
    (operation(type="replace", path="Patient.name.given.where($this = 'Awa')", value={"valueString": "Fatou"}),
     "name.0.given", ["Fatou", "Marie"]),
    (operation(type="move", path="Patient.identifier", source=2, destination=0), "identifier.0.system", "c"),
    (operation(type="move", path="Patient.name[0].given", source=1, destination=0), "name.0._given.0.id", "g"),
]  # fmt: skip


def at(value: Any, path: str) -> Any:
    for step in path.split("."):
        value = value[int(step)] if step.isdigit() else value.get(step)
    return value


@pytest.mark.parametrize(("step", "path", "expected"), DONE)
def test_operation(step: dict[str, Any], path: str, expected: Any) -> None:
    before = copy.deepcopy(PATIENT)
    result = patched(step)
    assert at(result, path) == expected
    assert before == PATIENT
    validate(base_registry(), result)


def test_operations_see_what_those_before_them_did() -> None:
    result = patched(
        operation(type="delete", path="Patient.contact[0]"),
        operation(type="add", path="Patient", name="contact", value={"part": [{"name": "name", "part": [
            {"name": "family", "valueString": "x"}]}]}),
        operation(type="add", path="Patient.contact[0]", name="gender", value={"valueCode": "male"}),
    )  # fmt: skip
    assert result["contact"] == [{"name": {"family": "x"}, "gender": "male"}]


REFUSED: list[tuple[dict[str, Any], type[FhirError]]] = [
    (operation(type="delete", path="Patient.identifier"), Unprocessable),
    (operation(type="replace", path="Patient.maritalStatus", value=TEXT), Unprocessable),
    (operation(type="replace", path="Patient.identifier", value=NEW), Unprocessable),
    (operation(type="add", path="Patient", name="birthDate", value={"valueDate": "1930"}), Unprocessable),
    (operation(type="add", path="Patient", name="deceased", value={"valueDateTime": "1930"}), Unprocessable),
    (operation(type="add", path="Patient", name="deceased", value={"valueString": "x"}), Unprocessable),
    (operation(type="add", path="Patient", name="surname", value={"valueString": "x"}), Unprocessable),
    (operation(type="add", path="Patient", name="name", value={"valueString": "x"}), Unprocessable),
    (operation(type="add", path="Patient", name="contact", value={"part": [{"name": "x", "valueString": "y"}]}),
     Unprocessable),
    (operation(type="insert", path="Patient.identifier", index=4, value=NEW), Unprocessable),
    (operation(type="insert", path="Patient.identifier", index=-1, value=NEW), Unprocessable),
    (operation(type="insert", path="Patient.birthDate", index=0, value={"valueDate": "1930"}), Unprocessable),
    (operation(type="move", path="Patient.identifier", source=0, destination=3), Unprocessable),
    (operation(type="replace", path="Patient.id", value={"valueId": "other"}), Unprocessable),
    (operation(type="delete", path="Patient"), Unprocessable),
    (operation(type="delete", path="'x'"), Unprocessable),
    (operation(type="replace", path="Patient.birthdate", value={"valueDate": "1930"}), Invalid),
    (operation(type="replace", path="Patient.(", value={"valueDate": "1930"}), Invalid),
    (operation(type="insert", path="Patient.identifier[0]", index=0, value=NEW), Invalid),
    (operation(type="insert", path="Patient.identifier", value=NEW), Invalid),
    (operation(type="remove", path="Patient.birthDate"), Invalid),
    (operation(type="delete"), Invalid),
    (operation(type="add", path="Patient", name="gender"), Invalid),
    ({"name": "operations", "valueString": "x"}, Invalid),
]  # fmt: skip


@pytest.mark.parametrize(("step", "error"), REFUSED)
def test_refusal_names_the_operation(step: dict[str, Any], error: type[FhirError]) -> None:
    first = operation(type="delete", path="Patient.photo")
    with pytest.raises(error) as caught:
        patched(first, step)
    assert (caught.value.issues[0].expression or "").startswith("Parameters.parameter[1]")


def test_parameters_that_are_not_valid_are_refused() -> None:
    with pytest.raises(FhirError):
        apply_fhirpath_patch(PATIENT, {"resourceType": "Parameters", "parameter": 3}, base_registry())
