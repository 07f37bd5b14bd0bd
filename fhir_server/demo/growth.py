"""Measurements over years in the demo: children from birth on, and adults with diabetes and high blood pressure.

All has fixed ids and is written by PUT. Values follow from the patient alone, so that they do not change what the rest
of the demo draws from its seed. The medians are those of WHO, rounded.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from fhir_server.demo.agenda import Person
from fhir_server.demo.clinical import DIASTOLIC, HEIGHT, LABS, LOINC, SYSTOLIC, WEIGHT, Measure
from fhir_server.demo.records import concept
from fhir_server.demo.site import ORGANIZATION, instant

CHILDREN, ADULTS = 8, 6
_YEAR = 365.25
_MONTH = _YEAR / 12
_GROWN = 18 * _YEAR
LENGTH = Measure("8306-3", "Body height --lying", "cm", "cm", 0, 0, 1)
HEAD = Measure("9843-4", "Head Occipital-frontal circumference", "cm", "cm", 0, 0, 1)
_STANDING = Measure(HEIGHT.code, HEIGHT.display, "cm", "cm", 0, 0, 1)
_GLUCOSE = next(each for each in LABS if each.code == "2345-7")
_HBA1C = next(each for each in LABS if each.code == "4548-4")
_PANEL = ("85354-9", "Blood pressure panel with all children optional")
_TERMINOLOGY = "http://terminology.hl7.org/CodeSystem/"

# Month of life, and the medians at it for girls and boys: height (cm), weight (kg), head (cm; 0: not measured).
_MEDIANS = (
    (0, 49.1, 3.2, 33.9, 49.9, 3.3, 34.5), (1, 53.6, 4.2, 36.5, 54.7, 4.5, 37.2), (2, 57.1, 5.1, 38.3, 58.4, 5.6, 39.1),
    (4, 62.1, 6.4, 40.6, 63.9, 7.0, 41.6), (6, 65.8, 7.3, 42.2, 67.6, 7.9, 43.3), (9, 70.1, 8.2, 43.8, 72.0, 8.9, 45.0),
    (12, 74.0, 9.0, 44.9, 75.7, 9.6, 46.1), (18, 80.7, 10.2, 46.2, 82.3, 10.9, 47.4),
    (24, 86.4, 11.5, 47.2, 87.8, 12.1, 48.2),
    (36, 95.1, 13.9, 0, 96.1, 14.4, 0), (48, 102.7, 16.1, 0, 103.3, 16.4, 0), (60, 109.4, 18.3, 0, 110.0, 18.4, 0),
    (72, 115.1, 20.2, 0, 116.0, 20.6, 0), (84, 120.8, 22.5, 0, 121.7, 22.9, 0), (96, 126.6, 25.1, 0, 127.3, 25.5, 0),
    (108, 132.5, 28.3, 0, 132.6, 28.2, 0), (120, 138.6, 31.9, 0, 137.8, 31.2, 0), (132, 145.0, 36.3, 0, 143.1, 34.7, 0),
    (144, 151.2, 41.2, 0, 149.1, 39.0, 0), (156, 156.4, 46.0, 0, 156.0, 44.4, 0), (168, 159.8, 50.0, 0, 163.2, 50.6, 0),
    (180, 161.7, 52.8, 0, 169.0, 56.4, 0), (192, 162.5, 54.7, 0, 172.9, 61.3, 0), (204, 162.9, 55.8, 0, 175.2, 64.9, 0),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Child:
    """How a child differs from the median: shares of height, weight and head, and what weight gains or loses in a year
    from the first birthday on."""

    height: float
    weight: float
    head: float
    drift: float


def is_child(person: Person, today: date) -> bool:
    """Whether somebody still grows."""
    return (today - person.birth).days < _GROWN


def growth_resources(people: Sequence[Person], today: date) -> Iterator[dict[str, Any]]:
    """Observations of the youngest children, and of some adults."""
    children = sorted((each for each in people if is_child(each, today)), key=lambda each: each.birth, reverse=True)
    for number, child in enumerate(children[:CHILDREN]):
        yield from _childhood(child, number, today)
    adults = [each for each in people if (today - each.birth).days > 40 * _YEAR]
    # The last of them: the first have a history, whose values would stand between these.
    for adult in adults[-ADULTS:]:
        yield from _chronic(adult, today)


def _childhood(person: Person, number: int, today: date) -> Iterator[dict[str, Any]]:
    random = Random(f"growth of {person.reference}")
    # One thrives too little and one too much, so that there is something to see.
    drift = {1: -0.14, 4: 0.05}.get(number, 0.0)
    child = _Child(random.gauss(1, 0.02), random.gauss(1, 0.06), random.gauss(1, 0.012), drift)
    for month, *medians in _MEDIANS:
        day = person.birth + timedelta(days=round(month * _MONTH) + (random.randint(0, 9) if month else 0))
        if day > today:
            return
        height, weight, head = medians[:3] if person.female else medians[3:]
        at = datetime.combine(day, time(9, random.choice((0, 20, 40))), UTC)
        years = max(month - 12, 0) / 12
        fat = child.weight * max(1 + child.drift * min(years, 4), 0.72)
        lying = LENGTH if month < 24 else _STANDING
        yield _measured(person, at, lying, height * child.height * random.gauss(1, 0.004))
        yield _measured(person, at, WEIGHT, weight * child.height**2 * fat * random.gauss(1, 0.012))
        if head:
            yield _measured(person, at, HEAD, head * child.head)


def _chronic(person: Person, today: date) -> Iterator[dict[str, Any]]:
    """Three years of a diabetes that is treated better and better."""
    random = Random(f"trend of {person.reference}")
    start = random.uniform(8.2, 10.4)
    for quarter in range(12):
        at = datetime.combine(today - timedelta(days=1100 - 91 * quarter + random.randint(0, 9)), time(8, 10), UTC)
        hba1c = 6.7 + (start - 6.7) * 0.82**quarter + random.gauss(0, 0.15)
        yield _measured(person, at, _HBA1C, hba1c, "laboratory")
        yield _measured(person, at, _GLUCOSE, 28.7 * hba1c - 46.7 + random.gauss(0, 9), "laboratory")
    for month in range(24):
        at = datetime.combine(today - timedelta(days=735 - 30 * month + random.randint(0, 6)), time(9, 30), UTC)
        fall = 14 * min(month / 14, 1)
        values = ((SYSTOLIC, 149 - fall + random.gauss(0, 5)), (DIASTOLIC, 92 - fall / 2 + random.gauss(0, 3)))
        yield _pressure(person, at, values)


def _measured(
    person: Person, at: datetime, measure: Measure, value: float, category: str = "vital-signs"
) -> dict[str, Any]:
    found = _observation(person, at, measure.code, measure.display, category)
    found["valueQuantity"] = _quantity(measure, f"{value:.{measure.places}f}")
    ends = {"low": measure.low, "high": measure.high}
    if limits := {name: _quantity(measure, limit) for name, limit in ends.items() if limit}:
        found["referenceRange"] = [limits]
    return found


def _pressure(person: Person, at: datetime, values: Sequence[tuple[Measure, float]]) -> dict[str, Any]:
    found = _observation(person, at, *_PANEL, "vital-signs")
    found["component"] = [
        {"code": concept(LOINC, measure.code, measure.display), "valueQuantity": _quantity(measure, f"{value:.0f}")}
        for measure, value in values
    ]
    return found


def _observation(person: Person, at: datetime, code: str, display: str, category: str) -> dict[str, Any]:
    name = "Vital Signs" if category == "vital-signs" else "Laboratory"
    return {
        "resourceType": "Observation", "status": "final",
        "id": f"{person.reference.partition('/')[2]}-{code}-{at:%Y%m%d}",
        "category": [concept(f"{_TERMINOLOGY}observation-category", category, name, text=False)],
        "code": concept(LOINC, code, display),
        "subject": {"reference": person.reference, "display": person.display},
        "effectiveDateTime": instant(at),
        "performer": [{"reference": ORGANIZATION}],
    }  # fmt: skip


def _quantity(measure: Measure, value: str) -> dict[str, Any]:
    return {"value": Decimal(value), "unit": measure.unit, "system": "http://unitsofmeasure.org", "code": measure.ucum}
