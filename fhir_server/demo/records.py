"""Clinical resources of one patient of the demo, each valid FHIR R4."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from fhir_server.demo.clinical import (
    ATC,
    DIASTOLIC,
    ICD10,
    LOINC,
    SNOMED,
    SYSTOLIC,
    Allergen,
    Disease,
    Measure,
)
from fhir_server.demo.site import ORGANIZATION, Doctor, instant

_TERMINOLOGY = "http://terminology.hl7.org/CodeSystem/"
_UCUM = "http://unitsofmeasure.org"
_CATEGORY = {"vital-signs": "Vital Signs", "laboratory": "Laboratory"}


@dataclass(frozen=True, slots=True)
class Patient:
    """Whom a record is about: the reference, the name to show, and the doctor who sees the patient most."""

    reference: str
    display: str
    doctor: Doctor

    @property
    def subject(self) -> dict[str, Any]:
        """The Reference to the patient."""
        return {"reference": self.reference, "display": self.display}


def concept(system: str, code: str, display: str, text: bool = True) -> dict[str, Any]:
    """A CodeableConcept of one coding."""
    found: dict[str, Any] = {"coding": [{"system": system, "code": code, "display": display}]}
    return {**found, "text": display} if text else found


def encounter(who: Patient, at: datetime, visit: tuple[str, str, str, str]) -> dict[str, Any]:
    """A finished visit of half an hour (an emergency: three hours)."""
    kind, kind_display, reason, reason_display = visit
    end = at + timedelta(minutes=180 if kind == "EMER" else 30)
    return {
        "resourceType": "Encounter", "status": "finished",
        "class": {"system": _TERMINOLOGY + "v3-ActCode", "code": kind, "display": kind_display},
        "type": [concept(SNOMED, reason, reason_display)],
        "subject": who.subject,
        "participant": [{"individual": {"reference": who.doctor.reference, "display": who.doctor.display}}],
        "period": {"start": instant(at), "end": instant(end)},
        "location": [{"location": {"reference": who.doctor.site}}],
        "serviceProvider": {"reference": ORGANIZATION},
    }  # fmt: skip


def observation(
    random: Random, who: Patient, visit: str, at: datetime, measure: Measure, category: str, value: float | None = None
) -> dict[str, Any]:
    """A measured value with its reference range; vital signs at the visit, results of the laboratory a day later."""
    quantity = _quantity(measure, random.gauss(measure.mean, measure.spread) if value is None else value)
    taken = at + timedelta(days=1) if category == "laboratory" else at
    found = _observation(who, visit, taken, measure, category)
    found["valueQuantity"] = quantity
    ends = {"low": measure.low, "high": measure.high}
    limits = {name: _quantity(measure, limit) for name, limit in ends.items() if limit}
    if limits:
        found["referenceRange"] = [limits]
        found["interpretation"] = [_interpretation(quantity["value"], limits)]
    return found


def blood_pressure(random: Random, who: Patient, visit: str, at: datetime) -> dict[str, Any]:
    """The blood pressure panel with its two components."""
    panel = Measure("85354-9", "Blood pressure panel with all children optional", "", "", 0, 0, 0)
    found = _observation(who, visit, at, panel, "vital-signs")
    found["component"] = [
        {
            "code": concept(LOINC, measure.code, measure.display),
            "valueQuantity": _quantity(measure, random.gauss(measure.mean, measure.spread)),
        }
        for measure in (SYSTOLIC, DIASTOLIC)
    ]
    return found


def _observation(who: Patient, visit: str, at: datetime, measure: Measure, category: str) -> dict[str, Any]:
    return {
        "resourceType": "Observation", "status": "final",
        "category": [concept(_TERMINOLOGY + "observation-category", category, _CATEGORY[category], text=False)],
        "code": concept(LOINC, measure.code, measure.display),
        "subject": who.subject,
        "encounter": {"reference": visit},
        "effectiveDateTime": instant(at),
        "performer": [{"reference": ORGANIZATION}],
    }  # fmt: skip


def _quantity(measure: Measure, value: float | str) -> dict[str, Any]:
    amount = Decimal(value) if isinstance(value, str) else Decimal(f"{max(value, 0.1):.{measure.places}f}")
    return {"value": amount, "unit": measure.unit, "system": _UCUM, "code": measure.ucum}


def _interpretation(value: Decimal, limits: dict[str, Any]) -> dict[str, Any]:
    code, display = "N", "Normal"
    if "low" in limits and value < limits["low"]["value"]:
        code, display = "L", "Low"
    elif "high" in limits and value > limits["high"]["value"]:
        code, display = "H", "High"
    return concept(_TERMINOLOGY + "v3-ObservationInterpretation", code, display, text=False)


def condition(who: Patient, visit: str, at: datetime, disease: Disease, long_ago: bool) -> dict[str, Any]:
    """A confirmed problem found at a visit; an acute one of long ago is resolved."""
    resolved = long_ago and not disease.chronic
    status, display = ("resolved", "Resolved") if resolved else ("active", "Active")
    coded = concept(SNOMED, disease.snomed, disease.display)
    coded["coding"].append({"system": ICD10, "code": disease.icd10})
    return {
        "resourceType": "Condition",
        "clinicalStatus": concept(_TERMINOLOGY + "condition-clinical", status, display, text=False),
        "verificationStatus": concept(_TERMINOLOGY + "condition-ver-status", "confirmed", "Confirmed", text=False),
        "category": [
            concept(_TERMINOLOGY + "condition-category", "problem-list-item", "Problem List Item", text=False)
        ],
        "code": coded,
        "subject": who.subject,
        "encounter": {"reference": visit},
        "onsetDateTime": instant(at),
        **({"abatementDateTime": instant(at + timedelta(days=21))} if resolved else {}),
        "recordedDate": instant(at),
    }  # fmt: skip


def medication_request(
    who: Patient, visit: str, at: datetime, medication: tuple[str, str, str], reason: str, chronic: bool
) -> dict[str, Any]:
    """A prescription for a condition."""
    code, name, dosage = medication
    return {
        "resourceType": "MedicationRequest", "status": "active" if chronic else "completed", "intent": "order",
        "medicationCodeableConcept": concept(ATC, code, name),
        "subject": who.subject,
        "encounter": {"reference": visit},
        "authoredOn": instant(at),
        "requester": {"reference": who.doctor.reference, "display": who.doctor.display},
        "reasonReference": [{"reference": reason}],
        "dosageInstruction": [{"text": dosage}],
    }  # fmt: skip


def allergy(who: Patient, allergen: Allergen, recorded: date) -> dict[str, Any]:
    """A confirmed, active allergy."""
    return {
        "resourceType": "AllergyIntolerance",
        "clinicalStatus": concept(_TERMINOLOGY + "allergyintolerance-clinical", "active", "Active", text=False),
        "verificationStatus": concept(
            _TERMINOLOGY + "allergyintolerance-verification", "confirmed", "Confirmed", text=False
        ),
        "type": "allergy",
        "category": [allergen.category],
        "criticality": "low" if allergen.category == "environment" else "high",
        "code": concept(SNOMED, allergen.snomed, allergen.display),
        "patient": who.subject,
        "recordedDate": recorded.isoformat(),
    }  # fmt: skip
