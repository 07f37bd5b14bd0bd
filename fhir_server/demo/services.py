"""What the clinic of the demo offers: visits that can be booked, what they need and cost, and its two queues."""

from collections.abc import Iterator
from typing import Any

from fhir_server.demo.site import ANFA, MAARIF, ORGANIZATION, PARAMETERS, ZONE

QUEUE, LABORATORY = "demo-queue", "demo-laboratory"
QUESTIONNAIRE = "demo-diabetes-visit"
_MODE = "urn:salam:CodeSystem:service-mode"
_CONFIGURATION = "urn:salam:StructureDefinition:queue-configuration"


def service_resources() -> Iterator[dict[str, Any]]:
    """The questionnaire, the services and the queues."""
    yield _questionnaire()
    at_home = ("on-site", "video")
    yield _bookable("demo-consultation", "Consultation générale", MAARIF, at_home, 20, 250, _online(True))
    yield _bookable("demo-cardiology", "Consultation de cardiologie", MAARIF, ("on-site",), 30, 400, _online(True),
                    {"url": "minNotice", "valueUnsignedInt": 120})  # fmt: skip
    child = "birthDate > today() - 16 years"
    yield _bookable("demo-pediatrics", "Consultation de pédiatrie", ANFA, at_home, 20, 300, _online(True),
                    {"url": "eligibility", "valueString": child},
                    {"url": "emergencyReserve", "extension": [
                        {"url": "perDay", "valuePositiveInt": 1}, {"url": "releaseMinutes", "valuePositiveInt": 120},
                    ]})  # fmt: skip
    yield _bookable("demo-gynecology", "Consultation de gynécologie", ANFA, ("on-site",), 30, 350, _online(True),
                    {"url": "requiresConfirmation", "valueBoolean": True})  # fmt: skip
    form = {"url": "questionnaire", "valueReference": {"reference": f"Questionnaire/{QUESTIONNAIRE}"}}
    yield _bookable("demo-diabetes", "Suivi du diabète", MAARIF, ("on-site", "phone"), 30, 350, _online(True), form)
    room = {"url": "resource", "extension": [
        {"url": "role", "valueCode": "room"},
        {"url": "schedule", "valueReference": {"reference": "Schedule/demo-room-echo"}},
    ]}  # fmt: skip
    yield _bookable("demo-echo", "Échographie cardiaque", MAARIF, ("on-site",), 40, 600, _online(False), room,
                    {"url": "bufferAfter", "valueUnsignedInt": 10})  # fmt: skip
    yield queue(QUEUE, "Accueil et consultations sans rendez-vous", "A", 12, LABORATORY)
    yield queue(LABORATORY, "Prélèvements", "B", 6, QUEUE)


def _online(yes: bool) -> dict[str, Any]:
    return {"url": "onlineBooking", "valueBoolean": yes}


def _bookable(
    resource_id: str, name: str, site: str, modes: tuple[str, ...], minutes: int, price: int, *more: dict[str, Any]
) -> dict[str, Any]:
    parts = [
        {"url": "duration", "valuePositiveInt": minutes},
        {"url": "alignmentInterval", "valuePositiveInt": minutes if minutes != 40 else 20},
        {"url": "timezone", "valueCode": ZONE},
        {"url": "maxAdvance", "valuePositiveInt": 90},
        {"url": "cancelCutoff", "valueUnsignedInt": 120},
        {"url": "price", "valueMoney": {"value": price, "currency": "MAD"}},
        *more,
    ]
    return {
        "resourceType": "HealthcareService", "id": resource_id, "active": True,
        "extension": [{"url": PARAMETERS, "extension": parts}],
        "providedBy": {"reference": ORGANIZATION}, "location": [{"reference": site}], "name": name,
        "type": [{"coding": [{"system": "https://demo.example/visit-type", "code": resource_id.removeprefix("demo-"),
                              "display": name}]}],
        "characteristic": [{"coding": [{"system": _MODE, "code": mode}]} for mode in modes],
        "appointmentRequired": True,
    }  # fmt: skip


def queue(resource_id: str, name: str, prefix: str, minutes: int, other: str) -> dict[str, Any]:
    """A HealthcareService that is a queue. `other`: to which tickets can be transferred."""
    parts = [
        {"url": "prefix", "valueString": prefix},
        {"url": "graceMinutes", "valueUnsignedInt": 15},
        {"url": "serviceMinutes", "valuePositiveInt": minutes},
        {"url": "transferTo", "valueReference": {"reference": f"HealthcareService/{other}"}},
        {"url": "timezone", "valueCode": ZONE},
    ]
    return {
        "resourceType": "HealthcareService", "id": resource_id, "active": True,
        "extension": [{"url": _CONFIGURATION, "extension": parts}],
        "providedBy": {"reference": ORGANIZATION}, "location": [{"reference": MAARIF}], "name": name,
        "appointmentRequired": False,
    }  # fmt: skip


def _questionnaire() -> dict[str, Any]:
    """What is asked before a visit about diabetes; the first two answers are required."""
    return {
        "resourceType": "Questionnaire", "id": QUESTIONNAIRE, "status": "active", "language": "fr",
        "url": f"https://demo.example/Questionnaire/{QUESTIONNAIRE}", "title": "Avant votre visite",
        "subjectType": ["Patient"],
        "item": [
            {"linkId": "fasting", "text": "Serez-vous à jeun ?", "type": "boolean", "required": True},
            {"linkId": "glucose", "text": "Dernière glycémie à jeun (g/L)", "type": "decimal", "required": True},
            {"linkId": "change", "text": "Qu'est-ce qui a changé depuis la dernière fois ?", "type": "text"},
        ],
    }  # fmt: skip
