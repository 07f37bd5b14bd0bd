"""What messages need to know of an Appointment, a ticket or a person. Pure reading of resources."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, tzinfo
from typing import Any

from fhir_server.core.context import Tenant
from fhir_server.core.dates import moment, stored_range
from fhir_server.core.references import parse_literal
from fhir_server.features.notifications.quiet_hours import zone_of

Resource = Mapping[str, Any]

E = "urn:salam:StructureDefinition:"
TIMEZONE = "http://hl7.org/fhir/StructureDefinition/timezone"
SERIES_SYSTEM = "urn:salam:series"
TICKET_SYSTEM = "urn:salam:ticket:"
# The person has, or had, an appointment that counts.
AGREED = frozenset({"booked", "arrived", "checked-in", "fulfilled", "noshow"})
_PEOPLE = ("Patient", "RelatedPerson")
_STAFF = ("Practitioner", "PractitionerRole")


def extension(resource: Resource, url: str) -> Resource:
    """The first extension with this url; {} when there is none."""
    return next((each for each in resource.get("extension", ()) if each.get("url") == url), {})


def instant(text: str | None) -> datetime | None:
    """The beginning of a FHIR date, dateTime or instant, in UTC."""
    return moment(text) if text else None


def start_of(appointment: Resource) -> datetime | None:
    """When it begins."""
    return instant(appointment.get("start"))


def zone_of_visit(appointment: Resource, tenant: Tenant) -> tzinfo:
    """The zone whose clock the visit was agreed on."""
    parts = extension(appointment, f"{E}wall-time").get("extension", ())
    own = next((part.get("valueCode") for part in parts if part.get("url") == "timezone"), None)
    return zone_of(own, tenant.zone)


def zone_of_person(person: Resource, tenant: Tenant) -> tzinfo:
    """The zone in which a person lives, else the tenant's."""
    return zone_of(extension(person, TIMEZONE).get("valueCode"), tenant.zone)


def hold_expires(appointment: Resource) -> datetime | None:
    """Until when a held time is kept; None for what is no hold."""
    return instant(extension(appointment, f"{E}hold-expires").get("valueInstant"))


def is_video(appointment: Resource) -> bool:
    """Whether the visit takes place by video."""
    return extension(appointment, f"{E}service-mode").get("valueCode") == "video"


def is_offer(appointment: Resource, base: str) -> bool:
    """Whether it is a time offered to somebody on the waiting list."""
    told = references(appointment.get("supportingInformation", ()), base)
    return (
        appointment.get("status") == "pending"
        and hold_expires(appointment) is not None
        and any(name.startswith("Appointment/") for name in told)
    )


def series_of(appointment: Resource) -> str:
    """What the appointments of a series have in common; "" for one that stands alone."""
    identifiers = appointment.get("identifier", ())
    return next((str(each.get("value", "")) for each in identifiers if each.get("system") == SERIES_SYSTEM), "")


def cancelled_by_patient(appointment: Resource) -> bool:
    """Whether the patient's side cancelled, as the reason says.

    http://terminology.hl7.org/CodeSystem/appointment-cancellation-reason
    """
    codings = appointment.get("cancelationReason", {}).get("coding", ())
    return any(str(coding.get("code", "")).split("-")[0] == "pat" for coding in codings)


def people_of(appointment: Resource, base: str) -> list[str]:
    """`Type/id` of the patients and relatives who take part and have not declined."""
    return _participants(appointment, base, _PEOPLE)


def staff_of(appointment: Resource, base: str) -> list[str]:
    """`Type/id` of the professionals who take part: Practitioner or PractitionerRole."""
    return _participants(appointment, base, _STAFF)


def places_of(appointment: Resource, base: str) -> list[str]:
    """`Type/id` of the places."""
    return _participants(appointment, base, ("Location",))


def references(values: Iterable[Any], base: str) -> Iterator[str]:
    """`Type/id` of the References to this tenant, whose FHIR base is `base`."""
    for value in values:
        literal = parse_literal(value.get("reference", ""))
        if literal is not None and literal.base in (None, f"{base}/"):
            yield literal.local


def ticket_number(task: Resource) -> str:
    """`A-042`."""
    for identifier in task.get("identifier", ()):
        if str(identifier.get("system", "")).startswith(TICKET_SYSTEM):
            return str(identifier.get("value", ""))
    return ""


def given_name(person: Resource) -> str:
    """How the person is addressed: the first given name, else the name's text."""
    name = _name(person)
    return str(next(iter(name.get("given", ())), "") or name.get("text", ""))


def full_name(person: Resource) -> str:
    """The name in full, with its prefix: `Dr Karim Alaoui`."""
    name = _name(person)
    return str(name.get("text") or " ".join([*name.get("prefix", ()), *name.get("given", ()), name.get("family", "")]))


def address_line(place: Resource) -> str:
    """A Location's address in one line. Not its name, which can tell why somebody goes there."""
    address = place.get("address", {})
    parts = [*address.get("line", ()), " ".join(filter(None, (address.get("postalCode"), address.get("city"))))]
    return str(address.get("text") or ", ".join(part for part in parts if part))


def is_minor(person: Resource, today: date, adult_age: int) -> bool:
    """Whether the person is known to be under age on that day."""
    born = instant(person.get("birthDate"))
    if born is None:
        return False
    years = today.year - born.year - ((today.month, today.day) < (born.month, born.day))
    return years < adult_age


def may_be_told(person: Resource, now: datetime) -> bool:
    """Whether messages go to this person at all: not to the dead, nor by records that are not in use."""
    if person.get("active") is False or person.get("deceasedBoolean") is True or person.get("deceasedDateTime"):
        return False
    return in_period(person.get("period", {}), now)


def in_period(period: Resource, now: datetime) -> bool:
    """Whether a moment lies in a Period, both ends as wide as they are written."""
    start, end = period.get("start"), period.get("end")
    us = int(now.timestamp() * 1_000_000)
    return (not start or stored_range(start)[0] <= us) and (not end or us < stored_range(end)[1])


def _participants(appointment: Resource, base: str, types: tuple[str, ...]) -> list[str]:
    told = [each for each in appointment.get("participant", ()) if each.get("status") != "declined"]
    names = references((each.get("actor", {}) for each in told), base)
    return list(dict.fromkeys(name for name in names if name.split("/")[0] in types))


def _name(person: Resource) -> Resource:
    names = [name for name in person.get("name", ()) if name.get("use") != "old"]
    ranked = sorted(names, key=lambda name: {"usual": 0, "official": 1}.get(name.get("use", ""), 2))
    return ranked[0] if ranked else {}
