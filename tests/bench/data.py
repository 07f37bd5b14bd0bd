"""The benchmark's data: made from numbers alone, the same on every machine, valid R4.

A block is 500 resources and five transactions:

- 1 Practitioner, 1 Schedule and 123 Slots of it (every third busy, so 82 are free);
- 25 patients of 15 resources each: Patient, Encounter and 13 Observations, which are heart rate, temperature and weight
  at four visits (4 entries per patient and code) and one HbA1c.

So a search with `_include` of the subject answers 14 entries, `_revinclude` 14, `$everything` 16 (the Practitioner whom
the record names is part of it). A family name belongs to 1.78 patients (7.1 Observations of one code), 20 names share
their first six letters, and of one such prefix and one birth date there are 1.5 patients. None of this changes with the
size: a workload's replies are equally long at 10k and at 1M (the shape of shared/reference/peer-figures.md).
Resources that the workloads write to or that they make are apart ("writer"), so that writes never grow a read's reply.
"""

import hashlib
import random
from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime, timedelta, timezone
from functools import cached_property, lru_cache
from typing import Any

import msgspec

BLOCK = 500
PATIENTS_PER_BLOCK = 25
SLOTS = 123
PER_TRANSACTION = 100
SUBJECTS, RING = 200, 400

LOINC, UCUM, SNOMED = "http://loinc.org", "http://unitsofmeasure.org", "http://snomed.info/sct"
_HL7 = "http://terminology.hl7.org/CodeSystem"
_NARRATIVE = "http://www.w3.org/1999/xhtml"
# code, display, category, unit as shown, UCUM code, lowest value, spread, decimals
_MEASURES = (
    ("8867-4", "Heart rate", "vital-signs", "beats/minute", "/min", 55, 50, 0),
    ("8310-5", "Body temperature", "vital-signs", "C", "Cel", 36, 2, 1),
    ("29463-7", "Body Weight", "vital-signs", "kg", "kg", 48, 55, 2),
)
_HBA1C = ("4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood", "laboratory", "%", "%", 4, 5, 2)
CODES = tuple(row[0] for row in _MEASURES)
_CONSONANTS, _VOWELS = "bdfgklmnpr", "ai"
_SYLLABLES = [consonant + vowel for consonant in _CONSONANTS for vowel in _VOWELS]
_GIVEN = ("Amina", "Omar", "Layla", "Yusuf", "Salma", "Karim", "Nadia", "Hassan", "Mona", "Tarek", "Huda", "Samir")
_STREETS = ("Palm", "Harbour", "Garden", "Station", "Market", "Museum", "River", "Hill")
_CITIES = ("Alexandria", "Giza", "Tanta", "Aswan", "Luxor", "Mansoura", "Port Said", "Suez")
# Sizes of neighbouring families: 16 patients in 9 families.
_FAMILY_OF_16 = tuple(index for index, size in enumerate((2, 2, 1, 2, 2, 2, 1, 2, 2)) for _ in range(size))
_FIRST_DAY = datetime(2024, 1, 1, 7, tzinfo=timezone(timedelta(hours=2)))
SLOTS_FROM = datetime(2027, 1, 4, 8, tzinfo=timezone(timedelta(hours=2)))

Resource = dict[str, Any]


@lru_cache(maxsize=200_000)
def ident(kind: str, number: int) -> str:
    """The id of the number-th resource of a kind: looks like a random UUID, as ids do in real data."""
    digits = hashlib.blake2b(f"{kind}/{number}".encode(), digest_size=16).hexdigest()
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def family(patient: int) -> str:
    """The family name of a patient: eight letters, so that no name is the beginning of another."""
    whole, rest = divmod(patient, 16)
    group = whole * 9 + _FAMILY_OF_16[rest]
    letters = ""
    for _ in range(4):
        group, digit = divmod(group, len(_SYLLABLES))
        letters = _SYLLABLES[digit] + letters
    return letters.capitalize()


def birth_date(patient: int) -> str:
    """Two neighbours share a date, the third has one alone."""
    whole, rest = divmod(patient, 3)
    day = (2 * whole + (rest == 2)) * 7919 % 29_000
    return (date(1940, 1, 1) + timedelta(days=day)).isoformat()


def visit(patient: int, number: int) -> datetime:
    """When the patient's number-th visit (0 to 3) was."""
    return _FIRST_DAY + timedelta(days=patient * 37 % 500 + 40 * number, minutes=patient * 13 % 600)


