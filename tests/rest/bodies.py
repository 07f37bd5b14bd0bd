"""Small valid resources and Bundles."""

from decimal import Decimal
from typing import Any
from uuid import uuid4


def mark() -> str:
    """A word that only its test uses."""
    return f"m{uuid4().hex[:12]}"


def patient(word: str, **more: Any) -> dict[str, Any]:
    """A Patient whom `identifier=urn:test|word` and `family=Word` find."""
    return {
        "resourceType": "Patient",
        "identifier": [{"system": "urn:test", "value": word}],
        "name": [{"family": word.title(), "given": ["Ada"]}],
        "birthDate": "1980-02-29",
        **more,
    }


def weight(subject: str, kilograms: str = "70.50", **more: Any) -> dict[str, Any]:
    """An Observation of a body weight."""
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
        "subject": {"reference": subject},
        "effectiveDateTime": "2026-03-01T08:00:00Z",
        "valueQuantity": {
            "value": Decimal(kilograms),
            "unit": "kg",
            "system": "http://unitsofmeasure.org",
            "code": "kg",
        },
        **more,
    }


def entry(method: str, url: str, resource: Any = None, full_url: str | None = None, **request: str) -> dict[str, Any]:
    """An entry of a batch or transaction. `request`: ifMatch, ifNoneExist, ..."""
    made: dict[str, Any] = {"fullUrl": full_url} if full_url else {}
    if resource is not None:
        made["resource"] = resource
    return {**made, "request": {"method": method, "url": url, **request}}


def bundle(kind: str, *entries: dict[str, Any]) -> dict[str, Any]:
    """A batch or transaction."""
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def urn() -> str:
    """A new urn:uuid."""
    return f"urn:uuid:{uuid4()}"
