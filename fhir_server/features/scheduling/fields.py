"""What booking reads and writes in an Appointment besides its elements: extensions, tags, series. No I/O."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from fhir_server.core.dates import moment

E = "urn:salam:StructureDefinition:"
HOLD_EXPIRES = f"{E}hold-expires"
WALL_TIME = f"{E}wall-time"
RECURRENCE_ID = "http://hl7.org/fhir/5.0/StructureDefinition/extension-Appointment.recurrenceId"
RECURRENCE_TEMPLATE = "http://hl7.org/fhir/5.0/StructureDefinition/extension-Appointment.recurrenceTemplate"
SERIES = "urn:salam:series"
BOOKING = "urn:salam:CodeSystem:booking"
HOLDER = "urn:salam:holder"
# Who comes to a visit, rather than gives it.
GUESTS = ("Patient", "RelatedPerson")
OVERBOOKED, LATE_CANCEL, EXTENDED = "overbooked", "late-cancel", "hold-extended"
# What a hold was before, and is again when it ends: a visit that was waited or asked for.
HELD_FROM = {"waitlist": "held-from-waitlist", "proposed": "held-from-proposed"}
PROPOSAL = "proposal-"

Resource = dict[str, Any]


def extension(resource: Mapping[str, Any], url: str) -> Mapping[str, Any] | None:
    """The first extension with this url."""
    return next((each for each in resource.get("extension", ()) if each.get("url") == url), None)


def set_extension(resource: Resource, url: str, value: Mapping[str, Any] | None) -> None:
    """Replace the extensions with this url by one of this content, or by none."""
    kept = [each for each in resource.get("extension", ()) if each.get("url") != url]
    _put(resource, "extension", kept if value is None else [*kept, {"url": url, **value}])


def tags(resource: Mapping[str, Any], system: str) -> list[str]:
    """The codes of a system in meta.tag."""
    found = resource.get("meta", {}).get("tag", ())
    return [each["code"] for each in found if each.get("system") == system and "code" in each]


def set_tag(resource: Resource, system: str, code: str) -> None:
    """Add a tag, once."""
    if code not in tags(resource, system):
        meta = dict(resource.get("meta", {}))
        resource["meta"] = {**meta, "tag": [*meta.get("tag", ()), {"system": system, "code": code}]}


def drop_tags(resource: Resource, system: str, *codes: str) -> None:
    """Take the tags of a system out of meta.tag, or only those with these codes."""
    meta = dict(resource.get("meta", {}))
    kept = [
        each
        for each in meta.get("tag", ())
        if each.get("system") != system or (codes and each.get("code") not in codes)
    ]
    _put(meta, "tag", kept)
    _put(resource, "meta", meta)


def instant(time: datetime, zone: ZoneInfo | None = None) -> str:
    """An aware time as FHIR instant, with the zone's offset or Z."""
    text = time.astimezone(zone or UTC).isoformat(timespec="seconds")
    return text.replace("+00:00", "Z")


def expiry(appointment: Mapping[str, Any]) -> datetime | None:
    """When a held Appointment expires; None for one that is not held."""
    found = extension(appointment, HOLD_EXPIRES)
    return moment(found["valueInstant"]) if found and "valueInstant" in found else None


def wall_time(start: datetime, zone: ZoneInfo) -> Resource:
    """The content of the wall-time extension: what was agreed, as a clock in the clinic shows it."""
    text = start.astimezone(zone).strftime("%Y-%m-%dT%H:%M")
    return {"extension": [{"url": "start", "valueString": text}, {"url": "timezone", "valueCode": zone.key}]}


def actors(appointment: Mapping[str, Any], *types: str) -> Iterator[str]:
    """The references of the participants of these types, as written."""
    for participant in appointment.get("participant", ()):
        reference = participant.get("actor", {}).get("reference", "")
        if reference.rsplit("/", 2)[-2:][0] in types:
            yield reference


def series_of(appointment: Mapping[str, Any]) -> str | None:
    """The identifier that the occurrences of a series share."""
    found = appointment.get("identifier", ())
    return next((each.get("value") for each in found if each.get("system") == SERIES), None)


def _put(owner: Resource, name: str, value: Any) -> None:
    """FHIR has no empty arrays and objects."""
    if value:
        owner[name] = value
    else:
        owner.pop(name, None)
