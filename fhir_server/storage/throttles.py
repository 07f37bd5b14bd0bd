"""Statements on counted attempts: lock-outs, and every limit while Valkey is away."""

import random
from collections.abc import Sequence

from fhir_server.storage import wire
from fhir_server.storage.session import Session

# Windows of fixed length, counted from the first attempt in each.
_COUNT = (
    "INSERT INTO throttle AS t (tenant_id, key, count, expires_at)"
    " VALUES ($1, $2, 1, now() + make_interval(secs => $3::integer))"
    " ON CONFLICT (tenant_id, key) DO UPDATE SET"
    " count = CASE WHEN t.expires_at <= now() THEN 1 ELSE t.count + 1 END,"
    " expires_at = CASE WHEN t.expires_at <= now() THEN excluded.expires_at ELSE t.expires_at END"
    " RETURNING count, ceil(extract(epoch FROM expires_at - now()))::integer"
)
_READ = (
    "SELECT encode(key, 'hex'), count, ceil(extract(epoch FROM expires_at - now()))::integer FROM throttle"
    " WHERE tenant_id = $1 AND key = ANY($2::bytea[]) AND expires_at > now()"
)
_FORGET = "DELETE FROM throttle WHERE tenant_id = $1 AND key = ANY($2::bytea[])"
_SWEEP = (
    "DELETE FROM throttle WHERE tenant_id = $1 AND key IN (SELECT key FROM throttle WHERE tenant_id = $1"
    " AND expires_at < now() ORDER BY expires_at LIMIT 1000 FOR UPDATE SKIP LOCKED)"
)
_SWEEP_ONE_IN = 200


def count(db: Session, tenant_id: int, keys: Sequence[tuple[bytes, int]]) -> list[tuple[int, int]]:
    """Count one attempt under each (key, length of the window in seconds): what the count is now, and for how many
    seconds it stands. Old windows are swept now and then."""
    # One order for all, so that two who count the same keys wait for each other and do not deadlock.
    ordered = sorted(keys)
    statements = [(_COUNT, (tenant_id, wire.Binary(key), seconds)) for key, seconds in ordered]
    sweep = [(_SWEEP, (tenant_id,))] if random.randrange(_SWEEP_ONE_IN) == 0 else []
    rows = db.run([*statements, *sweep], final=not db.open)
    found = {key: (int(row[0][0] or 0), int(row[0][1] or 0)) for (key, _), row in zip(ordered, rows, strict=False)}
    return [found[key] for key, _ in keys]


def read(db: Session, tenant_id: int, keys: Sequence[bytes]) -> dict[bytes, tuple[int, int]]:
    """The counts that stand: key to (count, seconds left)."""
    rows = db.run([(_READ, (tenant_id, _array(keys)))], final=not db.open)[0]
    return {bytes.fromhex((row[0] or b"").decode()): (int(row[1] or 0), int(row[2] or 0)) for row in rows}


def forget(db: Session, tenant_id: int, keys: Sequence[bytes]) -> None:
    """Take counts back."""
    db.run([(_FORGET, (tenant_id, _array(keys)))], final=not db.open)


def _array(keys: Sequence[bytes]) -> str:
    return "{" + ",".join(f'"\\\\x{key.hex()}"' for key in keys) + "}"
