"""Statements about queues: their locked state, their tickets in order, and what happened to them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

from fhir_server.core.keys import self_key
from fhir_server.storage import wire
from fhir_server.storage.session import Row, Session, Statement

OPEN = ("waiting", "called", "serving")


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket in a form that can be put in order; its Task (`rid`) is the record.

    `queue`, `patient`: core.keys.self_key of HealthcareService and Patient; `appointment`: rid. (rank, due, place)
    is the order of who waits (features.queue.policy); `passed`: how often a paid ticket went before it; `present`: the
    person is on site; `deadline`: when the ticket ends by itself, with the grace period or with the queue's day.
    """

    rid: int
    queue: int
    day: date
    number: int
    kind: str
    state: str
    rank: int
    due: datetime
    place: int
    taken_at: datetime
    deadline: datetime
    present: bool = False
    passed: int = 0
    recalls: int = 0
    returns: int = 0
    patient: int | None = None
    appointment: int | None = None
    desk: str = ""
    arrived_at: datetime | None = None
    called_at: datetime | None = None
    absent_until: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class QueueRow:
    """A queue's counters. `day`: of the last number; `events`: the last number in its log; `since_paid`: calls of
    unpaid tickets since the last paid one."""

    day: date
    last_number: int = 0
    events: int = 0
    since_paid: int = 0


@dataclass(frozen=True, slots=True)
class Event:
    """What happened in a queue, number `seq` of its log. `agent`: who did it; `detail`: what changed."""

    queue: int
    seq: int
    at: datetime
    rid: int | None
    action: str
    agent: str
    detail: dict[str, Any]


def as_json(ticket: Ticket, names: Iterable[str]) -> dict[str, Any]:
    """These columns of a ticket as JSON values, for the log."""
    values = {name: getattr(ticket, name) for name in names}
    return {name: value.isoformat() if isinstance(value, date) else value for name, value in values.items()}


def from_json(values: dict[str, Any]) -> dict[str, Any]:
    """Columns as the log has them, as a `Ticket` has them."""
    return {
        name: datetime.fromisoformat(value) if value is not None and _COLUMNS[name] == "timestamptz" else value
        for name, value in values.items()
    }


def _at(value: bytes) -> datetime:
    # The session's time zone is UTC, and its dates are ISO.
    return datetime.fromisoformat(value.decode())


# Columns and their types.
_COLUMNS = {
    "rid": "bigint",
    "queue": "bigint",
    "day": "date",
    "number": "integer",
    "kind": "text",
    "state": "text",
    "rank": "smallint",
    "due": "timestamptz",
    "place": "bigint",
    "taken_at": "timestamptz",
    "deadline": "timestamptz",
    "present": "boolean",
    "passed": "integer",
    "recalls": "smallint",
    "returns": "smallint",
    "patient": "bigint",
    "appointment": "bigint",
    "desk": "text",
    "arrived_at": "timestamptz",
    "called_at": "timestamptz",
    "absent_until": "timestamptz",
    "started_at": "timestamptz",
    "ended_at": "timestamptz",
}
_NAMES = tuple(_COLUMNS)
_FROM = f"SELECT {', '.join(_NAMES)} FROM ticket WHERE tenant_id = $1 AND"


def _ticket(row: Row) -> Ticket:
    # Hundreds of these are read for one call, so the columns are written out, in the order of `_COLUMNS`.
    (
        rid, queue, day, number, kind, state, rank, due, place, taken, deadline, present, passed, recalls, returns,
        patient, appointment, desk, arrived, called, absent, started, ended,
    ) = [value or b"" for value in row]  # fmt: skip
    return Ticket(
        int(rid), int(queue), date.fromisoformat(day.decode()), int(number), kind.decode(), state.decode(), int(rank),
        _at(due), int(place), _at(taken), _at(deadline), present == b"t", int(passed), int(recalls),
        int(returns), int(patient) if patient else None, int(appointment) if appointment else None, desk.decode(),
        _at(arrived) if arrived else None, _at(called) if called else None, _at(absent) if absent else None,
        _at(started) if started else None, _at(ended) if ended else None,
    )  # fmt: skip


def _tickets(db: Session, statement: Statement) -> list[Ticket]:
    return [_ticket(row) for row in db.run([statement])[0]]


# -- reading -----------------------------------------------------------------------------------------------------------


def one(db: Session, tenant_id: int, rid: int) -> Ticket | None:
    """A ticket by the row of its Task."""
    found = _tickets(db, (f"{_FROM} rid = $2", (tenant_id, rid)))
    return found[0] if found else None


def by_task(db: Session, tenant_id: int, task_id: str) -> Ticket | None:
    """A ticket by the id of its Task; None for a Task that is none."""
    sql = f"{_FROM} rid = (SELECT rid FROM resource WHERE tenant_id = $1 AND self_key = $2 AND id = $3)"
    found = _tickets(db, (sql, (tenant_id, self_key("Task", task_id), task_id)))
    return found[0] if found else None


