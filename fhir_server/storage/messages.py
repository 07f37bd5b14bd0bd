"""Statements on messages to people: the outbox. Address and text are sealed.

A row changes under its lock only: `due` and `lock` take it, `put` writes all of it back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from fhir_server.storage import clock, wire
from fhir_server.storage.session import Row, Session, Statement

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Message:
    """A row. `since`: when it was last given to the provider; `month`: first day of the month whose budget pays it, ""
    for none; `provider_id`: the provider's name for it, "" while unknown."""

    message_id: int
    occasion: str
    kind: str
    channel: str
    rid: int
    sealed: bytes
    state: str
    attempts: int
    next_attempt: datetime
    since: datetime | None
    provider: str
    provider_id: str
    parts: int
    cost: Decimal
    month: str
    error: str
    replayed: bool
    created_at: datetime
    changed_at: datetime


def micros(moment: datetime) -> int:
    """Microseconds since 1970 of an aware moment."""
    return (moment - _EPOCH) // _MICROSECOND


def stamp(moment: datetime) -> wire.Binary:
    """An aware moment as a parameter."""
    return wire.timestamp(micros(moment))


def moment_of(value: bytes | None) -> datetime:
    """A moment from microseconds since 1970."""
    return _EPOCH + int(value or b"0") * _MICROSECOND


_ADD = (
    "INSERT INTO message (tenant_id, message_id, occasion, kind, channel, sealed, state, next_attempt, created_at,"
    " changed_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)"
    " ON CONFLICT (tenant_id, occasion, channel) DO NOTHING RETURNING message_id"
)


def add(
    db: Session,
    tenant_id: int,
    *,
    occasion: str,
    kind: str,
    channel: str,
    sealed: bytes,
    state: str,
    due: datetime,
    now: datetime,
) -> int | None:
    """Add a message within the open transaction; its id, or None when the occasion has one through this channel."""
    key = (tenant_id, clock.tick(), occasion, kind, channel, wire.Binary(sealed), state)
    rows = db.run([(_ADD, (*key, stamp(due), stamp(now)))])[0]
    return int(rows[0][0] or b"0") if rows else None


def name(tenant_id: int, message_id: int, rid: int) -> Statement:
    """The statement that says which Communication tells about a message."""
    return "UPDATE message SET rid = $3 WHERE tenant_id = $1 AND message_id = $2", (tenant_id, message_id, rid)


def _us(column: str) -> str:
    return f"(extract(epoch FROM {column}) * 1000000)::bigint"


_COLUMNS = (
    f"message_id, occasion, kind, channel, rid, encode(sealed, 'hex'), state, attempts, {_us('next_attempt')},"
    f" {_us('since')}, provider, provider_id, parts, cost, month, error, replayed, {_us('created_at')},"
    f" {_us('changed_at')}"
)
_DUE = (
    f"SELECT {_COLUMNS} FROM message WHERE tenant_id = $1 AND next_attempt <= $2 AND state IN ('queued', 'sending')"
    " ORDER BY next_attempt LIMIT 1 FOR UPDATE SKIP LOCKED"
)


def due(db: Session, tenant_id: int, now: datetime) -> Message | None:
    """The message that has been due for longest and that no other process holds, locked."""
    return _first(db.run([(_DUE, (tenant_id, stamp(now)))])[0])


def lock(db: Session, tenant_id: int, message_id: int) -> Message | None:
    """A message by its id, locked."""
    sql = f"SELECT {_COLUMNS} FROM message WHERE tenant_id = $1 AND message_id = $2 FOR UPDATE"
    return _first(db.run([(sql, (tenant_id, message_id))])[0])


def lock_by_rid(db: Session, tenant_id: int, rid: int) -> Message | None:
    """The message of a Communication, locked."""
    sql = f"SELECT {_COLUMNS} FROM message WHERE tenant_id = $1 AND rid = $2 FOR UPDATE"
    return _first(db.run([(sql, (tenant_id, rid))])[0])


def lock_by_provider(db: Session, tenant_id: int, provider: str, provider_id: str) -> Message | None:
    """A message by the provider's name for it, locked."""
    sql = (
        f"SELECT {_COLUMNS} FROM message WHERE tenant_id = $1 AND provider = $2 AND provider_id = $3 FOR UPDATE"
    )
    return _first(db.run([(sql, (tenant_id, provider, provider_id))])[0])


