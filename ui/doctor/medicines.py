"""What a patient takes: stopped, taken up again, and the signed prescription on paper."""

from datetime import date

from babel.dates import format_date
from flask import request
from flask.typing import ResponseReturnValue

from fhir_server.core.errors import NotFound
from ui import fhir, formats, page
from ui.doctor import dosage
from ui.doctor.concepts import Resource, target, version, words_of
from ui.doctor.entry import bp, here
from ui.doctor.prescribed import language_of
from ui.doctor.record import Place, of_patient, place, refreshed
from ui.texts import language, say, translate

_LONGEST_REASON = 500


@bp.post("/patient/<patient_id>/medication/<request_id>/stop")
def stop_medicine(slug: str, patient_id: str, request_id: str) -> ResponseReturnValue:
    """Stop a medicine, with the reason; can be taken back."""
    where, stored = line_of(patient_id, request_id)
    reason = " ".join(request.form.get("reason", "").split())[:_LONGEST_REASON]
    if stored["status"] not in ("active", "on-hold"):
        raise NotFound("There is no such page.")
    stopped = {**stored, "status": "stopped", "statusReason": {"text": reason or say("Stopped by the doctor")}}
    fhir.update(stopped, if_match=version(stored))
    undo = here(f"patient/{patient_id}/medication/{request_id}/resume?visit={where.visit_id}")
    name = words_of(stored.get("medicationCodeableConcept"))[:60]
    return refreshed(say("%(what)s is stopped.", what=name), undo=undo, where=where, name="prescription")


@bp.post("/patient/<patient_id>/medication/<request_id>/resume")
def resume_medicine(slug: str, patient_id: str, request_id: str) -> ResponseReturnValue:
    """Take the stopping of a medicine back."""
    where, stored = line_of(patient_id, request_id)
    if stored["status"] != "stopped":
        raise NotFound("There is no such page.")
    resumed = {name: value for name, value in {**stored, "status": "active"}.items() if name != "statusReason"}
    fhir.update(resumed, if_match=version(stored))
    return refreshed(say("Taken back: it is taken as before."), where=where, name="prescription")


@bp.get("/patient/<patient_id>/prescription/<group>")
def printed(slug: str, patient_id: str, group: str) -> ResponseReturnValue:
    """A signed prescription on paper, in the patient's language, with the clinic's name."""
    where = place(patient_id)
    found = fhir.search(
        "MedicationRequest", {"patient": f"Patient/{patient_id}", "_count": 200, "_sort": "-authoredon"}
    ).resources
    lines = [
        each
        for each in found
        if each.get("groupIdentifier", {}).get("value") == group and each["status"] != "entered-in-error"
    ]
    if not lines:
        raise NotFound("There is no such page.")
    reads = [target(lines[0].get("requester"))]
    clinic = target(where.encounter.get("serviceProvider")) if where.encounter else ""
    organizations = [clinic] if clinic else [("Organization", {"active": "true", "_count": 1})]
    doctor, organization = fhir.gather([reads[0] or f"Patient/{patient_id}", *organizations])
    if isinstance(organization, fhir.Found):
        organization = next(iter(organization.resources), None)
    spoken = str(lines[0].get("language") or language_of(where.patient))
    return page.page(
        "doctor/printed.html",
        patient=where.patient,
        lines=sorted(lines, key=lambda each: str(each["id"])),
        group=group,
        doctor=doctor if isinstance(doctor, dict) and doctor["resourceType"] != "Patient" else None,
        clinic=organization if isinstance(organization, dict) else None,
        spoken=spoken if spoken in ("fr", "en", "es", "ar") else language(),
        back=here(f"patient/{patient_id}?visit={where.visit_id}&work=prescription"),
        say_in=lambda spoken, text: translate(spoken, "doctor", text),
        amount_in=dosage.amount_of,
        date_in=_date_in,
    )


def _date_in(language: str, value: str) -> str:
    """A date in a language that may be another than the page's."""
    day = formats.moment_of(value).date() if "T" in value else date.fromisoformat((value + "-01-01")[:10])
    return format_date(day, "d MMMM y", locale="ar_MA" if language == "ar" else language)


def line_of(patient_id: str, request_id: str) -> tuple[Place, Resource]:
    """A patient and one of the own lines; `NotFound` for another patient's."""
    where = place(patient_id)
    return where, of_patient(where, fhir.read(f"MedicationRequest/{request_id}"))