def of_day(db: Session, tenant_id: int, queue: int, day: date) -> list[Ticket]:
    """All tickets that were taken on that day, and older ones that are open still, by day and number."""
    sql = f"{_FROM} queue = $2 AND (day = $3::date OR state IN ('waiting', 'called', 'serving')) ORDER BY day, number"
    return _tickets(db, (sql, (tenant_id, queue, day.isoformat())))


def ended_lately(db: Session, tenant_id: int, queue: int, day: date) -> list[Ticket]:
    """The last few tickets of that day that are over, by number: enough to see how fast it goes."""
    sql = (
        f"{_FROM} queue = $2 AND day = $3::date AND state NOT IN ('waiting', 'called', 'serving')"
        " ORDER BY number DESC LIMIT 60"
    )
    return _tickets(db, (sql, (tenant_id, queue, day.isoformat())))


def given(db: Session, tenant_id: int, queue: int, day: date) -> int:
    """How many tickets were given on that day and not given up again."""
    sql = "SELECT count(*) FROM ticket WHERE tenant_id = $1 AND queue = $2 AND day = $3::date AND state <> 'cancelled'"
    return int(db.run([(sql, (tenant_id, queue, day.isoformat()))])[0][0][0] or b"0")


def taken(db: Session, tenant_id: int, queue: int, day: date, patient: int) -> int:
    """How many tickets a patient (key) had on that day, whatever became of them."""
    sql = "SELECT count(*) FROM ticket WHERE tenant_id = $1 AND queue = $2 AND day = $3::date AND patient = $4"
    return int(db.run([(sql, (tenant_id, queue, day.isoformat(), patient))])[0][0][0] or b"0")


def of_appointment(db: Session, tenant_id: int, appointment: int) -> Ticket | None:
    """The latest ticket for an Appointment (rid), in whatever queue and state."""
    sql = f"{_FROM} appointment = $2 ORDER BY taken_at DESC, rid DESC LIMIT 1"
    found = _tickets(db, (sql, (tenant_id, appointment)))
    return found[0] if found else None


def open_for(db: Session, tenant_id: int, appointments: Sequence[int]) -> list[Ticket]:
    """The open tickets for Appointments (rids)."""
    sql = f"{_FROM} appointment = ANY($2) AND state IN ('waiting', 'called', 'serving')"
    return _tickets(db, (sql, (tenant_id, wire.bigints(appointments)))) if appointments else []


def since_paid(db: Session, tenant_id: int, queue: int) -> int:
    """Calls of unpaid tickets since the last paid one."""
    rows = db.run([("SELECT since_paid FROM queue_state WHERE tenant_id = $1 AND queue = $2", (tenant_id, queue))])[0]
    return int(rows[0][0] or b"0") if rows else 0


def events(db: Session, tenant_id: int, queue: int, after: int = 0, limit: int = 10_000) -> list[Event]:
    """A queue's log in order, from the event after number `after` on."""
    sql = f"{_EVENT} queue = $2 AND seq > $3 ORDER BY seq LIMIT $4"
    return [_event(row) for row in db.run([(sql, (tenant_id, queue, after, limit))])[0]]


def last_event(db: Session, tenant_id: int, rid: int) -> Event | None:
    """The latest event of a ticket."""
    sql = f"{_EVENT} rid = $2 ORDER BY seq DESC LIMIT 1"
    rows = db.run([(sql, (tenant_id, rid))])[0]
    return _event(rows[0]) if rows else None


def due(db: Session, tenant_id: int, now: datetime, limit: int = 1000) -> list[tuple[int, int]]:
    """(queue, rid) of tickets whose deadline has passed, queue by queue."""
    sql = (
        "SELECT queue, rid FROM ticket WHERE tenant_id = $1 AND deadline <= $2::timestamptz"
        " AND state IN ('waiting', 'called') ORDER BY queue, rid LIMIT $3"
    )
    rows = db.run([(sql, (tenant_id, now.isoformat(), limit))], final=True)[0]
    return [(int(row[0] or b"0"), int(row[1] or b"0")) for row in rows]


_EVENT = (
    "SELECT queue, seq, at, rid, action, agent, detail FROM ticket_event WHERE tenant_id = $1 AND"
)


def _event(row: Row) -> Event:
    queue, seq, at, rid, action, agent, detail = row
    return Event(
        int(queue or b"0"), int(seq or b"0"), _at(at or b""), None if rid is None else int(rid),
        (action or b"").decode(), (agent or b"").decode(), json.loads(detail or b"{}"),
    )  # fmt: skip


# -- the lock ----------------------------------------------------------------------------------------------------------

