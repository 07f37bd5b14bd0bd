"""Sessions of signed-in people. The browser holds a random id in a cookie, the database its SHA-256."""

import base64
import hmac
import re
import secrets
from collections.abc import Sequence
from hashlib import sha256

from fhir_server.security.oauth import grants
from fhir_server.settings import settings
from fhir_server.storage import web_sessions
from fhir_server.storage.session import Session
from fhir_server.storage.web_sessions import Seen, WebSession

_ID = re.compile(r"[A-Za-z0-9_-]{43}\Z")
_PENDING_SECONDS = 600
# For screens on a wall, which nobody is there to sign in every morning.
STAYING_SECONDS = 365 * 86400
_DEVICES = ("board", "kiosk")


def new_id() -> str:
    """A session id that nobody can guess: 256 random bits."""
    return secrets.token_urlsafe(32)


def is_id(text: str) -> bool:
    """Whether a cookie's value has the form of a session id."""
    return _ID.match(text) is not None


def digest(session_id: str) -> bytes:
    """What is stored of a session id."""
    return sha256(session_id.encode()).digest()


def csrf_token(session_id: str) -> str:
    """The token that forms of this session carry. It follows from the id and the server's key, so it needs no row and
    whoever plants a cookie of their own cannot compute it."""
    mac = hmac.digest(settings.secret_key(), b"csrf|" + session_id.encode(), "sha256")
    return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()


def find(db: Session, tenant_id: int, session_id: str) -> WebSession | None:
    """The live session of an id (also a pending one); None when it ended, idled or never was."""
    return web_sessions.find(db, tenant_id, digest(session_id), _idle_seconds()) if is_id(session_id) else None


def start(
    db: Session,
    tenant_id: int,
    user_id: str,
    *,
    amr: Sequence[str],
    agent: str,
    pending: bool = False,
    replaces: bytes | None = None,
    role: str = "",
) -> str:
    """Make a session and give its id; the caller commits. The session of digest `replaces` ends: a session id from
    before signing in is never one after it. Grants that live as long as the session move along when the person stays
    the same, and end otherwise. `role`: of the person, where it decides how long the session may last."""
    session_id = new_id()
    seconds = _PENDING_SECONDS if pending else longest_seconds(role)
    made = digest(session_id)
    statements = [
        web_sessions.start(tenant_id, made, user_id, amr=amr, agent=agent, pending=pending, seconds=seconds)
    ]
    if replaces is not None:
        statements += [web_sessions.follow(tenant_id, replaces, made), web_sessions.end(tenant_id, replaces)]
    db.run(statements)
    if replaces is not None:
        grants.end_session_grants(db, tenant_id, replaces)
    return session_id


def longest_seconds(role: str) -> int:
    """How long a session of the role can last, however often it is used."""
    return STAYING_SECONDS if role in _DEVICES else settings.session_hours * 3600


def end(db: Session, tenant_id: int, session_hash: bytes) -> None:
    """End one session and the grants that live as long as it; the caller commits."""
    db.run([web_sessions.end(tenant_id, session_hash)])
    grants.end_session_grants(db, tenant_id, session_hash)


def end_all(db: Session, tenant_id: int, user_id: str, but: bytes = b"") -> None:
    """End every session of a user, except the one of digest `but`, with their grants; the caller commits."""
    for (ended,) in db.run([web_sessions.end_user(tenant_id, user_id, but)])[0]:
        grants.end_session_grants(db, tenant_id, bytes.fromhex((ended or b"").decode()))


def of_user(db: Session, tenant_id: int, user_id: str) -> list[Seen]:
    """The live sessions of a user, the last used first."""
    return web_sessions.of_user(db, tenant_id, user_id, _idle_seconds())


def _idle_seconds() -> int:
    return settings.session_idle_minutes * 60
