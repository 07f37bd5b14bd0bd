"""What queues need every few seconds: grace periods end, and tickets of a day that is over."""

import logging
from collections.abc import Sequence
from itertools import groupby

from fhir_server.core.context import Context
from fhir_server.core.errors import Conflict, NotFound, Unprocessable
from fhir_server.features.queue.action import locked
from fhir_server.features.queue.ending import end_grace, expire
from fhir_server.storage import tickets as rows

_log = logging.getLogger(__name__)
# Tickets of one queue that end in one transaction.
_AT_ONCE = 50


def tend(ctx: Context) -> None:
    """End the tickets of the tenant whose time is over; one statement when there are none. Commits."""
    due = rows.due(ctx.db, ctx.tenant.id, ctx.now)
    for queue, pairs in groupby(due, key=lambda pair: pair[0]):
        rids = [rid for _, rid in pairs]
        for first in range(0, len(rids), _AT_ONCE):
            _end(ctx, queue, rids[first : first + _AT_ONCE])


def _end(ctx: Context, queue: int, rids: Sequence[int]) -> None:
    """End tickets together; if that fails, one by one, so that one in trouble does not keep the others."""
    try:
        _end_together(ctx, queue, rids)
    except (Conflict, NotFound, Unprocessable):
        ctx.db.rollback()
        if len(rids) == 1:
            _log.exception("a ticket could not be ended")
            return
        for rid in rids:
            _end(ctx, queue, [rid])


def _end_together(ctx: Context, queue: int, rids: Sequence[int]) -> None:
    with ctx.db.hold():
        action = locked(ctx, "expire", queue, rids=rids)
        # Until the lock was there, a ticket may have moved on.
        still = [t for t in action.tickets.values() if t.deadline <= action.now and t.state in ("waiting", "called")]
        end_grace(action, still)
        expire(action, [t for t in still if t.absent_until is None])
        action.write()
    ctx.db.commit()
