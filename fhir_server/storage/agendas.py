"""Statements on agendas: what a visit is about, and which time is taken, each in one round trip."""

from collections.abc import Sequence
from datetime import datetime

from fhir_server.core.keys import param_id
from fhir_server.storage import wire
from fhir_server.storage.session import Session

_PRACTITIONER = param_id("PractitionerRole", "practitioner")
Bodies = list[tuple[int, bytes]]

_BODIES = "SELECT r.rid, r.body FROM resource r WHERE r.tenant_id = $1 AND NOT r.deleted AND r.rid IN ({0}) ORDER BY 1"
_NAMED = "SELECT rid FROM resource WHERE tenant_id = $1 AND self_key = ANY($2)"
_OF_ACTORS = (
    "SELECT schedule FROM bookable WHERE tenant_id = $1 AND actor IN (SELECT unnest($2::bigint[]) UNION ALL"
    " SELECT f.target FROM resource p JOIN reference f ON f.tenant_id = $1 AND f.rid = p.rid AND f.param = $3"
    " WHERE p.tenant_id = $1 AND p.self_key = ANY($2))"
)
_ROLES = (
    "SELECT f.rid FROM reference f WHERE f.tenant_id = $1 AND f.param = $4 AND f.target IN (SELECT unnest($2::bigint[])"
    " UNION ALL SELECT b.actor FROM resource s JOIN bookable b ON b.tenant_id = $1 AND b.schedule = s.rid"
    " WHERE s.tenant_id = $1 AND s.self_key = ANY($3))"
)


def around(db: Session, tenant_id: int, names: Sequence[int], actors: Sequence[int]) -> tuple[Bodies, Bodies, Bodies]:
    """(rid, JSON text), by rid: of the resources with these keys; of the active Schedules of these actors (keys; a
    PractitionerRole means its practitioner); and of the PractitionerRoles of the actors and of the named Schedules'."""
    named, people = wire.bigints(names), wire.bigints(actors)
    found = db.run(
        [
            (_BODIES.format(_NAMED), (tenant_id, named)),
            (_BODIES.format(_OF_ACTORS), (tenant_id, people, _PRACTITIONER)),
            (_BODIES.format(_ROLES), (tenant_id, people, named, _PRACTITIONER)),
        ]
    )
    first, second, third = ([(int(rid or 0), body or b"") for rid, body in rows] for rows in found)
    return first, second, third


# One row for each actor: thousands of claims are read as four arrays. A minute that is begun is taken.
_MINUTE = "date_part('epoch', {0}) / 60"
_TAKEN = (
    f"SELECT actor, array_agg(floor({_MINUTE.format('starts')})::int), array_agg(ceil({_MINUTE.format('ends')})::int),"
    " array_agg(seat), array_agg(appointment) FROM slot_claim WHERE tenant_id = $1 AND actor = ANY($2)"
    " AND ends > $3::timestamptz AND starts < $4::timestamptz AND (expires_at IS NULL OR expires_at > $5::timestamptz)"
    " GROUP BY actor"
)
Columns = tuple[list[int], list[int], list[int], list[int]]


def taken_minutes(
    db: Session, tenant_id: int, actors: Sequence[int], start: datetime, end: datetime, now: datetime
) -> dict[int, Columns]:
    """What claims.taken tells, in whole minutes since 1970: starts, ends, seats and Appointments (rids, 0 for none) of
    each of these actors (keys), in no order."""
    params = (tenant_id, wire.bigints(actors), start.isoformat(), end.isoformat(), now.isoformat())
    return {
        int(actor or 0): (_numbers(starts), _numbers(ends), _numbers(seats), _numbers(visits))
        for actor, starts, ends, seats, visits in db.run([(_TAKEN, params)])[0]
    }


def _numbers(array: bytes | None) -> list[int]:
    return list(map(int, (array or b"{}")[1:-1].split(b",")))
