"""Tickets of event streams: a short-lived secret for the URL, because a browser's EventSource sends no header.

A ticket stands for the access token that asked for it: no more rights, no longer life. It opens streams for a minute;
as long as one is open, and for a minute after, it opens that again: a lost connection comes back with the same URL.
"""

import secrets
from hashlib import sha256

from fhir_server.core.context import Context
from fhir_server.core.errors import Forbidden
from fhir_server.storage import event_tickets
from fhir_server.storage.session import Session

SECONDS = 60


def issue(ctx: Context) -> str:
    """A new ticket for the caller's token, in the context's transaction."""
    if ctx.principal.token_hash is None:
        raise Forbidden("A ticket stands for an access token, and this request has none.")
    secret = secrets.token_urlsafe(32)
    statement = event_tickets.save(ctx.tenant.id, digest(secret), ctx.principal.token_hash, SECONDS)
    ctx.db.run([statement], final=True)
    return secret


def digest(ticket: str) -> bytes:
    """What is stored of a ticket: its SHA-256."""
    return sha256(ticket.encode("utf-8", "surrogatepass")).digest()


def token_of(db: Session, tenant_id: int, ticket: str) -> bytes | None:
    """The hash of the token that a ticket stands for, or None."""
    return event_tickets.use(db, tenant_id, digest(ticket), SECONDS)
