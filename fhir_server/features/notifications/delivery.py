"""Sending what is due. A message is never sent twice without somebody's decision.

It is marked `sending` in a transaction of its own, in which everything is read again that could forbid it; then the
provider is called outside any transaction; then a third transaction writes what came of it. Should this process die in
between, the message stays `sending`, and after a while the provider is asked whether it has it. Only one that the
provider certainly never had is sent again; where nobody can tell, people decide (`dead_letters`).
"""

import logging
import time
import traceback
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from fhir_server.core import clock
from fhir_server.core.context import Context
from fhir_server.core.errors import FhirError
from fhir_server.features.notifications import (
    budget,
    channels,
    code_messages,
    communications,
    occasions,
    outbox,
    outcomes,
    sandbox,
)
from fhir_server.features.notifications.draft import Draft
from fhir_server.features.notifications.provider import (
    Accepted,
    Found,
    Later,
    Outcome,
    Outgoing,
    Provider,
    Refused,
    Unclear,
    Unknowable,
)
from fhir_server.security.sealing import Unsealable
from fhir_server.settings import settings
from fhir_server.storage import messages
from fhir_server.storage.errors import ConnectionLost, DefinitionsChanged, SerializationFailure, UniqueViolation
from fhir_server.storage.messages import Message
from fhir_server.storage.session import Session

_log = logging.getLogger(__name__)
# Messages of one tenant until the next one has its turn.
_AT_ONCE = 200
# Longer than any provider's call takes; after it, a message that is still `sending` is looked for.
LEASE = timedelta(seconds=120)
_LOOK_AGAIN = timedelta(minutes=5)
_LOOK_FOR = timedelta(hours=24)
_UNCLEAR = timedelta(seconds=60)
_KEPT = timedelta(days=30)
# A tenant's turn ends after this, however slow the provider is.
_TURN_S = 20.0
# A provider that answered nobody is left alone for a while; what is due meanwhile waits without losing an attempt.
_ALONE = timedelta(seconds=30)
_away: dict[str, float] = {}


@dataclass(frozen=True, slots=True)
class _Work:
    """A message that this process is to hand over, or (`lost`) to ask the provider about."""

    message: Message
    draft: Draft
    provider: Provider
    lost: bool = False


def tend(ctx: Context) -> None:
    """Send what is due in a tenant. Transactions of its own: none may be open."""
    if channels.sandboxed():
        sandbox.play(ctx)
    ends = time.monotonic() + _TURN_S
    for _ in range(_AT_ONCE):
        if time.monotonic() > ends:
            break
        found, work = _begun(replace(ctx, now=clock.now()))
        if not found:
            break
        if work is not None:
            _carry(ctx, work)
    now = clock.now()
    ctx.db.run([messages.empty(ctx.tenant.id, now - _KEPT), sandbox.sweep(ctx.tenant.id, now)], final=True)


def health(db: Session, tenant_id: int) -> dict[str, Any]:
    """How many messages wait, are late, or were given up; the seconds of the oldest late one; whether the
    sandbox stands in, and which channels nobody carries."""
    now = clock.now()
    found = messages.counts(db, tenant_id, now)
    late = 0 if found.late_since is None else int((now - found.late_since).total_seconds())
    return {
        "queued": found.queued,
        "sending": found.sending,
        "dead": found.dead,
        "late": found.late,
        "late_seconds": late,
        "sandbox": channels.sandboxed(),
        "unserved": channels.unserved(),
    }


def _begun(ctx: Context) -> tuple[bool, _Work | None]:
    """Take the next message that is due and commit what was decided; whether there was one, and what is to be done."""
    message = None
    try:
        with ctx.db.hold():
            message = messages.due(ctx.db, ctx.tenant.id, ctx.now)
            if message is None:
                return False, None
            work = _decided(ctx, message)
        ctx.db.commit()
        return True, work
    except (DefinitionsChanged, ConnectionLost):
        raise
    except (SerializationFailure, UniqueViolation):
        # Somebody else changed the same thing. It is still due.
        ctx.db.rollback()
        return True, None
    except Exception as error:
        if message is None:
            raise
        # One message that cannot be made must not keep the others. The error's text may quote it.
        last = traceback.extract_tb(error.__traceback__)[-1]
        _log.error("a message could not be prepared (%s, %s:%d)", type(error).__name__, last.name, last.lineno or 0)
        ctx.db.rollback()
        _put_off(ctx, message.message_id)
        return True, None


def _put_off(ctx: Context, message_id: int) -> None:
    with ctx.db.hold():
        message = messages.lock(ctx.db, ctx.tenant.id, message_id)
        if message is not None and message.state == "queued":
            outcomes.again(ctx, replace(message, attempts=message.attempts + 1), Later("exception"))
        elif message is not None:
            ctx.db.run([messages.put(ctx.tenant.id, replace(message, next_attempt=ctx.now + _LOOK_AGAIN), ctx.now)])
    ctx.db.commit()


def _decided(ctx: Context, message: Message) -> _Work | None:
    try:
        draft = outbox.opened(ctx, message)
    except Unsealable:
        outcomes.stopped(ctx, message, "unreadable")
        return None
    if message.state == "sending":
        return _missed(ctx, message, draft)
    wanted = _wanted(ctx, message, draft)
    if wanted is None:
        outcomes.stopped(ctx, message, "unwanted")
        return None
    if wanted.not_before > ctx.now:
        back = replace(message, next_attempt=wanted.not_before, sealed=outbox.sealed(ctx, wanted))
        ctx.db.run([messages.put(ctx.tenant.id, back, ctx.now)])
        return None
    provider = channels.provider(wanted.channel)
    if provider is None:
        outcomes.stopped(ctx, message, "provider", elsewhere=wanted)
        return None
    if _away.get(provider.name, 0.0) > time.monotonic():
        ctx.db.run([messages.put(ctx.tenant.id, replace(message, next_attempt=ctx.now + _ALONE), ctx.now)])
        return None
    return _leased(ctx, outcomes.released(ctx, message), wanted, provider)


