"""Task/[id]/$transfer: somebody goes on to another queue and does not start again at its end."""

from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.errors import Unprocessable
from fhir_server.core.keys import self_key
from fhir_server.features.queue import visits
from fhir_server.features.queue.action import check_queue, locked, on_ticket
from fhir_server.features.queue.callers import check_is_staff, local_reference, reason_of
from fhir_server.features.queue.joining import Wanted, add
from fhir_server.interactions import stored
from fhir_server.operations.call import OperationCall
from fhir_server.storage import ticket_links
from fhir_server.storage import tickets as rows


def transfer(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """Give a ticket in the other queue, with the first arrival and its place in time: the new Task. The old one is
    cancelled as transferred; visit and booking go on.

    Raises `Unprocessable` when the queue does not send people there, `Conflict` when the other is closed or full.
    """
    check_is_staff(ctx, "transfer tickets")
    target_id = local_reference(ctx, call.parameters["to"], "HealthcareService", "to")
    stored.get(ctx, "HealthcareService", target_id)
    target = self_key("HealthcareService", target_id)
    old = rows.by_task(ctx.db, ctx.tenant.id, call.id or "")
    ahead = None
    if old is not None and target < old.queue:
        # Two queues are locked in one order, so that nobody waits in a circle.
        ahead = locked(ctx, "take", target, also="open")
    action, case = on_ticket(ctx, "transfer", call.id or "", if_match=call.if_match)
    allowed = action.config.transfer_to
    if target == action.queue or (allowed and f"HealthcareService/{target_id}" not in allowed):
        text = "This queue does not send people there."
        raise Unprocessable(text, expression="http.to", code="business-rule")
    other = ahead or locked(ctx, "take", target, also="open")
    check_queue(other, target_id)
    kind = case.ticket.kind if case.ticket.kind in other.config.kinds else "normal"
    booking = None
    if case.appointment is not None and case.ticket.appointment is not None:
        booking = case.appointment, case.ticket.appointment
    if case.encounter is not None:
        visits.go_on(case.encounter, other.service, action.now)
        action.changes.put(case.encounter)
    reason = reason_of(call.parameters)
    case.task["statusReason"] = {"coding": [{"system": "urn:salam:CodeSystem:ticket-state", "code": "transferred"}]}
    if reason:
        case.task["statusReason"]["text"] = reason
    detail = {"to_queue": target_id}
    action.move(case, detail=detail, state="transferred", absent_until=None, ended_at=action.now)
    patient = stored.local(action.ctx, case.task.get("for")) or ""
    other.changes = action.changes
    given = add(ctx, other, Wanted(kind, patient, booking, after=case))
    # Who follows the ticket by a link goes along.
    link = ticket_links.move(ctx.tenant.id, case.ticket.rid, action.changes.rid("Task", given["id"]))
    action.statements.append(link)
    action.write()
    return given