_FIRST = (
    "INSERT INTO queue_state (tenant_id, queue, day) VALUES ($1, $2, '0001-01-01')"
    " ON CONFLICT (tenant_id, queue) DO NOTHING"
)
_LOCK = (
    "SELECT day, last_number, events, since_paid FROM queue_state WHERE tenant_id = $1 AND queue = $2 FOR UPDATE"
)
_SERVICE = "SELECT body FROM resource WHERE tenant_id = $1 AND self_key = $2 AND type_id = $3 AND NOT deleted"

_OF_STATES = (
    f"{_FROM} queue = $3 AND state IN ({{states}}) UNION ALL {_FROM} rid = ANY($2) AND state NOT IN ({{states}})"
)
# Which tickets are read under the lock besides those that are named.
Also = Literal["none", "waiting", "open"]
_READ: Mapping[Also, str] = {
    "none": f"{_FROM} rid = ANY($2) AND $3::bigint IS NOT NULL",
    "waiting": _OF_STATES.format(states="'waiting'"),
    "open": _OF_STATES.format(states="'waiting', 'called', 'serving'"),
}


def lock(
    db: Session, tenant_id: int, queue: int, service_type: int, *, rids: Sequence[int] = (), also: Also = "none"
) -> tuple[QueueRow, bytes | None, list[Ticket]]:
    """Lock a queue until the transaction ends: its counters, the JSON text of its HealthcareService (None: it is gone),
    and tickets as they are under the lock: those with these `rids`, and `also` others of the queue."""
    read: Statement = (_READ[also], (tenant_id, wire.bigints(rids), queue))
    place = (tenant_id, queue)
    _, counters, service, found = db.run(
        [(_FIRST, place), (_LOCK, place), (_SERVICE, (tenant_id, queue, service_type)), read]
    )
    day, number, last, since = (value or b"0" for value in counters[0])
    row = QueueRow(date.fromisoformat(day.decode()), int(number), int(last), int(since))
    return row, service[0][0] if service else None, [_ticket(each) for each in found]


# -- writing -----------------------------------------------------------------------------------------------------------

_PUT = (
    f"INSERT INTO ticket (tenant_id, {', '.join(_NAMES)}) VALUES ($1, "
    + ", ".join(f"${number}::{_COLUMNS[name]}" for number, name in enumerate(_NAMES, 2))
    + ") ON CONFLICT (tenant_id, rid) DO UPDATE SET "
    + ", ".join(f"{name} = EXCLUDED.{name}" for name in _NAMES if name != "rid")
)
_COUNT = (
    "UPDATE queue_state SET day = $3::date, last_number = $4, events = $5, since_paid = $6"
    " WHERE tenant_id = $1 AND queue = $2"
)
_LOG = (
    "INSERT INTO ticket_event (tenant_id, queue, seq, at, rid, action, agent, detail)"
    " VALUES ($1, $2, $3, $4::timestamptz, $5::bigint, $6, $7, $8::jsonb)"
)


def put(tenant_id: int, ticket: Ticket) -> Statement:
    """The statement that writes a ticket as it is now."""
    values = [getattr(ticket, name) for name in _NAMES]
    return _PUT, (tenant_id, *[v.isoformat() if isinstance(v, date) else v for v in values])


def count(tenant_id: int, queue: int, row: QueueRow) -> Statement:
    """The statement that writes the counters of a locked queue."""
    return _COUNT, (tenant_id, queue, row.day.isoformat(), row.last_number, row.events, row.since_paid)


def log(tenant_id: int, event: Event) -> Statement:
    """The statement that appends to a locked queue's log."""
    at, detail = event.at.isoformat(), json.dumps(event.detail)
    return _LOG, (tenant_id, event.queue, event.seq, at, event.rid, event.action, event.agent, detail)


def passed(tenant_id: int, rids: Sequence[int], by: int = 1) -> Statement:
    """The statement that notes of tickets that a paid one went before them, or with -1 that it did not after all."""
    sql = "UPDATE ticket SET passed = greatest(passed + $3, 0) WHERE tenant_id = $1 AND rid = ANY($2)"
    return sql, (tenant_id, wire.bigints(rids), by)


_FORGET_EVENTS = (
    "UPDATE ticket_event SET rid = NULL, detail = '{}',"
    " agent = CASE WHEN agent LIKE 'patient:%' THEN 'patient' ELSE agent END WHERE tenant_id = $1 AND rid = ANY($2)"
)


def erase(tenant_id: int, rids: Iterable[int]) -> list[Statement]:
    """The statements that forget tickets whose Tasks are erased. The queue keeps its counters, its log has no holes."""
    params = (tenant_id, wire.bigints(list(rids)))
    return [
        ("DELETE FROM ticket_link WHERE tenant_id = $1 AND rid = ANY($2)", params),
        (_FORGET_EVENTS, params),
        ("DELETE FROM ticket WHERE tenant_id = $1 AND rid = ANY($2)", params),
    ]
