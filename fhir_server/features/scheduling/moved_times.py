"""Visits whose instant is no longer what was agreed by the clock, because a time zone changed its rules.

Morocco's clock around Ramadan is announced by decree, sometimes late; a new tzdata then says another instant for the
same wall time. https://www.iana.org/time-zones
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from fhir_server.core.context import Context
from fhir_server.core.dates import moment
from fhir_server.core.errors import FhirError
from fhir_server.features.scheduling import slots
from fhir_server.features.scheduling.calendar import is_zone
from fhir_server.features.scheduling.fields import WALL_TIME, extension, instant, set_extension, wall_time
from fhir_server.interactions import stored
from fhir_server.interactions.changes import Changes

_MOST = 10_000
_OPEN = "pending,booked"


@dataclass(frozen=True, slots=True)
class Moved:
    """`appointment`: its id; `stored`: the instant that it has; `agreed`: the one of its wall time now; `result`: "" as
    long as nothing was done, then `moved` or why not."""

    appointment: str
    stored: str
    agreed: str
    result: str = ""

    @property
    def by(self) -> timedelta:
        """How far it has to move."""
        return moment(self.agreed) - moment(self.stored)


def moved(ctx: Context) -> list[Moved]:
    """The visits to come, at most 10,000, that stand elsewhere than their wall time says, in an order in which they can
    move without meeting one another. Call it as the server."""
    pairs = [("date", f"ge{instant(ctx.now)}"), ("status", _OPEN)]
    found = [_compared(each) for each in stored.find(ctx, "Appointment", pairs, limit=_MOST)]
    later = sorted((each for each in found if each and each.by > timedelta()), key=lambda m: m.stored, reverse=True)
    return later + sorted((each for each in found if each and each.by < timedelta()), key=lambda m: m.stored)


def apply(ctx: Context, found: Moved) -> Moved:
    """Move one visit with its Slots, in a transaction of its own, unless somebody has the time. Says how it went."""
    try:
        with ctx.db.hold():
            done = _move(ctx, found)
        ctx.db.commit()
    except FhirError as error:
        ctx.db.rollback()
        return replace(found, result=error.issues[0].detail or error.issues[0].code)
    return replace(found, result="moved" if done else "changed meanwhile")


def by_plain_write(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> bool:
    """Whether a client moved a visit and said nothing about the time by the clock that was agreed."""
    if before is None or after is None or "start" not in before or before.get("start") == after.get("start"):
        return False
    same = extension(before, WALL_TIME) == extension(after, WALL_TIME)
    return same and after["status"] in _OPEN.split(",") and _compared(after) is not None


def agree_to_present(appointment: dict[str, Any]) -> bool:
    """Let the agreed time be the one that a visit has, in the zone in which it was agreed; whether that changed it."""
    if _compared(appointment) is None:
        return False
    zone = ZoneInfo(_zone(appointment))
    set_extension(appointment, WALL_TIME, wall_time(moment(appointment["start"]), zone))
    return True


def _compared(appointment: Mapping[str, Any]) -> Moved | None:
    agreed = _agreed(appointment)
    if agreed is None or "start" not in appointment or moment(appointment["start"]) in agreed:
        return None
    return Moved(appointment["id"], instant(moment(appointment["start"])), instant(agreed[0]))


def _agreed(appointment: Mapping[str, Any]) -> tuple[datetime, datetime] | None:
    """The instants that the wall time can mean: of an hour that comes twice the first, and the second."""
    zone = _zone(appointment)
    try:
        wall = datetime.fromisoformat(_part(appointment, "start").get("valueString", ""))
    except ValueError:
        return None
    if wall.tzinfo is not None or not is_zone(zone):
        return None
    first, second = (wall.replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC) for fold in (0, 1))
    return first, second


def _zone(appointment: Mapping[str, Any]) -> str:
    return str(_part(appointment, "timezone").get("valueCode", ""))


def _part(appointment: Mapping[str, Any], url: str) -> Mapping[str, Any]:
    parts = (extension(appointment, WALL_TIME) or {}).get("extension", ())
    return next((part for part in parts if part.get("url") == url), {})


def _move(ctx: Context, found: Moved) -> bool:
    unit = Changes(ctx)
    appointment = unit.lock("Appointment", found.appointment)
    if "start" not in appointment or _compared(appointment) != replace(found, result=""):
        return False
    known = slots.own(ctx, unit, appointment)
    zone = ZoneInfo(_zone(appointment))
    _shift(appointment, found.by, zone)
    if known:
        slots.remove(ctx, unit, appointment)
        appointment["slot"] = [
            {"reference": f"Slot/{unit.add(_again(slot, found.by, zone))}"} for slot in known.values()
        ]
    unit.put(appointment)
    unit.run()
    return True


def _again(slot: dict[str, Any], by: timedelta, zone: ZoneInfo) -> dict[str, Any]:
    """A Slot to take the place of another: claims of several that move one by one would meet."""
    fresh = {name: value for name, value in slot.items() if name not in ("id", "meta")}
    _shift(fresh, by, zone)
    return fresh


def _shift(resource: dict[str, Any], by: timedelta, zone: ZoneInfo) -> None:
    for name in ("start", "end"):
        if name in resource:
            resource[name] = instant(moment(resource[name]) + by, zone)
