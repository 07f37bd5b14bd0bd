"""Tickets for tests of pure functions."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from fhir_server.features.queue import policy
from fhir_server.features.queue.configuration import QueueConfig
from fhir_server.storage.tickets import Ticket

NINE = datetime(2026, 2, 10, 9, 0, tzinfo=UTC)


def at(minutes: float) -> datetime:
    """A moment, minutes after nine."""
    return NINE + timedelta(minutes=minutes)


def ticket(
    number: int,
    kind: str = "normal",
    arrived: float | None = None,
    *,
    config: QueueConfig | None = None,
    appointed: float | None = None,
    priority: str | None = None,
    **changed: Any,
) -> Ticket:
    """A waiting ticket that came `arrived` minutes after nine (by default: as many as its number)."""
    came = at(number if arrived is None else arrived)
    due = None if appointed is None else at(appointed)
    rank, effective = policy.entry(kind, priority, due, came, config or QueueConfig())
    values: dict[str, Any] = {
        "rid": 1000 + number, "queue": 1, "day": date(2026, 2, 10), "number": number, "kind": kind, "state": "waiting",
        "rank": rank, "due": effective, "place": policy.first_place(number), "present": True, "passed": 0, "recalls": 0,
        "returns": 0, "patient": None, "appointment": None, "desk": "", "taken_at": came, "arrived_at": came,
        "called_at": None, "absent_until": None, "deadline": None, "started_at": None, "ended_at": None,
    }  # fmt: skip
    return Ticket(**{**values, **changed})
