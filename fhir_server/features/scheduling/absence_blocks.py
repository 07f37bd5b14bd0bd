"""What stands in the agenda for an absence: Slots busy-unavailable between visits, and notAvailable of the roles."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from fhir_server.core.context import Context
from fhir_server.core.dates import moment
from fhir_server.features.scheduling.fields import Resource, instant
from fhir_server.features.scheduling.free import Agendas, agendas
from fhir_server.features.scheduling.hours import Span, minutes_of, moment_of
from fhir_server.features.scheduling.offers import Place
from fhir_server.interactions import stored
from fhir_server.interactions.changes import Changes

ABSENCE = "urn:salam:absence"
_PREFIX = "absence-"


@dataclass(frozen=True, slots=True)
class Absence:
    """`id`: shared by all that stands for it; `start`, `end`: aware; `zone`: of the agenda."""

    id: str
    start: datetime
    end: datetime
    zone: ZoneInfo
    reason: str

    @property
    def span(self) -> Span:
        """Its UTC minutes, begun ones included."""
        return minutes_of(self.start), -(-int(self.end.timestamp()) // 60)


def block(ctx: Context, unit: Changes, place: Place, absence: Absence) -> None:
    """Put the Slots among what is to be written. What is taken keeps its place; where only some of several seats are
    taken, the others are blocked one by one."""
    lo, hi = absence.span
    for (start, end), seats in gaps(agendas(ctx, place.keys, lo, hi), (lo, hi)):
        status = "busy-unavailable" if seats == 0 else "busy"
        for _ in range(max(seats, 1)):
            slot: Resource = {
                "resourceType": "Slot",
                "identifier": [{"system": ABSENCE, "value": absence.id}],
                "schedule": {"reference": place.name},
                "status": status,
                "start": instant(moment_of(start), absence.zone),
                "end": instant(moment_of(end), absence.zone),
            }
            if absence.reason:
                slot["comment"] = absence.reason
            unit.add(slot)


def gaps(known: Agendas, span: Span) -> Iterator[tuple[Span, int]]:
    """The parts of a span that are not taken in whole: (part, 0) where nothing is, else (part, seats that are left).
    Parts in which the same seats are taken are one."""
    edges = {span[0], span[1]}
    for busy in known.busy.values():
        edges.update(at for each in busy for at in (each.start, each.end) if span[0] < at < span[1])
    points = sorted(edges)
    last: tuple[Span, frozenset[tuple[int, int]]] | None = None
    for lo, hi in zip(points, points[1:], strict=False):
        taken = frozenset(
            (key, each.seat) for key, all_ in known.busy.items() for each in all_ if each.start < hi and each.end > lo
        )
        if last is not None and last[1] == taken:
            last = (last[0][0], hi), taken
            continue
        if last is not None:
            yield from _left(known, *last)
        last = (lo, hi), taken
    if last is not None:
        yield from _left(known, *last)


def _left(known: Agendas, part: Span, taken: frozenset[tuple[int, int]]) -> Iterator[tuple[Span, int]]:
    if not taken:
        yield part, 0
        return
    # A Slot takes a seat of every actor of its Schedule, so the one with the fewest left decides.
    left = min(seats - sum(key == actor for actor, _ in taken) for key, seats in known.seats.items())
    if left > 0:
        yield part, left


# -- the roles ---------------------------------------------------------------------------------------------------------


def leave(role: Resource, absence: Absence) -> None:
    """Say in a role that the person is not available: so that time which visits give up later is not offered."""
    during = {"start": instant(absence.start, absence.zone), "end": instant(absence.end, absence.zone)}
    entry = {"id": f"{_PREFIX}{absence.id}", "description": absence.reason or "Absent", "during": during}
    role["notAvailable"] = [*role.get("notAvailable", ()), entry]


def come_back(role: Resource, start: datetime, end: datetime) -> bool:
    """Take a period out of the absences that a role says; whether anything changed."""
    kept: list[dict[str, Any]] = []
    changed = False
    for entry in role.get("notAvailable", ()):
        during = entry.get("during", {})
        ours = str(entry.get("id", "")).startswith(_PREFIX) and "start" in during and "end" in during
        if not ours or moment(during["end"]) <= start or moment(during["start"]) >= end:
            kept.append(entry)
            continue
        changed = True
        for number, (lo, hi) in enumerate(remains(during, start, end)):
            suffix = "" if number == 0 else f"-{number}"
            kept.append({**entry, "id": f"{entry['id']}{suffix}"[:64], "during": {"start": lo, "end": hi}})
    if changed and kept:
        role["notAvailable"] = kept
    elif changed:
        role.pop("notAvailable")
    return changed


def remains(period: Resource, start: datetime, end: datetime) -> list[tuple[str, str]]:
    """The starts and ends, as they are written, of what is left of a period without the time from `start` to `end`."""
    left = []
    if moment(period["start"]) < start:
        left.append((period["start"], instant(start)))
    if moment(period["end"]) > end:
        left.append((instant(end), period["end"]))
    return left


def blocking(ctx: Context, schedules: Sequence[str], start: datetime, end: datetime) -> list[Resource]:
    """The Slots of absences on these Schedules that touch a period."""
    pairs = [("schedule", ",".join(schedules)), ("identifier", f"{ABSENCE}|"), ("start", f"lt{instant(end)}")]
    found = stored.find(ctx, "Slot", pairs)
    return [slot for slot in found if moment(slot["end"]) > start and moment(slot["start"]) < end]
