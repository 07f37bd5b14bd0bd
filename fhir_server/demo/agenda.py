"""Two weeks of the clinic's agenda around today: what was, what is happening now, and what is booked."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from fhir_server.demo.site import DOCTORS, ORGANIZATION, ZONE, Doctor, instant, put
from fhir_server.features.scheduling.holidays import public_holidays

# Days from today.
DAYS = range(-7, 8)
_CLOCK = ZoneInfo(ZONE)
_ADULT = 16 * 365.25
_ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
_WHY = "http://terminology.hl7.org/CodeSystem/appointment-cancellation-reason"


@dataclass(frozen=True, slots=True)
class Person:
    """A patient."""

    reference: str
    display: str
    female: bool
    birth: date


def agenda_bundle(random: Random, people: Sequence[Person], now: datetime, days: int) -> list[dict[str, Any]]:
    """Entries of one day, `days` from today: Appointments with the Slots that hold their time, and past visits.

    Nobody has two appointments on a day. Today also has an entry of the wait list."""
    day = now.astimezone(_CLOCK).date() + timedelta(days=days)
    number = (day - date(1970, 1, 1)).days
    if not people or public_holidays("MA", number, number):
        return []
    seen: set[str] = set()
    entries: list[dict[str, Any]] = []
    for doctor in DOCTORS:
        able = [person for person in people if _sees(doctor, person, day)]
        for start in _starts(doctor, day):
            who = random.choice(able) if able else None
            if random.random() > _filled(days) or who is None or who.reference in seen:
                continue
            seen.add(who.reference)
            status = _status(random, doctor, start, now)
            entries += [put(each) for each in _visit(doctor, who, start, status, now)]
    if days == 0:
        entries.append(put(_waiting(random.choice(people), day)))
    return entries


def _sees(doctor: Doctor, person: Person, day: date) -> bool:
    child = (day - person.birth).days < _ADULT
    if doctor.service == "demo-pediatrics":
        return child
    return not child and (person.female or doctor.service != "demo-gynecology")


def _starts(doctor: Doctor, day: date) -> Iterator[datetime]:
    for hours in doctor.hours:
        if hours.on(day):
            start = datetime.combine(day, time.fromisoformat(hours.start), _CLOCK)
            end = datetime.combine(day, time.fromisoformat(hours.end), _CLOCK)
            while start + timedelta(minutes=doctor.minutes) <= end:
                yield start
                start += timedelta(minutes=doctor.minutes)


def _filled(days: int) -> float:
    """Share of the places that are taken: the further ahead, the fewer."""
    return 0.8 if days <= 0 else 0.75 - 0.07 * days


def _status(random: Random, doctor: Doctor, start: datetime, now: datetime) -> str:
    chance = random.random()
    if start + timedelta(minutes=doctor.minutes) <= now:
        return "fulfilled" if chance < 0.8 else "noshow" if chance < 0.88 else "cancelled"
    if start <= now:
        return "checked-in"
    if chance < 0.08:
        return "cancelled"
    return "pending" if chance < 0.3 and doctor.service == "demo-gynecology" else "booked"


def _visit(doctor: Doctor, who: Person, start: datetime, status: str, now: datetime) -> Iterator[dict[str, Any]]:
    resource_id = f"demo-{doctor.key}-{start:%Y%m%d-%H%M}"
    end = start + timedelta(minutes=doctor.minutes)
    appointment = _appointment(doctor, who, start, status)
    if status != "cancelled":
        appointment["slot"] = [{"reference": f"Slot/{resource_id}"}]
        yield {
            "resourceType": "Slot", "id": resource_id, "schedule": {"reference": doctor.schedule}, "status": "busy",
            "start": instant(start), "end": instant(end),
        }  # fmt: skip
    else:
        appointment["cancelationReason"] = {"coding": [{"system": _WHY, "code": "pat", "display": "Patient"}]}
    yield {**appointment, "id": resource_id}
    if status in ("fulfilled", "checked-in"):
        finished = status == "fulfilled"
        yield {
            "resourceType": "Encounter", "id": resource_id, "status": "finished" if finished else "in-progress",
            "class": {"system": _ACT, "code": "AMB", "display": "ambulatory"},
            "subject": {"reference": who.reference, "display": who.display},
            "appointment": [{"reference": f"Appointment/{resource_id}"}],
            "participant": [{"individual": {"reference": doctor.reference, "display": doctor.display}}],
            "period": {"start": instant(start), **({"end": instant(end)} if finished else {})},
            "location": [{"location": {"reference": doctor.site}}],
            "serviceProvider": {"reference": ORGANIZATION},
        }  # fmt: skip


def _appointment(doctor: Doctor, who: Person, start: datetime, status: str) -> dict[str, Any]:
    code, specialty = doctor.specialty
    wall = [{"url": "start", "valueString": f"{start:%Y-%m-%dT%H:%M}"}, {"url": "timezone", "valueCode": ZONE}]
    people = (
        (who.reference, who.display),
        (doctor.reference, doctor.display),
        (f"HealthcareService/{doctor.service}", None),
        (doctor.site, None),
    )
    return {
        "resourceType": "Appointment", "status": status,
        "extension": [
            {"url": "urn:salam:StructureDefinition:wall-time", "extension": wall},
            {"url": "urn:salam:StructureDefinition:service-mode", "valueCode": "on-site"},
        ],
        "specialty": [{"coding": [{"system": "http://snomed.info/sct", "code": code, "display": specialty}]}],
        "start": instant(start), "end": instant(start + timedelta(minutes=doctor.minutes)),
        "minutesDuration": doctor.minutes,
        "created": instant(start - timedelta(days=9)),
        "participant": [
            {"actor": {"reference": reference, **({"display": display} if display else {})},
             "status": "needs-action" if status == "pending" and number else "accepted"}
            for number, (reference, display) in enumerate(people)
        ],
    }  # fmt: skip


def _waiting(who: Person, day: date) -> dict[str, Any]:
    """Somebody who waits for a place with the cardiologist."""
    start = datetime.combine(day, time(9), _CLOCK)
    return {
        "resourceType": "Appointment", "id": "demo-waitlist", "status": "waitlist",
        "requestedPeriod": [{"start": instant(start), "end": instant(start + timedelta(days=10))}],
        "minutesDuration": 30,
        "created": instant(start),
        "participant": [
            {"actor": {"reference": who.reference, "display": who.display}, "status": "accepted"},
            {"actor": {"reference": "HealthcareService/demo-cardiology"}, "status": "needs-action"},
        ],
    }  # fmt: skip
