"""Messages inside the app: the Communication is the message, and whoever it is for says that it was read.

Communication/[id]/$mark-read (profiles/notifications/operations/): patients may not change Communications otherwise.
"""

from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.dates import format_instant
from fhir_server.core.errors import Forbidden, Unprocessable
from fhir_server.features.notifications import callers
from fhir_server.features.notifications.communications import CHANNEL
from fhir_server.interactions import stored
from fhir_server.interactions.changes import Changes
from fhir_server.operations.call import OperationCall, Table, Wired
from fhir_server.storage.messages import micros


def mark_read(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """Note that an in-app message was read, the first time only: the Communication. Raises `Forbidden` for anybody but
    the person it is for."""
    assert call.id is not None
    unit = Changes(ctx)
    message = unit.lock("Communication", call.id)
    names = [stored.local(ctx, recipient) for recipient in message.get("recipient", [])]
    if not any(name and callers.is_the_person(ctx, *name.split("/")) for name in names):
        raise Forbidden("Only the person whom a message is for has read it.")
    if not any(coding.get("system") == CHANNEL and coding.get("code") == "in-app" for coding in _medium(message)):
        raise Unprocessable("This is no in-app message.", expression="Communication.medium", code="business-rule")
    if "received" in message:
        return message
    message["received"] = format_instant(micros(ctx.now))
    unit.put(message)
    return unit.run()[f"Communication/{call.id}"]


def _medium(message: dict[str, Any]) -> list[dict[str, Any]]:
    return [coding for medium in message.get("medium", []) for coding in medium.get("coding", [])]


OPERATIONS: Table = {("Communication", "mark-read"): Wired(mark_read)}
