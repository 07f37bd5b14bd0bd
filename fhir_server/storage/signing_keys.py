"""Statements on the keys that sign id_tokens."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from fhir_server.storage import wire
from fhir_server.storage.session import Session


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key that signs now. `private_sealed`: its private part (PKCS #8), sealed."""

    kid: str
    private_sealed: bytes


def wait_turn(db: Session, tenant_id: int) -> None:
    """Wait until no other transaction makes keys for the tenant; until this one ends, no other will."""
    db.run([("SELECT pg_advisory_xact_lock(11, $1)", (tenant_id,))])


def current(db: Session, tenant_id: int) -> SigningKey | None:
    """The key that signs."""
    sql = (
        "SELECT kid, private_sealed FROM signing_key WHERE tenant_id = $1 AND retired_at IS NULL"
        " ORDER BY created_at DESC, kid LIMIT 1"
    )
    rows = db.run([(sql, (tenant_id,))])[0]
    if not rows:
        return None
    return SigningKey((rows[0][0] or b"").decode(), bytes.fromhex((rows[0][1] or b"")[2:].decode()))


def published(db: Session, tenant_id: int, days: int) -> list[dict[str, Any]]:
    """The public JWKs of the key that signs and of those retired within so many days, the newest first."""
    sql = (
        "SELECT public_jwk FROM signing_key WHERE tenant_id = $1"
        " AND (retired_at IS NULL OR retired_at > now() - make_interval(days => $2::integer))"
        " ORDER BY created_at DESC, kid"
    )
    return [msgspec.json.decode(row[0] or b"{}") for row in db.run([(sql, (tenant_id, days))])[0]]


def add(db: Session, tenant_id: int, kid: str, public: Mapping[str, Any], private_sealed: bytes) -> None:
    """Keep a new key, which signs from now on; the others are retired."""
    retire = "UPDATE signing_key SET retired_at = now() WHERE tenant_id = $1 AND retired_at IS NULL"
    insert = (
        "INSERT INTO signing_key (tenant_id, kid, public_jwk, private_sealed) VALUES ($1, $2, $3::jsonb, $4)"
    )
    text = msgspec.json.encode(public).decode()
    db.run([(retire, (tenant_id,)), (insert, (tenant_id, kid, text, wire.Binary(private_sealed)))])
