"""The sandbox: a provider of SMS and WhatsApp that behaves like the real one and sends nothing.

It stands in while no credentials are set, never in production. It accepts, refuses and fails by the number's end
(`integrations/messaging/sandbox`), keeps what it accepted, and calls back with signed forms like Twilio: through HTTP
when SALAM_PUBLIC_URL says where this server is, else through the same checks in this process.
"""

import secrets
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from urllib.parse import parse_qs, urlencode, urlsplit

import msgspec

from fhir_server.core import clock
from fhir_server.core.context import Context
from fhir_server.core.errors import Forbidden
from fhir_server.features.notifications import callbacks, channels, signature
from fhir_server.features.notifications.provider import Accepted, Found, Outcome, Outgoing
from fhir_server.security import outbound
from fhir_server.security.sealing import seal, unseal
from fhir_server.settings import settings
from fhir_server.storage import sandbox_messages
from fhir_server.storage.sandbox_messages import SandboxMessage
from fhir_server.storage.session import Statement
from integrations.messaging.sandbox.connector import answer

_SEALED_FOR = "sandbox message"
_AT_ONCE = 50
_KEPT = timedelta(days=7)


class Given(msgspec.Struct, frozen=True):
    """What the sandbox was given, as sealed in its row."""

    address: str
    text: str
    callback: str


class Sandbox:
    """Like a Twilio account."""

    name = channels.SANDBOX
    sandbox = True

    def send(self, ctx: Context, outgoing: Outgoing) -> Outcome:
        """Do what the number's end says."""
        if settings.production:
            raise RuntimeError("the sandbox does not run in production")
        draft = outgoing.draft
        said = answer(draft.address, draft.channel, outgoing.attempt)
        sid = f"SM{secrets.token_hex(16)}"
        if said.taken:
            given = Given(draft.address, draft.text, outgoing.callback)
            kept = SandboxMessage(
                sid,
                outgoing.message_id,
                draft.channel,
                seal(ctx.db, ctx.tenant.id, msgspec.json.encode(given), _SEALED_FOR),
                "accepted",
                0,
                [list(each) for each in said.plan],
                clock.now(),
            )
            first = clock.now() + timedelta(seconds=said.plan[0][0])
            ctx.db.run([sandbox_messages.add(ctx.tenant.id, kept, first)], final=True)
        return said.outcome or Accepted(sid)

    def find(self, ctx: Context, outgoing: Outgoing) -> Found:
        """What it has under our id."""
        found = sandbox_messages.of_message(ctx.db, ctx.tenant.id, outgoing.message_id)
        ctx.db.commit()
        return [Accepted(each.provider_id) for each in found]


def play(ctx: Context) -> None:
    """Send the callbacks whose time has come, each exactly as planned. A transaction that found none stays open."""
    for _ in range(_AT_ONCE):
        each = replace(ctx, now=clock.now())
        message = sandbox_messages.due(ctx.db, ctx.tenant.id, each.now)
        if message is None or not message.plan:
            break
        (_, status, code), later = message.plan[0], message.plan[1:]
        next_at = each.now + timedelta(seconds=later[0][0]) if later else None
        told = replace(message, status=status, told=message.told + 1, plan=later)
        # Said before it is done: a callback that gets lost is lost, as with a real provider.
        ctx.db.run([sandbox_messages.told(ctx.tenant.id, told, next_at)])
        given = opened(ctx, message)
        ctx.db.commit()
        _call(each, given, message.provider_id, status, code)


def sweep(tenant_id: int, now: datetime) -> Statement:
    """The statement that forgets what is old."""
    return sandbox_messages.sweep(tenant_id, now - _KEPT)


def opened(ctx: Context, message: SandboxMessage) -> Given:
    """What the sandbox was given. Raises `Unsealable`."""
    return msgspec.json.decode(unseal(ctx.db, ctx.tenant.id, message.sealed, _SEALED_FOR), type=Given)


def _call(ctx: Context, given: Given, sid: str, status: str, code: str) -> None:
    if not given.callback:
        return
    fields = {"MessageSid": sid, "MessageStatus": status, "To": given.address, "AccountSid": "ACsandbox"}
    if code:
        fields["ErrorCode"] = code
    signed = signature.sign(channels.callback_secret(), given.callback, {name: [text] for name, text in fields.items()})
    if settings.public_url:
        try:
            headers = {"Content-Type": "application/x-www-form-urlencoded", signature.HEADER: signed}
            outbound.post(given.callback, urlencode(fields).encode(), headers)
            return
        except outbound.Unreachable:
            return
        except outbound.Refused:
            # A public URL on this machine or in this network: not through HTTP.
            pass
    _deliver(ctx, given.callback, fields, signed)


def _deliver(ctx: Context, url: str, fields: Mapping[str, str], signed: str) -> None:
    """The same as if the form had come through HTTP."""
    form = {name: [text] for name, text in fields.items()}
    try:
        callbacks.check(url, form, signed)
    except Forbidden:
        return
    message_id = parse_qs(urlsplit(url).query).get("message", [""])[0]
    with ctx.db.hold():
        callbacks.status(ctx, form, int(message_id) if message_id.isdecimal() else None)
    ctx.db.commit()


PROVIDER = Sandbox()
