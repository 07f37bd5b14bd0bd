"""Messages that are to be sent: written in the transaction of what they tell about, once for each occasion and channel.

Delivery takes them from here. Address and text are sealed in the row.
"""

import msgspec

from fhir_server.core.context import Context
from fhir_server.features.notifications import communications
from fhir_server.features.notifications.draft import Draft
from fhir_server.interactions.acting import as_server
from fhir_server.interactions.changes import Changes
from fhir_server.security.sealing import seal, unseal
from fhir_server.storage import messages
from fhir_server.storage.messages import Message

_SEALED_FOR = "message"


def enqueue(ctx: Context, draft: Draft) -> bool:
    """Keep a message to send and its Communication, within the open transaction; False when the occasion has one
    through this channel already. In-app messages are there by that."""
    ctx = as_server(ctx)
    in_app = draft.channel == "in-app"
    with ctx.db.hold():
        message_id = messages.add(
            ctx.db,
            ctx.tenant.id,
            occasion=draft.occasion,
            kind=draft.kind,
            channel=draft.channel,
            sealed=b"" if in_app else sealed(ctx, draft),
            state="delivered" if in_app else "queued",
            due=max(draft.not_before, ctx.now),
            now=ctx.now,
        )
        if message_id is None:
            return False
        unit = Changes(ctx)
        id_ = unit.add(communications.make(draft, ctx.now))
        unit.run()
        ctx.db.run([messages.name(ctx.tenant.id, message_id, unit.rid("Communication", id_))])
    return True


def sealed(ctx: Context, draft: Draft) -> bytes:
    """A draft as its row keeps it."""
    return seal(ctx.db, ctx.tenant.id, msgspec.json.encode(draft), _SEALED_FOR)


def opened(ctx: Context, message: Message) -> Draft:
    """The draft of a row. Raises `Unsealable` when its key was destroyed or it was emptied."""
    return msgspec.json.decode(unseal(ctx.db, ctx.tenant.id, message.sealed, _SEALED_FOR), type=Draft)
