"""Extensions with a known definition: where they stand, how often, what they hold, and whether they modify."""

from typing import Any

import pytest

from fhir_server.conformance.own_definitions import own_definitions
from fhir_server.core.errors import Issue
from fhir_server.validation.extensions import extension_issues
from tests.validation.profiles.kit import CORE, URL, Json, el, extension, scope_of

CODE = el("Extension.value[x]", min=1, type=[{"code": "code"}])


def context(kind: str, expression: str) -> list[Json]:
    """StructureDefinition.context."""
    return [{"type": kind, "expression": expression}]


DEFINITIONS = [
    extension("on-patient", CODE, on="Patient"),
    extension("on-contact", CODE, on="Patient.contact"),
    extension("on-contact-name", CODE, on="Patient.contact.name"),
    extension("on-names", CODE, on="HumanName"),
    extension("on-given", CODE, on="HumanName.given"),
    extension("on-birth-date", CODE, on="Patient.birthDate"),
    extension("on-value", CODE, on="Observation.value[x]"),
    extension("on-resources", CODE, on="DomainResource"),
    extension("on-elements", CODE, on="Element"),
    extension("on-backbone", CODE, on="BackboneElement"),
    extension("on-on-patient", CODE, context=context("extension", URL + "on-patient")),
    extension("on-official", CODE, context=context("fhirpath", "Patient.name.where(use = 'official')")),
    extension("on-canonical", CODE, on="CanonicalResource"),
    extension("once", el("Extension", max="1"), CODE),
    extension("modifier", el("Extension", isModifier=True, isModifierReason="It does."), CODE),
    extension("with-gender", CODE, contextInvariant=["gender.exists() and %extension.value.exists()"]),
]


def has(extended: str, /, **content: Any) -> Json:
    """Something with one extension."""
    return {"extension": [{"url": URL + extended, "valueCode": "x"}], **content}


def patient(**content: Any) -> Json:
    """A Patient."""
    return {"resourceType": "Patient", **content}


NAMED = {"family": "Diop"}
OBSERVATION = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
# What is right, what is wrong, and where that is said.
PLACES: list[tuple[str, Json, Json, str]] = [
    ("on-patient", patient(**has("on-patient")), patient(name=[has("on-patient")]), "Patient.name[0].extension[0]"),
    ("on-contact", patient(contact=[has("on-contact", name=NAMED)]), patient(**has("on-contact")), "Patient.extension[0]"),
    ("on-contact-name", patient(contact=[{"name": has("on-contact-name")}]), patient(name=[has("on-contact-name")]),
     "Patient.name[0].extension[0]"),
    ("on-names", patient(contact=[{"name": has("on-names")}], name=[has("on-names")]), patient(**has("on-names")),
     "Patient.extension[0]"),
    ("on-given", patient(name=[{"given": ["A", "B"], "_given": [None, has("on-given")]}]),
     patient(name=[{"family": "A", "_family": has("on-given")}]), "Patient.name[0].family.extension[0]"),
    ("on-birth-date", patient(birthDate="2000", _birthDate=has("on-birth-date")),
     patient(gender="male", _gender=has("on-birth-date")), "Patient.gender.extension[0]"),
    ("on-value", {**OBSERVATION, "valueString": "x", "_valueString": has("on-value")}, {**OBSERVATION, **has("on-value")},
     "Observation.extension[0]"),
    ("on-resources", patient(**has("on-resources")), patient(name=[has("on-resources")]), "Patient.name[0].extension[0]"),
    ("on-backbone", patient(contact=[has("on-backbone", name=NAMED)]), patient(name=[has("on-backbone")]),
     "Patient.name[0].extension[0]"),
    ("on-on-patient", patient(extension=[{"url": URL + "on-patient", "valueCode": "x", "_valueCode": has("on-elements")}]),
     patient(**has("on-on-patient")), "Patient.extension[0]"),
    ("on-official", patient(name=[has("on-official", use="official")]), patient(name=[has("on-official", use="old")]),
     "Patient.name[0].extension[0]"),
    ("on-canonical", {"resourceType": "ValueSet", "status": "draft", **has("on-canonical")}, patient(**has("on-canonical")),
     "Patient.extension[0]"),
    ("once", patient(**has("once"), name=[has("once")]), patient(extension=[*has("once")["extension"]] * 2),
     "Patient.extension[1]"),
    ("modifier", patient(modifierExtension=has("modifier")["extension"]), patient(**has("modifier")), "Patient.extension[0]"),
    ("no modifier", patient(**has("on-patient")), patient(modifierExtension=has("on-patient")["extension"]),
     "Patient.modifierExtension[0]"),
    ("with-gender", patient(gender="male", **has("with-gender")), patient(**has("with-gender")), "Patient.extension[0]"),
    ("in a contained resource", patient(contained=[patient(id="a", **has("on-patient"))]),
     patient(contained=[patient(id="a", name=[has("on-patient")])]), "Patient.contained[0].name[0].extension[0]"),
    ("in an entry", {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": patient(**has("on-patient"))}]},
     {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": {**OBSERVATION, **has("on-patient")}}]},
     "Bundle.entry[0].resource.extension[0]"),
    ("its value", patient(**has("on-patient")), patient(extension=[{"url": URL + "on-patient", "valueString": "x"}]),
     "Patient.extension[0].value"),
    ("R4's own", patient(extension=[{"url": f"{CORE}patient-birthPlace", "valueAddress": {"city": "Dakar"}}]),
     patient(extension=[{"url": f"{CORE}patient-birthPlace", "valueString": "Dakar"}]), "Patient.extension[0].value"),
    ("a number of R4's own", patient(extension=[{"url": f"{CORE}patient-birthPlace", "valueAddress": {"city": "Dakar"}}]),
     patient(extension=[{"url": f"{CORE}patient-birthPlace", "valueAddress": {"city": "Dakar"}}] * 2), "Patient.extension[1]"),
]  # fmt: skip


def said(resource: Json) -> list[Issue]:
    """What is said of the extensions of a resource."""
    return extension_issues(scope_of(*DEFINITIONS), resource)


@pytest.mark.parametrize(("right", "wrong", "at"), [pytest.param(*row[1:], id=row[0]) for row in PLACES])
def test_place_number_and_content(right: Json, wrong: Json, at: str) -> None:
    assert said(right) == []
    assert (at, "error") in [(issue.expression, issue.severity) for issue in said(wrong)]


def test_unknown_ones_are_others_business_but_for_modifiers() -> None:
    theirs = [{"url": "http://example.org/theirs", "valueString": "x"}]
    assert said(patient(extension=theirs)) == []
    assert [(i.severity, i.expression) for i in said(patient(modifierExtension=theirs))] == [
        ("warning", "Patient.modifierExtension[0]")
    ]


def test_an_unknown_one_of_this_server_is_refused() -> None:
    ours = [{"url": "urn:salam:StructureDefinition:no-such", "valueString": "x"}]
    assert [(i.severity, i.expression) for i in said(patient(extension=ours))] == [("error", "Patient.extension[0].url")]


@pytest.mark.parametrize("definition", own_definitions("structures"), ids=lambda d: d["id"])
def test_this_servers_own_definitions_compile(definition: Json) -> None:
    found = scope_of().definitions.find("StructureDefinition", definition["url"])
    assert found is not None
    if definition["type"] == "Extension":
        resource = patient(extension=[{"url": definition["url"], "valueSignature": {}}])
        assert any(issue.severity == "error" for issue in said(resource))
