"""Records that FHIR allows and forms of this server would not write: little is known, or known by year, or in words."""

import itertools
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from tests.client import Client
from ui.page import now

Json = dict[str, Any]
TERMINOLOGY = "http://terminology.hl7.org/CodeSystem/"
QUEUE = {
    "url": "urn:salam:StructureDefinition:queue-configuration",
    "extension": [{"url": "prefix", "valueString": "O"}, {"url": "timezone", "valueCode": "Africa/Casablanca"}],
}
# What other systems write for "for ever" and "long ago", and a leap second. Some are on no calendar in another zone.
EDGES = ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59.999-12:00", "0001-01-01T00:00:00+14:00", "2016-12-31T23:59:60Z")
# A code that nobody knows, in no words.
BARE: Json = {"coding": [{"system": "urn:x"}]}
PATIENTS: list[Json] = [
    {}, {"birthDate": "9999-12-31", "deceasedDateTime": EDGES[0]}, {"name": [{"text": "Somebody"}]}, {"birthDate": "1980", "name": [{"given": ["Nora"]}]},
    {"birthDate": "1980-05", "name": [{"family": "Fall"}], "telecom": [{"system": "phone"}, {"system": "other", "value": "061"}], "address": [{"text": "Rue"}]},
    {"deceasedDateTime": "2020", "identifier": [{"system": "urn:x"}, {"value": "7", "type": {"coding": [{"display": "x"}]}}], "contact": [{"telecom": [{"system": "phone"}]}]},
]  # fmt: skip


def concept(system: str, code: str) -> Json:
    return {"coding": [{"system": system, "code": code}]}


