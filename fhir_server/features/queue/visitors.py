"""Who is expected today at the place of a kiosk, and which of them somebody is who stands before it.

Everybody who is expected is read, whatever was typed, and compared here: so a guess takes as long as a hit, and nobody
can be asked about who has no business here today.
"""

import hmac
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import phonenumbers

from fhir_server.core.context import Context
from fhir_server.core.dates import moment
from fhir_server.core.errors import NotFound
from fhir_server.core.keys import self_key
from fhir_server.features.queue import check_in_code, configuration, links
from fhir_server.features.queue.places import Place
from fhir_server.interactions import stored
from fhir_server.storage import tickets
from fhir_server.storage.tickets import Ticket

_EXPECTED = "booked,arrived,checked-in"
_SAME = (phonenumbers.MatchType.EXACT_MATCH, phonenumbers.MatchType.NSN_MATCH)
_PHONES = ("phone", "sms")


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who is expected: with a booking, or with a ticket taken from home (the row and its Task)."""

    patient: str
    booking: dict[str, Any] | None = None
    ticket: tuple[Ticket, dict[str, Any]] | None = None

    def away(self, now: datetime) -> tuple[int, float]:
        """How far off the visit is: those with a booking first, then those whose hour is nearest."""
        start = (self.booking or {}).get("start")
        return (0, abs((moment(start) - now).total_seconds())) if start else (1, 0.0)


def expected(ctx: Context, here: Place) -> list[Visitor]:
    """Everybody who is expected at the place today. `ctx`: the server's."""
    return [*_booked(ctx, here), *_on_the_way(ctx, here)]


def by_person(ctx: Context, here: Place, phone: str, born: str) -> Visitor | None:
    """Who has this phone number and date of birth (`YYYY-MM-DD`): the visit that is nearest. None for nobody, and for
    different people whom both fit."""
    visitors = expected(ctx, here)
    patients = stored.by_name(ctx, [each.patient for each in visitors])
    fitting = {name for name, patient in patients.items() if _fits(patient, phone, born)}
    found = [each for each in visitors if each.patient in fitting]
    return min(found, key=lambda each: each.away(ctx.now)) if len({each.patient for each in found}) == 1 else None


def by_code(ctx: Context, here: Place, code: str) -> Visitor | None:
    """Whose code, or secret link of a ticket, was scanned."""
    text = code.strip().rpartition("/")[2]
    visitors = expected(ctx, here)
    appointment = check_in_code.appointment_of(ctx.tenant.id, text)
    rid = _ticket(ctx, text)
    for each in visitors:
        if each.booking is not None and each.booking["id"] == appointment:
            return each
        if each.ticket is not None and each.ticket[0].rid == rid:
            return each
    return None


def _ticket(ctx: Context, secret: str) -> int | None:
    try:
        return links.follow(ctx, secret).rid
    except NotFound:
        return None


def _booked(ctx: Context, here: Place) -> Iterator[Visitor]:
    """Bookings of today for the services and rooms of the place."""
    actors = [*(f"HealthcareService/{each['id']}" for each in here.services), *here.rooms]
    if not actors:
        return
    days = {_midnight(ctx, each) for each in here.queues} or {ctx.now.replace(hour=0, minute=0, second=0)}
    since = min(days)
    query = [
        ("actor", ",".join(actors)), ("status", _EXPECTED), ("date", f"ge{_text(since)}"),
        ("date", f"lt{_text(since + timedelta(days=1))}"),
    ]  # fmt: skip
    for booking in stored.find(ctx, "Appointment", query):
        names = [stored.local(ctx, each.get("actor")) or "" for each in booking.get("participant", ())]
        patient = next((name for name in names if name.startswith("Patient/")), "")
        if patient:
            yield Visitor(patient, booking=booking)


def _on_the_way(ctx: Context, here: Place) -> Iterator[Visitor]:
    """Holders of tickets that were taken from home."""
    waiting: list[Ticket] = []
    for service in here.queues:
        config = configuration.of(service, ctx.tenant.zone)
        key = self_key("HealthcareService", service["id"])
        day = tickets.of_day(ctx.db, ctx.tenant.id, key, config.day(ctx.now)) if config else []
        waiting += [ticket for ticket in day if ticket.state == "waiting" and not ticket.present]
    tasks = stored.by_rid(ctx, [ticket.rid for ticket in waiting])
    for ticket in waiting:
        task = tasks.get(ticket.rid)
        if task is not None:
            yield Visitor(stored.local(ctx, task.get("for")) or "", ticket=(ticket, task))


def _midnight(ctx: Context, service: dict[str, Any]) -> datetime:
    config = configuration.of(service, ctx.tenant.zone) or configuration.QueueConfig(timezone=ctx.tenant.zone)
    return config.end_of_day(ctx.now) - timedelta(days=1)


def _text(at: datetime) -> str:
    return at.isoformat(timespec="seconds")


def _fits(patient: dict[str, Any], phone: str, born: str) -> bool:
    """Whether phone and date of birth are the patient's. Both are compared whatever the other is."""
    points = [each for each in patient.get("telecom", ()) if each.get("system") in _PHONES]
    phones = [_same(str(each.get("value", "")), phone) for each in points]
    birth = hmac.compare_digest(str(patient.get("birthDate", "")).encode(), born.encode())
    return any(phones) and birth


def _same(known: str, given: str) -> bool:
    return bool(known) and phonenumbers.is_number_match(known, given) in _SAME
