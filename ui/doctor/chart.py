"""A patient's record as it stands, read in one round: everything that the summary shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from ui import fhir, formats, page
from ui.doctor import trends
from ui.doctor.allergy_check import is_active, is_none_known, none_are_known
from ui.doctor.concepts import PREGNANCY_STATUS, PREGNANT, Resource, codes_of, has_code, target
from ui.doctor.entry import is_id
from ui.doctor.trends import Trend
from ui.fhir import Found, Refused

_ERROR = "entered-in-error"
_PREGNANCY_DAYS = 300


@dataclass(frozen=True, slots=True)
class Chart:
    """What is known about a patient. `allergies_state`: some, none-known (somebody asked), not-asked."""

    patient: Resource
    allergies: Sequence[Resource]
    past_allergies: Sequence[Resource]
    allergies_state: str
    flags: Sequence[Resource]
    pregnant: str
    problems: Sequence[Resource]
    past_problems: Sequence[Resource]
    medications: Sequence[Resource]
    past_medications: Sequence[Resource]
    draft_medications: Sequence[Resource]
    results: Sequence[Trend]
    vitals: Sequence[Trend]
    immunizations: Sequence[Resource]
    visits: Sequence[Mapping[str, Any]]
    notes: Sequence[Resource]
    documents: Sequence[Resource]
    appointments: Sequence[Resource]
    orders: Sequence[Mapping[str, Any]]
    tickets: Sequence[Resource]
    withheld: Sequence[str]

    @property
    def patient_id(self) -> str:
        """The id of the patient."""
        return str(self.patient["id"])

    def open_visit(self) -> Resource | None:
        """The visit that is under way, newest first."""
        return next(
            (
                each["encounter"]
                for each in self.visits
                if each["encounter"]["status"] in ("in-progress", "arrived") and _of_today(each["encounter"])
            ),
            None,
        )


def read(patient_id: str) -> Chart:
    """The record of a patient, in one round of work. Raises `Refused` (404) for one who is not there for the caller."""
    who = f"Patient/{patient_id}"
    asked: dict[str, tuple[str, Mapping[str, Any]]] = {
        "AllergyIntolerance": ("AllergyIntolerance", {"patient": who, "_count": 100}),
        "Flag": ("Flag", {"patient": who, "_count": 20}),
        "Condition": ("Condition", {"patient": who, "_count": 200, "_sort": "-recorded-date"}),
        "MedicationRequest": ("MedicationRequest", {"patient": who, "_count": 100, "_sort": "-authoredon"}),
        "laboratory": ("Observation", {"patient": who, "category": "laboratory", "_count": 200, "_sort": "-date"}),
        "vital-signs": ("Observation", {"patient": who, "category": "vital-signs", "_count": 200, "_sort": "-date"}),
        "pregnancy": ("Observation", {"patient": who, "code": PREGNANCY_STATUS, "_count": 1, "_sort": "-date"}),
        "Immunization": ("Immunization", {"patient": who, "_count": 100, "_sort": "-date"}),
        "Encounter": ("Encounter", {"patient": who, "_count": 25, "_sort": "-date"}),
        "Composition": ("Composition", {"patient": who, "_count": 50, "_sort": "-date"}),
        "DocumentReference": ("DocumentReference", {"patient": who, "_count": 50, "_sort": "-date"}),
        "DiagnosticReport": ("DiagnosticReport", {"patient": who, "_count": 50, "_sort": "-date"}),
        "Appointment": (
            "Appointment",
            {"patient": who, "date": page.of_today()[0], "_count": 10, "_sort": "date"},
        ),
        "ServiceRequest": ("ServiceRequest", {"patient": who, "_count": 50, "_sort": "-authored"}),
        "Task": ("Task", {"patient": who, "ticket-state": "waiting,called,serving", "_count": 10}),
    }
    patient, *answers = fhir.gather([who, *asked.values()])
    if isinstance(patient, Refused):
        raise patient
    found = {
        name: [] if isinstance(each, Refused) else _usable(each) for name, each in zip(asked, answers, strict=True)
    }
    refused = [name for name, each in zip(asked, answers, strict=True) if isinstance(each, Refused)]
    return _chart(patient, found, refused)


def _usable(found: Found) -> list[Resource]:
    """What was not entered by mistake."""
    return [
        each
        for each in found.resources
        if each.get("status") != _ERROR and not has_code(each.get("verificationStatus"), _ERROR)
    ]


def _chart(patient: Resource, found: Mapping[str, list[Resource]], refused: Sequence[str]) -> Chart:
    allergies = found["AllergyIntolerance"]
    active = [each for each in allergies if is_active(each)]
    conditions, requests = found["Condition"], found["MedicationRequest"]
    current = [each for each in conditions if _is_problem(each)]
    return Chart(
        patient=patient,
        allergies=sorted(active, key=lambda each: each.get("criticality") != "high"),
        past_allergies=[each for each in allergies if each not in active and not is_none_known(each)],
        allergies_state="some" if active else "none-known" if none_are_known(allergies) else "not-asked",
        flags=[each for each in found["Flag"] if each.get("status") == "active"],
        pregnant=_pregnant(found["pregnancy"]),
        problems=current,
        past_problems=[each for each in conditions if each not in current],
        medications=[each for each in requests if each.get("status") in ("active", "on-hold")],
        past_medications=[each for each in requests if each.get("status") in ("stopped", "completed", "cancelled")],
        draft_medications=[each for each in requests if each.get("status") == "draft"],
        results=trends.trends(found["laboratory"]),
        vitals=trends.trends(found["vital-signs"]),
        immunizations=found["Immunization"],
        visits=_visits(found),
        notes=found["Composition"],
        documents=[*found["DocumentReference"], *found["DiagnosticReport"]],
        appointments=[
            each for each in found["Appointment"] if each["status"] in ("booked", "pending", "checked-in", "arrived")
        ],
        orders=_orders(found),
        tickets=found["Task"],
        withheld=refused,
    )


def _is_problem(condition: Resource) -> bool:
    refuted = has_code(condition.get("verificationStatus"), "refuted")
    return not refuted and has_code(condition.get("clinicalStatus"), "active", "recurrence", "relapse")


def _pregnant(observations: Sequence[Resource]) -> str:
    """Since when a pregnancy is known that may still be one; "" for none."""
    for each in observations:
        at = str(each.get("effectiveDateTime", ""))
        recent = at and formats.moment_of(at if "T" in at else f"{at}T00:00:00") > page.now() - timedelta(
            days=_PREGNANCY_DAYS
        )
        if recent and PREGNANT in codes_of(each.get("valueCodeableConcept")):
            return at
    return ""


def _visits(found: Mapping[str, list[Resource]]) -> list[dict[str, Any]]:
    """The visits, newest first, each with what was written in it."""
    rows = []
    for visit in found["Encounter"]:
        if visit["status"] in ("cancelled", "planned"):
            continue
        name = f"Encounter/{visit['id']}"
        of_visit = {
            kind: [each for each in found[kind] if target(each.get("encounter")) == name]
            for kind in ("Composition", "Condition", "MedicationRequest", "ServiceRequest")
        }
        who = next(
            (each["individual"].get("display", "") for each in visit.get("participant", ()) if "individual" in each), ""
        )
        rows.append(
            {
                "encounter": visit,
                "doctor": who,
                "notes": of_visit["Composition"],
                "diagnoses": of_visit["Condition"],
                "medications": [each for each in of_visit["MedicationRequest"] if each.get("status") != "draft"],
                "orders": of_visit["ServiceRequest"],
            }
        )
    return rows


def _orders(found: Mapping[str, list[Resource]]) -> list[dict[str, Any]]:
    """The orders, newest first, each with the reports and results that name it."""
    answers: dict[str, list[Resource]] = {}
    for each in (*found["DiagnosticReport"], *found["laboratory"]):
        for base in each.get("basedOn", ()):
            answers.setdefault(target(base), []).append(each)
    return [
        {"order": each, "results": answers.get(f"ServiceRequest/{each['id']}", [])} for each in found["ServiceRequest"]
    ]


def _of_today(encounter: Resource) -> bool:
    start = str(encounter.get("period", {}).get("start", ""))
    return "T" in start and formats.moment_of(start).date() == page.today()


def has_file(resource: Resource) -> bool:
    """Whether a document has a file on this server."""
    attachments: list[Resource] = [each.get("attachment", {}) for each in resource.get("content", ())]
    return any("data" in each or binary_of(each) for each in attachments)


def binary_of(attachment: Resource) -> str:
    """`Binary/id` of the file of an attachment on this server; "" for none."""
    kind, _, id_ = str(attachment.get("url", "")).rpartition("Binary/")
    local = not kind or "/fhir/" in kind
    return f"Binary/{id_}" if local and is_id(id_) and "Binary/" in str(attachment.get("url", "")) else ""
