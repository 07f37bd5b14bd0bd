"""An authorization request on its way through sign-in, picker and consent, carried by the browser and not by us.

It is sealed under the tenant's key, lasts ten minutes from step to step, and belongs to one web session from the moment
there is one. So requests that nobody finishes leave nothing behind.
"""

import base64
import binascii
import json
import time
import zlib
from dataclasses import dataclass, replace
from typing import Any

from fhir_server.security import sealing
from fhir_server.security.oauth.authorize import Asked, Destination, Refused
from fhir_server.storage.session import Session

SECONDS = 600
_PURPOSE = "authorization request"
# With the path before it, it must pass through `return_to` of the sign-in page and proxies' limits for a URL.
_LONGEST = 7400


class Expired(Exception):
    """The ticket is too old, another session's, or none of ours."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """A request and what was settled since. `session`: digest (hex) of the web session it belongs to, "" before
    sign-in; `not_by`: the session that must not answer it, because a fresh sign-in is asked for; `encounter`: "" when
    the user went on without one, None when nobody was asked. `new`: who is at the browser is still to be looked at."""

    asked: Asked
    session: str = ""
    not_by: str = ""
    patient: str | None = None
    encounter: str | None = None
    new: bool = False

    def of(self, session_hash: bytes) -> "Ticket":
        """The ticket for a session. Raises `Expired` when it is another's already."""
        own = session_hash.hex()
        if self.session not in ("", own):
            raise Expired
        return self if self.session else replace(self, session=own)


def seal(db: Session, tenant_id: int, ticket: Ticket) -> str:
    """The ticket for a URL or a hidden field. Raises `Refused` when the request is too large to be carried."""
    asked = ticket.asked
    body: list[Any] = [
        int(time.time()) + SECONDS, ticket.session, ticket.not_by, ticket.patient, ticket.encounter, ticket.new,
        asked.client_id, asked.destination.redirect_uri, asked.destination.state, asked.scope, asked.challenge,
        asked.nonce, asked.launch, sorted(asked.prompt), asked.max_age, asked.ui_locales,
    ]  # fmt: skip
    # A state need not be UTF-8; its stray bytes are surrogates here.
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    sealed = base64.urlsafe_b64encode(sealing.seal(db, tenant_id, zlib.compress(text, 9), _PURPOSE)).rstrip(b"=")
    if len(sealed) > _LONGEST:
        raise Refused("invalid_request", "The request is too large.")
    return sealed.decode()


def open_(db: Session, tenant_id: int, text: str) -> Ticket:
    """What `seal` was given. Raises `Expired`."""
    try:
        sealed = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
        plain = zlib.decompress(sealing.unseal(db, tenant_id, sealed, _PURPOSE))
    except (ValueError, binascii.Error, zlib.error, sealing.Unsealable):
        raise Expired from None
    until, *settled = json.loads(plain.decode("utf-8", "surrogatepass"))
    if until < time.time():
        raise Expired
    session, not_by, patient, encounter, new, client, uri, state, scope, *rest = settled
    challenge, nonce, launch, prompt, max_age, ui_locales = rest
    where = Destination(uri, state)
    asked = Asked(client, where, scope, challenge, nonce, launch, frozenset(prompt), max_age, ui_locales)
    return Ticket(asked, session, not_by, patient, encounter, new)
