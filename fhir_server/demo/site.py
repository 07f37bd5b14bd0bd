"""The clinic of the demo: its organization, two sites with rooms, six practitioners, and their hours.

All has fixed ids and is written by PUT, so that a second run changes nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from fhir_server.demo.clinical import SNOMED

ZONE = "Africa/Casablanca"
ORGANIZATION = "Organization/demo-clinic"
NAME = "Clinique Al Amal"
PARAMETERS = "urn:salam:StructureDefinition:scheduling-parameters"
_WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True)
class Hours:
    """Hours on some days of the week, at the clinic's clock: `09:00`."""

    days: tuple[str, ...]
    start: str
    end: str

    def on(self, day: date) -> bool:
        """Whether they are hours of this day."""
        return _WEEK[day.weekday()] in self.days


@dataclass(frozen=True, slots=True)
class Doctor:
    """One who sees patients. `service`: HealthcareService of the usual visits; `minutes`: of such a visit; `also`: what
    else can be booked."""

    key: str
    given: str
    family: str
    gender: str
    specialty: tuple[str, str]
    languages: tuple[str, ...]
    service: str
    minutes: int
    site: str
    hours: tuple[Hours, ...]
    also: tuple[str, ...] = ()

    @property
    def reference(self) -> str:
        """The Practitioner."""
        return f"Practitioner/demo-{self.key}"

    @property
    def schedule(self) -> str:
        """The Schedule."""
        return f"Schedule/demo-{self.key}"

    @property
    def display(self) -> str:
        """The name with its title."""
        return f"Dr {self.given} {self.family}"


_WEEKDAYS = _WEEK[:5]
_FULL = (Hours(_WEEKDAYS, "09:00", "12:30"), Hours(_WEEKDAYS, "14:00", "17:30"))
_SATURDAY = Hours(("sat",), "09:00", "13:00")
# One of both is there on Sundays, for who cannot wait.
_SUNDAY = Hours(("sun",), "09:00", "13:00")
MAARIF, ANFA = "Location/demo-maarif", "Location/demo-anfa"
DOCTORS = (
    Doctor("elamrani", "Salma", "El Amrani", "female", ("394814009", "General practice"), ("ar", "fr"),
           "demo-consultation", 20, MAARIF, (*_FULL, _SATURDAY, _SUNDAY)),
    Doctor("ndiaye", "Ousmane", "Ndiaye", "male", ("394814009", "General practice"), ("fr", "wo", "en"),
           "demo-consultation", 20, MAARIF, (*_FULL, _SATURDAY)),
    Doctor("benjelloun", "Mehdi", "Benjelloun", "male", ("394579002", "Cardiology"), ("ar", "fr", "en"),
           "demo-cardiology", 30, MAARIF, (*_FULL, _SATURDAY), ("demo-echo",)),
    Doctor("tazi", "Imane", "Tazi", "female", ("394537008", "Pediatric specialty"), ("ar", "fr", "es"),
           "demo-pediatrics", 20, ANFA, (*_FULL, _SATURDAY)),
    Doctor("fall", "Aminata", "Fall", "female", ("394586005", "Gynecology"), ("fr", "wo"),
           "demo-gynecology", 30, ANFA, _FULL),
    Doctor("cherkaoui", "Karim", "Cherkaoui", "male", ("394583002", "Endocrinology"), ("ar", "fr"),
           "demo-diabetes", 30, MAARIF, (Hours(("mon", "wed", "fri"), "09:00", "13:00"),
                                         Hours(("tue", "thu"), "14:00", "18:00"), _SATURDAY)),
)  # fmt: skip
# Who works there and sees no patients of their own, by the role of the account: given name, family name, gender.
STAFF = {
    "owner": ("Latifa", "Berrada", "female"),
    "manager": ("Hicham", "Alaoui", "male"),
    "nurse": ("Khady", "Sarr", "female"),
    "receptionist": ("Nadia", "Bennani", "female"),
    "billing": ("Youssef", "Naciri", "male"),
}
# Rooms that are booked along with a visit: id, name, site.
ECHO_ROOM = ("demo-room-echo", "Salle d'échographie", MAARIF)
_ROOMS = (("demo-room-1", "Cabinet 1", MAARIF), ("demo-room-2", "Cabinet 2", MAARIF), ECHO_ROOM,
          ("demo-room-3", "Cabinet 3", ANFA))  # fmt: skip

# What hangs in the waiting room, by the role of its account.
DEVICES = {"board": "Écran de la salle d'attente", "kiosk": "Borne de l'entrée"}
_QUEUES = ("HealthcareService/demo-queue", "HealthcareService/demo-laboratory")


def put(resource: dict[str, Any]) -> dict[str, Any]:
    """The entry of a transaction that writes a resource under its id."""
    url = f"{resource['resourceType']}/{resource['id']}"
    return {"resource": resource, "request": {"method": "PUT", "url": url}}


