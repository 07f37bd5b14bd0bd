"""Task/[id]/$undo: a wrong click is taken back, within a minute and by the same person.

A ticket that was only just given becomes a cancelled one, because its number is gone; one that another queue sent on is
sent back with $transfer instead.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.errors import Conflict
from fhir_server.core.resource_json import decode
from fhir_server.features.queue import visits
from fhir_server.features.queue.action import Action, Case, agent_of, on_ticket
from fhir_server.features.queue.callers import own_ticket
from fhir_server.features.queue.joining import check_once
from fhir_server.features.queue.tickets import MOVED, check, show
from fhir_server.operations.call import OperationCall
from fhir_server.storage import resources
from fhir_server.storage import tickets as rows
from fhir_server.storage.tickets import Event

_WITHIN = timedelta(seconds=60)
_UNDONE = ("take", "check-in", "call", "recall", "absent", "return", "start", "finish", "no-show", "skip", "cancel")


def undo(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """Bring a ticket back to where it was before the caller's last action, its visit and booking with it: the Task.

    Raises `Conflict` when the last action is another's, older than a minute, or none that can be taken back.
    """
    own_ticket(ctx, call.id or "")
    action, case = on_ticket(ctx, "undo", call.id or "", also="open", if_match=call.if_match)
    last = rows.last_event(ctx.db, ctx.tenant.id, case.ticket.rid)
    if last is None or not _is_own(last, agent_of(ctx)) or last.at < action.now - _WITHIN:
        text = "Only what one did oneself to the ticket in the last 60 seconds can be taken back."
        raise Conflict(text, expression="Task", detail="wrong-state")
    check(case.ticket, "undo")
    if case.ticket.state not in rows.OPEN:
        check_once(ctx, action, case.ticket.patient)
    if last.action == "take":
        _give_back(action, case, last)
    else:
        _restore(action, case, last)
    return action.write()[f"Task/{case.task['id']}"]


def _is_own(last: Event, agent: str) -> bool:
    return last.agent == agent and last.action in _UNDONE and not last.detail.get("sent_on")


def _give_back(action: Action, case: Case, last: Event) -> None:
    """A ticket that was just given is cancelled, with the visit that began by it; the booking is as it was."""
    before, case.ticket = case.ticket, replace(case.ticket, state="cancelled", ended_at=action.now)
    show(case.task, case.ticket, action.now)
    action.changes.put(case.task)
    visit, booking = case.encounter, case.appointment
    if visit is not None and visits.follow_encounter(visit, "cancelled", action.now):
        action.changes.put(visit)
    status = last.detail.get("was", {}).get("appointment")
    if booking is not None and visits.follow_appointment(booking, status, forced=True):
        action.changes.put(booking)
    action.record(before, case.ticket, {"undone": last.seq, "action": last.action})


def _restore(action: Action, case: Case, last: Event) -> None:
    now, was = action.now, last.detail.get("was", {})
    before, case.ticket = case.ticket, replace(case.ticket, **rows.from_json(last.detail["before"]))
    old = _before(action.ctx, "Task", case.task["id"], last.detail["version"])
    for name in MOVED:
        if name in old:
            case.task[name] = old[name]
        else:
            case.task.pop(name, None)
    show(case.task, case.ticket, now)
    action.changes.put(case.task)
    visit = case.encounter
    if visit is not None and "encounter" in was:
        visits.go_back(visit, _before(action.ctx, "Encounter", visit["id"], was["encounter"]), now)
        action.changes.put(visit)
    elif visit is not None and last.detail.get("visit") == "new":
        visits.go_back(visit, {**visit, "status": "cancelled"}, now)
        action.changes.put(visit)
    booking = case.appointment
    if booking is not None and visits.follow_appointment(booking, was.get("appointment"), forced=True):
        action.changes.put(booking)
    detail: dict[str, Any] = {"undone": last.seq, "action": last.action}
    if last.detail.get("passed"):
        detail["passed_back"] = last.detail["passed"]
        action.statements.append(rows.passed(action.ctx.tenant.id, last.detail["passed"], -1))
    if last.action == "call" and last.seq == action.row.events:
        action.row = replace(action.row, since_paid=last.detail["since_paid"])
        detail["since_paid"] = last.detail["since_paid"]
    action.record(before, case.ticket, detail)


def _before(ctx: Context, kind: str, id_: str, version: int) -> dict[str, Any]:
    """The content of a resource before the action."""
    found = resources.vread(ctx.db, ctx.tenant.id, ctx.registry.type_ids[kind], kind, id_, version)
    content: dict[str, Any] = decode(found.body) if found is not None else {}
    return content
