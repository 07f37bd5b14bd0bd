"""What a stored Slot, Appointment or Schedule says about people's and rooms' time, in claims that cannot overlap.

Every write path comes through here, so a double booking is refused however it is asked for (docs/decisions/0007).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fhir_server.core.context import Context
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
TYPES = ("Schedule", "Slot", "Appointment")
CLAIMING = frozenset({"pending", "booked", "arrived", "checked-in"})
# What was done keeps the time that it took, and history that is stored later takes none.
KEEPING = frozenset({"fulfilled"})
_BUSY = frozenset({"busy", "busy-unavailable", "busy-tentative"})
_OPEN = ",".join(sorted(CLAIMING))


@dataclass(frozen=True, slots=True)
class _Visit:
    """What of an Appointment claims time."""

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
    found: list[Statement] = []
    for new in by_type["Schedule"]:
        found.extend(_schedule(ctx, new))
    visited = {key for new in by_type["Appointment"] if new.body for key in _slot_keys(ctx, decode(new.body))}
    # What is given up here can be taken here: a visit may move onto its own time.
    active = [new for new in by_type["Appointment"] if _claims(new)]
    moved = [claim for new in sorted(active, key=lambda n: (_order(ctx, n), n.ts)) for claim in _appointment(ctx, new)]
    given_up = [new.rid for new in by_type["Appointment"] if not _claims(new)]
    if given_up:
        found.append(claims.release(ctx.tenant.id, given_up))
    changing = [new.rid for new in active if new.old is not None]
    if moved and changing:
        found.append(claims.release_own(ctx.tenant.id, changing))
    for new in sorted(by_type["Slot"], key=lambda new: bool(new.body)):
        found.extend(_slot(ctx, new, new.self_key in visited))
    return found + moved


def after_write(ctx: Context, news: Sequence[NewVersion]) -> None:
    """Let what is booked already with an actor who is now bookable claim its time, also where it overlaps; and what
    loses a Slot that held its time."""
    names = ctx.registry.type_names
    today = ctx.now.date().isoformat()
    for new in news:
        if names[new.type_id] == "Schedule" and _actors(new.body) != _actors(new.old.body if new.old else b""):
            for reference in _actors(new.body):
                _claim_again(ctx, [("actor", reference), ("date", f"ge{today}")])
        elif names[new.type_id] == "Slot" and not ctx.acting and new.old is not None and not _is_busy(new.body):
            _claim_again(ctx, [("slot", f"Slot/{new.id}")])


def _claim_again(ctx: Context, pairs: list[tuple[str, str]]) -> None:
    with ctx.db.hold():
        for rid, appointment in find_rows(as_server(ctx), "Appointment", [*pairs, ("status", _OPEN)]).items():
            visit = _visit(ctx, appointment)
            if visit is not None:
                ctx.db.run([_claim(ctx, rid, visit, beyond=True)])


def _is_busy(body: bytes) -> bool:
    return bool(body) and decode(body)["status"] in _BUSY


def _schedule(ctx: Context, new: NewVersion) -> list[Statement]:
    schedule = decode(new.body) if new.body else {"active": False}
    actors: list[int] = []
    roles: list[int] = []
    for name in _actors(new.body) if schedule.get("active", True) else ():
        (roles if name.startswith("PractitionerRole/") else actors).append(_key(name))
    return claims.bookable(ctx.tenant.id, new.rid, actors, roles, capacity(schedule))


def capacity(schedule: Mapping[str, Any]) -> int:
    """How many visits a Schedule takes at once: the most that its scheduling parameters say, 1 by default."""
    found = [1]
    for extension in schedule.get("extension", ()):
        if extension["url"] == PARAMETERS:
            parts = extension.get("extension", ())
            found += [p["valuePositiveInt"] for p in parts if p["url"] == "capacity" and "valuePositiveInt" in p]
    return min(max(found), 1000)


def _actors(body: bytes) -> tuple[str, ...]:
    """`Type/id` of a Schedule's actors."""
    actors = decode(body).get("actor", ()) if body else ()
    references = [actor.get("reference", "") for actor in actors]
    return tuple("/".join(reference.split("/")[-2:]) for reference in references if "/" in reference)


