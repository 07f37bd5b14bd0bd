"""What the clinic knows of the patient, in short lists: allergies, medicines, vaccinations, health problems."""

from collections.abc import Sequence
from typing import Any

from flask.typing import ResponseReturnValue

from ui import fhir, formats
from ui.fhir import Found, Resource
from ui.portal import whose
from ui.portal.place import bp
from ui.portal.shown import shown


@bp.get("/record")
def record(slug: str) -> ResponseReturnValue:
    """Medicines, allergies, vaccinations and health problems: short lists of what the clinic knows."""
    patient = whose.patient()
    medicines, allergies, vaccines, problems = fhir.gather([
        ("MedicationRequest", {"patient": patient, "status": "active,completed,stopped,on-hold", "_sort": "-authoredon",
                               "_count": 60}),
        ("AllergyIntolerance", {"patient": patient, "_count": 60}),
        ("Immunization", {"patient": patient, "status": "completed", "_sort": "-date", "_count": 100}),
        ("Condition", {"patient": patient, "_sort": "-recorded-date", "_count": 60}),
    ])  # fmt: skip
    return shown(
        "record.html",
        medicines=[_medicine(each) for each in _listed(medicines)],
        allergies=[_allergy(each) for each in _listed(allergies) if _holds(each)],
        vaccines=[_vaccine(each) for each in _listed(vaccines)],
        problems=[{"name": formats.coded(each.get("code")), "since": each.get("onsetDateTime"),
                   "active": _code(each, "clinicalStatus") in ("active", "recurrence", "relapse", "")}
                  for each in _listed(problems) if _holds(each)],
    )  # fmt: skip


def _listed(found: Any) -> Sequence[Resource]:
    return found.resources if isinstance(found, Found) else []


def _code(resource: Resource, element: str) -> str:
    return next((str(each.get("code", "")) for each in resource.get(element, {}).get("coding", ())), "")


def _holds(resource: Resource) -> bool:
    """Whether nobody took it back."""
    return _code(resource, "verificationStatus") not in ("entered-in-error", "refuted")


def _medicine(resource: Resource) -> dict[str, Any]:
    name = formats.coded(resource.get("medicationCodeableConcept")) or formats.short_reference(
        resource.get("medicationReference")
    )
    doses = resource.get("dosageInstruction", ())
    how = [str(each.get("patientInstruction") or each.get("text") or "") for each in doses]
    return {"name": name, "how": "; ".join(filter(None, how)), "at": resource.get("authoredOn"),
            "by": formats.short_reference(resource.get("requester")) if resource.get("requester", {}).get("display")
            else "", "active": resource.get("status") == "active"}  # fmt: skip


def _allergy(resource: Resource) -> dict[str, Any]:
    reactions = [formats.coded(each) for reaction in resource.get("reaction", ())
                 for each in reaction.get("manifestation", ())]  # fmt: skip
    return {"name": formats.coded(resource.get("code")), "severe": resource.get("criticality") == "high",
            "reactions": ", ".join(filter(None, reactions)),
            "active": _code(resource, "clinicalStatus") in ("active", "")}  # fmt: skip


def _vaccine(resource: Resource) -> dict[str, Any]:
    protocol: Resource = next(iter(resource.get("protocolApplied", ())), {})
    return {"name": formats.coded(resource.get("vaccineCode")), "lot": str(resource.get("lotNumber", "")),
            "at": formats.date_of(resource.get("occurrenceDateTime")) or str(resource.get("occurrenceString", "")),
            "dose": protocol.get("doseNumberPositiveInt") or protocol.get("doseNumberString") or "",
            "against": formats.coded(protocol.get("targetDisease"))}  # fmt: skip
