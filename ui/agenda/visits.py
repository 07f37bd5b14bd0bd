"""A visit as the agenda shows it."""

from collections.abc import Iterator, Mapping
from typing import Any

from ui.agenda.clock import wall_span
from ui.fhir import Resource
from ui.formats import coded, extension, person, telecom
from ui.texts import say

HOLD = "urn:salam:StructureDefinition:hold-expires"
MODE = "urn:salam:StructureDefinition:service-mode"
_BOOKING = "urn:salam:CodeSystem:booking"
_SERIES = "urn:salam:series"
_NO_ACTORS = ("Patient/", "RelatedPerson/", "HealthcareService/")
# With their icon and the colour of their tag; the English words are what the catalogs translate.
STATUSES: Mapping[str, tuple[str, str, str]] = {
    "booked": ("Booked", "calendar-check", "accent"),
    "pending": ("To confirm", "question-circle", "warning"),
    "held": ("Held", "hourglass-split", "neutral"),
    "arrived": ("Arrived", "door-open", "success"),
    "checked-in": ("Checked in", "person-check", "success"),
    "fulfilled": ("Done", "check2-all", "neutral"),
    "noshow": ("Did not come", "person-x", "danger"),
    "cancelled": ("Cancelled", "x-circle", "neutral"),
    "waitlist": ("On the wait list", "hourglass", "neutral"),
    "proposed": ("Proposed", "chat-dots", "neutral"),
    "entered-in-error": ("Entered by mistake", "eraser", "neutral"),
}
MOVABLE = ("booked", "pending")
TO_COME = ("booked", "pending", "held")


def status_of(appointment: Mapping[str, Any]) -> str:
    """A key of `STATUSES`: what is held for somebody is not yet anybody's visit."""
    status = str(appointment.get("status", ""))
    return "held" if status == "pending" and extension(appointment, HOLD) else status


def status_words(status: str) -> tuple[str, str, str]:
    """A status in words, its icon, and the colour of its tag."""
    text, icon, colour = STATUSES.get(status, (status, "question-circle", "neutral"))
    return say(text), icon, colour


def references(appointment: Mapping[str, Any], *types: str) -> list[str]:
    """`Type/id` of the participants of these types; of all without any."""
    found = ["/".join(ref.split("/")[-2:]) for ref in _actors(appointment)]
    wanted = tuple(f"{one}/" for one in types)
    return [each for each in found if each.startswith(wanted)] if types else found


def _actors(appointment: Mapping[str, Any]) -> Iterator[str]:
    for each in appointment.get("participant", ()):
        reference = each.get("actor", {}).get("reference")
        if reference:
            yield reference


def display_of(appointment: Mapping[str, Any], name: str) -> str:
    """What the Appointment itself calls a participant."""
    for each in appointment.get("participant", ()):
        actor = each.get("actor", {})
        if str(actor.get("reference", "")).endswith(name):
            return str(actor.get("display", ""))
    return ""


def patient_name(appointment: Mapping[str, Any], known: Mapping[str, Resource]) -> str:
    """Who comes: by the record, else as the Appointment says it. Several are joined."""
    names = references(appointment, "Patient")
    texts = [person(known[each]) if each in known else display_of(appointment, each) for each in names]
    return ", ".join(text for text in texts if text)


def phone_of(appointment: Mapping[str, Any], known: Mapping[str, Resource]) -> str:
    """The phone of the first patient who has one; "" for none."""
    found = (telecom(known[each], "phone") for each in references(appointment, "Patient") if each in known)
    return next(filter(None, found), "")


def service_name(appointment: Mapping[str, Any], services: Mapping[str, str]) -> str:
    """What for: the service, else the type of the visit."""
    for name in references(appointment, "HealthcareService"):
        if services.get(name) or display_of(appointment, name):
            return services.get(name) or display_of(appointment, name)
    return coded(appointment.get("serviceType")) or coded(appointment.get("reasonCode"))


def series_of(appointment: Mapping[str, Any]) -> str:
    """The identifier of the series that the visit belongs to; "" for none."""
    found = appointment.get("identifier", ())
    return next((str(each.get("value", "")) for each in found if each.get("system") == _SERIES), "")


def is_overbooked(appointment: Mapping[str, Any]) -> bool:
    """Whether the visit was booked beyond capacity."""
    found = appointment.get("meta", {}).get("tag", ())
    return any(each.get("system") == _BOOKING and each.get("code") == "overbooked" for each in found)


def version(resource: Mapping[str, Any]) -> str:
    """The version to name in If-Match."""
    return str(resource.get("meta", {}).get("versionId", ""))


def event(appointment: Mapping[str, Any], known: Mapping[str, Resource]) -> dict[str, Any]:
    """The visit for EventCalendar: times on the clinic's wall, its actors as resources, no more than it shows."""
    start, end = wall_span(appointment["start"], appointment["end"])
    status, names = status_of(appointment), references(appointment)
    return {
        "id": appointment["id"],
        "start": start,
        "end": end,
        "title": patient_name(appointment, known),
        "actors": [each for each in names if not each.startswith(_NO_ACTORS)],
        "status": status,
        "service": next((each for each in names if each.startswith("HealthcareService/")), ""),
        "kind": coded(appointment.get("serviceType")),
        "version": version(appointment),
        "movable": status in MOVABLE,
        "over": is_overbooked(appointment),
        "series": bool(series_of(appointment)),
        "mode": str(extension(appointment, MODE).get("valueCode", "")),
    }
