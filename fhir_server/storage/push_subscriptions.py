"""Statements on browsers that want web push, and on the tenant's key for it. Endpoints are secrets: they are sealed."""

from dataclasses import dataclass

from fhir_server.storage import wire
from fhir_server.storage.session import Session, Statement

# Browsers of one person: the oldest gives way.
MOST = 10


@dataclass(frozen=True, slots=True)
class Subscription:
    """A browser. `hash`: SHA-256 of its endpoint; `sealed`: endpoint and keys."""

    hash: bytes
    sealed: bytes


_ADD = (
    "INSERT INTO push_subscription (tenant_id, hash, person, sealed) VALUES ($1, $2, $3, $4)"
    " ON CONFLICT (tenant_id, hash) DO UPDATE SET person = excluded.person, sealed = excluded.sealed,"
    " created_at = now()"
)
_CROP = (
    "DELETE FROM push_subscription WHERE tenant_id = $1 AND hash IN (SELECT hash FROM push_subscription"
    f" WHERE tenant_id = $1 AND person = $2 ORDER BY created_at DESC, hash OFFSET {MOST})"
)


def add(tenant_id: int, digest: bytes, person: int, sealed: bytes) -> list[Statement]:
    """The statements that keep a browser for a person; a browser is one person's, the last who said so."""
    key = wire.Binary(digest)
    return [(_ADD, (tenant_id, key, person, wire.Binary(sealed))), (_CROP, (tenant_id, person))]


def remove(db: Session, tenant_id: int, digest: bytes, person: int | None = None) -> bool:
    """Forget a browser (`person`: if it is his); whether there was one. Within the open transaction."""
    sql = (
        "DELETE FROM push_subscription WHERE tenant_id = $1 AND hash = $2 AND ($3::bigint IS NULL OR person = $3)"
        " RETURNING 1"
    )
    return bool(db.run([(sql, (tenant_id, wire.Binary(digest), person))])[0])


def of_person(db: Session, tenant_id: int, person: int) -> list[Subscription]:
    """A person's browsers, the last subscribed first."""
    sql = (
        "SELECT encode(hash, 'hex'), encode(sealed, 'hex') FROM push_subscription"
        " WHERE tenant_id = $1 AND person = $2 ORDER BY created_at DESC, hash"
    )
    rows = db.run([(sql, (tenant_id, person))])[0]
    return [Subscription(*(bytes.fromhex((value or b"").decode()) for value in row)) for row in rows]


def key(db: Session, tenant_id: int) -> bytes | None:
    """The tenant's key as sealed, if it has one."""
    rows = db.run([("SELECT encode(sealed, 'hex') FROM push_key WHERE tenant_id = $1", (tenant_id,))])[0]
    return bytes.fromhex((rows[0][0] or b"").decode()) if rows else None


def add_key(tenant_id: int, sealed: bytes) -> Statement:
    """The statement that keeps the tenant's first key; of several at once, one does."""
    sql = "INSERT INTO push_key (tenant_id, sealed) VALUES ($1, $2) ON CONFLICT (tenant_id) DO NOTHING"
    return sql, (tenant_id, wire.Binary(sealed))


def drop_key(tenant_id: int) -> list[Statement]:
    """The statements that forget a key which cannot be opened any more, and the browsers that know only that one."""
    return [
        ("DELETE FROM push_subscription WHERE tenant_id = $1", (tenant_id,)),
        ("DELETE FROM push_key WHERE tenant_id = $1", (tenant_id,)),
    ]
