"""Prescriptions: lines are drafts until they are signed together; then they are printed, renewed, stopped.

A line is a MedicationRequest; those that were signed together share a groupIdentifier. Allergies are looked at by name
and group of medicines only: no database of interactions is behind it, and the page says so.
"""

import uuid
from typing import Any

from flask import request
from flask.typing import ResponseReturnValue

from fhir_server.core.errors import NotFound
from ui import fhir, page
from ui.doctor import allergy_check, dosage, terms
from ui.doctor.allergy_check import Conflict
from ui.doctor.chart import Chart
from ui.doctor.concepts import Resource, target, version, words_of
from ui.doctor.entry import bp, here, is_id, professional, signer
from ui.doctor.medicines import line_of
from ui.doctor.prescribed import GROUP, belongs, copy_of, entries_of, group_of, language_of, last_group, request_of
from ui.doctor.record import Place, done, form, of_patient, place, refreshed, work
from ui.texts import ngettext, say

_FIELDS = (
    "medication",
    "dose",
    "unit",
    "route",
    "times",
    "length",
    "length_unit",
    "needed",
    "needed_for",
    "note",
    "override",
    "repeats",
)
_LONGEST_REASON = 500


@form("prescription")
def values(where: Place, chart: Chart | None) -> dict[str, Any]:
    """The empty form, the drafts, what was signed in this visit, and what the patient takes."""
    requests, allergies = (
        _known(where)
        if chart is None
        else ([*chart.draft_medications, *chart.medications, *chart.past_medications], list(chart.allergies))
    )
    state = chart.allergies_state if chart is not None else _allergies_state(allergies)
    mine = [each for each in requests if each["status"] == "draft" and target(each.get("requester")) == professional()]
    signed = [
        each for each in requests if each["status"] in ("active", "completed", "on-hold") and belongs(each, where)
    ]
    return {
        "typed": {"length_unit": "d", "route": "PO"},
        "wrong": {},
        "conflicts": [],
        "drafts": mine,
        "signed": signed,
        "current": [each for each in requests if each["status"] in ("active", "on-hold") and each not in signed],
        "group": group_of(signed),
        "last": last_group(requests, signed),
        "allergies": allergies,
        "allergies_state": state,
        "units": dosage.UNIT_LABELS,
        "routes": dosage.ROUTES,
        "times": dosage.TIMES,
        "durations": dosage.DURATIONS,
        "terms": terms.suggest("medication", ""),
        "language": language_of(where.patient),
    }


@bp.post("/patient/<patient_id>/prescription/preview")
def preview(slug: str, patient_id: str) -> ResponseReturnValue:
    """What the patient will read, and the allergies that speak against it, while it is written."""
    where = place(patient_id)
    line, _ = dosage.read(request.form)
    found = _conflicts(where, line.medication)
    spoken = language_of(where.patient)
    return page.part(
        "doctor/_preview.html", line=line, sentence=dosage.sentence(line, spoken), spoken=spoken, conflicts=found
    )


@bp.post("/patient/<patient_id>/prescription")
def add_line(slug: str, patient_id: str) -> ResponseReturnValue:
    """Add a line to the draft. One that meets an allergy needs a reason, which is kept with it."""
    where = place(patient_id)
    typed = {name: request.form.get(name, "").strip() for name in _FIELDS}
    line, problems = dosage.read(request.form)
    wrong = {name: say(text) for name, text in problems.items()}
    found = _conflicts(where, line.medication) if line.medication else []
    if found and not typed["override"] and not wrong:
        wrong["override"] = say("Say why it is prescribed all the same.")
    if len(typed["override"]) > _LONGEST_REASON:
        wrong["override"] = say("This is too long.")
    repeats = _repeats(typed["repeats"], wrong)
    if wrong:
        return work(where, "prescription", status=422, typed=typed, wrong=wrong, conflicts=found)
    made = request_of(where, line, terms.codings_for("medication", line.medication), repeats)
    entries = entries_of(made, found, typed["override"], where)
    stored = fhir.transaction(entries)["entry"]
    ids = [each["response"]["location"].partition("MedicationRequest/")[2].partition("/")[0] for each in stored]
    undo = here(f"patient/{patient_id}/medication/{next(each for each in ids if each)}/remove?visit={where.visit_id}")
    return done(
        where,
        "prescription",
        say("%(what)s is in the prescription, which is not signed yet.", what=line.medication[:60]),
        undo=undo,
    )


