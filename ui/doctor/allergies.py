"""Allergies: noted, taken back, and the word that somebody asked and there are none."""

from typing import Any

from flask import request
from flask.typing import ResponseReturnValue

from fhir_server.core.errors import NotFound
from ui import fhir, page
from ui.doctor import terms
from ui.doctor.allergy_check import is_active, is_none_known, none_are_known
from ui.doctor.chart import Chart
from ui.doctor.concepts import (
    ALLERGY_CLINICAL,
    ALLERGY_VERIFICATION,
    NO_KNOWN_ALLERGY,
    SNOMED,
    Resource,
    concept,
    has_code,
    version,
    worded,
    words_of,
)
from ui.doctor.entry import bp, here, professional, signer
from ui.doctor.record import Place, done, form, of_patient, place, refreshed, work
from ui.texts import say

CATEGORIES = {"medication": "Medicine", "food": "Food", "environment": "Environment", "biologic": "Biologic product"}
CRITICALITIES = {"high": "High: may be life-threatening", "low": "Low", "unable-to-assess": "Not known"}
SEVERITIES = {"mild": "Mild", "moderate": "Moderate", "severe": "Severe"}
_LONGEST = 300


@form("allergies")
def values(where: Place, chart: Chart | None) -> dict[str, Any]:
    """The empty form, and what is known already."""
    known = [*chart.allergies, *chart.past_allergies] if chart is not None else _known(where)
    state = chart.allergies_state if chart is not None else _state(known)
    return {"typed": {}, "wrong": {}, "known": [each for each in known if not is_none_known(each)], "state": state,
            "categories": CATEGORIES, "criticalities": CRITICALITIES, "severities": SEVERITIES,
            "terms": terms.suggest("allergy", "")}  # fmt: skip


@bp.post("/patient/<patient_id>/allergies")
def add_allergy(slug: str, patient_id: str) -> ResponseReturnValue:
    """Note an allergy. What said that there are none is marked as resolved with it."""
    where = place(patient_id)
    names = ("text", "category", "criticality", "reaction", "severity")
    typed = {name: " ".join(request.form.get(name, "").split()) for name in names}
    wrong = _wrong(typed)
    if wrong:
        return work(where, "allergies", status=422, typed=typed, wrong=wrong)
    made = {**_confirmed(where), "code": worded(typed["text"], terms.codings_for("allergy", typed["text"]))}
    if typed["category"]:
        made["category"] = [typed["category"]]
    if typed["criticality"]:
        made["criticality"] = typed["criticality"]
    if typed["reaction"]:
        severity = {"severity": typed["severity"]} if typed["severity"] else {}
        made["reaction"] = [{"manifestation": [{"text": typed["reaction"]}], **severity}]
    entries = [{"resource": made, "request": {"method": "POST", "url": "AllergyIntolerance"}}]
    for each in _known(where):
        if is_none_known(each) and has_code(each.get("clinicalStatus"), "active"):
            entries.append(_put({**each, "clinicalStatus": concept(ALLERGY_CLINICAL, "resolved", "Resolved")}))
    stored = fhir.transaction(entries)["entry"][0]["response"]["location"]
    new = stored.partition("AllergyIntolerance/")[2].partition("/")[0]
    undo = _address(where, new, "error")
    return done(where, "allergies", say("%(what)s was noted.", what=typed["text"][:60]), undo=undo)


@bp.post("/patient/<patient_id>/allergies/none")
def none_known(slug: str, patient_id: str) -> ResponseReturnValue:
    """Note that somebody asked and no allergy is known: not the same as nobody having asked."""
    where = place(patient_id)
    known = _known(where)
    if any(is_active(each) for each in known):
        return work(
            where,
            "allergies",
            status=422,
            wrong={"text": say("There are allergies on record. Resolve or refute them first.")},
        )
    if _state(known) == "none-known":
        return done(where, "allergies", say("It is noted already that no allergy is known."))
    code = concept(SNOMED, NO_KNOWN_ALLERGY, "No known allergy", "No known allergy")
    stored = fhir.create({**_confirmed(where), "code": code})
    return done(where, "allergies", say("No known allergies: noted."), undo=_address(where, stored["id"], "error"))


@bp.post("/patient/<patient_id>/allergies/<allergy_id>/<action>")
def change_allergy(slug: str, patient_id: str, allergy_id: str, action: str) -> ResponseReturnValue:
    """Resolve or refute an allergy, make it active again, or take back what was entered in error."""
    where = place(patient_id)
    stored = of_patient(where, fhir.read(f"AllergyIntolerance/{allergy_id}"), "patient")
    changes: dict[str, Resource] = {
        "resolve": {"clinicalStatus": concept(ALLERGY_CLINICAL, "resolved", "Resolved")},
        "refute": {"clinicalStatus": concept(ALLERGY_CLINICAL, "inactive", "Inactive"),
                   "verificationStatus": concept(ALLERGY_VERIFICATION, "refuted", "Refuted")},
        "restore": {"clinicalStatus": concept(ALLERGY_CLINICAL, "active", "Active"),
                    "verificationStatus": concept(ALLERGY_VERIFICATION, "confirmed", "Confirmed")},
        "error": {"verificationStatus": concept(ALLERGY_VERIFICATION, "entered-in-error", "Entered in Error")},
    }  # fmt: skip
    if action not in changes:
        raise NotFound("There is no such page.")
    changed = {**stored, **changes[action]}
    if action == "error":
        # ait-2: an entry in error has no clinical status.
        changed.pop("clinicalStatus", None)
    fhir.update(changed, if_match=version(stored))
    undo = None if action in ("error", "restore") else _address(where, allergy_id, "restore")
    text = say("%(what)s was changed.", what=words_of(stored.get("code"))[:60])
    return refreshed(text, undo=undo, where=where, name="allergies")


def _confirmed(where: Place) -> Resource:
    made: Resource = {
        "resourceType": "AllergyIntolerance",
        "clinicalStatus": concept(ALLERGY_CLINICAL, "active", "Active"),
        "verificationStatus": concept(ALLERGY_VERIFICATION, "confirmed", "Confirmed"),
        **where.about("patient"),
        "recordedDate": page.now().astimezone(page.zone()).isoformat(timespec="seconds"),
    }
    if professional():
        made["recorder"] = signer()
    return made


def _known(where: Place) -> list[Resource]:
    found = fhir.search("AllergyIntolerance", {"patient": f"Patient/{where.patient_id}", "_count": 100}).resources
    return [each for each in found if not has_code(each.get("verificationStatus"), "entered-in-error")]


def _state(known: list[Resource]) -> str:
    if any(is_active(each) for each in known):
        return "some"
    return "none-known" if none_are_known(known) else "not-asked"


def _wrong(typed: dict[str, str]) -> dict[str, str]:
    wrong = {}
    if not typed["text"]:
        wrong["text"] = say("Write what the patient is allergic to.")
    for name in ("text", "reaction"):
        if len(typed[name]) > _LONGEST:
            wrong[name] = say("This is too long.")
    for name, table in (("category", CATEGORIES), ("criticality", CRITICALITIES), ("severity", SEVERITIES)):
        if typed[name] and typed[name] not in table:
            wrong[name] = say("Choose one of the list.")
    return wrong


def _put(resource: Resource) -> Resource:
    url = f"{resource['resourceType']}/{resource['id']}"
    return {"resource": resource, "request": {"method": "PUT", "url": url, "ifMatch": f'W/"{version(resource)}"'}}


def _address(where: Place, allergy_id: str, action: str) -> str:
    return here(f"patient/{where.patient_id}/allergies/{allergy_id}/{action}?visit={where.visit_id}")
