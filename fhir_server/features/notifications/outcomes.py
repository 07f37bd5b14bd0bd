"""What becomes of a message, written into its locked row and its Communication within the open transaction."""

import secrets
from dataclasses import replace
from datetime import timedelta

from fhir_server import observability
from fhir_server.core.context import Context
from fhir_server.features.notifications import channels, communications, occasions, outbox, preferences
from fhir_server.features.notifications.draft import Draft
from fhir_server.features.notifications.provider import Accepted, Later, Refused
from fhir_server.security.sealing import Unsealable
from fhir_server.storage import message_budgets, messages
from fhir_server.storage.messages import Message

MOST_ATTEMPTS = 6
# Seconds between attempts; the sixth is the last one.
_PAUSES = (30, 120, 600, 3600, 21_600)
# Of a message that nothing more can happen to, neither address nor text is needed.
_EMPTY = b""


def accepted(ctx: Context, message: Message, outcome: Accepted, *, delivered: bool = False) -> None:
    """The provider has it, or even delivered it. Where nothing more will be heard, that is all."""
    done = delivered or outcome.final
    changed = replace(
        message,
        state="delivered" if delivered else "sent",
        provider_id=outcome.provider_id or message.provider_id,
        error="",
        sealed=_EMPTY if done else message.sealed,
    )
    _write(ctx, changed, closed=outcome.final)


def refused(ctx: Context, message: Message, outcome: Refused, *, counted: bool = False) -> None:
    """The provider will not carry it: another channel gets the occasion. `counted`: it was carried for a while, so the
    provider bills it."""
    draft = _draft(ctx, message)
    if outcome.opted_out and draft is not None:
        preferences.stop(ctx, draft.address, source=message.provider)
    paid = message if counted else released(ctx, message)
    _write(ctx, replace(paid, state="failed", error=outcome.error, sealed=_EMPTY), reason=outcome.reason)
    if draft is not None:
        _elsewhere(ctx, draft)


def stopped(ctx: Context, message: Message, error: str, *, elsewhere: Draft | None = None) -> None:
    """We do not send it. `elsewhere`: this draft may go through another channel."""
    _write(ctx, replace(released(ctx, message), state="stopped", error=error, sealed=_EMPTY))
    if elsewhere is not None:
        _elsewhere(ctx, elsewhere)


def again(ctx: Context, message: Message, outcome: Later) -> None:
    """It was certainly not sent: try again, later each time, and give it up in the end."""
    if message.attempts >= MOST_ATTEMPTS:
        dead(ctx, released(ctx, message), outcome.error)
        return
    pause = _PAUSES[min(message.attempts, len(_PAUSES)) - 1]
    # A fifth more or less, so that what failed together does not come back together.
    jittered = max(pause * (0.8 + secrets.randbelow(401) / 1000), outcome.seconds)
    due = ctx.now + timedelta(seconds=jittered)
    back = replace(released(ctx, message), state="queued", next_attempt=due, error=outcome.error)
    ctx.db.run([messages.put(ctx.tenant.id, back, ctx.now)])
    observability.count_message(back.channel, back.state)


def dead(ctx: Context, message: Message, error: str) -> None:
    """Given up; people can have it tried again (`dead_letters`)."""
    _write(ctx, replace(message, state="dead", error=error), reason="system-error" if error != "unknown" else "unknown")


def requeued(ctx: Context, message: Message) -> None:
    """It was certainly not sent: it is due now."""
    back = replace(released(ctx, message), state="queued", next_attempt=ctx.now)
    ctx.db.run([messages.put(ctx.tenant.id, back, ctx.now)])


def released(ctx: Context, message: Message) -> Message:
    """The message, after what was counted for it was given back."""
    if not message.month:
        return message
    ctx.db.run(
        message_budgets.release(ctx.tenant.id, message.month, message.channel, message.parts, message.cost)
    )
    return replace(message, month="")


def _write(ctx: Context, message: Message, *, reason: str = "", closed: bool = False) -> None:
    ctx.db.run([messages.put(ctx.tenant.id, message, ctx.now)])
    sandbox = message.provider == channels.SANDBOX
    communications.tell(ctx, message, now=ctx.now, reason=reason, sandbox=sandbox, closed=closed)
    observability.count_message(message.channel, message.state)


def _draft(ctx: Context, message: Message) -> Draft | None:
    try:
        return outbox.opened(ctx, message)
    except Unsealable:
        return None


def _elsewhere(ctx: Context, draft: Draft) -> None:
    tried = messages.channels_of(ctx.db, ctx.tenant.id, draft.occasion)
    other = occasions.on_another_channel(ctx, draft, tried)
    if other is not None:
        outbox.enqueue(ctx, other)