def _slot(ctx: Context, new: NewVersion, visited: bool) -> list[Statement]:
    slot = decode(new.body) if new.body else {}
    before = decode(new.old.body) if new.old is not None and new.old.body and not new.old.deleted else {}
    if slot.get("status") not in _BUSY or slot["start"] == slot["end"]:
        return [claims.release_own(ctx.tenant.id, [new.rid])] if before else []
    schedule = local(ctx, slot["schedule"])
    if schedule is None:
        return []
    start, end = slot["start"], slot["end"]
    place = ("status", "schedule", "start", "end")
    if before.get("status") in _BUSY and before["schedule"] == slot["schedule"]:
        same = all(before[name] == slot[name] for name in place[2:])
        return [] if same else [claims.move_slot(ctx.tenant.id, new.rid, start, end)]
    whole = slot["status"] == "busy-unavailable" and not visited
    claim = claims.claim_slot(
        ctx.tenant.id,
        new.rid,
        new.self_key,
        _key(schedule),
        start,
        end,
        whole=whole,
        beyond=ctx.importing or (ctx.acting and _tagged(slot)),
        now=ctx.now,
    )
    return [claims.release_own(ctx.tenant.id, [new.rid]), claim] if before else [claim]


def _claims(new: NewVersion) -> bool:
    return bool(new.body) and decode(new.body)["status"] in CLAIMING | KEEPING


def _order(ctx: Context, new: NewVersion) -> int:
    visit = _visit(ctx, decode(new.body))
    return min(visit.actors, default=0) if visit else 0


def _appointment(ctx: Context, new: NewVersion) -> list[Statement]:
    appointment = decode(new.body)
    before = decode(new.old.body) if new.old is not None and new.old.body and not new.old.deleted else None
    visit = _visit(ctx, appointment)
    was = _visit(ctx, before) if before is not None and before["status"] in CLAIMING else None
    if appointment["status"] in KEEPING or (visit is not None and visit == was):
        return []
    if visit is None:
        return [claims.release(ctx.tenant.id, [new.rid])]
    beyond = ctx.importing or (_tagged(appointment) and (ctx.acting or (before is not None and _tagged(before))))
    return [_claim(ctx, new.rid, visit, beyond=beyond)]


def _claim(ctx: Context, rid: int, visit: _Visit, *, beyond: bool) -> Statement:
    return claims.claim_appointment(
        ctx.tenant.id, rid, visit.actors, visit.slots, visit.start, visit.end, visit.expires, beyond=beyond, now=ctx.now
    )


def _visit(ctx: Context, appointment: Mapping[str, Any]) -> _Visit | None:
    start, end = appointment.get("start"), appointment.get("end")
    if start is None or end is None or start == end:
        return None
    actors = {local(ctx, participant.get("actor")) for participant in appointment["participant"]}
    expires = None
    if appointment["status"] == "pending":
        extensions = appointment.get("extension", ())
        expires = next((e.get("valueInstant") for e in extensions if e["url"] == HOLD_EXPIRES), None)
    keys = tuple(sorted(_key(actor) for actor in actors if actor is not None))
    return _Visit(start, end, keys, _slot_keys(ctx, appointment), expires)


def _slot_keys(ctx: Context, appointment: Mapping[str, Any]) -> tuple[int, ...]:
    slots = [local(ctx, slot) for slot in appointment.get("slot", ())]
    return tuple(sorted(_key(slot) for slot in slots if slot is not None))


def _key(name: str) -> int:
    kind, _, id_ = name.partition("/")
    return self_key(kind, id_)


def _tagged(resource: Mapping[str, Any]) -> bool:
    tags = resource.get("meta", {}).get("tag", ())
    return any((tag.get("system"), tag.get("code")) == OVERBOOKED for tag in tags)