def known_ids(db: Session, tenant_id: int, provider: str, provider_ids: Sequence[str]) -> set[str]:
    """Of a provider's names, those that are some message's."""
    sql = (
        "SELECT provider_id FROM message WHERE tenant_id = $1 AND provider = $2 AND provider_id = ANY($3::text[])"
    )
    return {(row[0] or b"").decode() for row in db.run([(sql, (tenant_id, provider, wire.texts(provider_ids)))])[0]}


def channels_of(db: Session, tenant_id: int, occasion: str) -> list[str]:
    """Through which channels an occasion was told, or tried to."""
    sql = "SELECT channel FROM message WHERE tenant_id = $1 AND occasion = $2 ORDER BY message_id"
    return [(row[0] or b"").decode() for row in db.run([(sql, (tenant_id, occasion))])[0]]


_PUT = (
    "UPDATE message SET sealed = $3, state = $4, attempts = $5, next_attempt = $6, since = $7, provider = $8,"
    " provider_id = $9, parts = $10, cost = $11::numeric, month = $12::date, error = $13, replayed = $14,"
    " changed_at = $15 WHERE tenant_id = $1 AND message_id = $2"
)


def put(tenant_id: int, message: Message, now: datetime) -> Statement:
    """The statement that writes a locked message back."""
    return _PUT, (
        tenant_id,
        message.message_id,
        wire.Binary(message.sealed),
        message.state,
        message.attempts,
        stamp(message.next_attempt),
        None if message.since is None else stamp(message.since),
        message.provider,
        message.provider_id or None,
        message.parts,
        str(message.cost),
        message.month or None,
        message.error,
        message.replayed,
        stamp(now),
    )


def listed(db: Session, tenant_id: int, states: Sequence[str], limit: int = 100) -> list[Message]:
    """Messages in these states, the latest change first."""
    sql = (
        f"SELECT {_COLUMNS} FROM message WHERE tenant_id = $1 AND state = ANY($2::text[])"
        " ORDER BY changed_at DESC, message_id DESC LIMIT $3"
    )
    rows = db.run([(sql, (tenant_id, wire.texts(states), limit))])[0]
    return [_message(row) for row in rows]


_COUNTS = (
    "SELECT state, count(*), count(*) FILTER (WHERE state IN ('queued', 'sending') AND next_attempt <= $2),"
    f" min({_us('next_attempt')}) FILTER (WHERE state IN ('queued', 'sending')) FROM message"
    " WHERE tenant_id = $1 AND state IN ('queued', 'sending', 'dead') GROUP BY state"
)


@dataclass(frozen=True, slots=True)
class Counts:
    """Of a tenant's messages that are not done: how many wait, are with the provider, were given up; how many should
    have gone out by now, and since when."""

    queued: int = 0
    sending: int = 0
    dead: int = 0
    late: int = 0
    late_since: datetime | None = None


def counts(db: Session, tenant_id: int, now: datetime) -> Counts:
    """How much waits."""
    found: dict[str, int] = {}
    late, since = 0, None
    for state, count, overdue, first in db.run([(_COUNTS, (tenant_id, stamp(now)))])[0]:
        found[(state or b"").decode()] = int(count or b"0")
        if int(overdue or b"0"):
            late += int(overdue or b"0")
            since = min(since or now, moment_of(first))
    return Counts(found.get("queued", 0), found.get("sending", 0), found.get("dead", 0), late, since)


def empty(tenant_id: int, before: datetime) -> Statement:
    """The statement that takes address and text out of messages to which nothing happened since `before`."""
    sql = (
        "UPDATE message SET sealed = '' WHERE tenant_id = $1 AND changed_at < $2 AND sealed <> ''"
        " AND state IN ('sent', 'delivered', 'failed', 'dead', 'stopped')"
    )
    return sql, (tenant_id, stamp(before))


def _first(rows: list[Row]) -> Message | None:
    return _message(rows[0]) if rows else None


def _message(row: Row) -> Message:
    (message_id, occasion, kind, channel, rid, sealed, state, attempts, due_us, since, provider, provider_id, parts,
     cost, month, error, replayed, created, changed) = row  # fmt: skip
    return Message(
        int(message_id or b"0"),
        _text(occasion),
        _text(kind),
        _text(channel),
        int(rid or b"0"),
        bytes.fromhex(_text(sealed)),
        _text(state),
        int(attempts or b"0"),
        moment_of(due_us),
        None if since is None else moment_of(since),
        _text(provider),
        _text(provider_id),
        int(parts or b"0"),
        Decimal(_text(cost)),
        _text(month),
        _text(error),
        replayed == b"t",
        moment_of(created),
        moment_of(changed),
    )


def _text(value: bytes | None) -> str:
    return (value or b"").decode()
