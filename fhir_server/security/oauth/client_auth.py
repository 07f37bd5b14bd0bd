"""Client authentication at every endpoint that asks for it: exactly one method, the registered one.

Authlib checks the registered method at the token endpoint only, so this stands in its place.
RFC 6749 section 2.3. Whatever fails: 401 invalid_client, the same for unknown, disabled and wrongly proved clients.
"""

import base64
import binascii
from urllib.parse import unquote_plus

from authlib.oauth2.rfc6749.errors import InvalidGrantError, InvalidRequestError

from fhir_server.security.oauth import assertions, clients
from fhir_server.security.oauth.assertions import refused
from fhir_server.security.oauth.clients import Client
from fhir_server.security.oauth.forms import Form
from fhir_server.security.oauth.grants import digest
from fhir_server.security.oauth.urls import Realm
from fhir_server.storage import oauth_grants
from fhir_server.storage.session import Session


def authenticate(db: Session, realm: Realm, form: Form, authorization: str | None) -> Client:
    """The client of a request. Raises `InvalidClientError`, and `InvalidRequestError` for more than one method."""
    basic = _basic(authorization) if authorization is not None else None
    by_assertion = "client_assertion" in form or "client_assertion_type" in form
    if [basic is not None, "client_secret" in form, by_assertion].count(True) > 1:
        raise InvalidRequestError("The client authenticates in more than one way.")
    given = form.get("client_id")
    if by_assertion:
        if form.get("client_assertion_type") != assertions.TYPE or "client_assertion" not in form:
            raise refused("client_assertion_type is " + assertions.TYPE)
        return assertions.client_of(db, realm.tenant_id, form["client_assertion"], given, realm.urls.audiences)
    if basic is not None:
        if given not in (None, basic[0]):
            raise refused()
        return _by_secret(db, realm.tenant_id, basic[0], basic[1], "client_secret_basic")
    if given is None and form.get("grant_type") == "refresh_token" and "refresh_token" in form:
        # SMART's public apps refresh without naming themselves; the token tells whose it is.
        given = oauth_grants.client_of_refresh(db, realm.tenant_id, digest(form["refresh_token"]))
        if given is None:
            raise InvalidGrantError("The refresh token is not valid, has expired, was used or was revoked.")
    if given is None:
        raise refused()
    if "client_secret" in form:
        return _by_secret(db, realm.tenant_id, given, form["client_secret"], "client_secret_post")
    return _public(db, realm.tenant_id, given)


def named_client(form: Form, authorization: str | None) -> str:
    """The client_id that a request claims, for counting requests; "" when it claims none."""
    try:
        basic = _basic(authorization) if authorization is not None else None
    except Exception:
        return ""
    return (basic[0] if basic else form.get("client_id", ""))[:100]


def _by_secret(db: Session, tenant_id: int, client_id: str, secret: str, method: str) -> Client:
    client = clients.find(db, tenant_id, client_id)
    # Computed in any case, so that an unknown client takes as long as a known one.
    proved = client.knows_secret(secret) if client is not None else bool(not clients.secret_digest(secret))
    if client is None or not proved or not client.active or client.auth_method != method:
        raise refused()
    return client


def _public(db: Session, tenant_id: int, client_id: str) -> Client:
    client = clients.find(db, tenant_id, client_id)
    if client is None or not client.active or not client.public:
        raise refused()
    return client


def _basic(authorization: str) -> tuple[str, str]:
    """Id and secret of an Authorization header; both are form-encoded inside (RFC 6749 section 2.3.1)."""
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() != "basic":
        raise refused()
    try:
        text = base64.b64decode(value.strip(), validate=True).decode()
        client_id, colon, secret = text.partition(":")
        found = unquote_plus(client_id, errors="strict"), unquote_plus(secret, errors="strict")
    except (binascii.Error, ValueError):
        raise refused() from None
    if not colon or not all(found):
        raise refused()
    return found
