"""From a bearer token to a principal. RFC 6750

What a token allows is remembered per process together with its stamp; whether the token is still valid, and whether it
still has that stamp, is asked of the database in every transaction (`app_enter`). So a revoked token is refused and a
changed right counts with the next request, in every process.
"""

from collections import OrderedDict
from hashlib import sha256

from fhir_server.core.context import Principal
from fhir_server.core.errors import Unauthenticated
from fhir_server.security.scopes import parse_scopes
from fhir_server.storage import access_tokens
from fhir_server.storage.errors import invalid_token
from fhir_server.storage.session import Session

_REMEMBERED = 10_000
_known: OrderedDict[tuple[int, bytes], Principal] = OrderedDict()


def token_digest(token: str) -> bytes:
    """What is stored of an access token: its SHA-256."""
    return sha256(token.encode("utf-8", "surrogatepass")).digest()


def bearer_digest(authorization: str | None) -> bytes | None:
    """The digest of the token in an Authorization header; None when it holds none."""
    scheme, _, token = (authorization or "").partition(" ")
    token = token.strip()
    return token_digest(token) if token and scheme.lower() == "bearer" else None


def authenticate(db: Session, tenant_id: int, registry_version: int, authorization: str | None) -> Principal:
    """The principal of an Authorization header. Raises `Unauthenticated`."""
    digest = bearer_digest(authorization)
    if digest is None:
        raise Unauthenticated(
            "This needs an access token: Authorization: Bearer <token>.",
            headers={"WWW-Authenticate": "Bearer"},
        )
    return principal_of(db, tenant_id, registry_version, digest)


def principal_of(db: Session, tenant_id: int, registry_version: int, digest: bytes) -> Principal:
    """The principal of a token's digest. Raises `Unauthenticated`."""
    principal = _known.get((tenant_id, digest))
    if principal is not None:
        return principal
    db.enter(tenant_id, None, registry_version)
    found = access_tokens.find(db, tenant_id, digest)
    if found is None:
        raise invalid_token()
    principal = Principal(
        client_id=found.client_id,
        scopes=parse_scopes(found.scope),
        token_hash=digest,
        stamp=found.stamp,
        token_id=found.token_id,
        user=found.user,
        patient=found.patient,
        purpose=found.purpose,
        auth_time=found.auth_time,
        opened=found.opened,
    )
    _known[tenant_id, digest] = principal
    if len(_known) > _REMEMBERED:
        _known.popitem(last=False)
    return principal


def forget(tenant_id: int, token_hash: bytes | None) -> None:
    """Read the token's rights anew at its next use."""
    if token_hash is not None:
        _known.pop((tenant_id, token_hash), None)
