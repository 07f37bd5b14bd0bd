"""Tickets that end by themselves: the grace period is over, or the queue's day."""

from collections.abc import Iterable

from fhir_server.features.queue.action import Action
from fhir_server.features.queue.tickets import moves, position
from fhir_server.interactions import stored
from fhir_server.storage.tickets import Ticket


def expire(action: Action, tickets: Iterable[Ticket]) -> None:
    """End those of the tickets that nobody serves, in a locked queue."""
    _end(action, "expire", [t for t in tickets if position(t) in moves()["expire"].sources])


def end_grace(action: Action, tickets: Iterable[Ticket]) -> None:
    """Make no-shows of those of the tickets that are absent: their grace period is over, or the day."""
    _end(action, "no-show", [t for t in tickets if t.absent_until is not None])


def _end(action: Action, name: str, tickets: list[Ticket]) -> None:
    tasks = stored.by_rid(action.ctx, [ticket.rid for ticket in tickets])
    state = "no-show" if name == "no-show" else "expired"
    before, action.name = action.name, name
    for ticket in tickets:
        if ticket.rid in tasks:
            case = action.case(ticket, tasks[ticket.rid]["id"])
            action.move(case, state=state, absent_until=None, ended_at=action.now)
        else:
            action.forget(ticket)
    action.name = before