def _wanted(ctx: Context, message: Message, draft: Draft) -> Draft | None:
    """The draft as it is to be sent now; None when it is not wanted any more."""
    if draft.kind == code_messages.KIND:
        return code_messages.still_wanted(ctx, draft)
    return occasions.still_wanted(ctx, draft) if communications.waits(ctx, message) else None


def _leased(ctx: Context, message: Message, draft: Draft, provider: Provider) -> _Work | None:
    """Mark a message as being sent, if the budget pays it."""
    own = budget.plan(ctx.tenant)
    price = budget.price(own, draft)
    month = budget.reserve(ctx.db, ctx.tenant, own, draft.channel, price, ctx.now)
    if not month or price.cost is None:
        outcomes.stopped(ctx, message, "price" if price.cost is None else "budget", elsewhere=draft)
        return None
    leased = replace(
        message,
        sealed=outbox.sealed(ctx, draft),
        state="sending",
        attempts=message.attempts + 1,
        since=ctx.now,
        next_attempt=ctx.now + LEASE,
        provider=provider.name,
        provider_id="",
        parts=price.parts,
        cost=price.cost,
        month=month,
        error="",
    )
    ctx.db.run([messages.put(ctx.tenant.id, leased, ctx.now)])
    return _Work(leased, draft, provider)


def _missed(ctx: Context, message: Message, draft: Draft) -> _Work | None:
    """A message that was given to a provider, or was about to be, and of which nothing more is known."""
    provider = channels.named(message.provider)
    if provider is None or message.since is None or ctx.now - message.since > _LOOK_FOR:
        outcomes.dead(ctx, message, "unknown")
        return None
    leased = replace(message, next_attempt=ctx.now + LEASE)
    ctx.db.run([messages.put(ctx.tenant.id, leased, ctx.now)])
    return _Work(leased, draft, provider, lost=True)


def _carry(ctx: Context, work: _Work) -> None:
    """Speak to the provider, outside any transaction, and write down what came of it."""
    message = work.message
    assert message.since is not None
    outgoing = Outgoing(
        message.message_id, message.attempts, work.draft, callback_url(ctx, message.message_id), message.since
    )
    heard: Outcome | Found
    try:
        heard = work.provider.find(ctx, outgoing) if work.lost else work.provider.send(ctx, outgoing)
    except (DefinitionsChanged, ConnectionLost):
        raise
    except Exception as error:
        # Its text may quote an address.
        _log.error("provider %s failed (%s)", work.provider.name, type(error).__name__)
        heard = Unclear("exception")
    if isinstance(heard, Later | Unclear) and heard.away:
        _away[work.provider.name] = time.monotonic() + _ALONE.total_seconds()
    for last in (False, True):
        try:
            _settle(replace(ctx, now=clock.now()), work, heard)
            return
        except (SerializationFailure, UniqueViolation, FhirError) as error:
            ctx.db.rollback()
            if last or isinstance(error, ConnectionLost):
                # As if the process had died: it will be looked for.
                _log.error("what became of a message could not be written (%s)", type(error).__name__)


def callback_url(ctx: Context, message_id: int) -> str:
    """Where providers tell what became of a message; "" when nobody outside can reach this server."""
    base = settings.public_url.rstrip("/")
    if not base and channels.sandboxed():
        base = f"http://{settings.host}:{settings.port}"
    return f"{base}/t/{ctx.tenant.slug}/messages/twilio/status?message={message_id}" if base else ""


def _settle(ctx: Context, work: _Work, heard: Outcome | Found) -> None:
    with ctx.db.hold():
        message = messages.lock(ctx.db, ctx.tenant.id, work.message.message_id)
        # A callback may have been faster; or this took so long that somebody else looks for the message.
        if message is not None and message.state == "sending" and message.since == work.message.since:
            if isinstance(heard, list | Unknowable):
                _settle_found(ctx, message, heard)
            else:
                _settle_sent(ctx, message, heard, lost=work.lost)
    ctx.db.commit()


def _settle_sent(ctx: Context, message: Message, heard: Outcome, *, lost: bool) -> None:
    match heard:
        case Accepted():
            outcomes.accepted(ctx, message, heard)
        case Refused():
            outcomes.refused(ctx, message, heard)
        case Later():
            outcomes.again(ctx, message, heard)
        case Unclear():
            due = ctx.now + (_LOOK_AGAIN if lost else _UNCLEAR)
            waiting = replace(message, next_attempt=due, error=heard.error)
            ctx.db.run([messages.put(ctx.tenant.id, waiting, ctx.now)])


def _settle_found(ctx: Context, message: Message, heard: list[Accepted] | Unknowable) -> None:
    if isinstance(heard, Unknowable):
        if message.replayed:
            outcomes.requeued(ctx, message)
        else:
            outcomes.dead(ctx, message, "unknown")
        return
    ours = messages.known_ids(ctx.db, ctx.tenant.id, message.provider, [each.provider_id for each in heard])
    mine = [each for each in heard if each.provider_id not in ours or each.provider_id == message.provider_id]
    if mine:
        outcomes.accepted(ctx, message, mine[0])
    elif message.attempts >= outcomes.MOST_ATTEMPTS:
        outcomes.again(ctx, message, Later(message.error or "lost"))
    else:
        outcomes.requeued(ctx, message)
