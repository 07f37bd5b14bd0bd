"""Task/[id]/$return: somebody who missed the call comes back, and waits a few places further behind."""

from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.errors import Conflict, Unprocessable
from fhir_server.features.queue import policy
from fhir_server.features.queue.action import on_ticket
from fhir_server.features.queue.callers import check_is_staff
from fhir_server.features.queue.joining import check_once
from fhir_server.operations.call import OperationCall


def late_return(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """Let an absent or a no-show ticket of today wait again, behind the queue's number of others: the Task.

    Raises `Unprocessable` after the queue's number of returns, `Conflict` for a ticket of another day.
    """
    check_is_staff(ctx, "take tickets back")
    action, case = on_ticket(ctx, "return", call.id or "", also="open", if_match=call.if_match)
    ticket, config = case.ticket, action.config
    if ticket.day != action.today:
        text = "The ticket is of another day: take a new one."
        raise Conflict(text, expression="Task.identifier", detail="wrong-state")
    if ticket.returns >= config.max_returns:
        text = f"The ticket came back {config.max_returns} times, which is the most here: take a new one."
        raise Unprocessable(text, expression="Task", code="business-rule", detail="limit-reached")
    if ticket.state == "no-show":
        check_once(ctx, action, ticket.patient)
    due, place = policy.place_behind(ticket, action.waiting, config.return_places, config, action.since_paid)
    case.task.pop("owner", None)
    action.move(
        case, state="waiting", present=True, arrived_at=ticket.arrived_at or action.now, due=due, place=place,
        returns=ticket.returns + 1, desk="", called_at=None, absent_until=None, ended_at=None,
        deadline=config.end_of_day(action.now),
    )  # fmt: skip
    return action.write()[f"Task/{case.task['id']}"]
