"""$explain-access tells what denies, to those who review, and nothing of what is denied. sec-46"""

from typing import Any

import pytest

from tests.client import Client
from tests.conftest import TestTenant
from tests.consent.people import user
from tests.consent.words import actor, consent, observation


def asked(who: Client, path: str, **values: str) -> Any:
    """The parameters of the answer, as (name, by, consent)."""
    query = "&".join(f"{name}={value}" for name, value in values.items())
    answer = who.get(f"{path}/$explain-access?{query}")
    assert answer.status == 200, answer.text
    found: list[str] = []
    for each in answer.json["parameter"]:
        parts = [part.get("valueCode") or part["valueReference"]["reference"] for part in each.get("part", ())]
        found.append(each.get("valueCode") or " ".join(parts))
    return found


@pytest.fixture(scope="module")
def manager(tenant: TestTenant) -> Client:
    return user(tenant, "owner")


def test_what_denies(client: Client, manager: Client) -> None:
    patient = client.create({"resourceType": "Patient"})["id"]
    path = f"Observation/{client.create(observation(patient))['id']}"
    assert asked(manager, path, role="nurse") == ["permit"]
    assert asked(manager, path, role="receptionist") == ["deny", "role"]
    provision = {"type": "permit", "provision": [{"type": "deny", "actor": [actor("Practitioner/a"), actor("client:x")]}]}
    first = client.create(consent(patient, provision))["id"]
    assert asked(manager, path, role="nurse") == ["permit"]
    assert asked(manager, path, role="nurse", actor="Practitioner/a") == ["deny", f"consent Consent/{first}"]
    assert asked(manager, path, role="nurse", client="x") == ["deny", f"consent Consent/{first}"]
    second = client.create(consent(patient, {"type": "deny"}))["id"]
    both = ["deny", f"consent Consent/{first}", f"consent Consent/{second}"]
    # It is hidden from the one who asks, too, and yet explained.
    assert manager.get(path).status == 404
    assert asked(manager, path, role="nurse", actor="Practitioner/a") == both
    assert asked(manager, f"Patient/{patient}", role="nurse") == ["deny", f"consent Consent/{second}"]


def test_labels(client: Client, manager: Client) -> None:
    patient = client.create({"resourceType": "Patient"})["id"]
    low = client.create(observation(patient, "1-8", "L"))["id"]
    assert asked(manager, f"Observation/{low}", role="nurse") == ["permit"]
    # What labels withhold from the one who asks is missing.
    high = client.create(observation(patient, "1-8", "V"))["id"]
    assert manager.get(f"Observation/{high}/$explain-access?role=nurse").status == 404
    assert manager.get("Observation/none/$explain-access?role=nurse").status == 404


def test_who_may_ask(tenant: TestTenant, client: Client, manager: Client) -> None:
    patient = client.create({"resourceType": "Patient"})["id"]
    path = f"Patient/{patient}/$explain-access?role="
    assert user(tenant, "practitioner", "Practitioner/a").get(f"{path}nurse").status == 403
    assert tenant.client("system/*.rs").get(f"{path}nurse").status == 403
    assert manager.get(f"{path}patient").status == 400
    assert manager.get(f"{path}wizard").status == 400
