"""Tickets that the patient takes from home, and gives back."""

from flask import request
from flask.typing import ResponseReturnValue

from ui import fhir, page
from ui.fhir import Refused
from ui.portal import own_tickets, whose
from ui.portal.place import bp
from ui.portal.shown import shown
from ui.texts import say


@bp.get("/queues")
def queues(slug: str) -> ResponseReturnValue:
    """The queues in which one can wait from home."""
    return _shown("")


def _shown(problem: str) -> ResponseReturnValue:
    open_ = own_tickets.joinable()
    standing = fhir.gather([f"HealthcareService/{each['id']}/$queue" for each in open_]) if open_ else []
    waiting = [0 if isinstance(each, Refused) else own_tickets.values_of(each).get("waiting", 0) for each in standing]
    return shown("queues.html", queues=list(zip(open_, waiting, strict=True)), problem=problem)


@bp.get("/queues/<id_>")
def back_to_queues(slug: str, id_: str) -> ResponseReturnValue:
    """Who loads again, or in another language, what the answer to a form showed."""
    return page.see_other(f"/t/{slug}/ui/portal/queues")


@bp.post("/queues/<id_>")
def take(slug: str, id_: str) -> ResponseReturnValue:
    """Take a ticket of a queue, as somebody on the way."""
    given = {"patient": fhir.reference(whose.patient())}
    try:
        fhir.call(f"HealthcareService/{id_}/$take-ticket", given, key=request.form.get("idempotency_key"))
    except Refused as error:
        if error.status in (404, 410):
            raise
        if error.detail != "already-waiting":
            return _shown(_why_not(error))
    return page.see_other(f"/t/{slug}/ui/portal/")


def _why_not(error: Refused) -> str:
    if error.detail == "limit-reached":
        return say("You took five tickets here today already. Please ask at the reception.")
    return page.sentence(error)


@bp.post("/tickets/<id_>/<action>")
def change(slug: str, id_: str, action: str) -> ResponseReturnValue:
    """Give a ticket back (`cancel`; the appointment stays), or say that one is there (`check-in`)."""
    task = fhir.read(f"Task/{id_}")
    whose.check_own(task, "for")
    if action == "cancel":
        fhir.call(f"Task/{id_}/$cancel", {"keepAppointment": True}, key=request.form.get("idempotency_key"))
    elif action == "check-in":
        fhir.call(f"Task/{id_}/$check-in", key=request.form.get("idempotency_key"))
    else:
        raise whose.Missing
    return page.see_other(f"/t/{slug}/ui/portal/")