def patient(number: int, *, kind: str = "Patient", name: str = "", note: str = "") -> Resource:
    """A Patient. `kind` other than Patient: one that belongs to the writers, with a family name of theirs."""
    rng = random.Random(f"{kind}{number}")
    given = rng.sample(_GIVEN, 2)
    last = name or family(number)
    text = f"{given[0]} {given[1]} {last}"
    return {
        "resourceType": "Patient",
        "id": ident(kind, number),
        "text": {"status": "generated", "div": f'<div xmlns="{_NARRATIVE}"><p>{text}</p></div>'},
        "identifier": [
            {
                "use": "usual",
                "type": {"coding": [{"system": f"{_HL7}/v2-0203", "code": "MR"}], "text": "Medical record number"},
                "system": "urn:oid:2.16.840.1.113883.19.5",
                "value": f"{kind[:2].upper()}-{number:07d}",
            },
            {"system": "https://salam.example/national-id", "value": f"{rng.randrange(10**13, 10**14)}"},
        ],
        "active": True,
        "name": [{"use": "official", "text": text, "family": last, "given": given}],
        "telecom": [
            {"system": "phone", "value": note or f"+2010{rng.randrange(10**8):08d}", "use": "mobile"},
            {"system": "email", "value": f"{given[0].lower()}.{number}@mail.example", "use": "home"},
        ],
        "gender": rng.choice(("female", "male")),
        "birthDate": birth_date(number),
        "address": [
            {
                "use": "home",
                "line": [f"{rng.randrange(1, 200)} {rng.choice(_STREETS)} Street"],
                "city": rng.choice(_CITIES),
                "postalCode": f"{rng.randrange(10_000, 99_999)}",
                "country": "EG",
            }
        ],
        "maritalStatus": {"coding": [{"system": f"{_HL7}/v3-MaritalStatus", "code": rng.choice("MSW")}]},
        "communication": [{"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": "ar"}]}, "preferred": True}],
    }


def observation(
    rng: random.Random,
    resource_id: str,
    subject: str,
    practitioner: str,
    when: datetime,
    measure: int,
    encounter: str = "",
) -> Resource:
    """An Observation of one measure (0 to 2; 3 is HbA1c) with quantity, encounter, performer and reference range."""
    code, display, category, unit, ucum, low, spread, digits = (*_MEASURES, _HBA1C)[measure]
    value = round(low + spread * rng.random(), digits)
    made: Resource = {
        "resourceType": "Observation",
        "id": resource_id,
        "status": "final",
        "category": [{"coding": [{"system": f"{_HL7}/observation-category", "code": category, "display": category}]}],
        "code": {"coding": [{"system": LOINC, "code": code, "display": display}], "text": display},
        "subject": {"reference": subject},
        "effectiveDateTime": when.isoformat(),
        "issued": (when + timedelta(minutes=5)).isoformat(),
        "performer": [{"reference": practitioner}],
        "valueQuantity": {"value": value, "unit": unit, "system": UCUM, "code": ucum},
        "interpretation": [{"coding": [{"system": f"{_HL7}/v3-ObservationInterpretation", "code": "N"}]}],
        "referenceRange": [
            {
                "low": {"value": low, "unit": unit, "system": UCUM, "code": ucum},
                "high": {"value": low + spread, "unit": unit, "system": UCUM, "code": ucum},
            }
        ],
    }
    if encounter:
        made["encounter"] = {"reference": encounter}
    return made


def _record(number: int, practitioner: str) -> Iterator[Resource]:
    """A patient's 15 resources."""
    rng = random.Random(number)
    me, encounter = f"Patient/{ident('Patient', number)}", ident("Encounter", number)
    start = visit(number, 0)
    yield patient(number)
    yield {
        "resourceType": "Encounter",
        "id": encounter,
        "status": "finished",
        "class": {"system": f"{_HL7}/v3-ActCode", "code": "AMB"},
        "type": [{"coding": [{"system": SNOMED, "code": "185349003"}], "text": "Check up"}],
        "subject": {"reference": me},
        "participant": [{"individual": {"reference": practitioner}}],
        "period": {"start": start.isoformat(), "end": (start + timedelta(minutes=20)).isoformat()},
    }
    for index in range(13):
        at, measure = divmod(index, 3)
        measure, at = (3, 0) if index == 12 else (measure, at)
        resource_id = ident("Observation", number * 13 + index)
        with_encounter = f"Encounter/{encounter}" if at == 0 else ""
        yield observation(rng, resource_id, me, practitioner, visit(number, at), measure, with_encounter)


