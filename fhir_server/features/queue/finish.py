"""Task/[id]/$finish: the visit is over."""

from typing import Any

from fhir_server.core.context import Context
from fhir_server.features.queue.action import on_ticket
from fhir_server.features.queue.callers import check_is_staff
from fhir_server.operations.call import OperationCall


def finish(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """End the serving of a ticket: the Task, completed; its Encounter is finished and its Appointment fulfilled."""
    check_is_staff(ctx, "serve tickets")
    action, case = on_ticket(ctx, "finish", call.id or "", if_match=call.if_match)
    action.move(case, state="served", ended_at=action.now)
    return action.write()[f"Task/{case.task['id']}"]
