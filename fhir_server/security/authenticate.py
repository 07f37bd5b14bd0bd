"""From a bearer token to a principal.

What a token allows never changes, so it is remembered per process; whether the token is still valid is asked of the
database in every transaction (`app_enter`), so a revoked one is refused at once. RFC 6750
"""

from collections import OrderedDict
from hashlib import sha256

from fhir_server.core.context import Principal
from fhir_server.core.errors import Unauthenticated
from fhir_server.security.scopes import parse_scopes
from fhir_server.storage import tenants
from fhir_server.storage.session import Session

_REMEMBERED = 10_000
_known: OrderedDict[tuple[int, bytes], Principal] = OrderedDict()


def token_digest(token: str) -> bytes:
    """What is stored of an access token: its SHA-256."""
    return sha256(token.encode()).digest()


def authenticate(db: Session, tenant_id: int, registry_version: int, authorization: str | None) -> Principal:
    """The principal of an Authorization header. Raises `Unauthenticated`."""
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated(
            "This needs an access token: Authorization: Bearer <token>.",
            headers={"WWW-Authenticate": "Bearer"},
        )
    digest = token_digest(token.strip())
    principal = _known.get((tenant_id, digest))
    if principal is not None:
        return principal
    db.enter(tenant_id, None, registry_version)
    found = tenants.token_scope(db, tenant_id, digest)
    if found is None:
        raise Unauthenticated(
            "The access token is not valid, has expired or was revoked.",
            headers={"WWW-Authenticate": 'Bearer error="invalid_token"'},
        )
    principal = Principal(client_id=found[1], scopes=parse_scopes(found[0]), token_hash=digest)
    _known[tenant_id, digest] = principal
    if len(_known) > _REMEMBERED:
        _known.popitem(last=False)
    return principal
