"""Introspection (RFC 7662), revocation (RFC 7009) and userinfo (OpenID Connect).

Authlib's endpoint classes leave client authentication at these endpoints open and look tokens up through models; the
rules are short enough to stand here.
"""

from typing import Any

from fhir_server.security import audit
from fhir_server.security.authenticate import bearer_digest
from fhir_server.security.oauth import client_auth, grants, id_tokens
from fhir_server.security.oauth.assertions import refused
from fhir_server.security.oauth.forms import Form, needed
from fhir_server.security.oauth.urls import Realm
from fhir_server.security.scopes import parse_scope
from fhir_server.storage import oauth_tokens
from fhir_server.storage.oauth_tokens import LiveToken
from fhir_server.storage.session import Session


class BadBearer(Exception):
    """The bearer token of a request is not good for it. `status` 401 (not valid) or 403 (without the scope)."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.status = status
        self.error = error


def introspect(db: Session, realm: Realm, form: Form, authorization: str | None) -> dict[str, Any]:
    """What is known of an access token; `{"active": False}` for everything else, also refresh tokens and tokens of
    other tenants.

    Who asks proves to be a confidential client (a resource server), or shows an access token: a back-end system's for
    any token of the tenant, another for tokens of its own client. Raises `InvalidClientError`.
    """
    only_client: str | None = None
    bearer = bearer_digest(authorization)
    if bearer is not None:
        asker = oauth_tokens.find(db, realm.tenant_id, bearer)
        if asker is None:
            raise BadBearer(401, "invalid_token")
        only_client = None if _is_backend(asker.scope) else asker.client_id
    elif client_auth.authenticate(db, realm, form, authorization).public:
        # A public client proves nothing by naming itself.
        raise refused()
    found = oauth_tokens.find(db, realm.tenant_id, grants.digest(needed(form, "token")))
    if found is None or only_client not in (None, found.client_id):
        return {"active": False}
    return _described(found, realm)


def revoke(db: Session, realm: Realm, form: Form, authorization: str | None) -> None:
    """End a token of the client that asks: an access token alone, a refresh token with its whole family. Anything else
    is let be, without saying so. The caller commits."""
    client = client_auth.authenticate(db, realm, form, authorization)
    tenant_id, digest = realm.tenant_id, grants.digest(needed(form, "token"))
    agent = ""
    token_id = oauth_tokens.revoke(db, tenant_id, digest, client.client_id)
    if token_id is not None:
        agent = f"token:{token_id}"
    else:
        family = oauth_tokens.grant_of_refresh(db, tenant_id, digest, client.client_id)
        if family is None or not grants.end_grant(db, tenant_id, family):
            return
    db.run([audit.note(db, tenant_id, "token-revoked", agent=agent, client_id=client.client_id)])


def userinfo(db: Session, realm: Realm, authorization: str | None) -> dict[str, Any]:
    """Who the user of an access token is. Raises `BadBearer`."""
    bearer = bearer_digest(authorization)
    found = None if bearer is None else oauth_tokens.find(db, realm.tenant_id, bearer)
    if found is None:
        raise BadBearer(401, "invalid_token")
    if "openid" not in found.scope.split() or found.subject is None:
        raise BadBearer(403, "insufficient_scope")
    return id_tokens.identity(found.subject, found.fhir_user, found.scope, realm.urls)


def _described(found: LiveToken, realm: Realm) -> dict[str, Any]:
    who: dict[str, Any] = {}
    if found.subject is not None:
        who = id_tokens.identity(found.subject, found.fhir_user, found.scope, realm.urls)
    return {
        **found.context,
        "active": True,
        "scope": found.scope,
        "client_id": found.client_id,
        "token_type": "Bearer",
        "exp": found.expires,
        "iat": found.issued,
        "iss": realm.urls.issuer,
        "aud": realm.urls.fhir,
        **who,
    }


def _is_backend(scope: str) -> bool:
    rights = [parse_scope(each) for each in scope.split()]
    return any(right is not None and right.context == "system" for right in rights)
