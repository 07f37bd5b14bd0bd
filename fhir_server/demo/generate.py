"""Invented but realistic records of the demo's clinic: the same for the same seed and moment.

A clinic in Casablanca with patients from Morocco and Senegal: the first of them with years of visits, vital signs,
laboratory results, conditions, prescriptions and allergies, all with a place in two weeks of agenda.
https://hl7.org/fhir/R4/http.html#transaction
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Any
from uuid import UUID

from fhir_server.demo.agenda import DAYS, Person, agenda_bundle
from fhir_server.demo.clinical import ALLERGIES, DISEASES, HEIGHT, LABS, VISITS, VITALS, WEIGHT
from fhir_server.demo.first_patient import first_patient_resources
from fhir_server.demo.growth import growth_resources, is_child
from fhir_server.demo.people import ARABIC, COUNTRIES, Country
from fhir_server.demo.records import (
    Patient,
    allergy,
    blood_pressure,
    condition,
    encounter,
    medication_request,
    observation,
)
from fhir_server.demo.services import service_resources
from fhir_server.demo.site import DOCTORS, ORGANIZATION, put, site_resources

# So many patients have a full history; the others are known by name.
FULL = 60
_PER_BUNDLE = 40


def generate(seed: int, patients: int, *, now: datetime) -> Iterator[dict[str, Any]]:
    """Transaction Bundles in an order in which every reference finds its target: the site, patients, one for each day
    of the agenda. All but what belongs to a history is written by PUT. `now`: around it lies the agenda."""
    random = Random(seed)
    today = now.date()
    yield transaction([put(each) for each in (*site_resources(today), *service_resources())])
    people: list[Person] = []
    for first in range(min(patients, FULL)):
        yield transaction(_record(random, first, people, today))
    if people:
        yield transaction([put(each) for each in first_patient_resources(people[0].reference, now)])
    for first in range(FULL, patients, _PER_BUNDLE):
        numbers = range(first, min(first + _PER_BUNDLE, patients))
        yield transaction([put(_patient(random, number, people, today)) for number in numbers])
    yield transaction([put(each) for each in growth_resources(people, today)])
    for days in DAYS:
        yield transaction(agenda_bundle(random, people, now, days))


def count(patients: int) -> int:
    """How many Bundles `generate` gives."""
    light = max(patients - FULL, 0)
    return 2 + (patients > 0) + min(patients, FULL) + -(-light // _PER_BUNDLE) + len(DAYS)


def transaction(entries: list[dict[str, Any]]) -> dict[str, Any]:
    """A transaction Bundle; without entries too."""
    bundle: dict[str, Any] = {"resourceType": "Bundle", "type": "transaction"}
    return {**bundle, "entry": entries} if entries else bundle


class _Entries:
    """Entries of one patient's transaction, each under its own `urn:uuid`."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self.entries: list[dict[str, Any]] = []

    def post(self, resource: dict[str, Any]) -> str:
        """Add a resource and return the reference to it."""
        url = f"urn:uuid:{UUID(int=self._random.getrandbits(128), version=4)}"
        request = {"method": "POST", "url": resource["resourceType"]}
        self.entries.append({"fullUrl": url, "resource": resource, "request": request})
        return url


def _record(random: Random, number: int, people: list[Person], today: date) -> list[dict[str, Any]]:
    """A patient with a history."""
    out = _Entries(random)
    patient = _patient(random, number, people, today)
    who = Patient(people[-1].reference, people[-1].display, random.choice(DOCTORS))
    _history(random, who, out, today, grown=not is_child(people[-1], today))
    return [put(patient), *out.entries]


