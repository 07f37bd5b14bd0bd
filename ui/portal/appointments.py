"""The patient's appointments: the list, one of them, and what can be done with it."""

from typing import Any

from flask import Response, request
from flask.typing import ResponseReturnValue

from ui import fhir, page
from ui.fhir import Found, Refused
from ui.portal import home, kiosk_code, preparations, visits, whose
from ui.portal.place import bp
from ui.portal.shown import shown
from ui.texts import say

_PAGE = 20


@bp.get("/visits")
def appointments(slug: str) -> ResponseReturnValue:
    """What is to come, what one waits for, and what was."""
    begin = page.now().isoformat(timespec="seconds")
    upcoming, waiting, past, cancelled = fhir.gather([
        ("Appointment", visits.upcoming_query()),
        ("Appointment", visits.waiting_query()),
        ("Appointment", visits.query(date=f"lt{begin}", _sort="-date", _count=_PAGE)),
        ("Appointment", visits.cancelled_query()),
    ])  # fmt: skip
    coming = visits.visits_of(upcoming) if isinstance(upcoming, Found) else []
    # An offer that nobody took was never an appointment.
    ended = [each for found in (cancelled, past) if isinstance(found, Found) for each in visits.visits_of(found)
             if each.is_over and not (each.was_offer and each.status == "cancelled")]  # fmt: skip
    return shown(
        "visits.html",
        coming=visits.to_come(coming), offers=visits.offers(coming),
        waiting=visits.visits_of(waiting) if isinstance(waiting, Found) else [],
        past=ended,
        more=past.next if isinstance(past, Found) else "",
    )  # fmt: skip


@bp.get("/visits/<id_>/cancel")
@bp.get("/visits/<id_>/sooner")
@bp.get("/visits/<id_>/check-in")
def back_to(slug: str, id_: str) -> ResponseReturnValue:
    """Who loads again, or in another language, what the answer to a form showed."""
    return page.see_other(f"/t/{slug}/ui/portal/visits/{id_}")


@bp.get("/visits/<id_>")
def appointment(slug: str, id_: str) -> ResponseReturnValue:
    """One appointment."""
    return _shown(visits.read(id_))


def _shown(visit: visits.Visit, **more: Any) -> Response:
    asked = preparations.missing([visit]) if not visit.is_over else []
    values = {
        "problem": "", "phone": visits.clinic_phone(visit), "asked": asked, "check_in": home.check_in_of(visit),
        "code": kiosk_code.picture(visit), "is_today": visit.start.date() == page.today(),
    }  # fmt: skip
    return shown("visit.html", visit=visit, **{**values, **more})


@bp.get("/visits/<id_>/calendar.ics")
def calendar(slug: str, id_: str) -> ResponseReturnValue:
    """The appointment for a calendar program."""
    visits.read(id_)
    answer = fhir.raw("GET", f"Appointment/{id_}/$ics", headers={"accept": "text/calendar"})
    if answer.status != 200:
        raise whose.Missing
    headers = {"Content-Disposition": 'attachment; filename="rendez-vous.ics"'}
    return Response(answer.body, 200, headers, content_type="text/calendar; charset=utf-8")


@bp.post("/visits/<id_>/cancel")
def cancel(slug: str, id_: str) -> ResponseReturnValue:
    """Give the time free."""
    visit = visits.read(id_)
    reason = " ".join(request.form.get("reason", "").split())[:300]
    given = [{"name": "reason", "valueCodeableConcept": {"text": reason}}] if reason else None
    try:
        fhir.call(f"Appointment/{id_}/$cancel", given, key=request.form.get("idempotency_key"))
    except Refused as error:
        if error.status in (404, 410):
            raise
        return _shown(visit, problem=page.sentence(error))
    where = "visits?done=left" if request.form.get("leave") else f"visits/{id_}?done=cancelled"
    return page.see_other(f"/t/{slug}/ui/portal/{where}")


# -- the ticket --------------------------------------------------------------------------------------------------------


@bp.post("/visits/<id_>/check-in")
def check_in(slug: str, id_: str) -> ResponseReturnValue:
    """Announce oneself: a ticket in the queue of the visit."""
    visit = visits.read(id_)
    try:
        fhir.call(f"Appointment/{id_}/$check-in", key=request.form.get("idempotency_key"))
    except Refused as error:
        if error.status in (404, 410):
            raise
        return _shown(visit, problem=page.sentence(error))
    return page.see_other(f"/t/{slug}/ui/portal/")


# -- the wait list -----------------------------------------------------------------------------------------------------


@bp.post("/visits/<id_>/sooner")
def sooner(slug: str, id_: str) -> ResponseReturnValue:
    """Be told when something becomes free before this appointment: with the same person, or with anybody."""
    visit = visits.read(id_)
    named = [visit.practitioner] if visit.practitioner and request.form.get("with") != "anybody" else []
    wanted = [f"HealthcareService/{visit.service['id']}"] if visit.service.get("id") else []
    waiting = {
        "resourceType": "Appointment", "status": "waitlist", "minutesDuration": visit.minutes or None,
        "requestedPeriod": [{"start": page.now().isoformat(timespec="seconds"), "end": visit.start.isoformat()}],
        "participant": [
            {"actor": {"reference": whose.patient()}, "status": "accepted"},
            *({"actor": {"reference": each}, "status": "needs-action"} for each in (*wanted, *named)),
        ],
    }  # fmt: skip
    try:
        sent = {name: value for name, value in waiting.items() if value is not None}
        fhir.call("Appointment/$join-waitlist", {"appointment-resource": sent}, key=request.form.get("idempotency_key"))
    except Refused as error:
        if error.detail == "already-waiting":
            return page.see_other(f"/t/{slug}/ui/portal/visits?done=waiting")
        return _shown(visit, problem=page.sentence(error))
    return page.see_other(f"/t/{slug}/ui/portal/visits?done=waiting")


@bp.post("/offers/<id_>/<answer>")
def answer_offer(slug: str, id_: str, answer: str) -> ResponseReturnValue:
    """Take (`accept`) or leave (`refuse`) what the wait list offers."""
    if answer not in ("accept", "refuse"):
        raise whose.Missing
    offer = visits.read(id_)
    try:
        fhir.call(f"Appointment/{id_}/${answer}", key=request.form.get("idempotency_key"))
    except Refused as error:
        if error.status in (404, 410):
            raise
        text = say("This offer has ended.") if error.detail in ("hold-expired", "wrong-state") else page.sentence(error)
        return _shown(offer, problem=text)
    where = f"visits/{id_}?done=accepted" if answer == "accept" else "visits?done=refused"
    return page.see_other(f"/t/{slug}/ui/portal/{where}")
