"""A queue at the desk: call who is next, open, pause, close."""

from flask import request
from flask.typing import ResponseReturnValue

from fhir_server.core.errors import NotFound
from ui import fhir
from ui.desk import fields
from ui.desk.answers import done, home, panel, stale_shows_the_day
from ui.desk.choices import choices
from ui.desk.entry import bp
from ui.desk.tickets_of_day import is_queue, queue_of
from ui.texts import say

_MOVES = ("open", "pause", "resume", "close")
# What takes a move back, as far as it can be.
_BACK = {"open": "close", "pause": "resume", "resume": "pause", "close": "open"}


@bp.get("/queues/<queue_id>")
def queue(slug: str, queue_id: str) -> ResponseReturnValue:
    """What can be done with a queue as a whole."""
    service = fhir.read(f"HealthcareService/{queue_id}")
    if not is_queue(service):
        raise NotFound("There is no such page.")
    return panel("_queue_panel.html", queue=queue_of(service))


@bp.post("/queues/<queue_id>/call-next")
@stale_shows_the_day
def call_next(slug: str, queue_id: str) -> ResponseReturnValue:
    """Call who is next to this desk. The same press sent twice calls once."""
    desk = choices().desk.strip()
    key = request.form.get("idempotency_key") or None
    answer = fhir.call(f"HealthcareService/{queue_id}/$call-next", fields.said(desk=desk), key=key)
    if answer["resourceType"] != "Task":
        reasons = {
            "nobody-waiting": say("Nobody is waiting."),
            "paused": say("The queue is paused: nobody is called."),
            "closed": say("The queue is closed and nobody waits any more."),
        }
        reason = next((fields.value(each) for each in fields.parameters(answer, "reason")), "")
        return done(reasons.get(str(reason), reasons["nobody-waiting"]), kind="info")
    number = answer["identifier"][0]["value"]
    undo = f"{home()}tickets/{answer['id']}/undo"
    if desk:
        return done(say("%(number)s is called to %(desk)s.", number=number, desk=desk), undo=undo)
    return done(say("%(number)s is called.", number=number), undo=undo)


@bp.post("/queues/<queue_id>/<move>")
@stale_shows_the_day
def change_queue(slug: str, queue_id: str, move: str) -> ResponseReturnValue:
    """Open, pause, resume or close a queue; `expire` ends the tickets that still wait."""
    if move not in _MOVES:
        raise NotFound("There is no such page.")
    expire = move == "close" and request.form.get("expire") == "1"
    given = {name: request.form.get(name, "").strip() for name in ("reason", "message")}
    fhir.call(f"HealthcareService/{queue_id}/${move}", fields.said(**given, expire=expire))
    said = {
        "open": say("The queue is open."),
        "pause": say("The queue is paused: tickets are given, nobody is called."),
        "resume": say("The queue goes on."),
        "close": say("The queue is closed."),
    }[move]
    return done(said, undo=None if expire else f"{home()}queues/{queue_id}/{_BACK[move]}")
