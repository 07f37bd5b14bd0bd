"""What is sent by mail and good once: six-digit codes, and links of invitations."""

import hmac
import re
import secrets

from fhir_server.settings import settings
from fhir_server.storage import credentials
from fhir_server.storage.session import Session

CODE_SECONDS = 10 * 60
INVITATION_SECONDS = 7 * 86400
_ATTEMPTS = 5
_INVITATION = re.compile(r"([0-9a-f]{32})\.([A-Za-z0-9_-]{43})\Z")


def issue(db: Session, tenant_id: int, user_id: str, purpose: str, about: str = "") -> str:
    """A new six-digit code in place of the earlier one for the purpose, good for ten minutes and five attempts.

    `about`: what else the code is bound to (a new address). The caller commits.
    """
    code = f"{secrets.randbelow(1_000_000):06d}"
    digest = _digest(tenant_id, user_id, purpose, about, code)
    db.run([credentials.save_code(tenant_id, user_id, purpose, digest, CODE_SECONDS)])
    return code


def redeem(db: Session, tenant_id: int, user_id: str, purpose: str, code: str, about: str = "") -> bool:
    """Whether the code is right; it is used up, and a wrong one counts. The caller commits, either way."""
    digits = re.sub(r"\s", "", code)
    digest = _digest(tenant_id, user_id, purpose, about, digits)
    rows = db.run([credentials.try_code(tenant_id, user_id, purpose, digest, _ATTEMPTS)])[0]
    return bool(rows) and rows[0][0] == b"t"


def invite(db: Session, tenant_id: int, user_id: str) -> str:
    """The token of a new invitation (256 random bits with the account's id), good for seven days; the caller
    commits."""
    value = secrets.token_urlsafe(32)
    digest = _digest(tenant_id, user_id, "invitation", "", value)
    db.run([credentials.save_code(tenant_id, user_id, "invitation", digest, INVITATION_SECONDS)])
    return f"{user_id}.{value}"


def invited(db: Session, tenant_id: int, token: str) -> str | None:
    """The id of the account that an unused invitation is for."""
    parts = _INVITATION.match(token)
    if parts is None:
        return None
    digest = _digest(tenant_id, parts[1], "invitation", "", parts[2])
    return parts[1] if db.run([credentials.peek_code(tenant_id, parts[1], "invitation", digest)])[0] else None


def accept(db: Session, tenant_id: int, token: str) -> str | None:
    """Use an invitation up: the id of its account, once, for one caller. The caller commits."""
    parts = _INVITATION.match(token)
    if parts is None:
        return None
    digest = _digest(tenant_id, parts[1], "invitation", "", parts[2])
    # A wrong token is not a guess that came close: it does not use up attempts of the right one.
    if not db.run([credentials.peek_code(tenant_id, parts[1], "invitation", digest)])[0]:
        return None
    rows = db.run([credentials.try_code(tenant_id, parts[1], "invitation", digest, _ATTEMPTS)])[0]
    return parts[1] if rows and rows[0][0] == b"t" else None


def _digest(tenant_id: int, user_id: str, purpose: str, about: str, value: str) -> bytes:
    # A million possibilities are no secret behind a bare hash; behind the server's key they are.
    message = "|".join(("code", str(tenant_id), user_id, purpose, about, value)).encode()
    return hmac.digest(settings.secret_key(), message, "sha256")
