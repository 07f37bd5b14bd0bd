"""Task/[id]/$no-show: who was called did not come."""

from typing import Any

from fhir_server.core.context import Context
from fhir_server.features.queue.action import on_ticket
from fhir_server.features.queue.callers import check_is_staff
from fhir_server.operations.call import OperationCall


def no_show(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """End a called ticket without waiting for the grace period: the Task; its Appointment is a no-show."""
    check_is_staff(ctx, "mark tickets as no-show")
    action, case = on_ticket(ctx, "no-show", call.id or "", if_match=call.if_match)
    action.move(case, state="no-show", absent_until=None, ended_at=action.now)
    return action.write()[f"Task/{case.task['id']}"]
