"""HealthcareService/[id]/$open, $pause, $resume and $close: whether a queue gives tickets and calls.

A paused queue gives tickets and calls nobody; a closed one gives none and calls who still waits.
"""

from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.errors import Conflict, Invalid
from fhir_server.features.queue import configuration
from fhir_server.features.queue.action import on_queue
from fhir_server.features.queue.callers import check_is_staff, reason_of
from fhir_server.features.queue.ending import expire
from fhir_server.features.queue.tickets import extend
from fhir_server.features.queue.visits import instant
from fhir_server.operations.call import OperationCall

_LONGEST_MESSAGE = 300
# Action: from which states, to which.
_MOVES = {
    "open": (("closed",), "open"),
    "pause": (("open",), "paused"),
    "resume": (("paused",), "open"),
    "close": (("open", "paused"), "closed"),
}


def change_opening(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """Do what the operation's code says: the HealthcareService with its queue-state. With `expire`, `$close` ends the
    tickets that are open but not served, also later when it is closed. Raises `Conflict` where the state is another."""
    check_is_staff(ctx, "open, pause and close queues")
    code = call.operation.code
    reason, message = reason_of(call.parameters), str(call.parameters.get("message", "")).strip()
    if len(message) > _LONGEST_MESSAGE:
        raise Invalid(f"message takes up to {_LONGEST_MESSAGE} characters.", expression="http.message", code="value")
    ending = bool(call.parameters.get("expire", False))
    action = on_queue(ctx, code, call.id or "", also="open" if ending else "none")
    sources, state = _MOVES[code]
    leftovers = ending and action.state.state == state == "closed"
    if action.state.state not in sources and not leftovers:
        text = f"The queue is {action.state.state}; ${code} is for one that is {' or '.join(sources)}."
        raise Conflict(text, expression="HealthcareService.extension", detail="wrong-state")
    service = action.changes.lock("HealthcareService", action.service_id)
    parts = [{"url": "state", "valueCode": state}, {"url": "since", "valueInstant": instant(action.now)}]
    parts += [{"url": n, "valueString": text} for n, text in (("reason", reason), ("message", message)) if text]
    extend(service, {"url": configuration.STATE, "extension": parts})
    action.changes.put(service)
    action.log(None, {"state": state, **({"reason": reason} if reason else {})})
    if ending:
        expire(action, list(action.tickets.values()))
    return action.write()[f"HealthcareService/{action.service_id}"]
