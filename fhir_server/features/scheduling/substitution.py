"""Who can take over a visit: another practitioner, at the same time, for the same service."""

from dataclasses import dataclass, field

from fhir_server.core.context import Context
from fhir_server.core.errors import FhirError
from fhir_server.features.scheduling import offers
from fhir_server.features.scheduling.fields import Resource
from fhir_server.features.scheduling.free import agendas
from fhir_server.features.scheduling.hours import Span, minutes_of
from fhir_server.features.scheduling.impacted import is_open, references_of, span_of
from fhir_server.features.scheduling.offers import Catalogue
from fhir_server.features.scheduling.targets import visit_or_none
from fhir_server.features.scheduling.visit import Visit, visit_at
from fhir_server.interactions import stored


@dataclass(slots=True)
class Substitute:
    """A practitioner with his Schedules (`Schedule/id`). `given`: the time (UTC minutes) that was promised to visits
    already in this step."""

    catalogue: Catalogue | None
    schedules: list[str]
    given: list[Span] = field(default_factory=list)


def substitute(ctx: Context, practitioner: str) -> Substitute:
    """The substitute, `Practitioner/id`; one without an active Schedule can take nothing over. `ctx`: the server's."""
    references = references_of(ctx, practitioner)
    found = stored.find(ctx, "Schedule", [("actor", ",".join(references))])
    names = [f"Schedule/{each['id']}" for each in found if each.get("active", True)]
    return Substitute(offers.load(ctx, schedules=names) if names else None, names)


def take_over(ctx: Context, other: Substitute, appointment: Resource, rid: int) -> Visit | None:
    """The visit as the substitute gives it, or None when he is busy, does not work then or does not offer the service.

    `rid`: the Appointment's row, whose own rooms do not count as taken.
    """
    now = visit_or_none(ctx, appointment)
    if now is None:
        return None
    service = f"HealthcareService/{now.service['id']}" if now.service else None
    span = span_of(appointment)
    for name in other.schedules:
        offered = other.catalogue.offers([service] if service else None, [name]) if other.catalogue else []
        if not any(is_open(offer, span) for offer in offered):
            continue
        rooms = [f"Schedule/{each['id']}" for each in now.schedules[1:]]
        try:
            visit = visit_at(ctx, service, [name, *rooms], now.start, minutes=span[1] - span[0], mode=now.mode)
        except FhirError:
            continue
        if _is_free(ctx, other, visit, rid):
            other.given.append(_whole(visit))
            return visit
    return None


def _whole(visit: Visit) -> Span:
    """The visit with its buffers."""
    return minutes_of(visit.start) - visit.rules.before, minutes_of(visit.end) + visit.rules.after


def _is_free(ctx: Context, other: Substitute, visit: Visit, rid: int) -> bool:
    """Whether every actor has a seat for the visit, besides what was promised in this step."""
    lo, hi = _whole(visit)
    keys = {key for place in visit.places for key in place.keys}
    known = agendas(ctx, keys, lo, hi)
    main = set(visit.offer.main.keys)
    for key, seats in known.seats.items():
        taken = {each.seat for each in known.busy[key] if each.visit != rid}
        promised = sum(1 for start, end in other.given if start < hi and end > lo) if key in main else 0
        if len(taken) + promised >= seats:
            return False
    return True
