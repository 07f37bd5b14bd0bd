"""Calling, beginning and ending visits from the queue."""

from typing import Any

from flask import request
from flask.typing import ResponseReturnValue

from fhir_server.core.errors import NotFound
from ui import fhir, page
from ui.doctor.concepts import Resource, target
from ui.doctor.day import show_day
from ui.doctor.entry import bp, here, record
from ui.doctor.waiting import choices
from ui.texts import say

_SAID = {
    "recall": "%(number)s is called once more.",
    "absent": "%(number)s does not answer: kept for a few minutes.",
    "return": "%(number)s waits again.",
    "finish": "The visit of %(number)s is finished.",
    "no-show": "%(number)s did not come.",
}
_EMPTY = {
    "nobody-waiting": "Nobody is waiting.",
    "paused": "The queue is paused. The reception can let it go on.",
    "closed": "The queue is closed and nobody waits any more.",
}


@bp.post("/queue/<queue_id>/call-next")
def call_next(slug: str, queue_id: str) -> ResponseReturnValue:
    """Call whoever is next to this doctor's room; the same press sent twice calls once."""
    return called(queue_id, request.form.get("idempotency_key") or None)


def called(queue_id: str, key: str | None) -> ResponseReturnValue:
    """Call who is next in a queue, and show the day with what came of it."""
    answer = fhir.call(f"HealthcareService/{queue_id}/$call-next", {"desk": choices().desk or None}, key=key)
    if answer["resourceType"] != "Task":
        reason = next((str(each.get("valueCode")) for each in answer["parameter"] if each["name"] == "reason"), "")
        return told(say(_EMPTY.get(reason, _EMPTY["nobody-waiting"])), kind="info")
    number = number_of(answer)
    desk = choices().desk
    said = (
        say("%(number)s is called to %(desk)s.", number=number, desk=desk)
        if desk
        else say("%(number)s is called.", number=number)
    )
    return told(said, undo=here(f"ticket/{answer['id']}/undo"))


@bp.post("/ticket/<task_id>/start")
def start_ticket(slug: str, task_id: str) -> ResponseReturnValue:
    """Begin the visit and open the record; a ticket without a name stays on the day."""
    task = fhir.call(f"Task/{task_id}/$start")
    patient = target(task.get("for")).partition("/")[2]
    if not patient:
        return told(say("The visit has begun. This ticket has no name."), kind="info")
    return page.see_other(record(patient, target(task.get("encounter")).partition("/")[2]))


@bp.post("/ticket/<task_id>/call")
def call_ticket(slug: str, task_id: str) -> ResponseReturnValue:
    """Call somebody out of turn, with the reason."""
    reason = request.form.get("reason", "").strip()
    if not reason:
        return told(say("Say why: others wait longer because of it."), kind="danger")
    task = fhir.call(f"Task/{task_id}/$call", {"reason": reason, "desk": choices().desk or None})
    return told(say("%(number)s is called.", number=number_of(task)), undo=here(f"ticket/{task_id}/undo"))


@bp.post("/ticket/<task_id>/undo")
def undo_ticket(slug: str, task_id: str) -> ResponseReturnValue:
    """Take back one's own last action on a ticket."""
    task = fhir.call(f"Task/{task_id}/$undo")
    return told(say("%(number)s: taken back.", number=number_of(task)), kind="info")


@bp.post("/ticket/<task_id>/finish")
def finish_ticket(slug: str, task_id: str) -> ResponseReturnValue:
    """End the visit and come back to the day; with `next` (a queue), call whoever is next at once."""
    task = fhir.call(f"Task/{task_id}/$finish")
    following = request.form.get("next", "")
    if following:
        response = called(following, request.form.get("idempotency_key") or None)
        return response if from_day() else page.see_other(here())
    if from_day():
        return told(say(_SAID["finish"], number=number_of(task)), undo=here(f"ticket/{task_id}/undo"))
    return page.see_other(here(f"?finished={task_id}"))


def from_day() -> bool:
    """Whether the form stands on the day's page, which then changes in place."""
    return request.form.get("from") == "day"


@bp.post("/ticket/<task_id>/<action>")
def move_ticket(slug: str, task_id: str, action: str) -> ResponseReturnValue:
    """Recall, absent, back again, did not come."""
    if action not in _SAID:
        raise NotFound("There is no such page.")
    task = fhir.call(f"Task/{task_id}/${action}")
    return told(say(_SAID[action], number=number_of(task)), undo=here(f"ticket/{task_id}/undo"))


def told(text: str, *, undo: str | None = None, kind: str = "success") -> ResponseReturnValue:
    """The day with a message; without htmx the day itself."""
    if not page.is_htmx():
        return page.see_other(here())
    return page.toast(show_day(), text, undo=undo, kind=kind)


def number_of(task: Resource) -> str:
    """The number on a ticket."""
    found: Any = next(iter(task.get("identifier", ())), {})
    return str(found.get("value", ""))
