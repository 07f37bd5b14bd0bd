"""Visitors without account: who they are to the server, and the access tokens that they look and hold times with.

A guest is an account of the role `guest` that nobody can sign in to. It follows from what the browser holds, and its
tokens from the server's key and the half hour, so that any process gives the same one and a lost cookie loses nothing
but a hold. The token narrows the role's right to the Appointments that this very guest holds.
"""

import base64
import hmac
import secrets
import time
from collections import OrderedDict

from fhir_server.core.context import Tenant
from fhir_server.core.keys import key64
from fhir_server.security import throttle
from fhir_server.security.authenticate import token_digest
from fhir_server.settings import settings
from fhir_server.storage import accounts
from fhir_server.storage import guests as guest_rows
from fhir_server.storage.session import Session

ROLE = "guest"
CLIENT_ID = throttle.GUESTS
# Of all who only look. It can hold nothing.
VISITOR = throttle.VISITOR
SECONDS = 3600
_WINDOW = 1800
_TAG = "urn:salam:holder"
_REMEMBERED = 10_000
_known: OrderedDict[tuple[int, str, str], None] = OrderedDict()


def holder_code(tenant_id: int, user_id: str) -> str:
    """What stands for a user in the holds of his (features/scheduling/callers.py#holder)."""
    return f"{key64(f'{tenant_id}/holder/user/{user_id}') & (2**64 - 1):016x}"


def guest_id(tenant_id: int, holder: bytes) -> str:
    """The id of the guest at a browser. `holder`: what only this browser has."""
    return "guest-" + _mac(tenant_id, "guest", holder.hex())[:16].hex()


def visitor_token(db: Session, tenant: Tenant, address: str) -> str:
    """The access token of all who only look: the directory and free times. Commits. Raises `Throttled`."""
    throttle.check(db, tenant.id, "visit", address)
    return _token(db, tenant.id, VISITOR, "rs", "")


def guest_token(db: Session, tenant: Tenant, holder: bytes, address: str) -> str:
    """The access token of the guest at one browser, who may hold times and say who he is; good for half an hour at
    least. Commits. Raises `Throttled` when too many come from one address."""
    return _token(db, tenant.id, guest_id(tenant.id, holder), "crus", address)


def _token(db: Session, tenant_id: int, user_id: str, letters: str, address: str) -> str:
    window = str(int(time.time()) // _WINDOW)
    place = tenant_id, user_id, window
    token = base64.urlsafe_b64encode(_mac(tenant_id, "guest token", f"{user_id}|{window}")).rstrip(b"=").decode()
    if place in _known:
        _known.move_to_end(place)
        return token
    if address and not guest_rows.is_kept(db, tenant_id, token_digest(token)):
        # Once for each guest, however many processes he meets.
        throttle.check(db, tenant_id, "guest", address)
    scope = f"user/Appointment.{letters}?_tag={_TAG}|{holder_code(tenant_id, user_id)}"
    origin = _mac(tenant_id, "origin", address)[:16] if address else b""
    kept = guest_rows.keep_token(tenant_id, token_digest(token), scope, CLIENT_ID, SECONDS, user_id)
    db.run([accounts.insert_guest(tenant_id, user_id, origin), kept], final=True)
    _known[place] = None
    if len(_known) > _REMEMBERED:
        _known.popitem(last=False)
    return token


def new_holder() -> bytes:
    """What a guest has who comes without a browser: 256 random bits."""
    return secrets.token_bytes(32)


def _mac(tenant_id: int, purpose: str, text: str) -> bytes:
    return hmac.digest(settings.secret_key(), f"{purpose}|{tenant_id}|{text}".encode(), "sha256")
