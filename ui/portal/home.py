"""The patient's first page: what comes next and what is to be done, and nothing else."""

from typing import Any

from flask import jsonify, request
from flask.typing import ResponseReturnValue

from ui import fhir, formats, page
from ui.fhir import Found, Refused
from ui.portal import kiosk_code, own_tickets, preparations, visits, whose
from ui.portal.place import bp
from ui.portal.shown import part, shown
from ui.portal.visits import Visit
from ui.texts import language

_SHOWN = 3


@bp.get("/")
def home(slug: str) -> ResponseReturnValue:
    """Ticket, offers, questions, next appointment, unread messages."""
    return shown("home.html", **_now())


@bp.get("/now")
def now(slug: str) -> ResponseReturnValue:
    """The same, as the fragment that follows what happens."""
    return part("_now.html", **_now())


def _now() -> dict[str, Any]:
    person, upcoming, tasks, unread = fhir.gather([
        whose.patient(),
        ("Appointment", visits.upcoming_query()),
        ("Task", own_tickets.query()),
        ("Communication", messages_query(**{"received:missing": "true", "_summary": "count"})),
    ])  # fmt: skip
    if isinstance(person, Refused):
        raise person
    found = visits.visits_of(upcoming) if isinstance(upcoming, Found) else []
    coming = visits.to_come(found)
    ticket = own_tickets.current(tasks.resources) if isinstance(tasks, Found) else None
    return {
        "person": person,
        "people": whose.people(),
        "is_own": whose.is_own(),
        "ticket": ticket,
        "offers": visits.offers(found),
        "next": coming[0] if coming else None,
        "later": coming[1 : 1 + _SHOWN],
        "asked": preparations.missing(coming),
        "unread": unread.total or 0 if isinstance(unread, Found) else 0,
        "check_in": check_in_of(coming[0]) if coming and ticket is None else "",
    }


def messages_query(**given: str) -> dict[str, Any]:
    """The search for the messages inside the application to the open patient."""
    return {"recipient": whose.patient(), "medium": "urn:salam:CodeSystem:message-channel|in-app", **given}


def check_in_of(visit: Visit) -> str:
    """Whether one can announce oneself for an appointment now: `here` where the queue believes it, `way` from home,
    else ""."""
    service = visit.service
    if visit.status != "booked" or not own_tickets.is_queue(service) or own_tickets.state_of(service) == "closed":
        return ""
    if visit.start.date() != page.today():
        return ""
    if own_tickets.setting(service, "selfCheckIn", False):
        return "here"
    return "way" if own_tickets.setting(service, "remoteTickets", True) else ""


@bp.get("/next.json")
def next_appointment(slug: str) -> ResponseReturnValue:
    """What of the next appointment a phone may keep to be read without a network, in finished sentences; `{}` when
    there is none. Nothing of why somebody comes."""
    found = visits.to_come(visits.visits_of(fhir.search("Appointment", visits.upcoming_query())))
    if not found:
        return jsonify({})
    visit = found[0]
    return jsonify(
        day=formats.day(visit.start), time=formats.time(visit.start), who=", ".join(visit.people),
        place=str(visit.place.get("name", "")), address=visit.address, bring=visit.bring,
        phone=visits.clinic_phone(visit), code=kiosk_code.picture(visit), until=round(visit.end.timestamp() * 1000),
        language=language(), kept=formats.moment(page.now()),
    )  # fmt: skip


@bp.post("/whose")
def choose(slug: str) -> ResponseReturnValue:
    """Open another patient's record."""
    chosen = request.form.get("patient", "")
    if chosen not in whose.all_ids():
        raise whose.Missing
    return whose.choose(page.see_other(f"/t/{slug}/ui/portal/"), chosen)
