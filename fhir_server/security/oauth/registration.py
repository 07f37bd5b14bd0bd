"""Clients that register themselves and look after their registration. RFC 7591, RFC 7592

Only where the tenant's operator allows it. Such a client speaks for users and nobody else: no `client_credentials`, no
`system/` scopes, and every grant still needs a user's consent.
"""

import hmac
import secrets
from collections.abc import Mapping
from typing import Any

import msgspec
from authlib.oauth2.rfc6749.errors import AccessDeniedError
from authlib.oauth2.rfc7591 import InvalidClientMetadataError

from fhir_server.security import audit
from fhir_server.security.oauth import clients, grants
from fhir_server.security.oauth.client_metadata import check_metadata
from fhir_server.security.oauth.clients import Client
from fhir_server.security.oauth.token_state import BadBearer
from fhir_server.security.oauth.urls import Realm
from fhir_server.storage import oauth_clients
from fhir_server.storage.session import Session, Statement

LONGEST = 256 * 1024


def register(db: Session, realm: Realm, body: bytes) -> dict[str, Any]:
    """Register a client; what RFC 7591 section 3.2.1 answers. The caller commits.

    Raises `AccessDeniedError` where clients may not register themselves, and the errors of RFC 7591.
    """
    if not oauth_clients.dynamic_registration(db, realm.tenant_id):
        raise AccessDeniedError("Clients of this server are registered by its operator.", status_code=403)
    given = _metadata(body)
    access = secrets.token_urlsafe(32)
    client, secret = clients.register(db, realm.tenant_id, check_metadata(given, dynamic=True), access=access)
    db.run([_note(db, realm, "client-registered", client)])
    return {**_told(client, realm), **_secret(secret), "registration_access_token": access}


def read(db: Session, realm: Realm, client_id: str, authorization: str | None) -> dict[str, Any]:
    """The client's registration as it is. Raises `BadBearer`."""
    return _told(_own(db, realm, client_id, authorization), realm)


def change(db: Session, realm: Realm, client_id: str, authorization: str | None, body: bytes) -> dict[str, Any]:
    """Replace the client's metadata. How it authenticates stays. The caller commits."""
    client = _own(db, realm, client_id, authorization)
    given = _metadata(body)
    secret = given.get("client_secret")
    if given.get("client_id") != client_id or not (
        secret is None or (isinstance(secret, str) and client.knows_secret(secret))
    ):
        raise InvalidClientMetadataError("client_id, and client_secret if given, are those of the client.")
    held = check_metadata(given, dynamic=True)
    if held["token_endpoint_auth_method"] != client.auth_method:
        raise InvalidClientMetadataError("token_endpoint_auth_method cannot be changed; register anew.")
    db.run(
        [
            oauth_clients.replace_metadata(realm.tenant_id, client_id, held),
            _note(db, realm, "client-changed", client),
        ]
    )
    return read(db, realm, client_id, authorization)


def remove(db: Session, realm: Realm, client_id: str, authorization: str | None) -> None:
    """End the registration with everything that was granted to the client. The caller commits."""
    client = _own(db, realm, client_id, authorization)
    grants.end_client_grants(db, realm.tenant_id, client_id)
    db.run([oauth_clients.delete(realm.tenant_id, client_id), _note(db, realm, "client-changed", client)])


def _own(db: Session, realm: Realm, client_id: str, authorization: str | None) -> Client:
    scheme, _, token = (authorization or "").partition(" ")
    client = clients.find(db, realm.tenant_id, client_id)
    given = clients.secret_digest(token.strip())
    if scheme.lower() != "bearer" or client is None or client.access_hash is None or not client.active:
        raise BadBearer(401, "invalid_token")
    if not hmac.compare_digest(given, client.access_hash):
        raise BadBearer(401, "invalid_token")
    return client


def _metadata(body: bytes) -> Mapping[str, Any]:
    if len(body) > LONGEST:
        raise InvalidClientMetadataError("The body is too long.")
    try:
        given = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        given = None
    if not isinstance(given, dict):
        raise InvalidClientMetadataError("The body is a JSON object.")
    return given


def _told(client: Client, realm: Realm) -> dict[str, Any]:
    return {
        **client.metadata,
        "client_id": client.client_id,
        "client_id_issued_at": client.created,
        "registration_client_uri": realm.urls.of(f"register/{client.client_id}"),
    }


def _secret(secret: str | None) -> dict[str, Any]:
    return {} if secret is None else {"client_secret": secret, "client_secret_expires_at": 0}


def _note(db: Session, realm: Realm, event: str, client: Client) -> Statement:
    return audit.note(db, realm.tenant_id, event, client_id=client.client_id, detail={"client": client.client_id})