def of_a_patient(who: str, practitioner: str) -> Iterator[Json]:
    """A record about `Patient/id`."""
    more: Json
    me, year, today = {"reference": who}, now().strftime("%Y"), now().strftime("%Y-%m-%dT%H:%M:%SZ")
    me_too = {"reference": practitioner}
    active = concept(TERMINOLOGY + "allergyintolerance-clinical", "active")
    for more in ({}, {"effectiveDateTime": year}, {"effectivePeriod": {"start": year}, "valueQuantity": {"value": 5}},
                 {"valueString": "x"}, {"valueCodeableConcept": BARE}, {"valueRange": {"low": {"value": 1}}}, {"valueBoolean": True},
                 {"component": [{"code": {"text": "a"}}]}, {"referenceRange": [{"text": "low"}], "valueQuantity": {"unit": "mg"}},
                 {"category": [concept(TERMINOLOGY + "observation-category", "laboratory")], "effectiveDateTime": year},
                 {"category": [concept(TERMINOLOGY + "observation-category", "vital-signs")], "valueQuantity": {"value": 5}}):  # fmt: skip
        yield {"resourceType": "Observation", "status": "final", "code": {"coding": [{"code": "c"}]}, "subject": me, **more}
    for more in ({}, {"onsetString": "long ago"}, {"onsetAge": {"value": 5, "code": "a", "system": "http://unitsofmeasure.org"}}, {"recordedDate": year, "code": BARE}, {"onsetDateTime": year}):
        yield {"resourceType": "Condition", "subject": me, "clinicalStatus": concept(TERMINOLOGY + "condition-clinical", "active"), **more}
    yield {"resourceType": "Condition", "subject": me, "clinicalStatus": {"coding": [{"display": "x"}, {"system": TERMINOLOGY + "condition-clinical", "code": "inactive"}]}}
    for more in ({}, {"reaction": [{"manifestation": [BARE]}]}, {"code": BARE}):
        yield {"resourceType": "AllergyIntolerance", "patient": me, "clinicalStatus": active, **more}
    for more in ({"medicationCodeableConcept": BARE}, {"medicationReference": {"display": "x"}, "authoredOn": year}, {"medicationCodeableConcept": {"coding": [{"code": "c"}]}, "dosageInstruction": [{"sequence": 1}]}):
        for status in ("active", "draft"):
            yield {"resourceType": "MedicationRequest", "status": status, "intent": "order", "subject": me, **more}
    for content in ({"title": "x"}, {"url": "https://elsewhere.example/x"}, {"contentType": "application/pdf", "creation": year}):
        yield {"resourceType": "DocumentReference", "status": "current", "subject": me, "content": [{"attachment": content}]}
    for more in ({}, {"period": {"start": year}}, {"period": {"start": now().strftime("%Y-%m")}}, {"period": {"end": today}}):
        for status in ("finished", "in-progress", "planned"):
            yield {"resourceType": "Encounter", "status": status, "class": {"code": "AMB"}, "subject": me,
                   "participant": [{"individual": me_too}], **more}  # fmt: skip
    for status in ("preliminary", "final"):
        yield {"resourceType": "Composition", "status": status, "type": BARE, "subject": me, "date": year, "author": [me_too], "title": "x"}
    for more in ({}, {"sent": year}, {"payload": [{"contentReference": me}]}):
        yield {"resourceType": "Communication", "status": "completed", "subject": me, "recipient": [me], **more}
    for more in ({}, {"date": year}, {"totalGross": {"value": 5}}, {"lineItem": [{"chargeItemCodeableConcept": BARE}], "totalNet": {"currency": "MAD"}}):
        for status in ("issued", "balanced"):
            yield {"resourceType": "Invoice", "status": status, "subject": me, **more}
    yield {"resourceType": "Consent", "status": "active", "patient": me, "scope": BARE, "category": [BARE], "policyRule": BARE}
    yield {"resourceType": "Consent", "status": "inactive", "patient": me, "scope": {"text": "x"}, "category": [{"text": "x"}],
           "policy": [{"uri": "urn:x"}], "dateTime": year, "provision": {"period": {"end": year}}}  # fmt: skip
    yield {"resourceType": "DiagnosticReport", "status": "final", "code": BARE, "subject": me, "presentedForm": [{"title": "x"}]}
    for more in ({}, {"occurrenceDateTime": year, "code": BARE}, {"authoredOn": year, "code": {"text": "x"}}):
        for status in ("active", "draft"):
            yield {"resourceType": "ServiceRequest", "status": status, "intent": "order", "subject": me, **more}
    yield {"resourceType": "Procedure", "status": "completed", "subject": me}
    yield {"resourceType": "Procedure", "status": "completed", "subject": me, "performedString": "once", "code": BARE}
    yield {"resourceType": "Immunization", "status": "completed", "patient": me, "vaccineCode": BARE, "occurrenceString": "once"}
    yield {"resourceType": "Immunization", "status": "completed", "patient": me, "vaccineCode": BARE, "occurrenceDateTime": year}
    yield {"resourceType": "Flag", "status": "active", "code": BARE, "subject": me}
    yield {"resourceType": "RelatedPerson", "patient": me}
    yield {"resourceType": "Coverage", "status": "active", "beneficiary": me, "payor": [{"display": "x"}]}
    yield {"resourceType": "Task", "status": "requested", "intent": "order", "for": me}
    yield {"resourceType": "QuestionnaireResponse", "status": "completed", "subject": me}
    yield {"resourceType": "Appointment", "status": "proposed", "participant": [{"actor": me, "status": "needs-action"}]}
    yield {"resourceType": "Appointment", "status": "cancelled", "participant": [{"actor": me, "status": "declined"}]}
    yield {"resourceType": "Appointment", "status": "waitlist", "participant": [{"actor": me, "status": "tentative"}],
           "requestedPeriod": [{"start": year}]}  # fmt: skip


