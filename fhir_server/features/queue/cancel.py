"""Task/[id]/$cancel: a ticket is given up, by its holder or by staff."""

from typing import Any

from fhir_server.core.context import Context
from fhir_server.features.queue.action import on_ticket
from fhir_server.features.queue.callers import own_ticket, reason_of
from fhir_server.operations.call import OperationCall

_CAME = ("arrived", "checked-in")


def cancel_ticket(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """Give up one's own ticket, or as staff any: the Task. Raises `Conflict` when it is served or over."""
    own_ticket(ctx, call.id or "")
    keep = bool(call.parameters.get("keepAppointment", False))
    return cancel(ctx, call.id or "", reason_of(call.parameters), keep_appointment=keep, if_match=call.if_match)


def cancel(
    ctx: Context,
    task_id: str,
    reason: str = "",
    *,
    coding: dict[str, Any] | None = None,
    keep_appointment: bool = False,
    if_match: str | None = None,
) -> dict[str, Any]:
    """Give up a ticket that waits or was called: the Task. The caller's right is not asked here. `reason`, `coding`:
    for Task.statusReason.

    The booking of somebody who had come is cancelled unless it is kept; that of somebody on the way stays.
    """
    action, case = on_ticket(ctx, "cancel", task_id, if_match=if_match)
    if case.appointment is not None and (keep_appointment or case.appointment["status"] not in _CAME):
        case.appointment = None
    if reason or coding:
        coded = {"coding": [coding]} if coding else {}
        case.task["statusReason"] = {**coded, **({"text": reason} if reason else {})}
    action.move(case, state="cancelled", absent_until=None, ended_at=action.now)
    return action.write()[f"Task/{case.task['id']}"]
