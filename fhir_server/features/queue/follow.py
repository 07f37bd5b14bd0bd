"""Tickets follow their bookings: who cancels an appointment, by whatever way, does not wait in a queue any more."""

from collections.abc import Sequence

from fhir_server.core.context import Context
from fhir_server.core.errors import Conflict
from fhir_server.features.queue.cancel import cancel
from fhir_server.features.queue.tickets import moves, position
from fhir_server.interactions import stored
from fhir_server.storage import tickets as rows
from fhir_server.storage.changes import Change

_CANCELLED = {"system": "http://hl7.org/fhir/appointmentstatus", "code": "cancelled"}
_OVER = ("cancelled", "entered-in-error")


def follow(ctx: Context, changes: Sequence[Change]) -> None:
    """Give up the open tickets of appointments that were cancelled or deleted, unless they are being served. In the
    transaction in which the changes are read."""
    kind = ctx.registry.type_ids["Appointment"]
    changed = sorted({change.rid for change in changes if change.type_id == kind})
    open_ = [t for t in rows.open_for(ctx.db, ctx.tenant.id, changed) if position(t) in moves()["cancel"].sources]
    bookings = stored.by_rid(ctx, [t.appointment for t in open_ if t.appointment is not None])
    over = [t for t in open_ if bookings.get(t.appointment or 0, {"status": _OVER[0]})["status"] in _OVER]
    tasks = stored.by_rid(ctx, [ticket.rid for ticket in over])
    for ticket in sorted(over, key=lambda ticket: ticket.queue):
        if ticket.rid in tasks:
            _give_up(ctx, tasks[ticket.rid]["id"])


def _give_up(ctx: Context, task_id: str) -> None:
    try:
        cancel(ctx, task_id, coding=dict(_CANCELLED), keep_appointment=True)
    except Conflict as refused:
        # Until the lock was there, the ticket has moved on.
        if refused.issues[0].detail != "wrong-state":
            raise
