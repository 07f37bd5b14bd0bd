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


_BOOK = "SELECT book_actors($1, $2, $3, $4, $5, $6::timestamptz)"


def bookable(tenant_id: int, schedule: int, actors: Sequence[int], capacity: int, now: datetime) -> Statement:
    """The statement that says whose time a Schedule (rid) is about: keys of its actors, of which PractitionerRoles
    stand for their practitioners, and how many visits at once. It fails with 422 where another Schedule says
    otherwise."""
    params = (tenant_id, schedule, wire.bigints(actors), capacity, _PRACTITIONER, now.isoformat())
    return _BOOK, params


def release(tenant_id: int, rids: Sequence[int]) -> Statement:
    """The statement that gives up all time that these Slots and Appointments hold."""
    sql = "DELETE FROM slot_claim WHERE tenant_id = $1 AND (holder = ANY($2) OR appointment = ANY($2))"
    return sql, (tenant_id, wire.bigints(rids))


def release_own(tenant_id: int, rids: Sequence[int]) -> Statement:
    """The statement that gives up the time that these Slots or Appointments hold by themselves."""
    return "DELETE FROM slot_claim WHERE tenant_id = $1 AND holder = ANY($2)", (tenant_id, wire.bigints(rids))


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
    stands: bool,
    now: datetime,
) -> Statement:
    """The statement that takes a Slot's time for the actors of its Schedule (key). `whole`: every seat of them;
    `beyond`: also where there is none left; `stands`: it had this time before."""
    sql = "SELECT claim_slot($1, $2, $3, $4, $5::timestamptz, $6::timestamptz, $7, $8, $9, $10, $11::timestamptz)"
    return sql, (tenant_id, rid, self_key, schedule, start, end, whole, beyond, stands, _SLOT, now.isoformat())


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
    stands: bool,
    now: datetime,
) -> Statement:
    """The statement that takes an Appointment's time for those of its participants (keys) whose time can be booked, and
    for the actors of its Slots (keys)."""
    sql = (
        "SELECT claim_appointment($1, $2, $3::timestamptz, $4::timestamptz, $5, $6, $7::timestamptz, $8, $9,"
        " $10, $11::timestamptz)"
    )
    params = (
        tenant_id, rid, start, end, wire.bigints(actors), wire.bigints(slots), expires, beyond, stands,
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


def held_by(db: Session, tenant_id: int, slots: Sequence[int]) -> dict[int, set[tuple[int, str]]]:
    """What Slots (keys) hold time for by themselves: (rid of the Appointment or 0, kind). Those that hold none are left
    out: a visit has the time of its Slot itself."""
    sql = (
        "SELECT DISTINCT s.self_key, c.appointment, c.kind FROM resource s"
        " JOIN slot_claim c ON c.tenant_id = $1 AND c.holder = s.rid WHERE s.tenant_id = $1 AND s.self_key = ANY($2)"
    )
    found: dict[int, set[tuple[int, str]]] = {}
    for slot, appointment, kind in db.run([(sql, (tenant_id, wire.bigints(slots)))])[0]:
        found.setdefault(int(slot or 0), set()).add((int(appointment or 0), (kind or b"").decode()))
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
