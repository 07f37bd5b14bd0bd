"""The token endpoint: authorization_code, refresh_token, client_credentials.

RFC 6749 sections 4.1.3, 4.4, 5, 6; RFC 7636; RFC 9700; SMART App Launch 2.2. PKCE's patterns and comparison are
Authlib's, as are the errors. The flow is not: Authlib gives a token before it marks the code, so that racing requests
all win. Here a code or refresh token is used up by one statement first, under the lock of its grant, and what a refusal
did (a burnt code, a revoked family) is committed with it.
"""

import random
import secrets
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from authlib.oauth2.rfc6749.errors import (
    InvalidGrantError,
    InvalidScopeError,
    UnauthorizedClientError,
    UnsupportedGrantTypeError,
)
from authlib.oauth2.rfc7636.challenge import CODE_VERIFIER_PATTERN, compare_s256_code_challenge

from fhir_server.security import audit, sealing
from fhir_server.security.oauth import client_auth, granting, grants, id_tokens, style
from fhir_server.security.oauth.assertions import refused
from fhir_server.security.oauth.clients import Client
from fhir_server.security.oauth.forms import Form, needed
from fhir_server.security.oauth.urls import Realm
from fhir_server.security.roles import roles
from fhir_server.storage import access_tokens, oauth_clients, oauth_grants
from fhir_server.storage.oauth_grants import Grant
from fhir_server.storage.session import Session, Statement

USER_SECONDS, BACKEND_SECONDS = 3600, 300
# SMART wants three months, which can have 92 days. Each use gives the successor the whole time again.
OFFLINE_SECONDS, ONLINE_SECONDS = 100 * 86400, 86400
GRACE_SECONDS = 30
_SEALED_FOR = "refresh-token"
_SWEEP_ONE_IN = 64
Answer = dict[str, Any]


def answer(db: Session, realm: Realm, form: Form, authorization: str | None) -> Answer:
    """The token response to a form. Raises Authlib's `OAuth2Error`s; the caller commits in both cases."""
    kind = needed(form, "grant_type")
    if kind not in _GRANTS:
        raise UnsupportedGrantTypeError(kind)
    client = client_auth.authenticate(db, realm, form, authorization)
    if kind not in client.grant_types:
        raise UnauthorizedClientError("The client is not registered for this grant_type.")
    found = _GRANTS[kind](db, realm, client, form)
    if random.randrange(_SWEEP_ONE_IN) == 0:
        db.run(oauth_grants.sweep(realm.tenant_id))
    return found


def _by_code(db: Session, realm: Realm, client: Client, form: Form) -> Answer:
    code, redirect_uri, verifier = (needed(form, name) for name in ("code", "redirect_uri", "code_verifier"))
    tenant_id = realm.tenant_id
    used = oauth_grants.use_code(db, tenant_id, grants.digest(code))
    if used is None:
        # It came a second time: somebody else has it too.
        family = oauth_grants.grant_of_code(db, tenant_id, grants.digest(code))
        if family is not None:
            _end_family(db, tenant_id, client, family)
        raise _bad_grant()
    proved = CODE_VERIFIER_PATTERN.match(verifier) and compare_s256_code_challenge(verifier, used.challenge)
    if not (used.fresh and proved and used.client_id == client.client_id and used.redirect_uri == redirect_uri):
        grants.end_grant(db, tenant_id, used.grant_id)
        raise _bad_grant()
    grant = oauth_grants.lock(db, tenant_id, used.grant_id)
    if grant is None or not grant.live or grant.user_id is None:
        raise _bad_grant()
    scope = _still_allowed(grant, grant.scope, client, realm)
    refresh = None
    if granting.refreshes(scope, client):
        refresh = secrets.token_urlsafe(32)
        db.run([_keep_refresh(tenant_id, grant, refresh)])
    found = _issue(db, realm, client, grant, scope, "token-issued")
    if "openid" in scope.split():
        found["id_token"] = id_tokens.make(db, realm, client.client_id, grant, scope)
    return found if refresh is None else {**found, "refresh_token": refresh}


