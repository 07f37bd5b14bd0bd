"""Task/[id]/$recall: the number is called once more."""

from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.errors import Unprocessable
from fhir_server.features.queue.action import on_ticket
from fhir_server.features.queue.callers import check_is_staff
from fhir_server.operations.call import OperationCall


def recall(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """Call again who was called, also within the grace period: the Task. Raises `Unprocessable` after the queue's
    number of recalls."""
    check_is_staff(ctx, "call tickets")
    action, case = on_ticket(ctx, "recall", call.id or "", if_match=call.if_match)
    most = action.config.max_recalls
    if case.ticket.recalls >= most:
        text = f"The ticket was called again {most} times, which is the most here: $absent or $no-show come next."
        raise Unprocessable(text, expression="Task", code="business-rule", detail="limit-reached")
    deadline = action.config.end_of_day(action.now)
    action.move(case, recalls=case.ticket.recalls + 1, absent_until=None, deadline=deadline)
    return action.write()[f"Task/{case.task['id']}"]
