"""What the demo and the desk write is what this server's profiles ask for. (What a clinic's day leaves behind:
tests/features/test_own_profiles.py)"""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from flask import Flask, g

from fhir_server.core.context import Tenant
from fhir_server.core.resource_json import decode, encode
from fhir_server.demo.agenda import Person, agenda_bundle
from fhir_server.demo.services import service_resources
from fhir_server.demo.site import site_resources
from tests.client import Client
from ui.desk.invoices import Line, Paid, invoice, payment

Json = dict[str, Any]
NOW = datetime(2026, 3, 3, 11, tzinfo=UTC)
S = "urn:salam:StructureDefinition:"


def _profile_of(resource: Json) -> str | None:
    """The profile that a resource is meant to have."""
    kind = resource["resourceType"]
    urls = {each["url"] for each in resource.get("extension", ())}
    if kind == "HealthcareService":
        return "waiting-queue" if f"{S}queue-configuration" in urls else "bookable-service"
    if kind == "Appointment":
        return "waitlist-entry" if resource["status"] == "waitlist" else "booked-appointment"
    if kind == "Device":
        return "waiting-device" if f"{S}waiting-room" in urls else None
    return {"Schedule": "agenda-schedule", "Slot": "taken-slot", "Encounter": "visit", "Invoice": "visit-invoice",
            "PaymentReconciliation": "visit-payment"}.get(kind)  # fmt: skip


def _written() -> Iterator[Json]:
    yield from service_resources()
    yield from site_resources(NOW.date())
    people = [Person(f"Patient/p{i}", f"P {i}", i % 2 == 0, NOW.date().replace(year=1970 + i)) for i in range(40)]
    seen: dict[str, Json] = {}
    for days in (-1, 0, 1):
        for entry in agenda_bundle(Random(1), people, NOW, days):
            resource = entry["resource"]
            # One of each kind in each state is enough.
            seen.setdefault(f"{resource['resourceType']} {resource['status']}", resource)
    yield from seen.values()
    yield from _bills()


def _bills() -> list[Json]:
    """A bill with its payments, as the desk's pages make them in Casablanca."""
    lines = [Line("Consultation", Decimal("250.00")), Line("ECG", Decimal("120.50"))]
    with Flask("desk").app_context():
        g.tenant = Tenant(1, "desk", "Desk", "Africa/Casablanca")
        bill = invoice("k-1", "Patient/p1", lines, "MAD", NOW, visit="v1", issuer="Organization/o1")
        ways = (Paid("cash", tendered=Decimal(400)), Paid("card", slip="123"))
        paid = [payment("k-2", {**bill, "id": "b1"}, "Invoice/b1", way, NOW, "Practitioner/p2") for way in ways]
    return [bill, *paid]


# As the server reads them: decimals exact.
WRITTEN = [(profile, decode(encode(each))) for each in _written() if (profile := _profile_of(each))]


def test_there_is_some_of_each() -> None:
    assert {profile for profile, _ in WRITTEN} >= {
        "waiting-queue", "bookable-service", "waitlist-entry", "booked-appointment", "waiting-device",
        "agenda-schedule", "taken-slot", "visit-invoice", "visit-payment",
    }  # fmt: skip


@pytest.mark.parametrize(("profile", "resource"), WRITTEN)
def test_it_conforms(client: Client, profile: str, resource: Json) -> None:
    body = {
        "resourceType": "Parameters",
        "parameter": [{"name": "resource", "resource": resource}, {"name": "profile", "valueUri": f"{S}{profile}"}],
    }
    issues = client.post(f"{resource['resourceType']}/$validate", body).issues
    assert [each for each in issues if each["severity"] in ("fatal", "error")] == []
