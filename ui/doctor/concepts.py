"""Codes that this room writes and looks for, and the small FHIR data types around them."""

from collections.abc import Iterable, Mapping
from typing import Any

Resource = dict[str, Any]

TERMINOLOGY = "http://terminology.hl7.org/CodeSystem/"
LOINC = "http://loinc.org"
SNOMED = "http://snomed.info/sct"
ICD10 = "http://hl7.org/fhir/sid/icd-10"
ATC = "http://www.whocc.no/atc"
UCUM = "http://unitsofmeasure.org"
ACT_CODE = TERMINOLOGY + "v3-ActCode"
CONDITION_CLINICAL = TERMINOLOGY + "condition-clinical"
CONDITION_VERIFICATION = TERMINOLOGY + "condition-ver-status"
ALLERGY_CLINICAL = TERMINOLOGY + "allergyintolerance-clinical"
ALLERGY_VERIFICATION = TERMINOLOGY + "allergyintolerance-verification"
NO_KNOWN_ALLERGY = "716186003"
PREGNANCY_STATUS = "82810-3"
PREGNANT = "77386006"


def coding(system: str, code: str, display: str = "") -> Resource:
    """A Coding."""
    return {"system": system, "code": code, **({"display": display} if display else {})}


def concept(system: str, code: str, display: str = "", text: str = "") -> Resource:
    """A CodeableConcept of one coding."""
    return {"coding": [coding(system, code, display)], **({"text": text} if text else {})}


def worded(text: str, codings: Iterable[Mapping[str, str]] = ()) -> Resource:
    """What somebody wrote, with the codings that are known for it."""
    known = [dict(each) for each in codings]
    return {**({"coding": known} if known else {}), "text": text}


def codes_of(value: Mapping[str, Any] | None) -> set[str]:
    """The codes of a CodeableConcept, whatever their system."""
    return {str(each["code"]) for each in (value or {}).get("coding", ()) if each.get("code")}


def has_code(value: Mapping[str, Any] | None, *codes: str) -> bool:
    """Whether a CodeableConcept has one of these codes."""
    return not codes_of(value).isdisjoint(codes)


def words_of(value: Mapping[str, Any] | None) -> str:
    """What a CodeableConcept is called: its text, else a display, else a code."""
    if not value:
        return ""
    if value.get("text"):
        return str(value["text"])
    codings = list(value.get("coding", ()))
    shown = next((each["display"] for each in codings if each.get("display")), "")
    return str(shown or next((each["code"] for each in codings if each.get("code")), ""))


def refers(reference: str, display: str = "") -> Resource:
    """A Reference."""
    return {"reference": reference, **({"display": display} if display else {})}


def target(value: Mapping[str, Any] | None) -> str:
    """`Type/id` of a Reference to this server; "" when there is none."""
    text = str((value or {}).get("reference", ""))
    return text.partition("/_history/")[0]


def version(resource: Mapping[str, Any]) -> str:
    """The number of a version, for If-Match."""
    return str(resource.get("meta", {}).get("versionId", ""))