def _patient(random: Random, number: int, people: list[Person], today: date) -> dict[str, Any]:
    """The next patient, who is added to `people`."""
    country = random.choice(COUNTRIES)
    female = random.random() < 0.53
    birth = today - timedelta(days=int(random.triangular(200, 33000, 11000)))
    given = random.choice(country.women if female else country.men)
    family = random.choice(country.families)
    name = [{"use": "official", "text": f"{given} {family}", "family": family, "given": given.split()}]
    if given in ARABIC:
        first, last = ARABIC[given], ARABIC[family]
        name.append({"use": "usual", "text": f"{first} {last}", "family": last, "given": [first]})
    resource_id = f"demo-{number + 1:04}"
    people.append(Person(f"Patient/{resource_id}", f"{given} {family}", female, birth))
    return {
        "resourceType": "Patient", "id": resource_id,
        "identifier": _identifiers(random, country, number),
        "active": True,
        "name": name,
        "telecom": [{"system": "phone", "value": _phone(random, country), "use": "mobile"}],
        "gender": "female" if female else "male",
        "birthDate": birth.isoformat(),
        "address": [_address(random, country)],
        "communication": [_language(random.choice(country.languages))],
        "managingOrganization": {"reference": ORGANIZATION},
    }  # fmt: skip


def _identifiers(random: Random, country: Country, number: int) -> list[dict[str, Any]]:
    start, digits = country.identifier_digits
    national = f"{start}{random.randrange(10**digits):0{digits}}"
    mrn = {"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR", "display": "Medical record number"}
    return [
        {"use": "official", "system": country.identifier_system, "value": national},
        {"use": "usual", "type": {"coding": [mrn]}, "system": "https://demo.example/mrn", "value": f"{number + 1:07}"},
    ]


def _phone(random: Random, country: Country) -> str:
    prefix, length = country.phone
    return prefix + str(random.randrange(10**length)).zfill(length)


def _address(random: Random, country: Country) -> dict[str, Any]:
    place = random.choice(country.places)
    return {
        "use": "home", "line": [f"{random.randint(1, 180)} {random.choice(country.streets)}"],
        "city": place.city, "state": place.state, "postalCode": place.postal_code,
        "country": "MA" if place.city == "Casablanca" else country.code,
    }  # fmt: skip


def _language(code: str) -> dict[str, Any]:
    return {"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": code}]}, "preferred": True}


def _history(random: Random, who: Patient, out: _Entries, today: date, *, grown: bool) -> None:
    """Visits over the last years: every one is measured, some find a disease that is then treated. `grown`: weight and
    height are an adult's; those of children are in `growth`."""
    diseases = random.sample(DISEASES, k=random.choice((0, 1, 1, 2, 3)))
    for allergen in random.sample(ALLERGIES, k=random.choice((0, 0, 1, 2))):
        out.post(allergy(who, allergen, today - timedelta(days=random.randint(400, 3000))))
    height = random.gauss(HEIGHT.mean, HEIGHT.spread)
    weight = random.gauss(WEIGHT.mean, WEIGHT.spread)
    days = sorted((random.randint(9, 1400) for _ in range(random.randint(2, 5))), reverse=True)
    for index, ago in enumerate(days):
        clock = time(random.randint(8, 17), random.choice((0, 15, 30, 45)))
        at = datetime.combine(today - timedelta(days=ago), clock, UTC)
        visit = out.post(encounter(who, at, random.choice(VISITS)))
        out.post(blood_pressure(random, who, visit, at))
        for measure in random.sample(VITALS, k=2):
            out.post(observation(random, who, visit, at, measure, "vital-signs"))
        weighed = weight + random.gauss(0, 1)
        if grown:
            out.post(observation(random, who, visit, at, WEIGHT, "vital-signs", weighed))
        if grown and index == 0:
            out.post(observation(random, who, visit, at, HEIGHT, "vital-signs", height))
        for measure in random.sample(LABS, k=random.choice((0, 3, 5))):
            out.post(observation(random, who, visit, at, measure, "laboratory"))
        if index < len(diseases):
            disease = diseases[index]
            reason = out.post(condition(who, visit, at, disease, ago > 60))
            if disease.medication is not None:
                out.post(medication_request(who, visit, at, disease.medication, reason, disease.chronic))
