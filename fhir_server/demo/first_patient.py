"""What stands in the record of the demo's first patient besides a history: so that every page of a patient shows
something. All has fixed ids and is written by PUT."""

import base64
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from fhir_server.demo.clinical import LOINC
from fhir_server.demo.records import concept
from fhir_server.demo.site import DOCTORS, ORGANIZATION, instant

_VACCINES = (("Tétanos, diphtérie, polio", 2700, "3"), ("Hépatite B", 5200, "3"), ("Grippe saisonnière", 390, "1"))
_RESULTS = (("2345-7", "Glucose", "mg/dL", "112", "70", "99", "H"),
            ("4548-4", "Hemoglobin A1c", "%", "5.4", "4.0", "5.6", "N"),
            ("718-7", "Hemoglobin", "g/dL", "13.4", "12.0", "16.0", "N"))  # fmt: skip
_CHANNEL = {"coding": [{"system": "urn:salam:CodeSystem:message-channel", "code": "in-app"}]}
_INTERPRETATION = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
_CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"


def first_patient_resources(reference: str, now: datetime) -> Iterator[dict[str, Any]]:
    """Vaccinations, a laboratory report, documents and messages of `Patient/id`."""
    subject = {"reference": reference}
    for number, (name, days, dose) in enumerate(_VACCINES):
        yield {
            "resourceType": "Immunization", "id": f"demo-first-{number}", "status": "completed",
            "vaccineCode": {"text": name}, "patient": subject, "lotNumber": f"LOT{number}42",
            "occurrenceDateTime": (now - timedelta(days=days)).date().isoformat(),
            "protocolApplied": [{"doseNumberString": dose}],
        }  # fmt: skip
    at = instant(now - timedelta(days=9))
    for code, name, unit, value, low, high, flag in _RESULTS:
        yield {
            "resourceType": "Observation", "id": f"demo-first-{code}", "status": "final", "subject": subject,
            "category": [concept(_CATEGORY, "laboratory", "Laboratory", text=False)],
            "code": concept(LOINC, code, name), "effectiveDateTime": at,
            "valueQuantity": {**_amount(value, unit), "system": "http://unitsofmeasure.org", "code": unit},
            "referenceRange": [{"low": _amount(low, unit), "high": _amount(high, unit)}],
            "interpretation": [{"coding": [{"system": _INTERPRETATION, "code": flag}]}],
        }  # fmt: skip
    yield {
        "resourceType": "DiagnosticReport", "id": "demo-first", "status": "final", "code": {"text": "Bilan sanguin"},
        "subject": subject, "effectiveDateTime": at,
        "performer": [{"reference": ORGANIZATION, "display": "Laboratoire"}],
        "result": [{"reference": f"Observation/demo-first-{each[0]}"} for each in _RESULTS],
        "conclusion": "Glycémie un peu élevée. Contrôle dans trois mois.",
    }  # fmt: skip
    text = base64.b64encode("Certificat médical\n\nDocument de démonstration, sans valeur.".encode()).decode()
    yield {
        "resourceType": "DocumentReference", "id": "demo-first", "status": "current", "subject": subject,
        "date": instant(now - timedelta(days=12)), "description": "Certificat médical",
        "author": [{"reference": DOCTORS[0].reference, "display": DOCTORS[0].display}],
        "content": [{"attachment": {"contentType": "text/plain", "data": text, "title": "Certificat"}}],
    }  # fmt: skip
    yield {
        "resourceType": "Communication", "id": "demo-first", "status": "completed", "medium": [_CHANNEL],
        "subject": subject, "recipient": [subject], "sent": instant(now - timedelta(hours=20)),
        "topic": {"text": "Vos résultats sont arrivés"},
        "payload": [{"contentString": "Votre bilan sanguin peut être lu sous « Résultats »."}],
    }  # fmt: skip


def _amount(value: str, unit: str) -> dict[str, Any]:
    return {"value": Decimal(value), "unit": unit}
