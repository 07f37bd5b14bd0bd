"""What somebody on the wait list wants, and the free time that fits it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from heapq import merge
from typing import Any
from zoneinfo import ZoneInfo

from fhir_server.core.context import Context
from fhir_server.core.dates import stored_range
from fhir_server.features.scheduling.callers import patients_of
from fhir_server.features.scheduling.fields import extension
from fhir_server.features.scheduling.free import FreeTime, Question
from fhir_server.features.scheduling.hours import Span, contains, merged, minutes_of
from fhir_server.features.scheduling.offers import Catalogue, Offer, codings
from fhir_server.features.scheduling.visit import Visit, at, modes_of
from fhir_server.interactions import stored

Json = Mapping[str, Any]

_MODE = "urn:salam:StructureDefinition:service-mode"
_MINUTE_US = 60_000_000
_FOREVER = 1 << 40
# How far ahead free time is looked for.
AHEAD = timedelta(days=92)
# iCalendar's order: 1 is the highest, 9 the lowest, 0 says nothing.
_MIDDLE = 5


@dataclass(frozen=True, slots=True)
class Wish:
    """A waiting Appointment. `rid`: its row, by which the oldest comes first; `services`, `people`, `places`: `Type/id`
    of which one of each is wanted, none: any; `types`: codings of serviceType; `periods`: UTC minutes; `patients`: ids.
    """

    id: str
    rid: int
    priority: int
    patients: tuple[str, ...]
    services: frozenset[str]
    types: frozenset[tuple[str, str]]
    people: frozenset[str]
    places: frozenset[str]
    periods: tuple[Span, ...]
    mode: str | None

    @property
    def turn(self) -> tuple[int, int]:
        """Its place in the order: priority first, then who waits longest."""
        return self.priority, self.rid

    def is_over(self, now: datetime) -> bool:
        """Whether all that was wished for is past."""
        return not self.periods or self.periods[-1][1] <= minutes_of(now)


def wish_of(ctx: Context, rid: int, appointment: Json) -> Wish:
    """What a waiting Appointment says. A PractitionerRole among its participants means its practitioner."""
    named = [stored.local(ctx, each.get("actor")) or "" for each in appointment.get("participant", ())]
    roles = stored.by_name(ctx, [name for name in named if name.startswith("PractitionerRole/")]).values()
    people = {name for name in named if name.startswith("Practitioner/")}
    zone = ZoneInfo(ctx.tenant.zone)
    people |= {name for name in (stored.local(ctx, role.get("practitioner")) for role in roles) if name}
    return Wish(
        id=appointment["id"],
        rid=rid,
        priority=appointment.get("priority") or _MIDDLE,
        patients=tuple(patients_of(ctx, dict(appointment))),
        services=frozenset(name for name in named if name.startswith("HealthcareService/")),
        types=frozenset(codings(appointment.get("serviceType"))),
        people=frozenset(people),
        places=frozenset(name for name in named if name.startswith("Location/")),
        # Who says no time could come at any.
        periods=tuple(merged(minutes_in(each, zone) for each in appointment.get("requestedPeriod", ({},)))),
        mode=(extension(appointment, _MODE) or {}).get("valueCode"),
    )


def minutes_in(period: Json, zone: ZoneInfo) -> Span:
    """A period in UTC minutes; days are the zone's, and an end that is a day means all of it."""
    start, end = period.get("start"), period.get("end")
    lo = stored_range(start, zone)[0] // _MINUTE_US if start else 0
    if not end:
        return lo, _FOREVER
    first, last = stored_range(end, zone)
    return lo, (last if len(end) <= 10 else first) // _MINUTE_US


class Free:
    """The free time of a tenant as it is now, for all wishes. Who waits is bound by the public's rules."""

    def __init__(self, ctx: Context, catalogue: Catalogue, wishes: Sequence[Wish]) -> None:
        now = minutes_of(ctx.now)
        furthest = now + AHEAD // timedelta(minutes=1)
        last = min(max((hi for wish in wishes for _, hi in wish.periods), default=now), furthest)
        self._offers = [
            offer for offer in catalogue.offers() if offer.rules.online and any(fits(wish, offer) for wish in wishes)
        ]
        self._time = FreeTime(ctx, self._offers, Question(now, max(last, now + 1), now, online=True))
        self._starts: dict[int, list[int]] = {}

    def visits(self, wish: Wish, but: frozenset[datetime]) -> Iterator[Visit]:
        """The visits that fit a wish, the earliest first, without those that begin at one of these times."""
        found = [self._fitting(index, wish) for index, offer in enumerate(self._offers) if fits(wish, offer)]
        for start, index in merge(*found):
            visit = at(self._time, self._offers[index], start)
            if visit.start not in but:
                yield visit

    def _fitting(self, index: int, wish: Wish) -> Iterator[tuple[int, int]]:
        """(start, index of the offer) of what lies in the periods of a wish, sorted."""
        minutes = self._offers[index].rules.duration
        return ((start, index) for start in self._starts_of(index) if _within(wish.periods, start, minutes))

    def _starts_of(self, index: int) -> list[int]:
        if index not in self._starts:
            self._starts[index] = self._time.starts(self._offers[index])
        return self._starts[index]


def fits(wish: Wish, offer: Offer) -> bool:
    """Whether an offer is what somebody waits for, whenever it is."""
    service = f"HealthcareService/{offer.service['id']}" if offer.service else None
    if wish.services and service not in wish.services:
        return False
    if not wish.services and wish.types and not wish.types & codings((offer.service or {}).get("type")):
        return False
    actors = {str(actor["reference"]) for actor in offer.actors}
    if wish.people and not wish.people & actors:
        return False
    if wish.places and not wish.places & actors:
        return False
    return wish.mode is None or wish.mode in modes_of(offer.service)


def _within(periods: Sequence[Span], start: int, minutes: int) -> bool:
    return contains(periods, start) and contains(periods, start + minutes - 1)
