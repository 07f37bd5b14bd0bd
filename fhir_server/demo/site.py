"""The care providers of the demo: organizations, places, practitioners and their free appointments.

They have fixed ids and are written by PUT, so that a second run changes nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from fhir_server.demo.clinical import SNOMED, SPECIALTIES
from fhir_server.demo.people import COUNTRIES, Country, Place

_FREE_DAYS = 5
_FREE_TIMES = (time(9), time(9, 30), time(10), time(10, 30), time(14), time(14, 30))
HALF_HOUR = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Clinic:
    """One clinic: its city, and the references that patients' resources use."""

    country: Country
    place: Place
    organization: str
    location: str
    practitioners: tuple[tuple[str, str], ...]  # (reference, display)
    schedules: tuple[str, ...]


def clinics() -> list[Clinic]:
    """The clinics in a fixed order: one per city."""
    found = []
    for country in COUNTRIES:
        for number, place in enumerate(country.places, 1):
            slug = f"demo-{country.code.lower()}-{number}"
            staff = tuple((f"Practitioner/{slug}-{i}", _doctor(country, number, i)) for i in range(1, 3))
            schedules = tuple(f"Schedule/{slug}-{i}" for i in range(1, 3))
            found.append(Clinic(country, place, f"Organization/{slug}", f"Location/{slug}", staff, schedules))
    return found


def site_bundle(random: Random, today: date) -> dict[str, Any]:
    """A transaction that PUTs every organization, location, practitioner, schedule and free slot."""
    resources: list[dict[str, Any]] = []
    for country in COUNTRIES:
        resources.append(_network(country))
    for clinic in clinics():
        resources.extend(_clinic(random, clinic, today))
    return {"resourceType": "Bundle", "type": "transaction", "entry": [_put(resource) for resource in resources]}


def _put(resource: dict[str, Any]) -> dict[str, Any]:
    url = f"{resource['resourceType']}/{resource['id']}"
    return {"resource": resource, "request": {"method": "PUT", "url": url}}


def _doctor(country: Country, number: int, i: int) -> str:
    given = (country.women if i % 2 else country.men)[number % 8]
    return f"Dr {given} {country.families[(number * 3 + i) % 10]}"


def _network(country: Country) -> dict[str, Any]:
    return {
        "resourceType": "Organization", "id": f"demo-{country.code.lower()}", "active": True,
        "type": [_prov()], "name": f"Réseau de santé {country.name}",
        "address": [{"country": country.code}],
    }  # fmt: skip


def _prov() -> dict[str, Any]:
    system = "http://terminology.hl7.org/CodeSystem/organization-type"
    return {"coding": [{"system": system, "code": "prov", "display": "Healthcare Provider"}]}


def _clinic(random: Random, clinic: Clinic, today: date) -> Iterator[dict[str, Any]]:
    country, place = clinic.country, clinic.place
    name = f"Clinique de {place.city}"
    address = {
        "line": [f"{random.randint(1, 120)} {random.choice(country.streets)}"], "city": place.city,
        "state": place.state, "postalCode": place.postal_code, "country": country.code,
    }  # fmt: skip
    yield {
        "resourceType": "Organization", "id": clinic.organization.partition("/")[2], "active": True, "type": [_prov()],
        "name": name, "address": [address], "partOf": {"reference": f"Organization/demo-{country.code.lower()}"},
    }  # fmt: skip
    yield {
        "resourceType": "Location", "id": clinic.location.partition("/")[2], "status": "active", "name": name,
        "mode": "instance", "address": address, "managingOrganization": {"reference": clinic.organization},
        "position": {"longitude": Decimal(place.longitude), "latitude": Decimal(place.latitude)},
    }  # fmt: skip
    for i, (reference, display) in enumerate(clinic.practitioners):
        yield from _practitioner(clinic, reference, display, SPECIALTIES[(len(place.city) + i) % len(SPECIALTIES)], i)
        yield from _schedule(clinic, i, today)


def _practitioner(
    clinic: Clinic, reference: str, display: str, specialty: tuple[str, str], i: int
) -> Iterator[dict[str, Any]]:
    _, given, family = display.split(" ", 2)
    resource_id = reference.partition("/")[2]
    yield {
        "resourceType": "Practitioner", "id": resource_id, "active": True,
        "identifier": [{"system": "https://demo.example/practitioner", "value": resource_id.upper()}],
        "name": [{"use": "official", "family": family, "given": [given], "prefix": ["Dr"]}],
        "gender": "male" if i else "female",
    }  # fmt: skip
    yield {
        "resourceType": "PractitionerRole", "id": resource_id, "active": True, "practitioner": {"reference": reference},
        "organization": {"reference": clinic.organization}, "location": [{"reference": clinic.location}],
        "specialty": [{"coding": [{"system": SNOMED, "code": specialty[0], "display": specialty[1]}]}],
    }  # fmt: skip


def _schedule(clinic: Clinic, i: int, today: date) -> Iterator[dict[str, Any]]:
    reference = clinic.schedules[i]
    resource_id = reference.partition("/")[2]
    end = today + timedelta(days=365)
    yield {
        "resourceType": "Schedule", "id": resource_id, "active": True,
        "actor": [{"reference": clinic.practitioners[i][0], "display": clinic.practitioners[i][1]}],
        "planningHorizon": {"start": today.isoformat(), "end": end.isoformat()},
    }  # fmt: skip
    for day in workdays(today, _FREE_DAYS):
        for at in _FREE_TIMES:
            start = datetime.combine(day, at, UTC)
            yield slot(reference, start, "free", f"{resource_id}-{start:%Y%m%d%H%M}")


def workdays(after: date, count: int) -> list[date]:
    """The next `count` days from Monday to Friday after a day."""
    days: list[date] = []
    day = after
    while len(days) < count:
        day += timedelta(days=1)
        if day.weekday() < 5:
            days.append(day)
    return days


def slot(schedule: str, start: datetime, status: str, resource_id: str | None = None) -> dict[str, Any]:
    """A Slot of half an hour."""
    named = {"id": resource_id} if resource_id else {}
    return {
        "resourceType": "Slot", **named, "schedule": {"reference": schedule}, "status": status,
        "start": instant(start), "end": instant(start + HALF_HOUR),
    }  # fmt: skip


def instant(moment: datetime) -> str:
    """A moment in UTC as FHIR text with seconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
