"""What stands under the urls of this server's own definitions is the server's: a clinic works by it."""

from typing import Any

import pytest

from tests.client import Client
from tests.conftest import TestTenant
from tests.hardening.conformance.hostile import Json, code_system, parameter, profile, put
from tests.packages.making import guide, install, remove, told

OWN = "urn:salam:"
QUEUE = {"url": f"{OWN}StructureDefinition:queue-configuration", "extension": [{"url": "prefix", "valueString": "O"}]}
RESTRICTED = {"id": "Task.restriction", "path": "Task.restriction", "min": 1}
BOOLEAN = {"id": "Extension.value[x]", "path": "Extension.value[x]", "type": [{"code": "boolean"}]}
TAKEN: list[Json] = [
    {**parameter("a1", "Basic.code", "Basic"), "url": f"{OWN}SearchParameter:Task-queue"},
    {**parameter("a2", "Basic.code", "Basic"), "url": f"{OWN}SearchParameter:Task-ticket-state"},
    {**parameter("a3", "Basic.created", "Basic", "date"), "url": f"{OWN}SearchParameter:Appointment-hold-expires"},
    {**profile("a4", RESTRICTED, kind="Task"), "url": f"{OWN}StructureDefinition:queue-ticket"},
    {**profile("a5", BOOLEAN, kind="Extension"), "url": f"{OWN}StructureDefinition:hold-expires",
     "kind": "complex-type", "context": [{"type": "element", "expression": "Patient"}]},
    {**code_system("a6", {"code": "x"}), "url": f"{OWN}CodeSystem:ticket-state"},
]  # fmt: skip


@pytest.fixture(scope="module")
def queue(tenant: TestTenant) -> str:
    """The id of an open queue."""
    client = tenant.client()
    service: Any = client.create({"resourceType": "HealthcareService", "active": True, "extension": [QUEUE]})
    assert client.post(f"HealthcareService/{service['id']}/$open").status == 200
    return str(service["id"])


def _works(client: Client, queue: str) -> None:
    ticket = client.post(f"HealthcareService/{queue}/$take-ticket")
    assert ticket.status == 200, ticket.text
    assert client.search(f"Task?queue=HealthcareService/{queue}&_id={ticket.id}")
    called = client.post(f"HealthcareService/{queue}/$call-next")
    assert called.status == 200, called.text


@pytest.mark.parametrize("definition", TAKEN, ids=lambda each: each["url"].rpartition(":")[2])
def test_nobody_writes_there(client: Client, queue: str, definition: Json) -> None:
    assert put(client, definition).status == 422
    _works(client, queue)


def test_a_package_leaves_it_as_it_is(client: Client, queue: str) -> None:
    answer = install(client, guide("hostile.own", "1.0.0", *TAKEN))
    assert answer.status == 200, answer.text
    assert told(answer, "package")[0]["resources"] == 0
    _works(client, queue)
    assert remove(client, "hostile.own").status == 200
    _works(client, queue)
