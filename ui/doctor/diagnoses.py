"""Diagnoses: Conditions of the visit and the list of problems."""

from datetime import date
from typing import Any
from urllib.parse import urlencode

from flask import request
from flask.typing import ResponseReturnValue

from fhir_server.core.errors import NotFound
from ui import fhir, page
from ui.doctor import terms
from ui.doctor.chart import Chart
from ui.doctor.concepts import (
    CONDITION_CLINICAL,
    CONDITION_VERIFICATION,
    TERMINOLOGY,
    Resource,
    codes_of,
    concept,
    has_code,
    version,
    worded,
    words_of,
)
from ui.doctor.entry import bp, here, professional, signer
from ui.doctor.record import Place, done, form, of_patient, place, refreshed, work
from ui.texts import say

CLINICAL = {
    "active": "Active",
    "recurrence": "Recurrence",
    "inactive": "Inactive",
    "remission": "Remission",
    "resolved": "Resolved",
}
VERIFICATION = {
    "confirmed": "Confirmed",
    "provisional": "Provisional",
    "differential": "Differential",
    "refuted": "Refuted",
    "unconfirmed": "Unconfirmed",
}
_CERTAINTIES = ("confirmed", "provisional", "differential")
_ENDED = ("inactive", "remission", "resolved")
_CATEGORIES = {"encounter-diagnosis": "Encounter Diagnosis", "problem-list-item": "Problem List Item"}
_LONGEST = 500


@form("diagnosis")
def values(where: Place, chart: Chart | None) -> dict[str, Any]:
    """The empty form, what is known already, and what is written most in the clinic."""
    if chart is None:
        found = fhir.search(
            "Condition", {"patient": f"Patient/{where.patient_id}", "_count": 100, "_sort": "-recorded-date"}
        )
        known = [each for each in found.resources if not has_code(each.get("verificationStatus"), "entered-in-error")]
    else:
        known = [*chart.problems, *chart.past_problems]
    name = f"Encounter/{where.visit_id}"
    here_ = [each for each in known if where.visit_id and each.get("encounter", {}).get("reference") == name]
    others = [
        each
        for each in known
        if each not in here_
        and has_code(each.get("clinicalStatus"), "active", "recurrence", "relapse")
        and not has_code(each.get("verificationStatus"), "refuted")
    ]
    return {
        "typed": {},
        "wrong": {},
        "certainties": _CERTAINTIES,
        "of_visit": here_,
        "others": others,
        "terms": terms.suggest("condition", ""),
        "verification": VERIFICATION,
        "clinical": CLINICAL,
    }


@bp.post("/patient/<patient_id>/diagnosis")
def add_diagnosis(slug: str, patient_id: str) -> ResponseReturnValue:
    """Note a diagnosis."""
    where = place(patient_id)
    typed = {
        name: " ".join(request.form.get(name, "").split()) for name in ("text", "certainty", "onset", "problem", "note")
    }
    wrong = _wrong(typed)
    if wrong:
        return work(where, "diagnosis", status=422, typed=typed, wrong=wrong)
    certainty = typed["certainty"] or "confirmed"
    category = "problem-list-item" if typed["problem"] else "encounter-diagnosis"
    made: Resource = {
        "resourceType": "Condition",
        "clinicalStatus": concept(CONDITION_CLINICAL, "active", "Active"),
        "verificationStatus": concept(CONDITION_VERIFICATION, certainty, VERIFICATION[certainty]),
        "category": [concept(TERMINOLOGY + "condition-category", category, _CATEGORIES[category])],
        "code": worded(typed["text"], terms.codings_for("condition", typed["text"])),
        **where.about(),
        "recordedDate": page.now().astimezone(page.zone()).isoformat(timespec="seconds"),
    }
    if typed["onset"]:
        made["onsetDateTime"] = typed["onset"]
    if typed["note"]:
        made["note"] = [{"text": typed["note"]}]
    if professional():
        made["recorder"] = made["asserter"] = signer()
    stored = fhir.create(made)
    back = _address(where, stored["id"], {"verification": "entered-in-error"})
    return done(where, "diagnosis", say("%(what)s was noted.", what=typed["text"][:60]), undo=back)


@bp.post("/patient/<patient_id>/condition/<condition_id>/set")
def change_condition(slug: str, patient_id: str, condition_id: str) -> ResponseReturnValue:
    """Bring a condition to another status: resolve, refute, active again; can be taken back."""
    where = place(patient_id)
    stored = of_patient(where, fhir.read(f"Condition/{condition_id}"))
    wanted = {**request.args.to_dict(), **request.form.to_dict()}
    clinical, verification = wanted.get("clinical", ""), wanted.get("verification", "")
    if clinical not in ("", *CLINICAL) or verification not in ("", "entered-in-error", *VERIFICATION):
        raise NotFound("There is no such page.")
    before = {
        "clinical": next(iter(codes_of(stored.get("clinicalStatus"))), ""),
        "verification": next(iter(codes_of(stored.get("verificationStatus"))), ""),
        "abatement": str(stored.get("abatementDateTime", "")),
    }
    changed = _with(stored, clinical, verification, wanted.get("abatement", ""))
    fhir.update(changed, if_match=version(stored))
    undo = None if verification == "entered-in-error" else _address(where, condition_id, before)
    name = words_of(stored.get("code"))[:60]
    said = {
        "resolved": say("%(what)s is resolved.", what=name),
        "refuted": say("%(what)s is refuted.", what=name),
        "entered-in-error": say("%(what)s was taken back.", what=name),
    }.get(verification if verification in ("refuted", "entered-in-error") else clinical)
    return refreshed(said or say("%(what)s was changed.", what=name), undo=undo, where=where, name="diagnosis")


def _with(stored: Resource, clinical: str, verification: str, abatement: str) -> Resource:
    """A Condition in another status, with what R4's rules con-3, con-4 and con-5 ask for."""
    changed = dict(stored)
    if verification:
        changed["verificationStatus"] = concept(
            CONDITION_VERIFICATION, verification, VERIFICATION.get(verification, "Entered in Error")
        )
    if clinical:
        changed["clinicalStatus"] = concept(CONDITION_CLINICAL, clinical, CLINICAL[clinical])
    status = next(iter(codes_of(changed.get("clinicalStatus"))), "")
    if status in _ENDED:
        changed.setdefault("abatementDateTime", abatement or page.today().isoformat())
    else:
        for name in [each for each in changed if each.startswith("abatement")]:
            del changed[name]
    if verification == "entered-in-error":
        changed.pop("clinicalStatus", None)
    return changed


def _wrong(typed: dict[str, str]) -> dict[str, str]:
    wrong = {}
    if not typed["text"]:
        wrong["text"] = say("Write the diagnosis.")
    for name in ("text", "note"):
        if len(typed[name]) > _LONGEST:
            wrong[name] = say("This is too long.")
    if typed["certainty"] not in ("", *_CERTAINTIES):
        wrong["certainty"] = say("Choose one of the list.")
    if typed["onset"] and not _is_past(typed["onset"]):
        wrong["onset"] = say("Choose a day that is not in the future.")
    return wrong


def _is_past(day: str) -> bool:
    try:
        return len(day) == 10 and date.fromisoformat(day) <= page.today()
    except ValueError:
        return False


def _address(where: Place, condition_id: str, status: dict[str, str]) -> str:
    query = urlencode({"visit": where.visit_id, **{name: value for name, value in status.items() if value}})
    return here(f"patient/{where.patient_id}/condition/{condition_id}/set?{query}")