@bp.post("/patient/<patient_id>/prescription/repeat")
def repeat_lines(slug: str, patient_id: str) -> ResponseReturnValue:
    """Copy lines (`ids`) as drafts: the last prescription, or one medicine."""
    where = place(patient_id)
    ids = [each for each in request.form.get("ids", "").split(",")[:20] if is_id(each)]
    entries: list[Resource] = []
    for each in fhir.gather([f"MedicationRequest/{id_}" for id_ in ids]) if ids else []:
        if not isinstance(each, dict):
            raise NotFound("There is no such page.")
        of_patient(where, each)
        met = _conflicts(where, words_of(each.get("medicationCodeableConcept")))
        if met:
            # To be written by hand: it needs a reason.
            text = say(
                "An allergy is on record that speaks against %(what)s.",
                what=words_of(each.get("medicationCodeableConcept")),
            )
            given = {"medication": words_of(each.get("medicationCodeableConcept")), **dosage.fields_of(each)}
            return work(where, "prescription", status=422, typed=given, wrong={"override": text}, conflicts=met)
        entries.append({"resource": copy_of(where, each), "request": {"method": "POST", "url": "MedicationRequest"}})
    if not entries:
        raise NotFound("There is no such page.")
    fhir.transaction(entries)
    text = ngettext(
        "%(count)s line was copied. Look at it and sign.",
        "%(count)s lines were copied. Look at them and sign.",
        len(entries),
    )
    return done(where, "prescription", text)


@bp.post("/patient/<patient_id>/prescription/sign")
def sign_prescription(slug: str, patient_id: str) -> ResponseReturnValue:
    """Sign all lines of the draft: they are active from now on, under one number."""
    where = place(patient_id)
    drafts = values(where, None)["drafts"]
    if not drafts:
        return work(where, "prescription", status=422, wrong={"medication": say("There is nothing to sign yet.")})
    group = {"system": GROUP, "value": str(uuid.uuid4())}
    now = page.now().astimezone(page.zone()).isoformat(timespec="seconds")
    entries = []
    for each in drafts:
        signed = {**each, "status": "active", "authoredOn": now, "groupIdentifier": group, "requester": signer()}
        url = f"MedicationRequest/{each['id']}"
        entries.append(
            {"resource": signed, "request": {"method": "PUT", "url": url, "ifMatch": f'W/"{version(each)}"'}}
        )
    fhir.transaction(entries)
    return done(where, "prescription", say("The prescription is signed."))


@bp.post("/patient/<patient_id>/medication/<request_id>/remove")
def remove_line(slug: str, patient_id: str, request_id: str) -> ResponseReturnValue:
    """Take a line out of the draft; it stays in the history as entered in error."""
    where, stored = line_of(patient_id, request_id)
    if stored["status"] != "draft":
        raise NotFound("There is no such page.")
    fhir.update({**stored, "status": "entered-in-error"}, if_match=version(stored))
    name = words_of(stored.get("medicationCodeableConcept"))[:60]
    return refreshed(say("%(what)s was taken out.", what=name), where=where, name="prescription")


def _conflicts(where: Place, medication: str) -> list[Conflict]:
    if not medication.strip():
        return []
    codings = terms.codings_for("medication", medication)
    found = fhir.search("AllergyIntolerance", {"patient": f"Patient/{where.patient_id}", "_count": 100}).resources
    return allergy_check.conflicts(medication, codings, found)


def _known(where: Place) -> tuple[list[Resource], list[Resource]]:
    who = f"Patient/{where.patient_id}"
    requests, allergies = fhir.gather(
        [
            ("MedicationRequest", {"patient": who, "_count": 100, "_sort": "-authoredon"}),
            ("AllergyIntolerance", {"patient": who, "_count": 100}),
        ]
    )
    return [each for each in requests.resources if each["status"] != "entered-in-error"], list(allergies.resources)


def _allergies_state(allergies: list[Resource]) -> str:
    if any(allergy_check.is_active(each) for each in allergies):
        return "some"
    return "none-known" if allergy_check.none_are_known(allergies) else "not-asked"


def _repeats(text: str, wrong: dict[str, str]) -> int | None:
    if not text:
        return None
    if not text.isdecimal() or not 0 <= int(text) <= 24 or len(text) > 2:
        wrong["repeats"] = say("Write a whole number from 0 to 24.")
        return None
    return int(text)
