"""Tickets at the desk: give, look at, move, take back."""

from flask import request
from flask.typing import ResponseReturnValue

from fhir_server.core.errors import NotFound
from ui import fhir
from ui.desk import fields
from ui.desk.answers import done, given, home, panel, stale_shows_the_day
from ui.desk.choices import choices, main_queue
from ui.desk.day import read_queues
from ui.desk.entry import bp
from ui.desk.fields import Resource
from ui.desk.tickets_of_day import KINDS, Ticket, ticket_of
from ui.fhir import Refused
from ui.texts import say

# Actions with nothing more to say; those that take a reason, which some need.
_PLAIN = ("check-in", "recall", "absent", "return", "start", "finish", "no-show")
_REASONED = ("call", "skip", "cancel")
_NEEDED = ("call", "skip")


@bp.get("/walk-in")
def walk_in(slug: str) -> ResponseReturnValue:
    """A ticket without a name, or for an emergency."""
    queues = [each for each in read_queues() if each.state != "closed"]
    values: Resource = {"queues": queues, "main": main_queue(queues, choices()), "patient": ""}
    return panel("_walk_in.html", problem="", kind="normal", reason="", **values)


@bp.post("/tickets")
@stale_shows_the_day
def give_ticket(slug: str) -> ResponseReturnValue:
    """Give a ticket in a queue, for a patient or without a name. An emergency needs a reason."""
    queue_id, patient = request.form.get("queue", ""), request.form.get("patient", "")
    kind, reason = request.form.get("kind", "normal"), request.form.get("reason", "").strip()
    if kind not in KINDS:
        raise NotFound("There is no such page.")
    if kind == "emergency" and not reason:
        return _ask_reason(patient, queue_id)
    who = fhir.reference(f"Patient/{patient}") if patient else None
    parameters = fields.said(kind=fhir.code(kind), reason=reason, patient=who)
    key = request.form.get("idempotency_key") or None
    task = fhir.call(f"HealthcareService/{queue_id}/$take-ticket", parameters, key=key)
    return given(known(task))


def _ask_reason(patient: str, queue_id: str) -> ResponseReturnValue:
    """The form of an emergency again, with what is missing. A patient's own card asks in the browser already."""
    queues = [each for each in read_queues() if each.state != "closed"]
    chosen = next((each for each in queues if each.id == queue_id), main_queue(queues, choices()))
    text = say("Say why this cannot wait.")
    values: Resource = {
        "queues": queues,
        "main": chosen,
        "problem": text,
        "kind": "emergency",
        "reason": "",
        "patient": patient,
    }
    return panel("_walk_in.html", status=422, **values)


def known(task: Resource) -> Ticket:
    """A ticket with the patient whose it is, and its place in the queue."""
    reads = [f"Task/{task['id']}/$position"]
    if who := task.get("for", {}).get("reference"):
        reads.append(who)
    now, *people = fhir.gather(reads)
    place = (
        {}
        if isinstance(now, Refused)
        else {each["name"]: each.get("part", fields.value(each)) for each in now.get("parameter", ())}
    )
    patients = {f"Patient/{each['id']}": each for each in people if not isinstance(each, Refused)}
    return ticket_of(task, patients, place)


@bp.get("/tickets/<task_id>")
def ticket(slug: str, task_id: str) -> ResponseReturnValue:
    """A ticket and everything that can be done with it."""
    found = known(_ticket_task(task_id))
    queues = read_queues()
    queue = next((each for each in queues if each.id == found.queue), None)
    others = [
        each
        for each in queues
        if queue is not None
        and each.id != queue.id
        and each.state != "closed"
        and (not queue.sends_to or each.id in queue.sends_to)
    ]
    return panel("_ticket_panel.html", ticket=found, queue=queue, others=others, problem="", action="")


def _ticket_task(task_id: str) -> Resource:
    task = fhir.read(f"Task/{task_id}")
    if fields.own(task, "ticket-queue") is None:
        raise NotFound("There is no such page.")
    return task


@bp.post("/tickets/<task_id>/undo")
@stale_shows_the_day
def undo_ticket(slug: str, task_id: str) -> ResponseReturnValue:
    """Take back what one did oneself within a minute."""
    task = fhir.call(f"Task/{task_id}/$undo")
    return done(say("%(number)s: taken back.", number=task["identifier"][0]["value"]), kind="info")


@bp.post("/tickets/<task_id>/transfer")
@stale_shows_the_day
def send_on(slug: str, task_id: str) -> ResponseReturnValue:
    """Send on to another queue. To take it back is to send the new ticket back."""
    before = _ticket_task(task_id)
    to = request.form.get("to", "")
    task = fhir.call(f"Task/{task_id}/$transfer", {"to": fhir.reference(f"HealthcareService/{to}")})
    return given(known(task), instead=str(before["identifier"][0]["value"]))


@bp.post("/tickets/<task_id>/<action>")
@stale_shows_the_day
def move_ticket(slug: str, task_id: str, action: str) -> ResponseReturnValue:
    """One of the actions on a ticket."""
    if action not in _PLAIN and action not in _REASONED:
        raise NotFound("There is no such page.")
    reason = request.form.get("reason", "").strip() if action in _REASONED else ""
    if action in _NEEDED and not reason:
        return _needs_reason(task_id, action)
    desk = choices().desk.strip() if action == "call" else ""
    keep = action == "cancel" and request.form.get("keep") == "1"
    task = fhir.call(f"Task/{task_id}/${action}", fields.said(reason=reason, desk=desk, keepAppointment=keep))
    return done(_said(action, task["identifier"][0]["value"]), undo=f"{home()}tickets/{task_id}/undo")


def _needs_reason(task_id: str, action: str) -> ResponseReturnValue:
    found = known(_ticket_task(task_id))
    queue = next((each for each in read_queues() if each.id == found.queue), None)
    text = say("Say why: others wait longer because of it.")
    values: Resource = {"ticket": found, "queue": queue, "others": [], "problem": text, "action": action}
    return panel("_ticket_panel.html", status=422, **values)


def _said(action: str, number: str) -> str:
    return {
        "check-in": say("%(number)s is here.", number=number),
        "recall": say("%(number)s is called again.", number=number),
        "absent": say("%(number)s was not there.", number=number),
        "return": say("%(number)s waits again.", number=number),
        "start": say("%(number)s is being served.", number=number),
        "finish": say("%(number)s is done.", number=number),
        "no-show": say("%(number)s did not come.", number=number),
        "call": say("%(number)s is called.", number=number),
        "skip": say("%(number)s goes first.", number=number),
        "cancel": say("%(number)s is cancelled.", number=number),
    }[action]
