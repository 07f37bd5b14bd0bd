"""What an Appointment that somebody wrote is about: which Schedules, which service, which time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.dates import moment
from fhir_server.core.errors import Unprocessable
from fhir_server.features.scheduling.fields import actors
from fhir_server.features.scheduling.offers import Catalogue, codings
from fhir_server.features.scheduling.proposals import MOST_SCHEDULES
from fhir_server.interactions.acting import as_server
from fhir_server.interactions.stored import by_name, local

_BOOKED = ("Practitioner", "PractitionerRole", "HealthcareService", "Location", "Device")


def times(appointment: Mapping[str, Any]) -> tuple[datetime, datetime | None]:
    """Start and end (None where it says none). Raises `Unprocessable`."""
    if "start" not in appointment:
        raise Unprocessable("A visit needs a start.", expression="Appointment.start", code="required")
    start = moment(appointment["start"])
    end = moment(appointment["end"]) if "end" in appointment else None
    if end is not None and end <= start:
        raise Unprocessable("The visit ends before it starts.", expression="Appointment.end", code="business-rule")
    return start, end


def short(reference: str) -> str:
    """`Type/id` at the end of a reference."""
    return "/".join(reference.split("/")[-2:])


def of_slots(ctx: Context, appointment: Mapping[str, Any]) -> list[str]:
    """The Schedules (`Schedule/id`) of an Appointment's Slots."""
    slots = [name for name in (local(ctx, slot) for slot in appointment.get("slot", ())) if name]
    found = by_name(as_server(ctx), slots).values() if slots else ()
    return [name for name in dict.fromkeys(local(ctx, slot.get("schedule")) for slot in found) if name]


def booked(appointment: Mapping[str, Any]) -> list[str]:
    """The participants (`Type/id`) whose time can be booked."""
    return [short(name) for name in actors(appointment, *_BOOKED)]


def named_service(appointment: Mapping[str, Any]) -> str | None:
    """The HealthcareService among the participants."""
    return next((short(name) for name in actors(appointment, "HealthcareService")), None)


def in_order(catalogue: Catalogue, appointment: Mapping[str, Any], slots: Sequence[str]) -> list[str]:
    """The Schedules that are meant, the main one first: those of the slots, else those all of whose people take part.

    One of a person comes before one of a room, one of the service before others, and nobody is meant twice. Raises
    `Unprocessable` for none.
    """
    present = set(booked(appointment))
    named = named_service(appointment)

    def order(name: str) -> tuple[bool, bool, int]:
        others = len(present.intersection(catalogue.actors(name)))
        return not catalogue.people(name), named not in catalogue.services_of(name), -others

    roles = {
        f"PractitionerRole/{role['id']}": local(catalogue.ctx, role.get("practitioner")) for role in catalogue.roles
    }
    present.update(name for name in map(roles.get, list(present)) if name)
    names = slots or [name for name in catalogue.schedules if present.issuperset(catalogue.people(name))]
    chosen: list[str] = []
    taken: set[str] = set()
    for name in sorted((name for name in names if name in catalogue.schedules), key=order):
        if taken.isdisjoint(catalogue.people(name) or catalogue.actors(name)):
            chosen.append(name)
            taken.update(catalogue.actors(name))
    if not chosen:
        raise Unprocessable(
            "None of the participants has an active Schedule here, so there is no agenda to book in.",
            expression="Appointment.slot" if slots else "Appointment.participant",
            code="business-rule",
        )
    return chosen[:MOST_SCHEDULES]


def service(catalogue: Catalogue, schedule: str, appointment: Mapping[str, Any]) -> str | None:
    """The service: a participant, else one of the serviceType, else the only one that the Schedule offers; or None."""
    named = named_service(appointment)
    if named:
        return named if named in catalogue.services else None
    offered = [name for name in catalogue.services_of(schedule) if name]
    types = codings(appointment.get("serviceType"))
    if types:
        offered = [name for name in offered if types & codings(catalogue.services[name][1].get("type"))]
    return offered[0] if len(offered) == 1 or (types and offered) else None