def _calendar(block: int) -> Iterator[Resource]:
    practitioner = ident("Practitioner", block)
    schedule = ident("Schedule", block)
    name = family(block * PATIENTS_PER_BLOCK)
    yield {
        "resourceType": "Practitioner",
        "id": practitioner,
        "identifier": [{"system": "https://salam.example/licence", "value": f"{block:06d}"}],
        "active": True,
        "name": [{"family": name, "given": [_GIVEN[block % len(_GIVEN)]], "prefix": ["Dr."]}],
    }
    yield {
        "resourceType": "Schedule",
        "id": schedule,
        "active": True,
        "serviceType": [{"coding": [{"system": f"{_HL7}/service-type", "code": "124"}], "text": "General practice"}],
        "actor": [{"reference": f"Practitioner/{practitioner}", "display": f"Dr. {name}"}],
        "planningHorizon": {"start": "2027-01-01", "end": "2027-12-31"},
    }
    for index in range(SLOTS):
        day, hour = divmod(index, 24)
        start = SLOTS_FROM + timedelta(days=day, minutes=20 * hour)
        yield {
            "resourceType": "Slot",
            "id": ident("Slot", block * SLOTS + index),
            "serviceType": [{"coding": [{"system": f"{_HL7}/service-type", "code": "124"}]}],
            "schedule": {"reference": f"Schedule/{schedule}"},
            "status": "busy" if index % 3 == 2 else "free",
            "start": start.isoformat(),
            "end": (start + timedelta(minutes=20)).isoformat(),
        }


def block(number: int) -> Iterator[Resource]:
    """The 500 resources of a block, what is referred to before what refers."""
    yield from _calendar(number)
    practitioner = f"Practitioner/{ident('Practitioner', number)}"
    for index in range(number * PATIENTS_PER_BLOCK, (number + 1) * PATIENTS_PER_BLOCK):
        yield from _record(index, practitioner)


def writers() -> Iterator[Resource]:
    """Patients that created Observations refer to, and those that the updates change."""
    for number in range(SUBJECTS):
        yield patient(number, kind="Subject", name="Zsubject")
    for number in range(RING):
        yield patient(number, kind="Ring", name="Zring")


def transaction(resources: list[Resource]) -> bytes:
    """A transaction that puts each resource under its own id."""
    entries = [
        {
            "fullUrl": f"https://bench.example/fhir/{r['resourceType']}/{r['id']}",
            "resource": r,
            "request": {"method": "PUT", "url": f"{r['resourceType']}/{r['id']}"},
        }
        for r in resources
    ]
    return msgspec.json.encode({"resourceType": "Bundle", "type": "transaction", "entry": entries})


def new_records(number: int) -> bytes:
    """A transaction of 100 creates, linked by urn:uuid: 10 patients and 9 Observations of each."""
    rng = random.Random(f"day{number}")
    entries = []
    practitioner = f"Practitioner/{ident('Practitioner', 0)}"
    for index in range(number * 10, number * 10 + 10):
        subject = f"urn:uuid:{ident('New', index)}"
        made = [patient(index, kind="New", name="Zday")]
        made += [
            observation(rng, ident("NewObservation", index * 9 + n), subject, practitioner, visit(index, n % 4), n % 3)
            for n in range(9)
        ]
        for resource in made:
            full_url = f"urn:uuid:{resource.pop('id')}"
            request = {"method": "POST", "url": resource["resourceType"]}
            entries.append({"fullUrl": full_url, "resource": resource, "request": request})
    return msgspec.json.encode({"resourceType": "Bundle", "type": "transaction", "entry": entries})


class Site:
    """What is in the server: how much, and which answers follow from it."""

    def __init__(self, size: int) -> None:
        self.blocks = max(1, size // BLOCK)
        self.patients = self.blocks * PATIENTS_PER_BLOCK
        self.observations = self.patients * 13
        self.resources = self.blocks * BLOCK + SUBJECTS + RING

    def transactions(self, number: int) -> Iterator[bytes]:
        """The transactions of one block; of the number after the last block, those of the writers' resources."""
        resources = list(block(number) if number < self.blocks else writers())
        for start in range(0, len(resources), PER_TRANSACTION):
            yield transaction(resources[start : start + PER_TRANSACTION])

    @cached_property
    def families(self) -> Counter[str]:
        """Patients by family name."""
        return Counter(family(number) for number in range(self.patients))

    @cached_property
    def births(self) -> Counter[tuple[str, str]]:
        """Patients by first six letters of the family name, and birth date."""
        return Counter((family(number)[:6], birth_date(number)) for number in range(self.patients))
