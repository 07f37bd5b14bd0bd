"""Statements on launches: what an EHR session opened an app with, found by the SHA-256 of the `launch` value; and on
what a user granted before."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from fhir_server.storage import wire
from fhir_server.storage.session import Row, Session, Statement


@dataclass(frozen=True, slots=True)
class Launch:
    """For whom and which app it was made, and the launch context."""

    client_id: str
    user_id: str
    context: Mapping[str, Any]


_SAVE = (
    "INSERT INTO oauth_launch (tenant_id, hash, client_id, user_id, context, expires_at)"
    " VALUES ($1, $2, $3, $4, $5::jsonb, now() + make_interval(secs => $6::integer))"
)


def save(tenant_id: int, digest: bytes, launch: Launch, seconds: int) -> Statement:
    """The statement that keeps a new launch."""
    body = msgspec.json.encode(launch.context).decode()
    return _SAVE, (tenant_id, wire.Binary(digest), launch.client_id, launch.user_id, body, seconds)


_LIVE = "tenant_id = $1 AND hash = $2 AND used_at IS NULL AND expires_at > now()"
_COLUMNS = "client_id, user_id, context"


def find(db: Session, tenant_id: int, digest: bytes) -> Launch | None:
    """A launch that can still be used."""
    sql = f"SELECT {_COLUMNS} FROM oauth_launch WHERE {_LIVE}"
    return _launch(db.run([(sql, (tenant_id, wire.Binary(digest)))], final=True)[0])


def use(db: Session, tenant_id: int, digest: bytes, client_id: str, user_id: str) -> Launch | None:
    """Take a launch, once and for all; None when it was used, has expired, or is another app's or user's."""
    sql = (
        f"UPDATE oauth_launch SET used_at = now() WHERE {_LIVE} AND client_id = $3 AND user_id = $4"
        f" RETURNING {_COLUMNS}"
    )
    return _launch(db.run([(sql, (tenant_id, wire.Binary(digest), client_id, user_id))])[0])


_GRANTED = (
    "SELECT 1 FROM oauth_grant WHERE tenant_id = $1 AND user_id = $2 AND client_id = $3 AND scope = $4"
    " AND coalesce(context ->> 'patient', '') = $5 AND revoked_at IS NULL AND created_at > now() - interval '90 days'"
    " LIMIT 1"
)


def granted_before(db: Session, tenant_id: int, client_id: str, user_id: str, scope: str, patient: str) -> bool:
    """Whether the user has a live grant to the client of exactly this scope text, for this patient ("": for none), not
    older than 90 days."""
    return bool(db.run([(_GRANTED, (tenant_id, user_id, client_id, scope, patient))], final=True)[0])


def _launch(rows: list[Row]) -> Launch | None:
    if not rows:
        return None
    client_id, user_id, context = ((value or b"").decode() for value in rows[0])
    return Launch(client_id, user_id, msgspec.json.decode(context))