def _by_refresh_token(db: Session, realm: Realm, client: Client, form: Form) -> Answer:
    tenant_id, digest = realm.tenant_id, grants.digest(needed(form, "refresh_token"))
    locked = oauth_grants.lock_refresh(db, tenant_id, digest, GRACE_SECONDS)
    if locked is None:
        raise _bad_grant()
    grant, token = locked
    if grant.client_id != client.client_id or not grant.live or not token.fresh:
        raise _bad_grant()
    if token.used:
        refresh = _lost(db, tenant_id, token)
        if refresh is None:
            _end_family(db, tenant_id, client, grant.grant_id)
            raise _bad_grant()
        scope = _asked(grant, client, form, realm)
    else:
        scope = _asked(grant, client, form, realm)
        refresh = secrets.token_urlsafe(32)
        sealed = sealing.seal(db, tenant_id, refresh.encode(), _SEALED_FOR)
        if not oauth_grants.use_refresh(db, tenant_id, digest, sealed):
            raise _bad_grant()
        db.run([_keep_refresh(tenant_id, grant, refresh)])
    return {**_issue(db, realm, client, grant, scope, "token-refreshed"), "refresh_token": refresh}


def _by_client_credentials(db: Session, realm: Realm, client: Client, form: Form) -> Answer:
    if "scope" not in form:
        raise InvalidScopeError("scope is missing.")
    scope = granting.for_backend(form["scope"], client, realm.registry)
    if not oauth_clients.hold_active(db, realm.tenant_id, client.client_id):
        raise refused()
    grant_id = grants.open_grant(
        db, realm.tenant_id, client=client, user_id=None, session_hash=None, scope=scope, context={}, purpose="TREAT",
        nonce=None, amr=(), auth_time=None,
    )  # fmt: skip
    grant = oauth_grants.lock(db, realm.tenant_id, grant_id)
    assert grant is not None
    return _issue(db, realm, client, grant, scope, "token-issued")


_GRANTS: Mapping[str, Callable[[Session, Realm, Client, Form], Answer]] = {
    "authorization_code": _by_code,
    "refresh_token": _by_refresh_token,
    "client_credentials": _by_client_credentials,
}


def _issue(db: Session, realm: Realm, client: Client, grant: Grant, scope: str, event: str) -> Answer:
    token, token_id = secrets.token_urlsafe(32), uuid.uuid4().hex
    seconds = BACKEND_SECONDS if grant.user_id is None else USER_SECONDS
    agent = f"token:{token_id}" if grant.user_id is None else f"user:{grant.user_id} token:{token_id}"
    db.run(
        [
            access_tokens.save(
                realm.tenant_id, grants.digest(token), scope=scope, client_id=client.client_id, seconds=seconds,
                token_id=token_id, grant_id=grant.grant_id, user_id=grant.user_id,
            ),
            oauth_grants.touch(realm.tenant_id, grant.grant_id),
            audit.note(
                db, realm.tenant_id, event, agent=agent, client_id=client.client_id, purpose=grant.purpose,
                detail={"scope": scope},
            ),
        ]
    )  # fmt: skip
    context = dict(grant.context)
    if "need_patient_banner" in context:
        context["smart_style_url"] = style.url(realm.urls)
    return {**context, "access_token": token, "token_type": "Bearer", "expires_in": seconds, "scope": scope}


def _keep_refresh(tenant_id: int, grant: Grant, token: str) -> Statement:
    seconds = ONLINE_SECONDS if grant.bound_to_session else OFFLINE_SECONDS
    return oauth_grants.save_refresh(
        tenant_id, grants.digest(token), grant_id=grant.grant_id, scope=grant.scope, seconds=seconds
    )


def _lost(db: Session, tenant_id: int, token: oauth_grants.RefreshToken) -> str | None:
    """The successor of a refresh token whose answer may have been lost: used just now, and the successor never."""
    if not token.just_used or token.successor is None:
        return None
    try:
        successor = sealing.unseal(db, tenant_id, token.successor, _SEALED_FOR).decode()
    except sealing.Unsealable:
        return None
    kept = oauth_grants.read_refresh(db, tenant_id, grants.digest(successor))
    return successor if kept is not None and not kept.used else None


def _asked(grant: Grant, client: Client, form: Form, realm: Realm) -> str:
    """The scope for this access token only; the grant keeps its own."""
    scope = granting.part(form["scope"], grant.scope) if "scope" in form else grant.scope
    return _still_allowed(grant, scope, client, realm)


def _still_allowed(grant: Grant, scope: str, client: Client, realm: Realm) -> str:
    """What of a scope the client's registration and the user's role allow now."""
    role = roles().get(grant.role or "")
    left = granting.for_user(scope, client, role, realm.registry) if role is not None else ()
    if not left:
        raise _bad_grant()
    return " ".join(left)


def _end_family(db: Session, tenant_id: int, client: Client, grant_id: str) -> None:
    if grants.end_grant(db, tenant_id, grant_id):
        db.run([audit.note(db, tenant_id, "refresh-reuse", outcome=4, client_id=client.client_id)])


def _bad_grant() -> InvalidGrantError:
    return InvalidGrantError("The code or refresh token is not valid, has expired, was used or was revoked.")
