"""HealthcareService/[id]/$call-next and Task/[id]/$call: a desk calls somebody, by the policy or out of its order."""

from collections.abc import Collection
from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.errors import Conflict, Invalid, Unprocessable
from fhir_server.features.queue import configuration, policy
from fhir_server.features.queue.action import Action, Case, on_queue, on_ticket
from fhir_server.features.queue.callers import account_for, check_is_staff, professional, reason_of
from fhir_server.interactions import stored
from fhir_server.operations.call import OperationCall
from fhir_server.storage import tickets as rows

_LONGEST_DESK = 64
_OWNERS = ("Practitioner", "PractitionerRole", "Organization", "CareTeam", "HealthcareService", "Device")


def call_next(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """Call who is next for the desk: the Task; or Parameters `empty` with the `reason`: paused, closed, nobody-waiting.

    A closed queue calls on until nobody waits any more.
    """
    check_is_staff(ctx, "call tickets")
    desk, owner, kinds = _desk(call), _owner(ctx, call), _kinds(call)
    action = on_queue(ctx, "call", call.id or "", also="waiting")
    if action.state.state == "paused":
        return _empty("paused")
    while ticket := policy.next_ticket(action.ready, action.config, action.since_paid, kinds):
        task = stored.by_rid(action.ctx, [ticket.rid]).get(ticket.rid)
        if task is not None:
            return _called(action, action.case(ticket, task["id"]), desk, owner)
        action.forget(ticket)
    action.write()
    return _empty("closed" if action.state.state == "closed" else "nobody-waiting")


def call_one(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """Call a certain ticket before its turn: the Task. Raises `Unprocessable` without a reason, `Conflict` when the
    queue is paused or the ticket does not wait."""
    check_is_staff(ctx, "call tickets")
    reason, desk, owner = reason_of(call.parameters), _desk(call), _owner(ctx, call)
    if not reason:
        text = "To call somebody before his turn needs a reason."
        raise Unprocessable(text, expression="http.reason", code="required")
    action, case = on_ticket(ctx, "call", call.id or "", also="waiting", if_match=call.if_match)
    if action.state.state == "paused":
        raise Conflict("The queue is paused.", expression="HealthcareService.extension", detail="wrong-state")
    order = policy.order(action.waiting, action.config, action.since_paid)
    account_for(ctx, action, case, reason, before=order.index(case.ticket) + 1)
    return _called(action, case, desk, owner, out_of_turn=True)


def _called(
    action: Action, case: Case, desk: str, owner: dict[str, Any] | None, *, out_of_turn: bool = False
) -> dict[str, Any]:
    called = case.ticket
    passed = [] if out_of_turn else policy.passed_over(called, action.waiting, action.config)
    detail: dict[str, Any] = {"since_paid": action.since_paid}
    if out_of_turn:
        detail["out_of_turn"] = True
    if passed:
        detail["passed"] = passed
        action.statements.append(rows.passed(action.ctx.tenant.id, passed))
    if owner is not None:
        case.task["owner"] = owner
    action.count_call(called)
    action.move(case, detail=detail, state="called", called_at=action.now, desk=desk)
    return action.write()[f"Task/{case.task['id']}"]


def _desk(call: OperationCall) -> str:
    desk = str(call.parameters.get("desk", "")).strip()
    if len(desk) > _LONGEST_DESK:
        raise Invalid(f"desk takes up to {_LONGEST_DESK} characters.", expression="http.desk", code="value")
    return desk


def _owner(ctx: Context, call: OperationCall) -> dict[str, Any] | None:
    """Who serves at the desk: the one who was named, or the calling professional."""
    given = call.parameters.get("owner")
    if given is None:
        return professional(ctx)
    name = stored.local(ctx, given) or ""
    if name.partition("/")[0] not in _OWNERS:
        text = f"owner refers to a resource of this server, of type {', '.join(_OWNERS)}."
        raise Invalid(text, expression="http.owner", code="value")
    return {"reference": name}


def _kinds(call: OperationCall) -> Collection[str] | None:
    kinds: list[str] | None = call.parameters.get("kinds")
    if kinds is not None and not set(kinds) <= set(configuration.KINDS):
        raise Invalid(f"kinds takes {', '.join(configuration.KINDS)}.", expression="http.kinds", code="value")
    return kinds


def _empty(reason: str) -> dict[str, Any]:
    return {
        "resourceType": "Parameters",
        "parameter": [{"name": "empty", "valueBoolean": True}, {"name": "reason", "valueCode": reason}],
    }
