"""What a client was let do: the grant, its code, its refresh tokens, and their end.

A grant is the family of everything issued from it. Ending it revokes its access tokens in the same transaction; its
codes and refresh tokens are worth nothing without it. Every function runs in the caller's transaction, which the caller
commits. Authlib's grant classes read a code, issue a token and only then delete the code, which lets several racing
requests through; so the few statements stand here and in `storage/oauth_grants.py` instead.
"""

import secrets
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from authlib.oauth2.rfc6749.errors import InvalidScopeError

from fhir_server.security.oauth.clients import Client
from fhir_server.security.scopes import parse_scope
from fhir_server.storage import oauth_grants
from fhir_server.storage.session import Session

CODE_SECONDS = 60


def digest(secret: str) -> bytes:
    """What is stored of a code or a token: its SHA-256."""
    return sha256(secret.encode("utf-8", "surrogatepass")).digest()


def new_grant_id() -> str:
    """An id that nobody can guess: 128 random bits."""
    return secrets.token_urlsafe(16)


def open_grant(
    db: Session,
    tenant_id: int,
    *,
    client: Client,
    user_id: str | None,
    session_hash: bytes | None,
    scope: str,
    context: Mapping[str, Any],
    purpose: str,
    nonce: str | None,
    amr: Sequence[str],
    auth_time: int | None,
) -> str:
    """Make a grant and give its id.

    `scope`: what the user let pass, as the token will name it. `context`: exactly what stands in the token response
    (patient, encounter, fhirContext, intent, need_patient_banner, tenant). `session_hash`: the web session that the
    grant dies with, None for one that outlives it. `auth_time`: seconds since 1970. Raises `InvalidScopeError` for
    `patient/` scopes without a patient.
    """
    if not context.get("patient") and any(_is_of_patient(each) for each in scope.split()):
        raise InvalidScopeError("patient/ scopes need a patient, and none was chosen.")
    grant_id = new_grant_id()
    made = oauth_grants.open_grant(
        tenant_id, grant_id, client_id=client.client_id, user_id=user_id, session_hash=session_hash, scope=scope,
        context=context, purpose=purpose, nonce=nonce, amr=amr, auth_time=auth_time,
    )  # fmt: skip
    db.run([made])
    return grant_id


def issue_code(
    db: Session, tenant_id: int, *, grant_id: str, client_id: str, redirect_uri: str, challenge: str
) -> str:
    """A new authorization code: 256 random bits, good once, for 60 seconds, for this client, redirect URI and PKCE
    challenge (S256)."""
    code = secrets.token_urlsafe(32)
    kept = oauth_grants.issue_code(
        tenant_id, digest(code), grant_id=grant_id, client_id=client_id, redirect_uri=redirect_uri,
        challenge=challenge, seconds=CODE_SECONDS,
    )  # fmt: skip
    db.run([kept])
    return code


def end_grant(db: Session, tenant_id: int, grant_id: str) -> bool:
    """Revoke a grant with all that was issued from it; whether it was live."""
    return bool(_end(db, tenant_id, "grant_id", grant_id))


def end_session_grants(db: Session, tenant_id: int, session_hash: bytes) -> int:
    """Revoke the grants that live as long as a web session; how many."""
    return len(_end(db, tenant_id, "session_hash", session_hash))


def end_user_grants(db: Session, tenant_id: int, user_id: str) -> int:
    """Revoke every grant of a user; how many."""
    return len(_end(db, tenant_id, "user_id", user_id))


def end_client_grants(db: Session, tenant_id: int, client_id: str) -> int:
    """Revoke every grant of a client; how many."""
    return len(_end(db, tenant_id, "client_id", client_id))


def _end(db: Session, tenant_id: int, column: str, value: str | bytes) -> list[str]:
    # Two round trips: the tokens are looked for only after the rows of the grants are locked, so that those of a
    # refresh that was under way are among them.
    ended = [(row[0] or b"").decode() for row in db.run([oauth_grants.end(tenant_id, column, value)])[0]]
    if ended:
        db.run([oauth_grants.end_access_tokens(tenant_id, ended)])
    return ended


def _is_of_patient(text: str) -> bool:
    right = parse_scope(text)
    return right is not None and right.context == "patient"