def site_resources(today: date) -> Iterator[dict[str, Any]]:
    """Organization, places, people and schedules."""
    yield {
        "resourceType": "Organization", "id": "demo-clinic", "active": True, "type": [_prov()], "name": NAME,
        "telecom": [{"system": "phone", "value": "+212522000000"}],
        "address": [{"city": "Casablanca", "postalCode": "20250", "country": "MA"}],
    }  # fmt: skip
    yield _location("demo-maarif", f"{NAME}, Maârif", ("33.5850", "-7.6320"))
    yield _location("demo-anfa", f"{NAME}, Anfa", ("33.5970", "-7.6600"))
    for room, name, site in _ROOMS:
        yield {
            "resourceType": "Location", "id": room, "status": "active", "name": name, "mode": "instance",
            "physicalType": {"coding": [{"system": _PHYSICAL, "code": "ro", "display": "Room"}]},
            "partOf": {"reference": site}, "managingOrganization": {"reference": ORGANIZATION},
        }  # fmt: skip
    for doctor in DOCTORS:
        yield from _doctor(doctor)
        yield _schedule(doctor.schedule, doctor.reference, doctor.display, doctor.hours, today)
    for role, (given, family, gender) in STAFF.items():
        yield {"resourceType": "Practitioner", "id": f"demo-{role}", "active": True, "gender": gender,
               "name": [{"use": "official", "family": family, "given": [given]}]}  # fmt: skip
    for kind, name in DEVICES.items():
        yield _device(kind, name)
    hours = (Hours(_WEEK[:6], "09:00", "18:00"),)
    yield _schedule("Schedule/demo-room-echo", f"Location/{ECHO_ROOM[0]}", ECHO_ROOM[1], hours, today)


def _device(kind: str, name: str) -> dict[str, Any]:
    parts = [{"url": "queue", "valueReference": {"reference": queue}} for queue in _QUEUES]
    return {
        "resourceType": "Device", "id": f"demo-{kind}", "status": "active", "location": {"reference": MAARIF},
        "extension": [{"url": "urn:salam:StructureDefinition:waiting-room", "extension": parts}],
        "type": {"coding": [{"system": "urn:salam:CodeSystem:device-kind", "code": kind}]},
        "deviceName": [{"name": name, "type": "user-friendly-name"}], "owner": {"reference": ORGANIZATION},
    }  # fmt: skip


_PHYSICAL = "http://terminology.hl7.org/CodeSystem/location-physical-type"


def _prov() -> dict[str, Any]:
    system = "http://terminology.hl7.org/CodeSystem/organization-type"
    return {"coding": [{"system": system, "code": "prov", "display": "Healthcare Provider"}]}


def _location(resource_id: str, name: str, position: tuple[str, str]) -> dict[str, Any]:
    return {
        "resourceType": "Location", "id": resource_id, "status": "active", "name": name, "mode": "instance",
        "physicalType": {"coding": [{"system": _PHYSICAL, "code": "si", "display": "Site"}]},
        "address": {"line": ["12 Rue des Orangers"], "city": "Casablanca", "postalCode": "20250", "country": "MA"},
        "position": {"latitude": Decimal(position[0]), "longitude": Decimal(position[1])},
        "managingOrganization": {"reference": ORGANIZATION},
    }  # fmt: skip


def _doctor(doctor: Doctor) -> Iterator[dict[str, Any]]:
    resource_id = doctor.reference.partition("/")[2]
    yield {
        "resourceType": "Practitioner", "id": resource_id, "active": True,
        "identifier": [{"system": "https://demo.example/practitioner", "value": resource_id.upper()}],
        "name": [{"use": "official", "family": doctor.family, "given": [doctor.given], "prefix": ["Dr"]}],
        "gender": doctor.gender,
        "communication": [{"coding": [{"system": "urn:ietf:bcp:47", "code": code}]} for code in doctor.languages],
    }  # fmt: skip
    code, display = doctor.specialty
    yield {
        "resourceType": "PractitionerRole", "id": resource_id, "active": True,
        "practitioner": {"reference": doctor.reference, "display": doctor.display},
        "organization": {"reference": ORGANIZATION}, "location": [{"reference": doctor.site}],
        "specialty": [{"coding": [{"system": SNOMED, "code": code, "display": display}]}],
        "healthcareService": [{"reference": f"HealthcareService/{each}"} for each in (doctor.service, *doctor.also)],
    }  # fmt: skip


def _schedule(reference: str, actor: str, display: str, hours: tuple[Hours, ...], today: date) -> dict[str, Any]:
    parts: list[dict[str, Any]] = [
        {"url": "timezone", "valueCode": ZONE},
        {"url": "holidays", "valueCode": "MA"},
        *({"url": "available", "extension": [
            *({"url": "day", "valueCode": day} for day in each.days),
            {"url": "start", "valueTime": f"{each.start}:00"}, {"url": "end", "valueTime": f"{each.end}:00"},
        ]} for each in hours),
    ]  # fmt: skip
    return {
        "resourceType": "Schedule", "id": reference.partition("/")[2], "active": True,
        "extension": [{"url": PARAMETERS, "extension": parts}],
        "actor": [{"reference": actor, "display": display}],
        "planningHorizon": {"start": (today - timedelta(days=30)).isoformat(),
                            "end": (today + timedelta(days=365)).isoformat()},
    }  # fmt: skip


def instant(moment: datetime) -> str:
    """A moment as FHIR text in UTC with seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
