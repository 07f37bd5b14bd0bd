"""What the tables of rules are made of: one case, and small resources and definitions."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tests.validation.profiles.kit import CORE, Json, el, profile

LOINC, UCUM = "http://loinc.org", "http://unitsofmeasure.org"
COLOURS = "http://example.org/ValueSet/colours"
RED, PINK = ("urn:colours", "red"), ("urn:colours", "pink")
SEXES = "http://example.org/ValueSet/sex"
VALUE_SETS = {
    COLOURS: {RED},
    "http://example.org/ValueSet/any-colour": {RED, PINK},
    SEXES: {("http://hl7.org/fhir/administrative-gender", "female")},
}


@dataclass(frozen=True, slots=True)
class Case:
    """`at`: the expression, and `rule` the element id (or invariant) that the bad instance breaks."""

    name: str
    elements: tuple[Json, ...]
    good: Json
    bad: Json
    at: str
    rule: str
    severity: str = "error"
    definitions: tuple[Json, ...] = field(default=())


def patient(**content: Any) -> Json:
    """A Patient."""
    return {"resourceType": "Patient", **content}


def observation(**content: Any) -> Json:
    """An Observation."""
    code = {"coding": [{"system": LOINC, "code": "1-8"}]}
    return {"resourceType": "Observation", "status": "final", "code": code, **content}


def coding(code: str, system: str = "urn:colours") -> Json:
    """A CodeableConcept of one coding."""
    return {"coding": [{"system": system, "code": code}]}


def component(code: str, **content: Any) -> Json:
    """A component of an Observation."""
    return {"code": coding(code, LOINC), **content}


def binding(strength: str, **content: Any) -> Json:
    """ElementDefinition.binding."""
    return {"strength": strength, "valueSet": COLOURS, **content}


def invariant(key: str, expression: str, severity: str = "error") -> list[Json]:
    """ElementDefinition.constraint."""
    return [{"key": key, "severity": severity, "human": "It holds.", "expression": expression}]


AWA, NAME = {"family": "Diop", "given": ["Awa"]}, "Patient.name"
MASS = {"value": Decimal("70"), "unit": "kg", "system": UCUM, "code": "kg"}
QUANTITY = "Observation.value[x]"
SUBJECT, REFERRED = "Observation.subject", "Patient.generalPractitioner"


def refers(*targets: str, **content: Any) -> list[Json]:
    """ElementDefinition.type of a reference."""
    return [{"code": "Reference", "targetProfile": [t if ":" in t else CORE + t for t in targets], **content}]


ADULT = profile("Patient", el("Patient.birthDate", min=1), name="born")
LONG_NAME = profile("HumanName", el("HumanName.family", min=1), name="long-name")
CONTAINED = {"contained": [{"resourceType": "Patient", "id": "p", "gender": "male"}], "subject": {"reference": "#p"}}
BORN = {"contained": [{"resourceType": "Patient", "id": "p", "birthDate": "2000"}], "subject": {"reference": "#p"}}
