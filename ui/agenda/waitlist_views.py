"""The wait list: who waits for what and since when; a time is offered, or the waiting ends."""

from typing import Any

from flask import Response, request
from flask.typing import ResponseReturnValue

from ui import fhir, page
from ui.agenda.calendars import calendars
from ui.agenda.feed import people
from ui.agenda.patient_search import patients_like
from ui.agenda.routes import bp, sheet, typed
from ui.agenda.visits import patient_name, phone_of, references, service_name
from ui.fhir import Refused, Resource
from ui.formats import moment
from ui.texts import say

_MOST = 100


@bp.get("/waiting")
def waiting(slug: str) -> ResponseReturnValue:
    """Who waits, in the order in which offers are made."""
    return _shown()


def _shown(error: str = "", values: dict[str, str] | None = None) -> Response:
    known = calendars()
    found = fhir.search("Appointment", {"status": "waitlist", "_count": _MOST, "_sort": "_lastUpdated"})
    patients = people((name for each in found.resources for name in references(each, "Patient")), "name,telecom")
    rows = [
        {
            "id": each["id"],
            "name": patient_name(each, patients),
            "phone": phone_of(each, patients),
            "service": service_name(each, known.services),
            "who": [one.title for one in known.people() if {one.id, *one.also} & set(references(each))],
            "periods": each.get("requestedPeriod", ()),
            "priority": each.get("priority", 5),
            "since": each.get("created") or each["meta"]["lastUpdated"],
            "note": each.get("comment", ""),
        }
        for each in found.resources
    ]
    rows.sort(key=lambda each: (each["priority"] or 5, str(each["since"])))
    values = values or {}
    people_ = [(each.id, each.title) for each in known.people()]
    answer: Any = sheet(
        "_waiting.html", rows=rows, error=error, values=values, patients=patients_like(values.get("q", "")),
        people=people_, services=list(known.services.items()),
    )  # fmt: skip
    return answer  # type: ignore[no-any-return]


@bp.post("/waiting/<waiting_id>/offer")
def offer(slug: str, waiting_id: str) -> ResponseReturnValue:
    """Offer the first free time that fits, out of turn."""
    try:
        bundle = fhir.call(f"Appointment/{waiting_id}/$waitlist-offer")
    except Refused as error:
        if error.status == 404:
            return _shown(say("No free time fits what is waited for."))
        return _shown(page.sentence(error))
    made = next(each["resource"] for each in bundle["entry"] if each["resource"]["resourceType"] == "Appointment")
    answer = page.toast(_shown(), say("Offered: %(time)s. It is kept for 30 minutes.", time=moment(made["start"])))
    return page.trigger(answer, "agenda:changed")


@bp.post("/waiting/<waiting_id>/end")
def end(slug: str, waiting_id: str) -> ResponseReturnValue:
    """Somebody waits no longer."""
    fhir.call(f"Appointment/{waiting_id}/$cancel")
    return page.trigger(page.toast(_shown(), say("Taken off the wait list.")), "agenda:changed")


@bp.post("/waiting")
def join(slug: str) -> ResponseReturnValue:
    """Put a patient on the wait list."""
    values = {name: typed(name) for name in ("q", "patient", "service", "who", "from_date", "to_date", "priority")}
    if request.form.get("step") == "look":
        return _shown(values=values)
    if not values["patient"] or not values["service"]:
        return _shown(say("Choose the patient and what for."), values)
    actors = [f"Patient/{values['patient']}", values["service"], values["who"]]
    period = {"start": values["from_date"] or page.today().isoformat()}
    if values["to_date"]:
        period["end"] = values["to_date"]
    wish: Resource = {
        "resourceType": "Appointment",
        "status": "waitlist",
        "requestedPeriod": [period],
        "participant": [{"actor": {"reference": each}, "status": "needs-action"} for each in actors if each],
    }
    if values["priority"] in ("1", "9"):
        wish["priority"] = int(values["priority"])
    try:
        fhir.call("Appointment/$join-waitlist", {"appointment-resource": wish}, key=typed("idempotency_key") or None)
    except Refused as error:
        if error.status not in (400, 403, 409, 422):
            raise
        return _shown(_reason(error), values)
    return page.trigger(page.toast(_shown(), say("On the wait list.")), "agenda:changed")


def _reason(error: Refused) -> str:
    if error.detail == "already-waiting":
        return say("The patient waits for this already.")
    if error.detail == "not-bookable-online":
        return say("Times are offered for services only that can be booked online.")
    return page.sentence(error)