def at_the_edge(who: str, practitioner: str, at: str) -> Iterator[Json]:
    """Records about `Patient/id` at a moment that hardly is on the calendar."""
    me, span = {"reference": who}, {"start": at, "end": at}
    participant = [{"actor": me, "status": "accepted"}]
    for category in ("laboratory", "vital-signs"):
        for more in ({"effectiveDateTime": at}, {"effectivePeriod": span}, {"issued": at}):
            yield {"resourceType": "Observation", "status": "final", "code": {"text": "c"}, "subject": me, "valueQuantity": {"value": 1},
                   "category": [concept(TERMINOLOGY + "observation-category", category)], **more}  # fmt: skip
    yield {"resourceType": "DocumentReference", "status": "current", "subject": me, "date": at, "content": [{"attachment": {"url": "urn:x", "creation": at}}]}
    yield {"resourceType": "DiagnosticReport", "status": "final", "code": BARE, "subject": me, "issued": at, "effectiveDateTime": at}
    for status in ("finished", "in-progress"):
        yield {"resourceType": "Encounter", "status": status, "class": {"code": "AMB"}, "subject": me, "period": span,
               "participant": [{"individual": {"reference": practitioner}}]}  # fmt: skip
    yield {"resourceType": "Composition", "status": "final", "type": BARE, "subject": me, "date": at, "author": [{"reference": practitioner}], "title": "x"}
    yield {"resourceType": "Condition", "subject": me, "onsetDateTime": at, "recordedDate": at, "clinicalStatus": concept(TERMINOLOGY + "condition-clinical", "active")}
    yield {"resourceType": "AllergyIntolerance", "patient": me, "onsetDateTime": at, "recordedDate": at,
           "clinicalStatus": concept(TERMINOLOGY + "allergyintolerance-clinical", "active")}  # fmt: skip
    yield {"resourceType": "MedicationRequest", "status": "active", "intent": "order", "subject": me, "authoredOn": at, "medicationCodeableConcept": {"text": "x"}}
    yield {"resourceType": "ServiceRequest", "status": "active", "intent": "order", "subject": me, "authoredOn": at, "occurrenceDateTime": at}
    yield {"resourceType": "Immunization", "status": "completed", "patient": me, "vaccineCode": BARE, "occurrenceDateTime": at}
    yield {"resourceType": "Procedure", "status": "completed", "subject": me, "performedDateTime": at}
    yield {"resourceType": "Communication", "status": "completed", "subject": me, "recipient": [me], "sent": at, "received": at, "payload": [{"contentString": "x"}]}
    yield {"resourceType": "Invoice", "status": "issued", "subject": me, "date": at}
    yield {"resourceType": "QuestionnaireResponse", "status": "completed", "subject": me, "authored": at}
    yield {"resourceType": "Consent", "status": "active", "patient": me, "scope": BARE, "category": [BARE], "policyRule": BARE, "dateTime": at, "provision": {"period": span}}
    yield {"resourceType": "Appointment", "status": "waitlist", "participant": participant, "requestedPeriod": [span], "created": at}
    if not at.endswith(":60Z"):
        start, end = at.replace("59:59", "59:00"), at.replace("T00:00", "T00:30")
        for status in ("proposed", "cancelled", "booked"):
            yield {"resourceType": "Appointment", "status": status, "start": start, "end": end, "participant": participant}


def appointments(client: Client, people: list[str]) -> list[Json]:
    """Visits of today at which people are references alone, words, or nobody."""
    found = []
    actors: list[Json] = [*({"actor": {"reference": each}} for each in people), {"actor": {"display": "Somebody"}}, {"type": [{"text": "x"}]}]
    statuses = itertools.cycle(("booked", "arrived", "fulfilled", "noshow", "pending"))
    for number, (status, actor) in enumerate(zip(statuses, [*actors, *actors], strict=False)):
        start = now() + timedelta(minutes=number)
        found.append(client.create({
            "resourceType": "Appointment", "status": status, "start": start.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "end": (start + timedelta(minutes=5)).strftime("%Y-%m-%dT%H:%M:%SZ"), "participant": [{"status": "accepted", **actor}],
        }))  # fmt: skip
    return found
