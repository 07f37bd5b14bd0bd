"""What the provider of SMS and WhatsApp tells about a message: signed POSTs, which may come twice, late, in the wrong
order, or from somebody else. A message's state never moves backwards.

https://www.twilio.com/docs/messaging/guides/track-outbound-message-status
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from fhir_server.core.context import Context
from fhir_server.core.errors import Forbidden
from fhir_server.features.notifications import channels, outcomes, signature
from fhir_server.features.notifications.provider import Accepted, Later, Refused
from fhir_server.storage import messages
from fhir_server.storage.messages import Message
from integrations.messaging.twilio.errors import meaning

Form = Mapping[str, Sequence[str]]

_SID = re.compile(r"[A-Za-z0-9]{10,64}\Z")
# Twilio's states as ours. The last group ends a message that did not arrive.
_STATES = {
    **dict.fromkeys(("accepted", "scheduled", "queued", "sending", "sent"), "sent"),
    **dict.fromkeys(("delivered", "read"), "delivered"),
    **dict.fromkeys(("undelivered", "failed", "canceled"), "failed"),
}
# From which states a message may come to another one. What is delivered, failed or stopped stays so.
_FROM = {
    "sent": ("queued", "sending", "dead"),
    "delivered": ("queued", "sending", "sent", "dead"),
    "failed": ("sending", "sent", "dead"),
}


def check(url: str, form: Form, given: str) -> None:
    """Raise `Forbidden` unless the signature shows that our provider sent this form to this URL."""
    secret = channels.callback_secret()
    if not secret or not signature.verify(secret, url, form, given):
        raise Forbidden("The signature is missing or wrong.", headers={})


def status(ctx: Context, form: Form, message_id: int | None) -> bool:
    """Take in what a checked callback says, within the open transaction; whether it changed anything.

    `message_id`: ours, from the URL that was signed: it also tells of a message whose name at the provider we never
    heard.
    """
    sid, state = _one(form, "MessageSid") or _one(form, "SmsSid"), _STATES.get(_one(form, "MessageStatus"))
    provider = channels.TWILIO if not channels.sandboxed() else channels.SANDBOX
    if not _SID.match(sid) or state is None:
        return False
    message = messages.lock_by_provider(ctx.db, ctx.tenant.id, provider, sid)
    if message is None and message_id is not None:
        message = _unnamed(ctx, message_id, provider)
    if message is None or message.state not in _FROM[state]:
        return False
    _move(ctx, message, state, sid, _one(form, "ErrorCode"))
    return True


def _unnamed(ctx: Context, message_id: int, provider: str) -> Message | None:
    """A message of ours that this provider was given and of which no later attempt is known under another name."""
    message = messages.lock(ctx.db, ctx.tenant.id, message_id)
    if message is None or message.provider != provider or message.state in ("sent", "delivered"):
        return None
    return message


def _move(ctx: Context, message: Message, state: str, sid: str, code: str) -> None:
    message = replace(message, provider_id=sid)
    if state == "failed":
        why = meaning(int(code) if code.isdecimal() and len(code) < 10 else None)
        if isinstance(why, Later):
            # The provider took it and gave up: there is nothing to try again.
            why = Refused(why.error)
        outcomes.refused(ctx, message, why, counted=True)
        return
    outcomes.accepted(ctx, message, Accepted(sid), delivered=state == "delivered")


def _one(form: Form, name: str) -> str:
    values = form.get(name) or [""]
    return values[0]
