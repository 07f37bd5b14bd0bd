"""Appointments as calendars: the feed of a professional, room or Schedule, and the attachment of one appointment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from fhir_server.core.context import Context
from fhir_server.core.dates import moment
from fhir_server.features.scheduling import ics
from fhir_server.features.scheduling.fields import HOLD_EXPIRES, WALL_TIME, extension
from fhir_server.features.scheduling.ics import Person, Visit
from fhir_server.features.scheduling.words import words
from fhir_server.interactions import stored
from fhir_server.interactions.acting import as_server, may_see
from fhir_server.interactions.search import matches
from fhir_server.security.roles import roles
from fhir_server.settings import settings

Json = Mapping[str, Any]

PAST, FUTURE, CANCELLED_FOR = timedelta(days=30), timedelta(days=365), timedelta(days=30)
_MOST = 10_000
_VIRTUAL = "http://hl7.org/fhir/5.0/StructureDefinition/extension-Appointment.virtualService"
_STATUS: Mapping[str, str] = {
    "pending": "TENTATIVE",
    "booked": "CONFIRMED",
    "arrived": "CONFIRMED",
    "checked-in": "CONFIRMED",
    "fulfilled": "CONFIRMED",
    "noshow": "CONFIRMED",
    "cancelled": "CANCELLED",
    "entered-in-error": "CANCELLED",
}
_PEOPLE = ("Patient", "RelatedPerson")


@dataclass(frozen=True, slots=True)
class Feed:
    """`body`: the calendar; `changed`: when the latest of its versions was stored; `rids`: the rows that it shows."""

    body: bytes
    changed: datetime | None
    rids: Sequence[int]


def feed(ctx: Context, actor: str, *, names: bool) -> Feed:
    """The calendar of `Type/id`, from 30 days ago to a year ahead. Cancelled visits stay for 30 days, so that calendars
    learn of it. `names`: say who comes and for which service, but of no visit or patient with a label that is withheld
    from some role; reasons are never said. Held times are left out: they come and go. Call it as the server.
    """
    found = matches(ctx, "Appointment", [*_whose(ctx, actor), *_window(ctx.now)], _MOST)
    bodies = stored.by_rid(ctx, [match.rid for match in found])
    shown = {rid: each for rid, each in bodies.items() if _is_shown(each, ctx.now)}
    appointments = sorted(shown.values(), key=lambda each: (moment(each["start"]), each["id"]))
    texts = _Texts(ctx, appointments) if names else None
    visits = [_visit(ctx, each, texts.summary(each) if texts else words(ctx)["appointment"]) for each in appointments]
    body = ics.calendar(visits, name=_actor_name(ctx, actor))
    return Feed(body, max((visit.changed for visit in visits), default=None), list(shown))


def invitation(ctx: Context, appointment: Json) -> bytes:
    """The attachment for the patient of one appointment: a request to enter it, or to take it out when it was
    cancelled. An appointment without a time has none: b"". Call it as the server, or with the caller's rights to leave
    out what he may not see."""
    status = _STATUS.get(appointment["status"])
    if status is None or "start" not in appointment or "end" not in appointment:
        return b""
    known = stored.by_name(ctx, _participants(ctx, appointment))
    patients = [each for each in known.values() if each["resourceType"] in _PEOPLE and may_see(ctx, each)]
    professionals = [name_of(each) for each in known.values() if each["resourceType"].startswith("Practitioner")]
    link = _video(appointment)
    said = words(ctx)
    whom = next(filter(None, professionals), "") or ctx.tenant.name
    visit = _visit(
        ctx,
        appointment,
        said["with"].format(whom),
        description=said["link"].format(link) if link else "",
        place=next(filter(None, (_place(each) for each in known.values())), ""),
        url=link,
        organizer=Person(ctx.tenant.name, settings.mail_from),
        attendees=[Person(name_of(each), _email(each)) for each in patients],
    )
    method = "CANCEL" if status == "CANCELLED" else "REQUEST"
    return ics.calendar([visit], name=ctx.tenant.name, method=method)


def _visit(ctx: Context, appointment: Json, summary: str, **more: Any) -> Visit:
    return Visit(
        uid=f"{appointment['id']}@{ctx.tenant.slug}",
        sequence=int(appointment["meta"]["versionId"]),
        status=_STATUS[appointment["status"]],
        start=moment(appointment["start"]),
        end=moment(appointment["end"]),
        zone=_zone(ctx, appointment),
        changed=moment(appointment["meta"]["lastUpdated"]),
        summary=summary,
        **more,
    )


def _window(now: datetime) -> list[tuple[str, str]]:
    first, last = (now - PAST).date(), (now + FUTURE).date()
    return [("date", f"ge{first}"), ("date", f"lt{last}"), ("status", ",".join(_STATUS))]


def _is_shown(appointment: Json, now: datetime) -> bool:
    if "start" not in appointment or "end" not in appointment or extension(appointment, HOLD_EXPIRES) is not None:
        return False
    gone = _STATUS[appointment["status"]] == "CANCELLED"
    return not gone or moment(appointment["meta"]["lastUpdated"]) >= now - CANCELLED_FOR


def _whose(ctx: Context, actor: str) -> list[tuple[str, str]]:
    """The search parameters for an actor's visits; for a Schedule's, visits of all its actors together."""
    kind, _, id_ = actor.partition("/")
    if kind == "Schedule":
        schedule = stored.by_name(ctx, [actor]).get(actor, {"actor": []})
        references = [stored.local(ctx, each) for each in schedule["actor"]]
        pairs = [pair for each in references if each is not None for pair in _whose(ctx, each)]
        return pairs or [("_id", "-")]
    if kind != "Practitioner":
        return [("actor", actor)]
    roles = stored.find(ctx, "PractitionerRole", [("practitioner", actor)])
    return [("actor", ",".join([actor, *(f"PractitionerRole/{role['id']}" for role in roles)]))]


def _zone(ctx: Context, appointment: Json) -> str:
    """The zone in which the time was agreed, else the tenant's."""
    parts = (extension(appointment, WALL_TIME) or {}).get("extension", ())
    said = next((part.get("valueCode", "") for part in parts if part.get("url") == "timezone"), "")
    return said if is_zone(said) else ctx.tenant.zone


