"""Patients with accounts of their own, and what happens to them."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from fhir_server.rest.dispatch import session
from fhir_server.security import accounts
from fhir_server.storage import tenants
from tests.client import Client
from tests.ui.conftest import Demo, Person

_numbers = itertools.count(1)
HTML = '<img src=x onerror="alert(1)">'


@dataclass(slots=True)
class Known:
    """A patient and the account that opens the record."""

    id: str
    person: Person
    email: str

    @property
    def reference(self) -> str:
        """`Patient/id`."""
        return f"Patient/{self.id}"


def account(clinic: Demo, role: str, *, fhir_user: str | None = None, patients: Sequence[str] = ()) -> str:
    """The address of a new account."""
    email = f"{role}-{next(_numbers)}@portal.example"
    db = session()
    tenant = tenants.find(db, clinic.slug)
    db.enter(tenant.tenant.id, None, tenant.registry_version, writing=True)
    accounts.create(db, tenant.tenant.id, email=email, role=role, password="correct horse battery", name=role,
                    fhir_user=fhir_user, patients=patients)  # fmt: skip
    db.commit()
    return email


def patient(clinic: Demo, given: str = "Yasmine", family: str = "Berrada", born: str = "1984-05-02") -> Known:
    """A new patient with an own account."""
    made = clinic.client().create(
        {"resourceType": "Patient", "active": True, "name": [{"family": family, "given": [given]}], "birthDate": born}
    )
    email = account(clinic, "patient", fhir_user=f"Patient/{made['id']}")
    return Known(made["id"], clinic.person(email=email), email)


def free_time(client: Client, *, days: int = 1, practitioner: str = "Practitioner/demo-elamrani") -> dict[str, Any]:
    """The first free time of a professional after so many days."""
    begin = (datetime.now(UTC) + timedelta(days=days)).date()
    url = f"Appointment/$find?start={begin}&end={begin + timedelta(days=20)}&practitioner={practitioner}&_count=1"
    found: dict[str, Any] = client.get(url).json["entry"][0]["resource"]
    return found


def booked(
    client: Client, who: str, *, days: int = 1, practitioner: str = "Practitioner/demo-elamrani"
) -> dict[str, Any]:
    """An appointment of `Patient/id`."""
    proposal = free_time(client, days=days, practitioner=practitioner)
    proposal["participant"].append({"actor": {"reference": who}, "status": "accepted"})
    answer = client.post("Appointment/$book", parameters({"name": "appointment-resource", "resource": proposal}))
    assert answer.status == 200, answer.text
    return next(e["resource"] for e in answer.json["entry"] if e["resource"]["resourceType"] == "Appointment")


def parameters(*given: dict[str, Any]) -> dict[str, Any]:
    """A Parameters resource."""
    return {"resourceType": "Parameters", **({"parameter": list(given)} if given else {})}


def observation(who: str, value: float = 112, code: str = "2345-7", **more: Any) -> dict[str, Any]:
    """A result of the laboratory."""
    return {
        "resourceType": "Observation", "status": "final", "subject": {"reference": who},
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "laboratory"}]}],
        "code": {"coding": [{"system": "http://loinc.org", "code": code}], "text": "Glucose"},
        "effectiveDateTime": "2026-10-02T08:00:00Z",
        "valueQuantity": {"value": value, "unit": "mg/dL", "system": "http://unitsofmeasure.org", "code": "mg/dL"},
        "referenceRange": [{"low": {"value": 70, "unit": "mg/dL"}, "high": {"value": 99, "unit": "mg/dL"}}], **more,
    }  # fmt: skip
