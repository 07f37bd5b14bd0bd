"""Task/[id]/$ticket-link: a secret short link with which whoever holds it follows a ticket, and gives it back, without
an account. What it shows names nobody."""

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.dates import format_instant
from fhir_server.core.errors import NotFound, Unprocessable
from fhir_server.features.queue import estimate, snapshot
from fhir_server.features.queue.callers import own_ticket
from fhir_server.features.queue.cancel import cancel
from fhir_server.features.queue.configuration import QueueConfig
from fhir_server.interactions import stored
from fhir_server.interactions.acting import as_server
from fhir_server.operations.call import OperationCall, Wired
from fhir_server.storage import ticket_links, tickets
from fhir_server.storage.tickets import Ticket

# 16 characters that can be typed, of 96 bits.
_BYTES = 12
_LONGEST = 64
OVER = ("served", "cancelled", "expired", "no-show", "transferred")


def ticket_link(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """`Task/[id]/$ticket-link`: Parameters with `url` and `expires`. Raises `NotFound` for a Task that the caller may
    not read, `Forbidden` for one that he may not change, because the link gives it back, and `Unprocessable` for one
    that is no ticket or is over."""
    own_ticket(ctx, call.id or "")
    ticket = snapshot.ticket_of(ctx, call.id or "")
    if ticket.state in OVER:
        raise Unprocessable(
            f"The ticket is over: it is {ticket.state}.", expression="Task.businessStatus", code="business-rule",
            detail="wrong-state",
        )  # fmt: skip
    url, expires = make(ctx, ticket.rid, snapshot.of_ticket(as_server(ctx), ticket).config)
    return {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "url", "valueUrl": url},
            {"name": "expires", "valueInstant": format_instant(round(expires.timestamp() * 1_000_000))},
        ],
    }


def make(ctx: Context, rid: int, config: QueueConfig) -> tuple[str, datetime]:
    """A new link to the ticket in row `rid`, and when it expires: with the end of tomorrow. The secret is in the URL
    and nowhere else."""
    secret = secrets.token_urlsafe(_BYTES)
    expires = config.end_of_day(ctx.now + timedelta(days=1))
    ctx.db.run([ticket_links.save(ctx.tenant.id, _digest(secret), rid, expires)])
    return f"{ctx.base.removesuffix('/fhir')}/tickets/{secret}", expires


def follow(ctx: Context, secret: str) -> Ticket:
    """The ticket that a link leads to. Raises `NotFound`, which says the same of a wrong, an expired and another
    tenant's secret."""
    rid = ticket_links.find(ctx.db, ctx.tenant.id, _digest(secret[:_LONGEST]), ctx.now)
    ticket = None if rid is None else tickets.one(ctx.db, ctx.tenant.id, rid)
    if ticket is None:
        raise NotFound("There is no such ticket here, or its link has expired.")
    return ticket


def seen(ctx: Context, ticket: Ticket) -> dict[str, Any]:
    """What the holder of a link sees, as a JSON value. `ctx`: the server's."""
    now = snapshot.of_ticket(ctx, ticket)
    place = now.place(ticket.rid)
    shown: dict[str, Any] = {
        "number": now.config.number(ticket.number),
        "state": ticket.state,
        "kind": ticket.kind,
        "desk": ticket.desk if ticket.state in ("called", "serving") and ticket.desk else None,
        "position": place[0] if place else None,
        "range": None,
        "queue": {"state": now.state.state, "message": now.state.message, "waiting": len(now.waiting)},
        "computedAt": format_instant(round(ctx.now.timestamp() * 1_000_000)),
    }
    if place and now.state.state != "closed":
        shown["range"] = {"low": place[1].low, "high": place[1].high, "model": estimate.MODEL}
    if ticket.state == "called" and ticket.absent_until is not None:
        shown["returnBy"] = format_instant(round(ticket.absent_until.timestamp() * 1_000_000))
    return shown


def give_back(ctx: Context, ticket: Ticket) -> None:
    """Cancel a ticket for the holder of its link; one that is cancelled already stays so. Raises what `$cancel` raises
    for a ticket that is served or over. `ctx`: the server's."""
    if ticket.state != "cancelled":
        task = stored.by_rid(ctx, [ticket.rid])[ticket.rid]
        cancel(ctx, task["id"], "by the link of the ticket")


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


OPERATIONS = {("Task", "ticket-link"): Wired(ticket_link)}
