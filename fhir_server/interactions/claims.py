"""What a stored Slot, Appointment or Schedule says about people's and rooms' time, in claims that cannot overlap.

Every write path comes through here, so a double booking is refused however it is asked for (docs/decisions/0007).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.dates import moment, parse_range
from fhir_server.core.errors import Unprocessable
from fhir_server.core.keys import self_key
from fhir_server.core.resource_json import decode
from fhir_server.interactions.acting import as_server
from fhir_server.interactions.stored import find_rows, local
from fhir_server.storage import claims
from fhir_server.storage.session import Statement
from fhir_server.storage.versions import NewVersion

HOLD_EXPIRES = "urn:salam:StructureDefinition:hold-expires"
PARAMETERS = "urn:salam:StructureDefinition:scheduling-parameters"
OVERBOOKED = ("urn:salam:CodeSystem:booking", "overbooked")
TYPES = ("PractitionerRole", "Schedule", "Slot", "Appointment")
CLAIMING = frozenset({"pending", "booked", "arrived", "checked-in"})
# What was done keeps the time that it took, and history that is stored later takes none.
KEEPING = frozenset({"fulfilled"})
_STANDING = CLAIMING | KEEPING
_BUSY = frozenset({"busy", "busy-unavailable", "busy-tentative"})
_OPEN = ",".join(sorted(CLAIMING))
_MOST_SEATS = 1000


@dataclass(frozen=True, slots=True)
class _Visit:
    """What of an Appointment claims time. Keys of actors and Slots."""

    start: str
    end: str
    actors: tuple[int, ...]
    slots: tuple[int, ...]
    expires: str | None


def concerns(ctx: Context, news: Sequence[NewVersion]) -> bool:
    """Whether any of the versions is about time."""
    type_ids = {ctx.registry.type_ids[name] for name in TYPES}
    return any(new.type_id in type_ids for new in news)


def statements(ctx: Context, news: Sequence[NewVersion]) -> list[Statement]:
    """What these versions change about claims, to run after they are written: Schedules, then Slots, then Appointments.

    The statements fail with 409 when time is taken.
    """
    names = ctx.registry.type_names
    by_type: dict[str, list[NewVersion]] = {name: [] for name in TYPES}
    for new in news:
        if names[new.type_id] in by_type:
            by_type[names[new.type_id]].append(new)
    found = [_schedule(ctx, new.rid, new.body) for new in by_type["Schedule"]]
    visits = [(new, decode(new.body) if new.body else {}) for new in by_type["Appointment"]]
    for _, each in visits:
        _check_times(each)
    visited = {key for _, each in visits for key in _slot_keys(ctx, each)}
    standing = [(new, each, _visit(ctx, each)) for new, each in visits if each.get("status") in _STANDING]
    given_up = [new.rid for new, each in visits if each.get("status") not in _STANDING]
    if given_up:
        found.append(claims.release(ctx.tenant.id, given_up))
    moving: list[Statement] = []
    for new, each, visit in sorted(standing, key=_in_one_order):
        claim = _appointment(ctx, new, each, visit)
        if claim is not None:
            moving.append(claim)
            # What is given up here can be taken here: a visit may move onto its own time.
            found.append(claims.release_own(ctx.tenant.id, [new.rid]))
    for new in sorted(by_type["Slot"], key=lambda new: bool(new.body)):
        found.extend(_slot(ctx, new, new.self_key in visited))
    return found + moving


def after_write(ctx: Context, news: Sequence[NewVersion]) -> None:
    """Let what stands already claim the time of an actor who is now bookable or takes more visits at once, also where
    it overlaps; and say again whose time a Schedule is about whose actor is a role that changed hands."""
    names = ctx.registry.type_names
    for new in news:
        before = new.old.body if new.old is not None and not new.old.deleted else b""
        if names[new.type_id] == "Schedule" and new.body:
            _count_again(ctx, f"Schedule/{new.id}", new.body, before)
        elif names[new.type_id] == "PractitionerRole" and before and _holder(new.body) != _holder(before):
            role = f"PractitionerRole/{new.id}"
            with ctx.db.hold():
                for rid, schedule in find_rows(as_server(ctx), "Schedule", [("actor", role)]).items():
                    ctx.db.run([_schedule(ctx, rid, None, schedule)])
                _claim_again(ctx, role)


def _count_again(ctx: Context, name: str, body: bytes, before: bytes) -> None:
    schedule, was = decode(body), decode(before) if before else {}
    with ctx.db.hold():
        if _actors(ctx, schedule) != _actors(ctx, was):
            for reference in _actors(ctx, schedule):
                _claim_again(ctx, reference)
        if was and capacity(schedule) > capacity(was):
            today = ctx.now.date().isoformat()
            blocks = [("schedule", name), ("status", "busy-unavailable"), ("start", f"ge{today}")]
            for rid, slot in find_rows(as_server(ctx), "Slot", blocks).items():
                ctx.db.run(_claim_slot(ctx, rid, self_key("Slot", slot["id"]), slot, whole=True, beyond=True))


def _claim_again(ctx: Context, actor: str) -> None:
    pairs = [("actor", actor), ("date", f"ge{ctx.now.date().isoformat()}"), ("status", _OPEN)]
    for rid, appointment in find_rows(as_server(ctx), "Appointment", pairs).items():
        visit = _visit(ctx, appointment)
        if visit is not None:
            ctx.db.run([_claim(ctx, rid, visit, beyond=True)])


def _holder(body: bytes) -> Any:
    return decode(body).get("practitioner") if body else None


def _schedule(ctx: Context, rid: int, body: bytes | None, schedule: Mapping[str, Any] | None = None) -> Statement:
    schedule = schedule or (decode(body) if body else {})
    actors = [_key(name) for name in _actors(ctx, schedule)]
    return claims.bookable(ctx.tenant.id, rid, actors, capacity(schedule), ctx.now)


def capacity(schedule: Mapping[str, Any]) -> int:
    """How many visits a Schedule takes at once: the most that its scheduling parameters say, 1 by default."""
    found = [1]
    for extension in schedule.get("extension", ()):
        if extension["url"] == PARAMETERS:
            parts = extension.get("extension", ())
            found += [p["valuePositiveInt"] for p in parts if p["url"] == "capacity" and "valuePositiveInt" in p]
    return min(max(found), _MOST_SEATS)


def _actors(ctx: Context, schedule: Mapping[str, Any]) -> list[str]:
    """`Type/id` of a Schedule's actors."""
    return [name for name in (local(ctx, actor) for actor in schedule.get("actor", ())) if name is not None]


