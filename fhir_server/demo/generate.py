"""Invented but realistic records for the demo tenant and the benchmarks: the same for the same seed.

Patients of Morocco, Senegal and France with visits, vital signs, laboratory results, conditions, prescriptions,
allergies and appointments. https://hl7.org/fhir/R4/http.html#transaction
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Any
from uuid import UUID

from fhir_server.demo.clinical import ALLERGIES, DISEASES, HEIGHT, LABS, VISITS, VITALS, WEIGHT
from fhir_server.demo.people import ARABIC
from fhir_server.demo.records import (
    Patient,
    allergy,
    blood_pressure,
    condition,
    encounter,
    medication_request,
    observation,
)
from fhir_server.demo.site import HALF_HOUR, Clinic, clinics, instant, site_bundle, slot, workdays

TODAY = date(2026, 11, 21)
_FIRST_BUSY_DAY = 8  # free slots of the site lie before it
_PER_DAY = 12


def generate(seed: int, patients: int, *, today: date = TODAY) -> Iterator[dict[str, Any]]:
    """Transaction Bundles: first the site by PUT with fixed ids, then one per patient by POST.

    Patients' bundles refer to the site's ids and to `urn:uuid` entries of their own. About 30 resources a patient.
    """
    random = Random(seed)
    yield site_bundle(random, today)
    places = clinics()
    booked: dict[str, int] = {}
    for number in range(patients):
        yield _patient_bundle(random, number, random.choice(places), booked, today)


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


def _patient_bundle(
    random: Random, number: int, clinic: Clinic, booked: dict[str, int], today: date
) -> dict[str, Any]:
    out = _Entries(random)
    female = random.random() < 0.53
    birth = today - timedelta(days=int(random.triangular(200, 33000, 14000)))
    resource = _patient(random, number, clinic, female, birth)
    who = Patient(out.post(resource), resource["name"][0]["text"], clinic)
    _history(random, who, out, today)
    _appointments(random, who, out, booked, today)
    return {"resourceType": "Bundle", "type": "transaction", "entry": out.entries}


def _patient(random: Random, number: int, clinic: Clinic, female: bool, birth: date) -> dict[str, Any]:
    country, place = clinic.country, clinic.place
    given = random.choice(country.women if female else country.men)
    family = random.choice(country.families)
    start, digits = country.identifier_digits
    prefix, length = country.phone
    name = [{"use": "official", "text": f"{given} {family}", "family": family, "given": given.split()}]
    if given in ARABIC:
        first, last = ARABIC[given], ARABIC[family]
        name.append({"use": "usual", "text": f"{first} {last}", "family": last, "given": [first]})
    national = f"{start}{random.randrange(10**digits):0{digits}}"
    phone = prefix + str(random.randrange(10**length)).zfill(length)
    mrn = {"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR", "display": "Medical record number"}
    return {
        "resourceType": "Patient",
        "identifier": [
            {"use": "official", "system": country.identifier_system, "value": national},
            {"use": "usual", "type": {"coding": [mrn]}, "system": "https://demo.example/mrn", "value": f"{number:07}"},
        ],
        "active": True,
        "name": name,
        "telecom": [{"system": "phone", "value": phone, "use": "mobile"}],
        "gender": "female" if female else "male",
        "birthDate": birth.isoformat(),
        "address": [
            {
                "use": "home", "line": [f"{random.randint(1, 180)} {random.choice(country.streets)}"],
                "city": place.city, "state": place.state, "postalCode": place.postal_code, "country": country.code,
            }
        ],
        "communication": [{"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": country.language}]}}],
        "generalPractitioner": [{"reference": clinic.practitioners[0][0], "display": clinic.practitioners[0][1]}],
        "managingOrganization": {"reference": clinic.organization},
    }  # fmt: skip


def _history(random: Random, who: Patient, out: _Entries, today: date) -> None:
    """Visits over the last years: every one is measured, some find a disease that is then treated."""
    diseases = random.sample(DISEASES, k=random.choice((0, 1, 1, 2, 3)))
    for allergen in random.sample(ALLERGIES, k=random.choice((0, 0, 1, 2))):
        out.post(allergy(who, allergen, today - timedelta(days=random.randint(400, 3000))))
    height = random.gauss(HEIGHT.mean, HEIGHT.spread)
    weight = random.gauss(WEIGHT.mean, WEIGHT.spread)
    days = sorted((random.randint(2, 1400) for _ in range(random.randint(2, 5))), reverse=True)
    for index, ago in enumerate(days):
        clock = time(random.randint(8, 17), random.choice((0, 15, 30, 45)))
        at = datetime.combine(today - timedelta(days=ago), clock, UTC)
        visit = out.post(encounter(who, at, random.choice(VISITS), random.randrange(2)))
        out.post(blood_pressure(random, who, visit, at))
        for measure in random.sample(VITALS, k=2):
            out.post(observation(random, who, visit, at, measure, "vital-signs"))
        out.post(observation(random, who, visit, at, WEIGHT, "vital-signs", weight + random.gauss(0, 1)))
        if index == 0:
            out.post(observation(random, who, visit, at, HEIGHT, "vital-signs", height))
        for measure in random.sample(LABS, k=random.choice((0, 3, 5))):
            out.post(observation(random, who, visit, at, measure, "laboratory"))
        if index < len(diseases):
            disease = diseases[index]
            reason = out.post(condition(who, visit, at, disease, ago > 60))
            if disease.medication is not None:
                out.post(medication_request(who, visit, at, disease.medication, reason, disease.chronic))


def _appointments(random: Random, who: Patient, out: _Entries, booked: dict[str, int], today: date) -> None:
    for _ in range(random.choice((0, 1, 1, 2))):
        which = random.randrange(2)
        schedule = who.clinic.schedules[which]
        place = booked[schedule] = booked.get(schedule, -1) + 1
        day = workdays(today + timedelta(days=_FIRST_BUSY_DAY), place // _PER_DAY + 1)[-1]
        start = datetime.combine(day, time(9), UTC) + place % _PER_DAY * HALF_HOUR
        taken = out.post(slot(schedule, start, "busy"))
        practitioner, display = who.clinic.practitioners[which]
        people = ((who.reference, who.display), (practitioner, display), (who.clinic.location, who.clinic.place.city))
        out.post(
            {
                "resourceType": "Appointment", "status": "booked", "start": instant(start),
                "end": instant(start + HALF_HOUR), "minutesDuration": 30, "slot": [{"reference": taken}],
                "description": random.choice(VISITS)[3], "created": today.isoformat(),
                "participant": [
                    {"actor": {"reference": reference, "display": name}, "status": "accepted"}
                    for reference, name in people
                ],
            }
        )  # fmt: skip
