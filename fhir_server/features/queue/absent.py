"""Task/[id]/$absent: nobody came to the call; the grace period begins."""

from datetime import timedelta
from typing import Any

from fhir_server.core.context import Context
from fhir_server.features.queue.action import on_ticket
from fhir_server.features.queue.callers import check_is_staff
from fhir_server.operations.call import OperationCall


def absent(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """Put a called ticket on hold until the grace period is over: the Task."""
    check_is_staff(ctx, "mark tickets as absent")
    action, case = on_ticket(ctx, "absent", call.id or "", if_match=call.if_match)
    until = action.now + timedelta(minutes=action.config.grace_minutes)
    action.move(case, absent_until=until, deadline=min(until, action.config.end_of_day(action.now)))
    return action.write()[f"Task/{case.task['id']}"]
