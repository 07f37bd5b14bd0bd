"""Statements on what messages cost in a month. `month`: its first day, `2026-11-01`."""

from dataclasses import dataclass
from decimal import Decimal

from fhir_server.storage.session import Session, Statement

# The row of all channels together; the limit binds it.
TOTAL = ""

_RESERVE = (
    "INSERT INTO message_budget AS b (tenant_id, month, channel, messages, parts, cost)"
    " SELECT $1, $2::date, $3, 1, $4::integer, $5::numeric WHERE $6::numeric IS NULL OR $5::numeric <= $6::numeric"
    " ON CONFLICT (tenant_id, month, channel) DO UPDATE SET messages = b.messages + 1,"
    " parts = b.parts + excluded.parts, cost = b.cost + excluded.cost"
    " WHERE $6::numeric IS NULL OR b.cost + excluded.cost <= $6::numeric RETURNING 1"
)
_RELEASE = (
    "UPDATE message_budget SET messages = messages - 1, parts = parts - $4, cost = cost - $5::numeric"
    " WHERE tenant_id = $1 AND month = $2::date AND channel = $3"
)


@dataclass(frozen=True, slots=True)
class Spent:
    """What went to a channel in a month, or to all of them (`channel` is TOTAL)."""

    channel: str
    messages: int
    parts: int
    cost: Decimal


def reserve(
    db: Session, tenant_id: int, month: str, channel: str, parts: int, cost: Decimal, limit: Decimal | None
) -> bool:
    """Count a message within the open transaction; False, and nothing counted, when the month's total would go over
    the limit. The total's row stays locked until the transaction ends, so that of many at once none overspends."""
    if not db.run([(_RESERVE, (tenant_id, month, TOTAL, parts, str(cost), None if limit is None else str(limit)))])[0]:
        return False
    db.run([(_RESERVE, (tenant_id, month, channel, parts, str(cost), None))])
    return True


def release(tenant_id: int, month: str, channel: str, parts: int, cost: Decimal) -> list[Statement]:
    """The statements that take a message back that was counted and not sent."""
    return [(_RELEASE, (tenant_id, month, each, parts, str(cost))) for each in (TOTAL, channel)]


def spent(db: Session, tenant_id: int, month: str) -> list[Spent]:
    """The month by channel, the total first."""
    sql = (
        "SELECT channel, messages, parts, cost FROM message_budget WHERE tenant_id = $1 AND month = $2::date"
        " ORDER BY channel"
    )
    return [
        Spent((channel or b"").decode(), int(messages or b"0"), int(parts or b"0"), Decimal((cost or b"0").decode()))
        for channel, messages, parts, cost in db.run([(sql, (tenant_id, month))])[0]
    ]
