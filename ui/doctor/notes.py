"""The note of a visit: written as a draft that is saved while one types, signed, amended.

Its identifier follows from visit and author and its first save is a conditional create, so that saving twice, or from
two windows, is one note. Each save is over the version that the form began with (field `version`: `id/number`), and
what somebody else changed meanwhile is shown beside what was typed.
"""

import hashlib
from typing import Any

from flask import Response, request
from flask.typing import ResponseReturnValue

from fhir_server.core.errors import NotFound
from ui import fhir, formats, page
from ui.doctor import note_text
from ui.doctor.chart import Chart
from ui.doctor.concepts import Resource, target, version
from ui.doctor.entry import bp, here, professional, signer
from ui.doctor.note_text import LONGEST, SECTIONS
from ui.doctor.record import Place, done, form, of_patient, place, work
from ui.fhir import Refused
from ui.texts import language, say

_SYSTEM = "urn:salam:visit-note"


@form("note")
def values(where: Place, chart: Chart | None) -> dict[str, Any]:
    """The notes of the visit (outside of one, of today) and the draft of who is signed in."""
    notes = _notes(where) if chart is None else [each for each in chart.notes if _belongs(each, where)]
    mine = [each for each in notes if _is_mine(each, where)]
    draft = next((each for each in mine if each["status"] == "preliminary"), None)
    own = next((each for each in mine if each["status"] != "preliminary"), None)
    signed = [each for each in notes if each["status"] in ("final", "amended")]
    amending = next((each for each in signed if each["id"] == request.args.get("amend")), None)
    return {
        "draft": draft,
        "sections": note_text.sections_of(amending or draft),
        "version": _over(amending or draft),
        "signed": [(each, note_text.sections_of(each)) for each in signed],
        "amending": amending,
        # Who has signed the visit's note amends it; a second one would hide the first.
        "writing": amending is not None or own is None,
        "others": [each for each in notes if each["status"] == "preliminary" and each not in mine],
        "labels": SECTIONS,
        "wrong": {},
        "theirs": None,
        "may_sign": bool(professional()),
    }


@bp.post("/patient/<patient_id>/note/save")
def save_note(slug: str, patient_id: str) -> ResponseReturnValue:
    """Save the draft. Answers with when, and with the version that the next save is over."""
    where = place(patient_id)
    texts, wrong = _typed()
    if wrong:
        return _again(where, texts, wrong)
    if not any(texts.values()):
        return page.part("doctor/_saved.html", saved="", version=request.form.get("version", ""))
    try:
        stored = _write(_draft(where, texts), request.form.get("version", ""))
    except Refused as error:
        if error.status in (409, 412):
            return _conflict(where, texts)
        raise
    if not page.is_htmx():
        return done(where, "note", say("Saved."))
    saved = stored["meta"]["lastUpdated"]
    return page.part("doctor/_saved.html", saved=saved, version=_over(stored))


@bp.post("/patient/<patient_id>/note/sign")
def sign_note(slug: str, patient_id: str) -> ResponseReturnValue:
    """Sign the note: it becomes final, with who vouches for it and when."""
    where = place(patient_id)
    texts, wrong = _typed()
    if not any(texts.values()) and not wrong:
        wrong["assessment"] = say("There is nothing to sign yet.")
    if wrong:
        return _again(where, texts, wrong)
    note = _draft(where, texts)
    note["status"] = "final"
    note_text.signed_by(note, signer(), note["date"])
    try:
        _write(note, request.form.get("version", ""))
    except Refused as error:
        if error.status in (409, 412):
            return _conflict(where, texts)
        raise
    return done(where, "note", say("The note is signed."))


@bp.post("/patient/<patient_id>/note/<note_id>/amend")
def amend_note(slug: str, patient_id: str, note_id: str) -> ResponseReturnValue:
    """Sign a changed note: a new version, `amended`; the earlier ones stay in its history."""
    where = place(patient_id)
    stored = of_patient(where, fhir.read(f"Composition/{note_id}"))
    if stored["status"] not in ("final", "amended"):
        raise NotFound("There is no such page.")
    texts, wrong = _typed()
    if not any(texts.values()) and not wrong:
        wrong["assessment"] = say("A signed note cannot become empty.")
    if wrong:
        return _again(where, texts, wrong, amending=stored)
    now = _now()
    changed = _composition(where, texts, "amended", now)
    note = {**stored, "section": changed["section"], "status": "amended", "date": now}
    note.pop("text", None)
    note_text.signed_by(note, signer(), now)
    try:
        fhir.update(note, if_match=request.form.get("version", "").partition("/")[2] or version(stored))
    except Refused as error:
        if error.status in (409, 412):
            return _conflict(where, texts, note_id)
        raise
    return done(where, "note", say("The amended note is signed. The earlier version is kept."))


