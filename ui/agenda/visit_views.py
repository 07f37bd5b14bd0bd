"""One visit: what is known of it, and what can be done about it besides moving it."""

from collections.abc import Mapping
from typing import Any

from flask import Response, request
from flask.typing import ResponseReturnValue

from ui import fhir, page
from ui.agenda.calendars import calendars
from ui.agenda.routes import bp, done, sheet, typed
from ui.agenda.visits import (
    MOVABLE,
    TO_COME,
    is_overbooked,
    patient_name,
    references,
    series_of,
    service_name,
    status_of,
    status_words,
    version,
)
from ui.fhir import Refused, Resource
from ui.formats import moment_of
from ui.texts import say

_REASONS = "http://terminology.hl7.org/CodeSystem/appointment-cancellation-reason"
# Codes of R4's appointment-cancellation-reason that a clinic uses; the English words are translated.
REASONS: Mapping[str, str] = {
    "pat-crs": "The patient cannot come",
    "pat-fb": "The patient feels better",
    "prov-pers": "The practitioner is absent",
    "oth-err": "Booked by mistake",
    "other": "Another reason",
}
_VERSIONS = 20


@bp.get("/visit/<visit_id>")
def visit(slug: str, visit_id: str) -> ResponseReturnValue:
    """A visit with its patient, its history, and its actions."""
    return _shown(visit_id)


def _shown(visit_id: str, error: str = "", status: int = 200) -> ResponseReturnValue:
    appointment = fhir.read(f"Appointment/{visit_id}")
    names = [*references(appointment, "Patient"), *references(appointment, "HealthcareService", "Practitioner")]
    asked = fhir.gather([*names, ("Task", {"focus": f"Appointment/{visit_id}", "_count": 5})])
    read = {name: each for name, each in zip(names, asked, strict=False) if not isinstance(each, Refused)}
    services = {name: str(each.get("name", "")) for name, each in read.items() if name.startswith("HealthcareService/")}
    state = status_of(appointment)
    known = calendars()
    return sheet(
        "_visit.html",
        status=status,
        error=error,
        appointment=appointment,
        version=version(appointment),
        state=state,
        words=status_words(state),
        name=patient_name(appointment, read),
        patients=[read[each] for each in references(appointment, "Patient") if each in read],
        service=service_name(appointment, services),
        who=[each.title for each in known.columns if {each.id, *each.also} & set(references(appointment))],
        overbooked=is_overbooked(appointment),
        series=bool(series_of(appointment)),
        movable=state in MOVABLE,
        today_here="start" in appointment and moment_of(appointment["start"]).date() == page.today(),
        pending=state == "pending",
        to_come=state in TO_COME,
        reasons=[(code, say(text)) for code, text in REASONS.items()],
        history=_history(visit_id),
    )


def _history(visit_id: str) -> list[dict[str, Any]]:
    """When the visit was made, moved and changed its status, the newest first."""
    try:
        bundle = fhir.history(f"Appointment/{visit_id}", {"_count": _VERSIONS})
    except Refused:
        return []
    versions = [each["resource"] for each in bundle.get("entry", ()) if "resource" in each]
    rows = []
    for newer, older in zip(versions, [*versions[1:], None], strict=True):
        state, before = status_of(newer), status_of(older) if older else ""
        moved = bool(older) and newer.get("start") != older.get("start")
        if state != before or moved:
            rows.append({
                "at": newer["meta"]["lastUpdated"], "words": status_words(state), "changed": state != before,
                "moved": newer.get("start") if moved else "",
            })  # fmt: skip
    return rows


@bp.post("/visit/<visit_id>/confirm")
def confirm(slug: str, visit_id: str) -> ResponseReturnValue:
    """A pending visit is booked."""
    return _act(visit_id, "$confirm", say("The visit is confirmed."))


@bp.post("/visit/<visit_id>/decline")
def decline(slug: str, visit_id: str) -> ResponseReturnValue:
    """A pending visit is refused; the patient is told so."""
    reason = {"valueCodeableConcept": {"text": typed("comment")}} if typed("comment") else None
    return _act(visit_id, "$decline", say("The request was declined."), reason=reason)


@bp.post("/visit/<visit_id>/cancel")
def cancel(slug: str, visit_id: str) -> ResponseReturnValue:
    """A visit is cancelled with its reason; there is no way back but to book anew, which the panel offers."""
    code = typed("reason")
    if code not in REASONS:
        return _shown(visit_id, say("Choose a reason."), 422)
    reason: Resource = {"text": say(REASONS[code]), "coding": [{"system": _REASONS, "code": code}]}
    more = {"series": True} if request.form.get("series") else {}
    if typed("comment"):
        more["comment"] = typed("comment")  # type: ignore[assignment]
    return _act(visit_id, "$cancel", say("The visit is cancelled."), reason={"valueCodeableConcept": reason}, **more)


def _act(visit_id: str, operation: str, said: str, **parameters: Any) -> ResponseReturnValue:
    """Do it to the version that the person saw; what stands in the way is said where he is."""
    try:
        fhir.call(f"Appointment/{visit_id}/{operation}", parameters, if_match=typed("version") or None)
    except Refused as error:
        if error.status not in (409, 412, 422):
            raise
        return _shown(visit_id, page.sentence(error), error.status)
    if operation == "$cancel" and page.is_htmx():
        answer = _shown(visit_id)
        assert isinstance(answer, Response)
        return page.trigger(page.toast(answer, said), "agenda:changed")
    return done(said)


@bp.get("/visit/<visit_id>/visit.ics")
def calendar_file(slug: str, visit_id: str) -> Response:
    """The visit for a calendar program."""
    answer = fhir.raw("GET", f"Appointment/{visit_id}/$ics", headers={"accept": "text/calendar"})
    if answer.status >= 400:
        raise Refused(answer.status, {})
    found = Response(answer.body, content_type="text/calendar; charset=utf-8")
    found.headers["Content-Disposition"] = 'attachment; filename="visit.ics"'
    return found
