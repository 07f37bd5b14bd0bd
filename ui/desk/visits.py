"""An appointment at the desk: who comes is checked in, confirmed, cancelled."""

from flask import request
from flask.typing import ResponseReturnValue

from fhir_server.core.errors import NotFound
from ui import fhir
from ui.desk import fields
from ui.desk.answers import done, home, panel, stale_shows_the_day
from ui.desk.choices import choices, main_queue
from ui.desk.day import read_queues, visit_of
from ui.desk.entry import bp
from ui.desk.fields import Resource
from ui.desk.tickets_of_day import Queue
from ui.texts import say

_ANSWERS = ("confirm", "decline")


@bp.get("/visits/<appointment_id>")
def visit(slug: str, appointment_id: str) -> ResponseReturnValue:
    """An appointment and everything that can be done with it."""
    found = fhir.search("Appointment", {"_id": appointment_id, "_include": [
        "Appointment:actor"]})  # fmt: skip
    if not found.resources:
        raise NotFound("There is no such page.")
    booking = found.resources[0]
    shown = visit_of(booking, found.by_reference)
    queues = [each for each in read_queues() if each.state != "closed"]
    main = main_queue(queues, choices(), shown.site_id, "appointment")
    names = [(each.id, each.name) for each in queues]
    values: Resource = {"visit": shown, "booking": booking, "queues": queues, "main": main, "queue_names": names,
              "is_today": shown.is_today()}  # fmt: skip
    return panel("_visit_panel.html", **values)


@bp.post("/visits/<appointment_id>/check-in")
@stale_shows_the_day
def check_in(slug: str, appointment_id: str) -> ResponseReturnValue:
    """Who is booked has come: a ticket in the queue of the service, else in that of this desk."""
    booking = fhir.read(f"Appointment/{appointment_id}")
    queue = request.form.get("queue", "") or _queue_for(booking)
    if not queue:
        text = say("There is no queue in which people could wait. Open or set one up first.")
        return done(text, kind="warning")
    parameters = {"queue": fhir.reference(f"HealthcareService/{queue}")}
    task = fhir.call(f"Appointment/{appointment_id}/$check-in", parameters)
    who = fields.name_of(fields.actor(booking, "Patient"), {})
    number = str(task["identifier"][0]["value"])
    text = say("%(name)s is here: ticket %(number)s.", name=who, number=number) if who else say(
        "%(number)s is here.", number=number)  # fmt: skip
    return done(text, undo=f"{home()}tickets/{task['id']}/undo")


def _queue_for(booking: Resource) -> str:
    """The queue of the booked service, where it is one; else the one of this desk, or of the place."""
    service = fields.id_of(str(fields.actor(booking, "HealthcareService").get("reference", "")))
    site = fields.id_of(str(fields.actor(booking, "Location").get("reference", "")))
    queues: list[Queue] = read_queues()
    if service in {each.id for each in queues}:
        return service
    main = main_queue(queues, choices(), site, "appointment")
    return main.id if main else ""


@bp.post("/visits/<appointment_id>/cancel")
@stale_shows_the_day
def cancel_visit(slug: str, appointment_id: str) -> ResponseReturnValue:
    """Cancel an appointment; the time is free for others at once."""
    reason = request.form.get("reason", "").strip()
    who = request.form.get("who", "pat")
    coding = {"system": "http://terminology.hl7.org/CodeSystem/appointment-cancellation-reason",
              "code": who if who in ("pat", "prov") else "other"}  # fmt: skip
    concept = {"coding": [coding], **({"text": reason} if reason else {})}
    fhir.call(f"Appointment/{appointment_id}/$cancel", {"reason": {"valueCodeableConcept": concept}})
    return done(say("The appointment is cancelled."), kind="info")


@bp.post("/visits/<appointment_id>/<answer>")
@stale_shows_the_day
def answer_visit(slug: str, appointment_id: str, answer: str) -> ResponseReturnValue:
    """Confirm or decline an appointment that waits for the clinic's word."""
    if answer not in _ANSWERS:
        raise NotFound("There is no such page.")
    fhir.call(f"Appointment/{appointment_id}/${answer}")
    confirmed = answer == "confirm"
    return done(say("The appointment is confirmed.") if confirmed else say("The appointment is declined."))