@bp.get("/patient/<patient_id>/note/<note_id>/history")
def note_history(slug: str, patient_id: str, note_id: str) -> ResponseReturnValue:
    """Every version of a note since it was signed, with what changed."""
    where = place(patient_id)
    entries = fhir.history(f"Composition/{note_id}", {"_count": 50}).get("entry", ())
    versions = [each["resource"] for each in entries if "resource" in each]
    for each in versions[:1]:
        of_patient(where, each)
    signed = [each for each in versions if each["status"] in ("final", "amended")]
    shown = []
    for number, each in enumerate(signed):
        before = note_text.sections_of(signed[number + 1]) if number + 1 < len(signed) else {}
        attester: Resource = next(iter(reversed(each.get("attester", ()))), {})
        pieces = note_text.changes(before, note_text.sections_of(each)) if before else []
        shown.append({"note": each, "by": formats.short_reference(attester.get("party")), "changes": pieces})
    values: dict[str, Any] = {
        "versions": shown,
        "patient": where.patient,
        "back": here(f"patient/{patient_id}?visit={where.visit_id}&work=note"),
    }
    if page.is_htmx():
        return page.part("doctor/_note_history.html", **values)
    return page.page("doctor/note_history.html", **values)


def _typed() -> tuple[dict[str, str], dict[str, str]]:
    """The sections as the form has them, and what is wrong by section."""
    texts = {name: request.form.get(name, "").replace("\r\n", "\n").strip() for name, _, _, _ in SECTIONS}
    too_long = say("This is too long: %(most)s characters at most.", most=LONGEST)
    return texts, {name: too_long for name, text in texts.items() if len(text) > LONGEST}


def _draft(where: Place, texts: dict[str, str]) -> Resource:
    if not professional():
        raise NotFound("There is no such page.")
    return _composition(where, texts, "preliminary", _now())


def _composition(where: Place, texts: dict[str, str], status: str, date: str) -> Resource:
    titles = {name: say(label) for name, _, _, label in SECTIONS}
    about = {"language": language(), **where.about(), "author": [signer()]}
    note = note_text.composition(texts, title=say("Visit note"), titles=titles, status=status, date=date, about=about)
    return {**note, "identifier": {"system": _SYSTEM, "value": _name(where)}}


def _write(note: Resource, known: str) -> Resource:
    """Store the draft over the version that the form began with; the first save over nothing."""
    id_, _, number = known.partition("/")
    if id_:
        return fhir.update({**note, "id": id_}, if_match=number)
    stored = fhir.create(note, if_none_exist=f"identifier={_SYSTEM}|{note['identifier']['value']}")
    if note_text.sections_of(stored) != note_text.sections_of(note) or stored["status"] != note["status"]:
        # Another window of the same person was first.
        raise Refused(412, {"resourceType": "OperationOutcome", "issue": []})
    return stored


def _again(
    where: Place, texts: dict[str, str], wrong: dict[str, str], amending: Resource | None = None
) -> ResponseReturnValue:
    given: dict[str, Any] = {"sections": texts, "wrong": wrong, "version": request.form.get("version", "")}
    if amending is not None:
        given |= {"amending": amending, "writing": True}
    return _instead(work(where, "note", status=422, **given))


def _conflict(where: Place, texts: dict[str, str], note_id: str = "") -> ResponseReturnValue:
    """Both versions: what is stored now, and what was typed, which stays in the form. The next save is over theirs."""
    stored_note = fhir.read(f"Composition/{note_id}") if note_id else _mine_now(where)
    theirs = of_patient(where, stored_note)
    stored = note_text.sections_of(theirs)
    signed = theirs["status"] != "preliminary"
    given: dict[str, Any] = {
        "sections": texts, "wrong": {}, "version": _over(theirs), "writing": True,
        "theirs": {"note": theirs, "sections": stored, "changes": note_text.changes(stored, texts)},
        # What was signed meanwhile can only be amended.
        "amending": theirs if note_id or signed else None,
    }  # fmt: skip
    return _instead(work(where, "note", status=409, **given))


def _instead(response: Response) -> Response:
    """An answer that replaces the form, also where only the time of saving was to be replaced."""
    response.headers["HX-Retarget"] = "#work"
    response.headers["HX-Reswap"] = "outerHTML"
    return response


def _notes(where: Place) -> list[Resource]:
    asked: dict[str, Any] = {"patient": f"Patient/{where.patient_id}", "_count": 20, "_sort": "-date"}
    if where.visit_id:
        asked["encounter"] = f"Encounter/{where.visit_id}"
    found = fhir.search("Composition", asked).resources
    return [each for each in found if each["status"] != "entered-in-error" and _belongs(each, where)]


def _belongs(note: Resource, where: Place) -> bool:
    """Whether a note is of this visit; outside of one, whether it is of no visit and of today."""
    visit = target(note.get("encounter"))
    if where.visit_id:
        return visit == f"Encounter/{where.visit_id}"
    return not visit and formats.moment_of(note["date"]).date() == page.today()


def _mine_now(where: Place) -> Resource:
    """The note of who is signed in, as it is stored. Raises `NotFound` when it is gone."""
    found = fhir.search("Composition", {"identifier": f"{_SYSTEM}|{_name(where)}", "_count": 1}).resources
    if not found:
        raise NotFound("There is no such page.")
    return found[0]


def _is_mine(note: Resource, where: Place) -> bool:
    return bool(note.get("identifier", {}).get("value") == _name(where))


def _name(where: Place) -> str:
    """What tells this person's note of this visit (or day) from all others."""
    day = "" if where.visit_id else page.today().isoformat()
    named = f"{where.visit_id or where.patient_id}|{day}|{professional()}"
    return hashlib.sha256(named.encode()).hexdigest()[:40]


def _over(note: Resource | None) -> str:
    return f"{note['id']}/{version(note)}" if note else ""


def _now() -> str:
    return page.now().astimezone(page.zone()).isoformat(timespec="seconds")
