"""Messages that were given up, and having them tried again.

A replay is a new attempt of the same message. One of which nobody knows whether it was sent is looked for first, and
counts as sent when the provider has it; where the provider cannot tell, whoever asks for the replay has decided.
"""

from dataclasses import replace
from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.dates import format_instant
from fhir_server.core.errors import Conflict, NotFound
from fhir_server.features.notifications import channels, communications
from fhir_server.interactions import acting, stored
from fhir_server.interactions.changes import Changes
from fhir_server.operations.call import OperationCall, Table, Wired
from fhir_server.operations.parameters import returned
from fhir_server.storage import messages
from fhir_server.storage.messages import Message, micros

# States from which a message may be tried again.
_REPLAYABLE = ("dead",)
OPEN = ("queued", "sending", "dead")


def listed(ctx: Context, states: tuple[str, ...] = OPEN, limit: int = 100) -> list[dict[str, Any]]:
    """Messages in these states, the latest change first; without address and text."""
    found = messages.listed(ctx.db, ctx.tenant.id, states, limit)
    bodies = stored.by_rid(ctx, [each.rid for each in found])
    return [_shown(each, bodies.get(each.rid, {}).get("id", "")) for each in found]


def replay(ctx: Context, message_id: int) -> dict[str, Any]:
    """Have a message that was given up tried again, within the open transaction. Raises `NotFound`, and `Conflict` for
    one that is not given up."""
    message = messages.lock(ctx.db, ctx.tenant.id, message_id)
    if message is None:
        raise NotFound("There is no such message.")
    return _replayed(ctx, message)


def resend(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """Communication/[id]/$resend: `replay` for staff. Parameters with the message's `state`."""
    assert call.id is not None
    acting.check_staff(ctx, "Communication", "have messages sent again")
    unit = Changes(ctx)
    unit.lock("Communication", call.id)
    message = messages.lock_by_rid(ctx.db, ctx.tenant.id, unit.rid("Communication", call.id))
    if message is None:
        raise NotFound("This Communication was not made by a message of the server.")
    return returned("Code", _replayed(acting.as_server(ctx), message)["state"])


def _replayed(ctx: Context, message: Message) -> dict[str, Any]:
    if message.state not in _REPLAYABLE:
        raise Conflict(f"The message is {message.state}: only one that was given up can be tried again.")
    # `sending` has the provider asked before anything is sent.
    lost = message.error == "unknown" and channels.named(message.provider) is not None
    again = replace(
        message,
        state="sending" if lost else "queued",
        attempts=0,
        next_attempt=ctx.now,
        since=message.since if lost else None,
        error="",
        replayed=True,
    )
    ctx.db.run([messages.put(ctx.tenant.id, again, ctx.now)])
    communications.tell(ctx, again, now=ctx.now)
    return _shown(again, "")


OPERATIONS: Table = {("Communication", "resend"): Wired(resend)}


def _shown(message: Message, communication: str) -> dict[str, Any]:
    return {
        "id": str(message.message_id),
        "communication": communication,
        "kind": message.kind,
        "channel": message.channel,
        "state": message.state,
        "attempts": message.attempts,
        "next_attempt": format_instant(micros(message.next_attempt)),
        "provider": message.provider,
        "error": message.error,
        "changed": format_instant(micros(message.changed_at)),
    }
