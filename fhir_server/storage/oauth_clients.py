"""Statements on registered OAuth clients."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from fhir_server.storage import wire
from fhir_server.storage.session import Row, Session, Statement


@dataclass(frozen=True, slots=True)
class ClientRow:
    """A client as stored. `secret_hashes`: SHA-256 of the live secrets, the oldest first; `access_hash`: of the
    registration access token; `created`: seconds since 1970."""

    client_id: str
    metadata: Mapping[str, Any]
    secret_hashes: tuple[bytes, ...]
    access_hash: bytes | None
    status: str
    created: int


_COLUMNS = (
    "client_id, metadata, to_json(ARRAY(SELECT encode(h, 'hex') FROM unnest(secret_hashes) AS h)),"
    " encode(access_hash, 'hex'), status, extract(epoch FROM created_at)::bigint"
)
_HASHES = "ARRAY(SELECT decode(h, 'hex') FROM unnest({}::text[]) AS h)"


def find(db: Session, tenant_id: int, client_id: str) -> ClientRow | None:
    """A client of the tenant, disabled ones too."""
    sql = f"SELECT {_COLUMNS} FROM oauth_client WHERE tenant_id = $1 AND client_id = $2"
    rows = db.run([(sql, (tenant_id, client_id))])[0]
    return _row(rows[0]) if rows else None


def of_tenant(db: Session, tenant_id: int) -> list[ClientRow]:
    """Every client of the tenant, the oldest first."""
    sql = f"SELECT {_COLUMNS} FROM oauth_client WHERE tenant_id = $1 ORDER BY created_at, client_id"
    return [_row(row) for row in db.run([(sql, (tenant_id,))], final=True)[0]]


def insert(
    tenant_id: int, client_id: str, metadata: Mapping[str, Any], secrets: Sequence[bytes], access: bytes | None
) -> Statement:
    """The statement that registers a client; a taken client_id raises `UniqueViolation`."""
    sql = (
        "INSERT INTO oauth_client (tenant_id, client_id, metadata, secret_hashes, access_hash)"
        f" VALUES ($1, $2, $3::jsonb, {_HASHES.format('$4')}, $5)"
    )
    text = msgspec.json.encode(metadata).decode()
    held = None if access is None else wire.Binary(access)
    return sql, (tenant_id, client_id, text, wire.texts([each.hex() for each in secrets]), held)


def replace_metadata(tenant_id: int, client_id: str, metadata: Mapping[str, Any]) -> Statement:
    """The statement that gives a client other metadata."""
    sql = "UPDATE oauth_client SET metadata = $3::jsonb WHERE tenant_id = $1 AND client_id = $2"
    return sql, (tenant_id, client_id, msgspec.json.encode(metadata).decode())


def add_secret(tenant_id: int, client_id: str, digest: bytes) -> Statement:
    """The statement that adds a secret and keeps of the others only the last one."""
    sql = (
        "UPDATE oauth_client SET secret_hashes = secret_hashes[greatest(1, cardinality(secret_hashes)):] || $3::bytea"
        " WHERE tenant_id = $1 AND client_id = $2"
    )
    return sql, (tenant_id, client_id, wire.Binary(digest))


def set_status(tenant_id: int, client_id: str, status: str) -> Statement:
    """The statement that makes a client `active` or `disabled`."""
    sql = "UPDATE oauth_client SET status = $3 WHERE tenant_id = $1 AND client_id = $2"
    return sql, (tenant_id, client_id, status)


def hold_active(db: Session, tenant_id: int, client_id: str) -> bool:
    """Whether the client is active; who disables it waits until this transaction ends."""
    sql = "SELECT 1 FROM oauth_client WHERE tenant_id = $1 AND client_id = $2 AND status = 'active' FOR SHARE"
    return bool(db.run([(sql, (tenant_id, client_id))])[0])


def delete(tenant_id: int, client_id: str) -> Statement:
    """The statement that removes a registration."""
    return "DELETE FROM oauth_client WHERE tenant_id = $1 AND client_id = $2", (tenant_id, client_id)


def dynamic_registration(db: Session, tenant_id: int) -> bool:
    """Whether the tenant's operator lets clients register themselves (setting `dynamic_registration`)."""
    sql = "SELECT settings ->> 'dynamic_registration' = 'true' FROM tenant WHERE tenant_id = $1"
    return db.run([(sql, (tenant_id,))])[0][0][0] == b"t"


def _row(row: Row) -> ClientRow:
    client_id, metadata, hashes, access, status, created = (None if v is None else v.decode() for v in row)
    return ClientRow(
        client_id or "",
        msgspec.json.decode(metadata or "{}"),
        tuple(bytes.fromhex(each) for each in msgspec.json.decode(hashes or "[]")),
        None if access is None else bytes.fromhex(access),
        status or "",
        int(created or 0),
    )
