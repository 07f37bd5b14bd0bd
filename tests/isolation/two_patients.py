"""What the tests about one record beside another have in common: its resources and a value that must not be found out."""

from collections.abc import Callable
from typing import Any

from tests.conftest import TestTenant

SECRET, IDENTIFIER = "Zephyrine", "urn:i"
VALUE = 137.25
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
New = Callable[[], TestTenant]


def patient(id_: str, *identifiers: str, **more: Any) -> dict[str, Any]:
    """A Patient with identifiers of the system `IDENTIFIER`."""
    found: dict[str, Any] = {"resourceType": "Patient", "id": id_, **more}
    return (
        {**found, "identifier": [{"system": IDENTIFIER, "value": each} for each in identifiers]}
        if identifiers
        else found
    )


def observation(id_: str, of: str, value: float | None = None, **more: Any) -> dict[str, Any]:
    """An Observation about a patient."""
    found: dict[str, Any] = {
        "resourceType": "Observation", "id": id_, "status": "final", "code": {"coding": [{"system": "urn:c", "code": "x"}]},
        "subject": {"reference": f"Patient/{of}"}, **more,
    }  # fmt: skip
    quantity = {"valueQuantity": {"value": value, "system": "urn:u", "code": "mg"}}
    return found if value is None else {**found, **quantity}