def _slot(ctx: Context, new: NewVersion, visited: bool) -> list[Statement]:
    slot = decode(new.body) if new.body else {}
    _check_times(slot)
    before = decode(new.old.body) if new.old is not None and not new.old.deleted else {}
    if slot.get("status") not in _BUSY:
        return [claims.release_own(ctx.tenant.id, [new.rid])] if before else []
    if _length(slot) < 0:
        raise Unprocessable("A Slot ends after it starts.", expression="Slot.end", code="business-rule")
    whole = slot["status"] == "busy-unavailable"
    same = before.get("status") in _BUSY and (before["status"] == "busy-unavailable") is whole
    if same and all(before[name] == slot[name] for name in ("schedule", "start", "end")):
        return []
    beyond = ctx.importing or (ctx.acting and _tagged(slot))
    stands = before.get("status") in _BUSY and before["schedule"] == slot["schedule"] and _within(slot, before)
    return _claim_slot(ctx, new.rid, new.self_key, slot, whole=whole and not visited, beyond=beyond, stands=stands)


def _claim_slot(
    ctx: Context, rid: int, key: int, slot: Mapping[str, Any], *, whole: bool, beyond: bool, stands: bool = False
) -> list[Statement]:
    schedule, start, end = local(ctx, slot["schedule"]), slot["start"], slot["end"]
    if schedule is None or _length(slot) == 0:
        return [claims.release_own(ctx.tenant.id, [rid])]
    return [
        claims.claim_slot(
            ctx.tenant.id, rid, key, _key(schedule), start, end, whole=whole, beyond=beyond, stands=stands, now=ctx.now
        )
    ]


def _in_one_order(standing: tuple[NewVersion, Mapping[str, Any], _Visit | None]) -> tuple[int, int]:
    """By which those who want several people's time wait for one another in no circle."""
    new, _, visit = standing
    return min(visit.actors, default=0) if visit else 0, new.ts


