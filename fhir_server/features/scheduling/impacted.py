"""Schedule/$impacted: the visits to come that the rules as they are now would not allow any more."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.dates import moment
from fhir_server.core.errors import Unprocessable
from fhir_server.core.messages import FhirResponse
from fhir_server.core.resource_json import encode
from fhir_server.features.scheduling import availability, callers, offers, slots
from fhir_server.features.scheduling.fields import actors, instant
from fhir_server.features.scheduling.free import window
from fhir_server.features.scheduling.hours import Span, contains, minutes_of
from fhir_server.features.scheduling.offers import Offer
from fhir_server.interactions import stored
from fhir_server.interactions.acting import as_server, check_staff
from fhir_server.operations.call import OperationCall

Json = Mapping[str, Any]
_OPEN = "pending,booked"


def impacted(ctx: Context, call: OperationCall) -> FhirResponse:
    """A searchset of the visits to come of a Schedule that lie outside its opening hours as they are now: the hours,
    closures, holidays and absences. The next first, at most 1000, without those that the caller may not see."""
    check_staff(ctx, "Appointment", "ask which visits are impacted")
    schedule = stored.get(ctx, "Schedule", call.id or "")
    server = as_server(ctx)
    name = f"Schedule/{schedule['id']}"
    coming = _coming(server, schedule, name)
    catalogue = offers.load(server, schedules=[name])
    found = coming
    if name in catalogue.schedules:
        found = []
        for service, appointments in _by_service(server, coming).items():
            known = service if service in catalogue.services else None
            try:
                offer = catalogue.offer(known, name)
            except Unprocessable:
                found += appointments
                continue
            found += [each for each in appointments if not is_open(offer, span_of(each))]
    visible = callers.seen(ctx, found)
    found = sorted((each for each in found if each["id"] in visible), key=lambda each: moment(each["start"]))
    entries = [
        {"fullUrl": f"{ctx.base}/Appointment/{each['id']}", "resource": each, "search": {"mode": "match"}}
        for each in found
    ]
    bundle = {"resourceType": "Bundle", "type": "searchset", "total": len(found)}
    return FhirResponse(200, encode(bundle | ({"entry": entries} if entries else {})))


def span_of(appointment: Json) -> Span:
    """The UTC minutes of an appointment that has a time, begun ones included."""
    return minutes_of(moment(appointment["start"])), -(-int(moment(appointment["end"]).timestamp()) // 60)


def is_open(offer: Offer, span: Span) -> bool:
    """Whether an offer's main Schedule is open for all of this time (UTC minutes)."""
    here = window(offer.rules.zone, *span)
    open_ = availability.opening(offer.rules, offer.main.hours, here)
    return contains(availability.within(open_, span[1] - span[0]), span[0])


def references_of(ctx: Context, practitioner: str) -> list[str]:
    """`Practitioner/id` and the roles of the same person."""
    roles = stored.find(ctx, "PractitionerRole", [("practitioner", practitioner)])
    return [practitioner, *(f"PractitionerRole/{role['id']}" for role in roles)]


def _coming(ctx: Context, schedule: Json, name: str) -> list[dict[str, Any]]:
    """The visits to come that stand in a Schedule: by their Slots, or without any by its actors."""
    named = [stored.local(ctx, each) for each in schedule["actor"]]
    everyone = [each for actor in named if actor for each in _who(ctx, actor)]
    pairs = [("actor", ",".join(everyone)), ("date", f"ge{instant(ctx.now)}"), ("status", _OPEN)]
    found = [each for each in stored.find(ctx, "Appointment", pairs) if "start" in each and "end" in each]
    wanted = [f"{kind}/{id_}" for each in found for kind, id_ in slots.names_of(ctx, each)]
    known = stored.by_name(ctx, wanted)
    return [each for each in found if _stands_in(ctx, each, name, known)]


def _who(ctx: Context, actor: str) -> Iterable[str]:
    if actor.startswith("Practitioner/"):
        return references_of(ctx, actor)
    return [actor]


def _stands_in(ctx: Context, appointment: Json, schedule: str, known: Mapping[str, Json]) -> bool:
    names = [f"{kind}/{id_}" for kind, id_ in slots.names_of(ctx, appointment)]
    schedules = {stored.local(ctx, known[name].get("schedule")) for name in names if name in known}
    return not schedules or schedule in schedules


def _by_service(ctx: Context, appointments: Sequence[dict[str, Any]]) -> dict[str | None, list[dict[str, Any]]]:
    found: dict[str | None, list[dict[str, Any]]] = {}
    for each in appointments:
        named = [stored.local(ctx, {"reference": name}) for name in actors(each, "HealthcareService")]
        found.setdefault(next(iter(named), None), []).append(each)
    return found
