"""A profile set of the size of US Core's, written for these tests: a Patient with complex extensions, slices, bindings
and invariants, and resources that claim it. Blood pressure and other vital signs are profiled by R4 itself."""

from collections.abc import Mapping
from typing import Any

from fhir_server.validation.scope import Scope
from tests.validation.profiles.kit import CORE, URL, Json, el, extension, profile, scope_of, slicing

PATIENT = f"{URL}clinic-patient"
_GROUPS, _LANGUAGES, _STATES = (f"http://example.org/ValueSet/{name}" for name in ("groups", "languages", "states"))
_GROUP = "urn:example:group"
VALUE_SETS: Mapping[str, set[tuple[str, str]]] = {
    _GROUPS: {(_GROUP, f"{n:04d}-{n % 9}") for n in range(900)},
    _LANGUAGES: {("urn:ietf:bcp:47", code) for code in ("en", "fr", "es", "ar", "wo", "pt", "de")},
    _STATES: {("urn:example:state", f"S{n:02d}") for n in range(60)},
}


def _required(value_set: str) -> Json:
    return {"strength": "required", "valueSet": value_set}


def _kind(name: str) -> list[Json]:
    return [{"code": "Extension", "profile": [URL + name]}]


def _group_extension(name: str) -> Json:
    """As US Core's race and ethnicity: a category, details and a text."""
    part = "Extension.extension"
    return extension(
        name,
        el(part, slicing=slicing("value:url"), min=1),
        el(f"{part}:category", max="5"), el(f"{part}:category.url", fixedUri="category"),
        el(f"{part}:category.value[x]", min=1, type=[{"code": "Coding"}], binding=_required(_GROUPS)),
        el(f"{part}:detailed"), el(f"{part}:detailed.url", fixedUri="detailed"),
        el(f"{part}:detailed.value[x]", min=1, type=[{"code": "Coding"}], binding=_required(_GROUPS)),
        el(f"{part}:text", min=1, max="1"), el(f"{part}:text.url", fixedUri="text"),
        el(f"{part}:text.value[x]", min=1, type=[{"code": "string"}]),
        el("Extension.value[x]", max="0"), on="Patient",
    )  # fmt: skip


def _birth_sex() -> Json:
    value_set = "http://hl7.org/fhir/ValueSet/administrative-gender"
    value = el("Extension.value[x]", min=1, type=[{"code": "code"}], binding=_required(value_set))
    return extension("clinic-birth-sex", el("Extension", max="1"), value, on="Patient")


def _patient() -> Json:
    named = {"key": "clinic-1", "severity": "error", "human": "A name has a family name, a given name or a reason why not.",
             "expression": "family.exists() or given.exists() or extension.where(url='" + CORE + "data-absent-reason').exists()"}  # fmt: skip
    return profile(
        "Patient",
        el("Patient.extension", slicing=slicing("value:url")),
        el("Patient.extension:race", max="1", type=_kind("clinic-race"), mustSupport=True),
        el("Patient.extension:ethnicity", max="1", type=_kind("clinic-ethnicity"), mustSupport=True),
        el("Patient.extension:birthSex", max="1", type=_kind("clinic-birth-sex"), mustSupport=True),
        el("Patient.identifier", min=1, mustSupport=True),
        el("Patient.identifier.system", min=1, mustSupport=True),
        el("Patient.identifier.value", min=1, mustSupport=True),
        el("Patient.name", min=1, mustSupport=True, constraint=[named]),
        el("Patient.name.family", mustSupport=True), el("Patient.name.given", mustSupport=True),
        el("Patient.telecom", mustSupport=True, slicing=slicing("value:system")),
        el("Patient.telecom.system", min=1, mustSupport=True), el("Patient.telecom.value", min=1, mustSupport=True),
        el("Patient.telecom:phone", max="3"), el("Patient.telecom:phone.system", min=1, fixedCode="phone"),
        el("Patient.gender", min=1, mustSupport=True), el("Patient.birthDate", mustSupport=True, minValueDate="1850-01-01"),
        el("Patient.address", mustSupport=True), el("Patient.address.line", mustSupport=True),
        el("Patient.address.state", mustSupport=True, binding={"strength": "extensible", "valueSet": _STATES}),
        el("Patient.address.postalCode", mustSupport=True, maxLength=10),
        el("Patient.communication", mustSupport=True),
        el("Patient.communication.language", mustSupport=True, binding={"strength": "extensible", "valueSet": _LANGUAGES}),
        el("Patient.generalPractitioner", type=[{"code": "Reference", "targetProfile": [CORE + "Practitioner"]}]),
        name="clinic-patient",
    )  # fmt: skip


def definitions() -> list[Json]:
    """All of the set."""
    return [_patient(), _group_extension("clinic-race"), _group_extension("clinic-ethnicity"), _birth_sex()]


def scope() -> Scope:
    """A tenant that has the set."""
    return scope_of(*definitions(), value_sets=VALUE_SETS)


def _group(name: str, number: int) -> Json:
    coding = {"system": _GROUP, "code": f"{number % 900:04d}-{number % 9}", "display": "Group"}
    return {"url": URL + name, "extension": [
        {"url": "category", "valueCoding": coding}, {"url": "detailed", "valueCoding": coding}, {"url": "text", "valueString": "x"},
    ]}  # fmt: skip


def patient(number: int = 0) -> dict[str, Any]:
    """A Patient of the size of US Core's example, which conforms to the profile."""
    return {
        "resourceType": "Patient", "id": f"p{number}", "meta": {"profile": [PATIENT]},
        "text": {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml"><p><b>Patient</b> {number}</p></div>'},
        "extension": [
            _group("clinic-race", number), _group("clinic-ethnicity", number + 1),
            {"url": URL + "clinic-birth-sex", "valueCode": "female"},
        ],
        "identifier": [{
            "use": "usual", "system": "urn:example:records", "value": f"{number:08d}",
            "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}], "text": "Record"},
        }],
        "active": True,
        "name": [
            {"use": "old", "family": "Diop", "given": ["Awa", "Marie"], "period": {"start": "2016-12-06", "end": "2020-07-22"}},
            {"family": "Ndiaye", "given": ["Awa", "Marie"], "suffix": ["PharmD"], "period": {"start": "2020-07-22"}},
        ],
        "telecom": [
            {"system": "phone", "value": "+221 77 000 00 00", "use": "home"}, {"system": "email", "value": "awa@example.org"},
        ],
        "gender": "female", "birthDate": "1987-02-20",
        "address": [
            {"use": "old", "line": ["49 Rue Carnot"], "city": "Dakar", "state": "S01", "postalCode": "11000", "country": "SN",
             "period": {"start": "2016-12-06", "end": "2020-07-22"}},
            {"line": ["183 Avenue Pompidou"], "city": "Dakar", "state": "S02", "postalCode": "11001", "country": "SN",
             "period": {"start": "2020-07-22"}},
        ],
        "communication": [{"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": "fr"}]}}],
        "generalPractitioner": [{"reference": "Practitioner/d"}],
    }  # fmt: skip
