"""Occasions about Appointments: what of them stands in a message, and whether it still holds."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from fhir_server.core.context import Context
from fhir_server.features.notifications import facts
from fhir_server.features.notifications.composing import Occasion
from fhir_server.features.notifications.happenings import Happening
from fhir_server.features.notifications.kinds import kinds, lives_until, rules
from fhir_server.features.notifications.template_language import Value
from fhir_server.interactions import stored

Resource = Mapping[str, Any]


def told(ctx: Context, happening: Happening) -> Occasion:
    """The occasion of what happened."""
    end = facts.instant(happening.facts.get("until")) or facts.start_of(happening.visit)
    return visit_occasion(
        ctx,
        happening.visit,
        happening.kind,
        distinct=happening.distinct,
        seeds=happening.facts,
        expires=lives_until(kinds()[happening.kind], happening.since or ctx.now, end),
    )


def visit_occasion(
    ctx: Context,
    visit: Resource,
    kind: str,
    *,
    distinct: str,
    seeds: Mapping[str, str],
    expires: datetime | None,
    based_on: str = "",
    before: timedelta | None = None,
) -> Occasion:
    """An occasion about an Appointment as it stands in `visit`."""
    by_oneself = rules()["kinds"][kind].get("order_by_oneself") if seeds.get("by") == "patient" else None
    about = f"Appointment/{visit['id']}"
    return Occasion(
        kind=kind,
        key=f"{kind}:{about}:{distinct}",
        about=about,
        version=visit["meta"]["versionId"],
        facts=seeds,
        values=_values(ctx, visit, kind, seeds),
        expires=expires,
        based_on=based_on,
        order=tuple(by_oneself) if by_oneself else None,
        before=before,
    )


def still_holds(visit: Resource, seeds: Mapping[str, str]) -> bool:
    """Whether what was to be told is still so."""
    until = facts.extension(visit, f"{facts.E}hold-expires").get("valueInstant")
    return (
        seeds.get("status", visit.get("status")) == visit.get("status")
        and ("start" not in seeds or facts.instant(seeds["start"]) == facts.start_of(visit))
        and ("until" not in seeds or facts.instant(seeds["until"]) == facts.instant(until))
    )


def _values(ctx: Context, visit: Resource, kind: str, seeds: Mapping[str, str]) -> dict[str, Value]:
    """What a template may show, in the zone of the visit. Resources beside the Appointment are read for the names that
    need them only."""
    names = dict(kinds()[kind].names)
    zone = facts.zone_of_visit(visit, ctx.tenant)
    # `was`: for who does not take part any more, whenever it takes place now.
    moments = {"start": seeds.get("was") or visit.get("start"), "end": visit.get("end")}
    moments |= {name: seeds.get(name) for name in ("before", "until")}
    found: dict[str, Value] = {}
    for name, text in moments.items():
        moment = facts.instant(text)
        if name in names and moment is not None:
            found[name] = moment.astimezone(zone)
    if "video" in names and facts.is_video(visit):
        found["video"] = "1"
    for change in ("cancelled", "moved"):
        if seeds.get("change") == change:
            found[change] = "1"
    if "others" in seeds:
        found["others"] = seeds["others"]
    if "place" in names:
        found |= _beside(ctx, visit)
    return found


def _beside(ctx: Context, visit: Resource) -> dict[str, Value]:
    places, staff = facts.places_of(visit, ctx.base), facts.staff_of(visit, ctx.base)
    people = facts.people_of(visit, ctx.base)
    read = stored.by_name(ctx, [*places, *staff, *people])
    found: dict[str, Value] = {}
    for name in places:
        found.setdefault("place", facts.address_line(read.get(name, {})))
    for name in staff:
        if name.startswith("Practitioner/"):
            found.setdefault("practitioner", facts.full_name(read.get(name, {})))
    for name in people:
        if name.startswith("Patient/"):
            found.setdefault("patient", facts.given_name(read.get(name, {})))
    return found
