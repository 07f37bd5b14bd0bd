"""The visit (Encounter) and the booking (Appointment) of a ticket, which follow it."""

from datetime import datetime
from typing import Any

from fhir_server.core.dates import format_instant

_CLASS = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB", "display": "ambulatory"}
_OVERBOOKED = {"system": "urn:salam:CodeSystem:booking", "code": "overbooked"}
# From which statuses a visit or a booking follows its ticket; from others somebody else has taken it further.
_ENCOUNTER = {
    "arrived": ("planned", "cancelled"),
    "in-progress": ("planned", "arrived", "triaged", "onleave", "cancelled"),
    "finished": ("arrived", "triaged", "in-progress", "onleave"),
    "cancelled": ("planned", "arrived", "triaged"),
}
_APPOINTMENT = {
    "checked-in": ("booked", "arrived", "noshow"),
    "fulfilled": ("booked", "arrived", "checked-in"),
    "noshow": ("booked", "arrived", "checked-in"),
    "cancelled": ("proposed", "pending", "booked", "arrived", "checked-in", "waitlist"),
}
_ENDS = ("finished", "cancelled")
_PROFESSIONALS = ("Practitioner/", "PractitionerRole/", "RelatedPerson/")


def instant(at: datetime) -> str:
    """The moment as FHIR text."""
    return format_instant(round(at.timestamp() * 1_000_000))


def begin(
    service: dict[str, Any], patient: dict[str, Any], at: datetime, appointment: str | None, status: str = "arrived"
) -> dict[str, Any]:
    """The visit of somebody who has come: an ambulatory Encounter. `appointment`: `Appointment/id`."""
    start = instant(at)
    visit: dict[str, Any] = {
        "resourceType": "Encounter",
        "status": status,
        "class": _CLASS,
        "subject": patient,
        "period": {"start": start},
    }
    if appointment:
        visit["appointment"] = [{"reference": appointment}]
    if "providedBy" in service:
        visit["serviceProvider"] = {k: v for k, v in service["providedBy"].items() if k in ("reference", "display")}
    _at_location(visit, service, start)
    return visit


def follow_encounter(visit: dict[str, Any], status: str | None, at: datetime) -> bool:
    """Bring a visit to a status, with its period and its history; whether it changed."""
    before = visit["status"]
    if status is None or before == status or before not in _ENCOUNTER.get(status, ()):
        return False
    _pass(visit, at)
    now, period = instant(at), visit["period"]
    visit["status"] = status
    period.pop("end", None)
    if status in _ENDS:
        period["end"] = max(now, period.get("start", now))
        for place in visit.get("location", ()):
            _leave(place, now)
    return True


def go_back(visit: dict[str, Any], before: dict[str, Any], at: datetime) -> None:
    """Bring a visit to what it was before an action that is taken back; its history keeps both."""
    _pass(visit, at)
    for name in ("status", "period", "location", "participant"):
        if name in before:
            visit[name] = before[name]
        else:
            visit.pop(name, None)


def _pass(visit: dict[str, Any], at: datetime) -> None:
    """Put the present status into the history."""
    now, period = instant(at), visit.setdefault("period", {})
    history = visit.setdefault("statusHistory", [])
    since = max([period.get("start", now), *(past["period"].get("end", "") for past in history)])
    history.append({"status": visit["status"], "period": {"start": min(since, now), "end": now}})


def take_part(visit: dict[str, Any], owner: dict[str, Any] | None, at: datetime) -> None:
    """Note the professional who begins to serve, once."""
    reference = (owner or {}).get("reference", "")
    present = [each.get("individual", {}).get("reference") for each in visit.get("participant", ())]
    if owner and reference.startswith(_PROFESSIONALS) and reference not in present:
        visit.setdefault("participant", []).append({"period": {"start": instant(at)}, "individual": owner})


def go_on(visit: dict[str, Any], service: dict[str, Any], at: datetime) -> None:
    """The visit goes on in another queue: its place there joins those where it was."""
    now = instant(at)
    for place in visit.get("location", ()):
        _leave(place, now)
    _at_location(visit, service, now)


def follow_appointment(booking: dict[str, Any], status: str | None, *, forced: bool = False) -> bool:
    """Bring a booking to a status; whether it changed.

    A visit that comes back after it was a no-show has lost its time, which somebody else may have by now: it is taken
    in beyond the capacity.
    """
    before = booking["status"]
    if status is None or before == status or not (forced or before in _APPOINTMENT.get(status, ())):
        return False
    booking["status"] = status
    if before == "noshow":
        tags = booking.setdefault("meta", {}).setdefault("tag", [])
        if _OVERBOOKED not in tags:
            tags.append(dict(_OVERBOOKED))
    return True


def _at_location(visit: dict[str, Any], service: dict[str, Any], start: str) -> None:
    for place in service.get("location", ())[:1]:
        here = {k: v for k, v in place.items() if k in ("reference", "display")}
        visit.setdefault("location", []).append({"location": here, "status": "active", "period": {"start": start}})


def _leave(place: dict[str, Any], now: str) -> None:
    if place.get("status") == "active":
        place["status"] = "completed"
        start = place.get("period", {}).get("start", now)
        place["period"] = {"start": start, "end": max(now, start)}
