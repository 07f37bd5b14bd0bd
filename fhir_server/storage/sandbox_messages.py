"""Statements on what the sandbox provider was given: the state that a real provider would keep on its side."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from fhir_server.storage import wire
from fhir_server.storage.messages import moment_of, stamp
from fhir_server.storage.session import Row, Session, Statement


@dataclass(frozen=True, slots=True)
class SandboxMessage:
    """A message as the provider knows it. `plan`: callbacks that are to come, in order: [seconds after the one before,
    status, error code]; `told`: how many went out."""

    provider_id: str
    message_id: int
    channel: str
    sealed: bytes
    status: str
    told: int
    plan: list[list[Any]]
    created_at: datetime


_ADD = (
    "INSERT INTO sandbox_message (tenant_id, provider_id, message_id, channel, sealed, status, plan, next_at,"
    " created_at) VALUES ($1, $2, $3, $4, $5, $6, $7::jsonb, $8, $9)"
)


def add(
    tenant_id: int, message: SandboxMessage, next_at: datetime | None
) -> Statement:
    """The statement that keeps an accepted message."""
    return _ADD, (
        tenant_id,
        message.provider_id,
        message.message_id,
        message.channel,
        wire.Binary(message.sealed),
        message.status,
        _json(message.plan),
        None if next_at is None else stamp(next_at),
        stamp(message.created_at),
    )


_COLUMNS = (
    "provider_id, message_id, channel, encode(sealed, 'hex'), status, told, plan,"
    " (extract(epoch FROM created_at) * 1000000)::bigint"
)


def due(db: Session, tenant_id: int, now: datetime) -> SandboxMessage | None:
    """The message whose next callback has been due for longest, locked; None when there is none."""
    sql = (
        f"SELECT {_COLUMNS} FROM sandbox_message WHERE tenant_id = $1 AND next_at <= $2 ORDER BY next_at LIMIT 1"
        " FOR UPDATE SKIP LOCKED"
    )
    rows = db.run([(sql, (tenant_id, stamp(now)))])[0]
    return _message(rows[0]) if rows else None


def told(tenant_id: int, message: SandboxMessage, next_at: datetime | None) -> Statement:
    """The statement that writes back what changed by a callback."""
    sql = (
        "UPDATE sandbox_message SET status = $3, told = $4, plan = $5::jsonb, next_at = $6"
        " WHERE tenant_id = $1 AND provider_id = $2"
    )
    moment = None if next_at is None else stamp(next_at)
    return sql, (tenant_id, message.provider_id, message.status, message.told, _json(message.plan), moment)


def of_message(db: Session, tenant_id: int, message_id: int) -> list[SandboxMessage]:
    """What the provider has under our id, the oldest first."""
    sql = (
        f"SELECT {_COLUMNS} FROM sandbox_message WHERE tenant_id = $1 AND message_id = $2"
        " ORDER BY created_at, provider_id"
    )
    return [_message(row) for row in db.run([(sql, (tenant_id, message_id))])[0]]


def listed(db: Session, tenant_id: int, limit: int = 100) -> list[SandboxMessage]:
    """The latest messages."""
    sql = (
        f"SELECT {_COLUMNS} FROM sandbox_message WHERE tenant_id = $1 ORDER BY created_at DESC, provider_id LIMIT $2"
    )
    return [_message(row) for row in db.run([(sql, (tenant_id, limit))])[0]]


def sweep(tenant_id: int, before: datetime) -> Statement:
    """The statement that forgets messages from before."""
    return "DELETE FROM sandbox_message WHERE tenant_id = $1 AND created_at < $2", (tenant_id, stamp(before))


def _json(plan: Sequence[Sequence[Any]]) -> str:
    return msgspec.json.encode(plan).decode()


def _message(row: Row) -> SandboxMessage:
    provider_id, message_id, channel, sealed, status, count, plan, created = row
    return SandboxMessage(
        (provider_id or b"").decode(),
        int(message_id or b"0"),
        (channel or b"").decode(),
        bytes.fromhex((sealed or b"").decode()),
        (status or b"").decode(),
        int(count or b"0"),
        msgspec.json.decode(plan or b"[]"),
        moment_of(created),
    )
