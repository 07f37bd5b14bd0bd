"""What evaluating FHIRPath costs, next to closures that somebody wrote by hand for the same answer.

Both give the same nodes: type, value, and what stands beside a primitive. The best of several short runs, which a busy machine disturbs least.
"""

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from fhir_server.conformance.registry import base_registry
from fhir_server.fhirpath import Nodes, compile_expression

NAME = "fhirpath"
PLAIN_US, MOST_TIMES = 1.0, 3.0
_RUNS, _ROUNDS = 60, 2_000

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p1",
    "active": True,
    "name": [
        {"use": "official", "family": "Chalmers", "given": ["Peter", "James"]},
        {"use": "usual", "given": ["Jim"]},
    ],
    "telecom": [
        {"system": "phone", "value": "(03) 5555 6473", "use": "work", "rank": 1},
        {"system": "phone", "value": "(03) 3410 5613", "use": "mobile", "rank": 2},
        {"system": "email", "value": "peter@example.org", "use": "home"},
    ],
    "gender": "male",
    "birthDate": "1974-12-25",
    "contact": [{"name": {"family": "du Marché"}, "gender": "female"}],
    "managingOrganization": {"reference": "Organization/1"},
}
OBSERVATION: dict[str, Any] = {
    "resourceType": "Observation",
    "id": "o1",
    "status": "final",
    "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
    "subject": {"reference": "Patient/p1"},
    "effectiveDateTime": "2026-03-28",
    "valueQuantity": {"value": 72, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"},
}


@dataclass(frozen=True, slots=True)
class Figure:
    """µs per evaluation of one expression: compiled, and by hand. plain: a path and nothing else."""

    expression: str
    compiled: float
    by_hand: float
    plain: bool

    @property
    def good(self) -> bool:
        """Whether the targets are reached."""
        return self.compiled <= MOST_TIMES * self.by_hand and not (self.plain and self.compiled > PLAIN_US)


def _items(value: Any) -> list[Any]:
    return value if type(value) is list else [] if value is None else [value]


def _primitives(holder: dict[str, Any], name: str, kind: str, found: Nodes) -> None:
    value, beside = holder.get(name), holder.get("_" + name)
    if beside is None:
        if type(value) is list:
            for item in value:
                found.append((kind, item, None))
        elif value is not None:
            found.append((kind, value, None))
        return
    values, siblings = _items(value), _items(beside)
    for i in range(max(len(values), len(siblings))):
        each = values[i] if i < len(values) else None
        sibling = siblings[i] if i < len(siblings) else None
        if each is not None or sibling is not None:
            found.append((kind, each, sibling))


def _birth_date(patient: dict[str, Any]) -> Nodes:
    value, beside = patient.get("birthDate"), patient.get("_birthDate")
    return [] if value is None and beside is None else [("date", value, beside)]


def _given(patient: dict[str, Any]) -> Nodes:
    found: Nodes = []
    for name in patient.get("name", ()):
        _primitives(name, "given", "string", found)
    return found


def _phones(patient: dict[str, Any]) -> Nodes:
    found: Nodes = []
    for telecom in patient.get("telecom", ()):
        if telecom.get("system") == "phone":
            _primitives(telecom, "value", "string", found)
    return found


def _quantity(observation: dict[str, Any]) -> Nodes:
    value = observation.get("valueQuantity")
    return [] if value is None else [("Quantity", value, None)]


def _contacts(patient: dict[str, Any]) -> Nodes:
    for contact in patient.get("contact", ()):
        if not ("name" in contact or "telecom" in contact or "address" in contact or "organization" in contact):
            return [("System.Boolean", False, None)]
    return [("System.Boolean", True, None)]


def _official(patient: dict[str, Any]) -> Nodes:
    found: Nodes = []
    for name in patient.get("name", ()):
        if name.get("use") == "official":
            _primitives(name, "given", "string", found)
    return found[:1]


def _names(patient: dict[str, Any]) -> Nodes:
    found: Nodes = []
    for part in ("given", "family"):
        for name in patient.get("name", ()):
            _primitives(name, part, "string", found)
    kept, seen = [], set()
    for node in found:
        if node[1] not in seen:
            seen.add(node[1])
            kept.append(node)
    return kept


def _in_kilograms(observation: dict[str, Any]) -> Nodes:
    value = observation.get("valueQuantity")
    if value is None or value.get("value") is None or value.get("code") != "kg":
        return []
    return [("System.Boolean", value["value"] > 50, None)]


# (expression, resource, the same by hand, whether it is a plain path)
ROWS: tuple[tuple[str, dict[str, Any], Callable[[dict[str, Any]], Nodes], bool], ...] = (
    ("Patient.birthDate", PATIENT, _birth_date, True),
    ("Patient.name.given", PATIENT, _given, True),
    ("Observation.value.ofType(Quantity)", OBSERVATION, _quantity, True),
    ("Patient.telecom.where(system = 'phone').value", PATIENT, _phones, False),
    ("Patient.name.where(use = 'official').given.first()", PATIENT, _official, False),
    (
        "Patient.contact.all(name.exists() or telecom.exists() or address.exists() or organization.exists())",
        PATIENT,
        _contacts,
        False,
    ),
    ("Patient.name.given | Patient.name.family", PATIENT, _names, False),
    ("Observation.value.ofType(Quantity) > 50 'kg'", OBSERVATION, _in_kilograms, False),
)


def figures() -> list[Figure]:
    """Every row, measured. Raises AssertionError when a hand-written closure and the compiler disagree."""
    found = []
    for expression, resource, by_hand, plain in ROWS:
        compiled = compile_expression(expression, resource["resourceType"], base_registry())
        assert compiled(resource) == by_hand(resource), expression
        took = _microseconds((compiled, by_hand), resource)
        found.append(Figure(expression, took[0], took[1], plain))
    return found


def _microseconds(runs: tuple[Callable[[Any], Nodes], ...], resource: dict[str, Any]) -> list[float]:
    """Of each closure. They take turns, so that what else the machine does falls on all of them."""
    best = [float("inf")] * len(runs)
    for _ in range(_RUNS):
        for i, run in enumerate(runs):
            begun = perf_counter()
            for _ in range(_ROUNDS):
                run(resource)
            best[i] = min(best[i], perf_counter() - begun)
    return [each / _ROUNDS * 1e6 for each in best]


def lines() -> list[str]:
    """The figures as a table."""
    made = [f"{'µs per evaluation':>20} {'by hand':>8} {'times':>6}  expression"]
    for figure in figures():
        times = figure.compiled / figure.by_hand
        mark = "" if figure.good else "  MISSED"
        made.append(f"{figure.compiled:20.2f} {figure.by_hand:8.2f} {times:6.1f}  {figure.expression}{mark}")
    return made


if __name__ == "__main__":
    print("\n".join(lines()))
