"""Lines of a prescription as MedicationRequests: made from a form, copied, joined to what was signed together."""

from typing import Any

from ui import formats, page
from ui.doctor import dosage
from ui.doctor.allergy_check import Conflict
from ui.doctor.concepts import ACT_CODE, Resource, concept, refers, target, worded, words_of
from ui.doctor.dosage import Line
from ui.doctor.entry import professional, signer
from ui.doctor.record import Place
from ui.texts import language, say

# The system of the groupIdentifier that joins what was signed together.
GROUP = "urn:salam:prescription"


def language_of(patient: Resource) -> str:
    """The language that is spoken with a patient, of those of the pages; else that of the page."""
    for each in sorted(patient.get("communication", ()), key=lambda given: not given.get("preferred")):
        for coding in each.get("language", {}).get("coding", ()):
            code = str(coding.get("code", "")).split("-")[0].lower()
            if code in ("fr", "en", "es", "ar"):
                return code
    return language()


def request_of(where: Place, line: Line, codings: Any, repeats: int | None) -> Resource:
    spoken = language_of(where.patient)
    made: Resource = {
        "resourceType": "MedicationRequest",
        "language": spoken,
        "status": "draft",
        "intent": "order",
        "medicationCodeableConcept": worded(line.medication, codings),
        **where.about(),
        "authoredOn": page.now().astimezone(page.zone()).isoformat(timespec="seconds"),
        "dosageInstruction": [dosage.dosage(line, spoken)],
    }
    if professional():
        made["requester"] = signer()
    supply = dosage.supply(line) or {}
    if repeats is not None:
        supply["numberOfRepeatsAllowed"] = repeats
    if supply:
        made["dispenseRequest"] = supply
    return made


def entries_of(made: Resource, met: list[Conflict], reason: str, where: Place) -> list[Resource]:
    """The line, and for each allergy it meets a DetectedIssue that says why it was prescribed all the same."""
    entries: list[Resource] = []
    issues = []
    now = page.now().astimezone(page.zone()).isoformat(timespec="seconds")
    for number, each in enumerate(met):
        url = f"urn:uuid:00000000-0000-4000-8000-{number:012}"
        allergy = f"AllergyIntolerance/{each.allergy['id']}"
        issue: Resource = {
            "resourceType": "DetectedIssue",
            "status": "final",
            "code": concept(ACT_CODE, "ALGY", "Allergy Alert"),
            "severity": "high" if each.certain else "moderate",
            "patient": where.subject,
            "identifiedDateTime": now,
            "implicated": [refers(allergy)],
            "detail": say(
                "%(medicine)s was prescribed in spite of an allergy on record.",
                medicine=words_of(made["medicationCodeableConcept"]),
            ),
            "mitigation": [
                {"action": {"text": reason}, "date": now, **({"author": signer()} if professional() else {})}
            ],
        }
        issues.append(refers(url))
        entries.append({"fullUrl": url, "resource": issue, "request": {"method": "POST", "url": "DetectedIssue"}})
    if issues:
        made = {**made, "detectedIssue": issues, "note": [{"text": reason, "time": now}]}
    return [{"resource": made, "request": {"method": "POST", "url": "MedicationRequest"}}, *entries]


def copy_of(where: Place, each: Resource) -> Resource:
    """A line once more, as a draft."""
    kept = (
        "language",
        "medicationCodeableConcept",
        "medicationReference",
        "dosageInstruction",
        "dispenseRequest",
        "reasonReference",
    )
    made = {
        "resourceType": "MedicationRequest",
        "status": "draft",
        "intent": "order",
        **{n: each[n] for n in kept if n in each},
    }
    made |= {
        **where.about(),
        "priorPrescription": refers(f"MedicationRequest/{each['id']}"),
        "authoredOn": page.now().astimezone(page.zone()).isoformat(timespec="seconds"),
    }
    if professional():
        made["requester"] = signer()
    return made


def belongs(request: Resource, where: Place) -> bool:
    """Whether a line is of the visit; outside of one, whether it is of no visit and was signed here today."""
    visit = target(request.get("encounter"))
    if where.visit_id:
        return visit == f"Encounter/{where.visit_id}"
    at = str(request.get("authoredOn", ""))
    return not visit and "T" in at and bool(group_of([request])) and formats.moment_of(at).date() == page.today()


def group_of(signed: list[Resource]) -> str:
    return next(
        (
            str(each["groupIdentifier"]["value"])
            for each in signed
            if each.get("groupIdentifier", {}).get("system") == GROUP
        ),
        "",
    )


def last_group(requests: list[Resource], signed: list[Resource]) -> list[Resource]:
    """The lines of the newest prescription before this visit."""
    before = [each for each in requests if each["status"] in ("active", "completed") and each not in signed]
    if not before:
        return []
    newest = max(before, key=lambda each: str(each.get("authoredOn", "")))
    group = newest.get("groupIdentifier", {}).get("value")
    if group:
        return [each for each in before if each.get("groupIdentifier", {}).get("value") == group]
    return [each for each in before if each.get("authoredOn") == newest.get("authoredOn")]
