"""Statements on claims: whose time is taken, by what. The constraint on slot_claim decides."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from fhir_server.core.keys import param_id
from fhir_server.storage import wire
from fhir_server.storage.session import Session, Statement

_PRACTITIONER = param_id("PractitionerRole", "practitioner")
_SLOT = param_id("Appointment", "slot")
_SCHEDULE = param_id("Slot", "schedule")


@dataclass(frozen=True, slots=True)
class Taken:
    """Time of an actor that is taken. Microseconds since 1970, end excluded; `appointment`: rid, 0 for none."""

    actor: int
    seat: int
    start: int
    end: int
    kind: str
    appointment: int


_UNBOOK = "DELETE FROM bookable WHERE tenant_id = $1 AND schedule = $2"
_BOOK = (
    "INSERT INTO bookable (tenant_id, actor, schedule, capacity) SELECT DISTINCT $1::integer, actor, $2::bigint,"
    " $3::smallint FROM (SELECT unnest($4::bigint[]) UNION SELECT r.target FROM resource p"
    " JOIN reference r ON r.tenant_id = $1 AND r.rid = p.rid AND r.param = $6"
    " WHERE p.tenant_id = $1 AND p.self_key = ANY($5)) AS a(actor)"
)


def bookable(
    tenant_id: int, schedule: int, actors: Sequence[int], roles: Sequence[int], capacity: int
) -> list[Statement]:
    """The statements that say whose time a Schedule (rid) is about: keys of actors, keys of PractitionerRoles, which
    stand for their practitioners, and how many visits at once."""
    statements: list[Statement] = [(_UNBOOK, (tenant_id, schedule))]
    if actors or roles:
        params = (tenant_id, schedule, capacity, wire.bigints(actors), wire.bigints(roles), _PRACTITIONER)
        statements.append((_BOOK, params))
    return statements


def release(tenant_id: int, rids: Sequence[int]) -> Statement:
    """The statement that gives up all time that these Slots and Appointments hold."""
    sql = "DELETE FROM slot_claim WHERE tenant_id = $1 AND (holder = ANY($2) OR appointment = ANY($2))"
    return sql, (tenant_id, wire.bigints(rids))


def release_own(tenant_id: int, rids: Sequence[int]) -> Statement:
    """The statement that gives up the time that these Slots or Appointments hold by themselves."""
    return "DELETE FROM slot_claim WHERE tenant_id = $1 AND holder = ANY($2)", (tenant_id, wire.bigints(rids))


def move_slot(tenant_id: int, rid: int, start: str, end: str) -> Statement:
    """The statement that moves what a Slot holds to another time."""
    sql = (
        "UPDATE slot_claim SET starts = $3::timestamptz, ends = $4::timestamptz"
        " WHERE tenant_id = $1 AND holder = $2"
    )
    return sql, (tenant_id, rid, start, end)


def claim_slot(
    tenant_id: int,
    rid: int,
    self_key: int,
    schedule: int,
    start: str,
    end: str,
    *,
    whole: bool,
    beyond: bool,
    now: datetime,
) -> Statement:
    """The statement that takes a Slot's time for the actors of its Schedule (key). `whole`: every seat of them;
    `beyond`: also where there is none left."""
    sql = (
        "SELECT claim_slot($1, $2, $3, $4, $5::timestamptz, $6::timestamptz, $7, $8, $9, $10::timestamptz)"
    )
    return sql, (tenant_id, rid, self_key, schedule, start, end, whole, beyond, _SLOT, now.isoformat())


def claim_appointment(
    tenant_id: int,
    rid: int,
    actors: Sequence[int],
    slots: Sequence[int],
    start: str,
    end: str,
    expires: str | None,
    *,
    beyond: bool,
    now: datetime,
) -> Statement:
    """The statement that takes an Appointment's time for those of its participants (keys) whose time can be booked, and
    for the actors of its Slots (keys). Its row is the highest seat taken."""
    sql = (
        "SELECT claim_appointment($1, $2, $3::timestamptz, $4::timestamptz, $5, $6, $7::timestamptz, $8, $9,"
        " $10::timestamptz)"
    )
    params = (
        tenant_id, rid, start, end, wire.bigints(actors), wire.bigints(slots), expires, beyond,
        wire.integers([_PRACTITIONER, _SCHEDULE]), now.isoformat(),
    )  # fmt: skip
    return sql, params


_US = "(extract(epoch FROM {0}) * 1000000)::bigint"
_TAKEN = (
    f"SELECT actor, seat, {_US.format('starts')}, {_US.format('ends')}, kind, appointment FROM slot_claim"
    " WHERE tenant_id = $1 AND actor = ANY($2) AND ends > $3::timestamptz AND starts < $4::timestamptz"
    " AND (expires_at IS NULL OR expires_at > $5::timestamptz) ORDER BY actor, starts"
)


def taken(
    db: Session, tenant_id: int, actors: Sequence[int], start: datetime, end: datetime, now: datetime
) -> list[Taken]:
    """What is taken of these actors' (keys) time between two moments, by actor and time, without holds that ran out."""
    params = (tenant_id, wire.bigints(actors), start.isoformat(), end.isoformat(), now.isoformat())
    rows = db.run([(_TAKEN, params)])[0]
    found = []
    for actor, seat, begin, finish, kind, visit in rows:
        numbers = int(actor or 0), int(seat or 0), int(begin or 0), int(finish or 0)
        found.append(Taken(*numbers, (kind or b"").decode(), int(visit or 0)))
    return found


def actors_of(db: Session, tenant_id: int, schedules: Sequence[int]) -> dict[int, list[tuple[int, int]]]:
    """(actor key, capacity) of each of these Schedules (rids); a Schedule that is not bookable is left out."""
    sql = "SELECT schedule, actor, capacity FROM bookable WHERE tenant_id = $1 AND schedule = ANY($2) ORDER BY 1, 2"
    found: dict[int, list[tuple[int, int]]] = {}
    for schedule, actor, capacity in db.run([(sql, (tenant_id, wire.bigints(schedules)))])[0]:
        found.setdefault(int(schedule or 0), []).append((int(actor or 0), int(capacity or 1)))
    return found


def capacities(db: Session, tenant_id: int, actors: Sequence[int]) -> dict[int, int]:
    """The seats of each of these actors (keys); one whose time is not booked is left out."""
    sql = "SELECT actor, max(capacity) FROM bookable WHERE tenant_id = $1 AND actor = ANY($2) GROUP BY actor"
    rows = db.run([(sql, (tenant_id, wire.bigints(actors)))])[0]
    return {int(actor or 0): int(seats or 1) for actor, seats in rows}


def holding(db: Session, tenant_id: int, appointment: int, now: datetime) -> bool:
    """Whether an Appointment (rid) holds any time now."""
    sql = (
        "SELECT 1 FROM slot_claim WHERE tenant_id = $1 AND appointment = $2"
        " AND (expires_at IS NULL OR expires_at > $3::timestamptz) LIMIT 1"
    )
    return bool(db.run([(sql, (tenant_id, appointment, now.isoformat()))])[0])
