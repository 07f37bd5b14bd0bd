"""The names of client assertions that were seen, so that none counts twice."""

from fhir_server.storage import wire
from fhir_server.storage.session import Session

_REMEMBER = (
    "INSERT INTO oauth_assertion (tenant_id, hash, expires_at) VALUES ($1, $2, to_timestamp($3::bigint))"
    " ON CONFLICT (tenant_id, hash) DO NOTHING RETURNING 1"
)


def remember(db: Session, tenant_id: int, digest: bytes, until: int) -> bool:
    """Keep an assertion's digest until a time (seconds since 1970); whether it is new. Of many at once, one is."""
    return bool(db.run([(_REMEMBER, (tenant_id, wire.Binary(digest), until))])[0])
