"""Task/[id]/$skip: somebody goes before all others, for a reason that is kept."""

from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.errors import Unprocessable
from fhir_server.features.queue import policy
from fhir_server.features.queue.action import on_ticket
from fhir_server.features.queue.callers import account_for, check_is_staff, reason_of
from fhir_server.operations.call import OperationCall


def skip(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """Put a waiting ticket before all others: the Task, with priority stat. Raises `Unprocessable` without a reason."""
    check_is_staff(ctx, "let somebody go first")
    reason = reason_of(call.parameters)
    if not reason:
        text = "To let somebody go before all others needs a reason."
        raise Unprocessable(text, expression="http.reason", code="required")
    action, case = on_ticket(ctx, "skip", call.id or "", also="waiting", if_match=call.if_match)
    order = policy.order(action.waiting, action.config, action.since_paid)
    before, first = order.index(case.ticket) + 1, order[0]
    rank, _ = policy.entry("emergency", None, None, action.now, action.config)
    due, place = case.ticket.due, case.ticket.place
    if first.rank == rank:
        due, place = min((due, place), (first.due, first.place - 1))
    case.task |= {"priority": "stat", "reasonCode": {"text": reason}}
    account_for(ctx, action, case, reason, before=before, after=1)
    action.move(case, rank=rank, due=due, place=place)
    return action.write()[f"Task/{case.task['id']}"]
