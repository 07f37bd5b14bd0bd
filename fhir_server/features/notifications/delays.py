"""Tickets that wait longer than their holders were told: they are told so, once."""

import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from fhir_server.core.context import Context
from fhir_server.features.notifications import facts, outbox, recipients
from fhir_server.features.notifications.composing import Writer
from fhir_server.features.notifications.kinds import kinds, lives_until, rules
from fhir_server.features.notifications.ticket_occasions import STATE_SYSTEM, ticket_occasion
from fhir_server.interactions import stored
from fhir_server.interactions.acting import as_server

_KIND = "ticket-delayed"
_PAUSE_S = 60.0
_MOST = 500
_looked: dict[int, float] = {}


def tend(ctx: Context) -> None:
    """Look through the waiting tickets of a tenant, at most once a minute in this process."""
    now = time.monotonic()
    if now - _looked.get(ctx.tenant.id, -_PAUSE_S) >= _PAUSE_S:
        _looked[ctx.tenant.id] = now
        tell(ctx)


def tell(ctx: Context) -> None:
    """Tell the holders of waiting tickets whose promised time is over."""
    waiting = [("ticket-state", f"{STATE_SYSTEM}|waiting")]
    late = [task for task in stored.find(as_server(ctx), "Task", waiting, limit=_MOST) if _is_late(ctx, task)]
    writer = Writer(ctx)
    with ctx.db.hold():
        for task in late:
            expires = lives_until(kinds()[_KIND], ctx.now, None)
            occasion = ticket_occasion(ctx, task, _KIND, "", {"state": "waiting"}, expires)
            for draft in writer.drafts(occasion, recipients.of_people(ctx, _holder(ctx, task))):
                outbox.enqueue(ctx, draft)
    ctx.db.commit()


def _is_late(ctx: Context, task: Mapping[str, Any]) -> bool:
    """Whether the longest time that was said when the ticket was taken is over, and some minutes more. What waits
    for half a day was forgotten, and is not late."""
    parts = facts.extension(task, f"{facts.E}wait-estimate").get("extension", ())
    said = {part.get("url"): part for part in parts}
    taken, high = facts.instant(said.get("computedAt", {}).get("valueInstant")), said.get("high", {})
    minutes = high.get("valueUnsignedInt")
    if taken is None or minutes is None:
        return False
    late = taken + timedelta(minutes=minutes + int(rules()["delay_minutes"]))
    return late < ctx.now < taken + timedelta(hours=12)


def _holder(ctx: Context, task: Mapping[str, Any]) -> list[str]:
    return [name for name in facts.references([task.get("for", {})], ctx.base) if name.startswith("Patient/")]