def is_zone(key: str) -> bool:
    """Whether this is a time zone that is known here."""
    try:
        return bool(key) and bool(ZoneInfo(key))
    except (OSError, ValueError, KeyError):
        return False


# -- texts -------------------------------------------------------------------------------------------------------------


class _Texts:
    """Who comes, and for what, read for all appointments at once."""

    def __init__(self, ctx: Context, appointments: Sequence[Json]) -> None:
        self._ctx = ctx
        wanted = {name for each in appointments for name in _participants(ctx, each)}
        kinds = (*_PEOPLE, "HealthcareService")
        self._known = stored.by_name(ctx, sorted(name for name in wanted if name.startswith(kinds)))

    def summary(self, appointment: Json) -> str:
        known = [self._known[name] for name in _participants(self._ctx, appointment) if name in self._known]
        if any(map(_is_withheld, (appointment, *known))):
            return words(self._ctx)["appointment"]
        people = [name_of(each) for each in known if each["resourceType"] in _PEOPLE]
        services = [each.get("name", "") for each in known if each["resourceType"] == "HealthcareService"]
        parts = [*filter(None, people), *filter(None, services)]
        return " · ".join(parts) or words(self._ctx)["appointment"]


def _is_withheld(resource: Json) -> bool:
    """Whether a label keeps a resource from the people of some role: whoever has the link reads the feed."""
    labels = resource.get("meta", {}).get("security", ())
    return any(f"{label.get('system', '')}|{label.get('code', '')}" in _labels() for label in labels)


@cache
def _labels() -> frozenset[str]:
    return frozenset(label for role in roles().values() for label in role.withheld)


def _participants(ctx: Context, appointment: Json) -> list[str]:
    found = [stored.local(ctx, each.get("actor")) for each in appointment.get("participant", ())]
    return [name for name in found if name is not None]


def name_of(resource: Json) -> str:
    """How a person, place or service is called; "" when it says nothing."""
    names = resource.get("name", "")
    if isinstance(names, str):
        return names
    chosen = next((each for each in names if each.get("use") == "official"), names[0] if names else {})
    return str(chosen.get("text") or " ".join([*chosen.get("given", ()), chosen.get("family", "")]).strip())


def _email(person: Json) -> str:
    points = person.get("telecom", ())
    return next((str(each["value"]) for each in points if each.get("system") == "email" and each.get("value")), "")


def _place(resource: Json) -> str:
    if resource["resourceType"] != "Location":
        return ""
    address = resource.get("address", {})
    lines = [*address.get("line", ()), f"{address.get('postalCode', '')} {address.get('city', '')}".strip()]
    return ", ".join(filter(None, [resource.get("name", ""), address.get("text") or ", ".join(filter(None, lines))]))


def _video(appointment: Json) -> str:
    """The address of the video call, in whichever form the R5 element was carried over."""
    for part in (extension(appointment, _VIRTUAL) or {}).get("extension", ()):
        found = next((part[name] for name in ("valueUrl", "valueUri", "valueString") if name in part), "")
        if part.get("url", "").startswith("address") and found:
            return str(found)
    return ""


def _actor_name(ctx: Context, actor: str) -> str:
    """The calendar's title."""
    resource = stored.by_name(as_server(ctx), [actor]).get(actor, {})
    kind = resource.get("resourceType")
    if kind == "Schedule":
        whom = next((stored.local(ctx, each) for each in resource["actor"]), None)
        return _actor_name(ctx, whom) if whom else ctx.tenant.name
    return name_of(resource) or ctx.tenant.name