def _appointment(
    ctx: Context, new: NewVersion, appointment: Mapping[str, Any], visit: _Visit | None
) -> Statement | None:
    """The statement that claims an Appointment's time anew; None when nothing about it changed."""
    before = decode(new.old.body) if new.old is not None and not new.old.deleted else None
    was = _visit(ctx, before) if before is not None and before["status"] in CLAIMING else None
    if appointment["status"] in KEEPING or visit == was:
        return None
    if visit is None:
        return claims.release(ctx.tenant.id, [new.rid])
    beyond = ctx.importing or (_tagged(appointment) and (ctx.acting or (before is not None and _tagged(before))))
    return _claim(ctx, new.rid, visit, beyond=beyond, stands=was is not None and _stands(ctx, appointment, before, was))


def _stands(ctx: Context, appointment: Mapping[str, Any], before: Mapping[str, Any] | None, was: _Visit) -> bool:
    """Whether a visit asks for nothing that it does not have: for who overbooked on top of it is not in its way."""
    if before is None or not _within(appointment, before):
        return False
    if was.expires is not None and _has_run_out(was.expires, ctx.now):
        return False
    same = ctx.acting or set(_slot_keys(ctx, appointment)) <= set(was.slots)
    return same and _hosts(ctx, appointment) <= _hosts(ctx, before)


def _has_run_out(expires: str, now: datetime) -> bool:
    return moment(expires) <= now


def _hosts(ctx: Context, appointment: Mapping[str, Any]) -> set[str]:
    found = {local(ctx, participant.get("actor")) or "" for participant in appointment["participant"]}
    return {name for name in found if not name.startswith(("Patient/", "RelatedPerson/"))}


def _within(resource: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    return _micros(before, "start") <= _micros(resource, "start") and _micros(resource, "end") <= _micros(before, "end")


def _claim(ctx: Context, rid: int, visit: _Visit, *, beyond: bool, stands: bool = False) -> Statement:
    return claims.claim_appointment(
        ctx.tenant.id, rid, visit.actors, visit.slots, visit.start, visit.end, visit.expires,
        beyond=beyond, stands=stands, now=ctx.now,
    )  # fmt: skip


def _visit(ctx: Context, appointment: Mapping[str, Any]) -> _Visit | None:
    start, end = appointment.get("start"), appointment.get("end")
    if start is None or end is None:
        return None
    if _length(appointment) <= 0 and appointment["status"] in CLAIMING:
        raise Unprocessable("A visit ends after it starts.", expression="Appointment.end", code="business-rule")
    actors = {local(ctx, participant.get("actor")) for participant in appointment["participant"]}
    expires = None
    if appointment["status"] == "pending":
        extensions = appointment.get("extension", ())
        expires = next((e.get("valueInstant") for e in extensions if e["url"] == HOLD_EXPIRES), None)
    keys = tuple(sorted(_key(actor) for actor in actors if actor is not None))
    return _Visit(start, end, keys, _slot_keys(ctx, appointment), expires)


def _check_times(resource: Mapping[str, Any]) -> None:
    for name in ("start", "end"):
        if name in resource:
            _micros(resource, name)


def _length(resource: Mapping[str, Any]) -> int:
    """Microseconds from `start` to `end`."""
    start, end = (_micros(resource, name) for name in ("start", "end"))
    return end - start


def _micros(resource: Mapping[str, Any], name: str) -> int:
    try:
        return parse_range(resource[name])[0]
    except ValueError:
        path = f"{resource['resourceType']}.{name}"
        raise Unprocessable("No agenda has leap seconds.", expression=path, code="business-rule") from None


def _slot_keys(ctx: Context, appointment: Mapping[str, Any]) -> tuple[int, ...]:
    slots = [local(ctx, slot) for slot in appointment.get("slot", ())]
    return tuple(sorted(_key(slot) for slot in slots if slot is not None))


def _key(name: str) -> int:
    kind, _, id_ = name.partition("/")
    return self_key(kind, id_)


def _tagged(resource: Mapping[str, Any]) -> bool:
    tags = resource.get("meta", {}).get("tag", ())
    return any((tag.get("system"), tag.get("code")) == OVERBOOKED for tag in tags)
