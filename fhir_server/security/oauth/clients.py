"""Registered clients: finding, registering, changing, disabling them.

Secrets are 256 random bits, stored as SHA-256; two may live at once, so that a client can be given a new one without
an interruption. What metadata may say is checked in client_metadata.py.
"""

import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

from authlib.oauth2.rfc7591 import InvalidClientMetadataError

from fhir_server.security.oauth import redirects
from fhir_server.security.oauth.client_metadata import check_metadata
from fhir_server.storage import oauth_clients
from fhir_server.storage.errors import UniqueViolation
from fhir_server.storage.oauth_clients import ClientRow
from fhir_server.storage.session import Session

__all__ = ["Client", "check_metadata", "find", "find_all", "register", "rotate_secret"]

_CLIENT_ID = re.compile(r"[A-Za-z0-9._~-]{3,100}\Z")


@dataclass(frozen=True, slots=True)
class Client:
    """A registered client. `scope`: the most it may be granted; `secret_hashes`: SHA-256 of its live secrets;
    `created`: seconds since 1970; `metadata`: its RFC 7591 members as they are told to the client."""

    client_id: str
    name: str
    status: str
    auth_method: str
    redirect_uris: tuple[str, ...]
    grant_types: tuple[str, ...]
    scope: str
    jwks: Mapping[str, Any] | None
    jwks_uri: str | None
    launch_uri: str | None
    native: bool
    logo_uri: str | None
    contacts: tuple[str, ...]
    secret_hashes: tuple[bytes, ...]
    access_hash: bytes | None
    created: int
    metadata: Mapping[str, Any]

    @property
    def active(self) -> bool:
        """Whether it may do anything."""
        return self.status == "active"

    @property
    def public(self) -> bool:
        """Whether it cannot keep a secret."""
        return self.auth_method == "none"

    @property
    def origins(self) -> frozenset[str]:
        """The web origins of its redirect URIs: the pages that may call the token endpoint."""
        parts = [urlsplit(uri) for uri in self.redirect_uris]
        return frozenset(f"{part.scheme}://{part.netloc}" for part in parts if part.scheme in ("http", "https"))

    def accepts_redirect(self, uri: str) -> bool:
        """Whether a redirect URI of a request is a registered one: the same string, except for the port of a native
        client's loopback address."""
        return any(redirects.same(uri, held, native=self.native) for held in self.redirect_uris)

    def knows_secret(self, secret: str) -> bool:
        """Whether it is one of the client's secrets."""
        given = secret_digest(secret)
        return any(hmac.compare_digest(given, held) for held in self.secret_hashes)


def find(db: Session, tenant_id: int, client_id: str) -> Client | None:
    """A client of the tenant, disabled ones too (see `active`)."""
    if not _CLIENT_ID.match(client_id):
        return None
    row = oauth_clients.find(db, tenant_id, client_id)
    return None if row is None else _client(row)


def find_all(db: Session, tenant_id: int) -> list[Client]:
    """Every client of the tenant, the oldest first."""
    return [_client(row) for row in oauth_clients.of_tenant(db, tenant_id)]


def register(
    db: Session, tenant_id: int, metadata: Mapping[str, Any], *, client_id: str | None = None, access: str | None = None
) -> tuple[Client, str | None]:
    """Register a client; gives it and, once, its secret if its method needs one. The caller commits.

    `metadata`: RFC 7591 members. `client_id`: an operator's choice (the client itself has none). `access`: its
    registration access token. Raises `InvalidClientMetadataError` and `InvalidRedirectURIError` of Authlib.
    """
    held = check_metadata(metadata)
    if client_id is not None and not _CLIENT_ID.match(client_id):
        raise InvalidClientMetadataError("client_id is 3 to 100 letters, digits and . _ ~ -")
    chosen = client_id or secrets.token_hex(16)
    secret = new_secret() if held["token_endpoint_auth_method"].startswith("client_secret") else None
    hashes = [] if secret is None else [secret_digest(secret)]
    try:
        db.run(
            [oauth_clients.insert(tenant_id, chosen, held, hashes, None if access is None else secret_digest(access))]
        )
    except UniqueViolation:
        raise InvalidClientMetadataError("There is already a client of this client_id.") from None
    client = find(db, tenant_id, chosen)
    assert client is not None
    return client, secret


def rotate_secret(db: Session, tenant_id: int, client: Client) -> str:
    """Give the client a new secret; the last one stays valid until the next rotation. The caller commits."""
    if not client.auth_method.startswith("client_secret"):
        raise InvalidClientMetadataError("This client does not authenticate with a secret.")
    secret = new_secret()
    db.run([oauth_clients.add_secret(tenant_id, client.client_id, secret_digest(secret))])
    return secret


def new_secret() -> str:
    """A secret of 256 random bits."""
    return secrets.token_urlsafe(32)


def secret_digest(secret: str) -> bytes:
    """What is stored of a secret: its SHA-256."""
    return sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _client(row: ClientRow) -> Client:
    held = row.metadata
    return Client(
        client_id=row.client_id,
        name=held.get("client_name") or row.client_id,
        status=row.status,
        auth_method=held["token_endpoint_auth_method"],
        redirect_uris=tuple(held.get("redirect_uris", ())),
        grant_types=tuple(held["grant_types"]),
        scope=held["scope"],
        jwks=held.get("jwks"),
        jwks_uri=held.get("jwks_uri"),
        launch_uri=held.get("initiate_login_uri") or held.get("launch_url"),
        native=held.get("application_type") == "native",
        logo_uri=held.get("logo_uri"),
        contacts=tuple(held.get("contacts", ())),
        secret_hashes=row.secret_hashes,
        access_hash=row.access_hash,
        created=row.created,
        metadata=held,
    )
