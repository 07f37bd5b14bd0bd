"""Task/[id]/$start: the visit begins."""

from typing import Any

from fhir_server.core.context import Context
from fhir_server.features.queue import visits
from fhir_server.features.queue.action import on_ticket
from fhir_server.features.queue.callers import check_is_staff
from fhir_server.features.queue.joining import begin_visit
from fhir_server.operations.call import OperationCall


def start(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """Serve a called ticket: the Task, whose Encounter is in progress."""
    check_is_staff(ctx, "serve tickets")
    action, case = on_ticket(ctx, "start", call.id or "", if_match=call.if_match)
    now, detail = action.now, None
    if "for" in case.task and case.encounter is None:
        # A ticket taken from home, called without a check-in.
        detail = begin_visit(action, case.task, case.appointment, "in-progress")
    elif case.encounter is not None:
        visits.take_part(case.encounter, case.task.get("owner"), now)
        action.changes.put(case.encounter)
    arrived = case.ticket.arrived_at or now
    action.move(case, detail=detail, state="serving", present=True, arrived_at=arrived, started_at=now)
    return action.write()[f"Task/{case.task['id']}"]
