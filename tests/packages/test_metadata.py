"""What the CapabilityStatement says of installed definitions, in this process and in another one."""

import json
import urllib.request
from collections.abc import Callable
from typing import Any

from fhir_server import worker
from fhir_server.rest.dispatch import session
from fhir_server.storage import tenants
from tests.client import Client
from tests.conftest import TestTenant
from tests.packages.making import URL, guide, install, parameter, profile, remove

GUIDE = {
    "resourceType": "ImplementationGuide", "id": "test.ig", "url": f"{URL}/ImplementationGuide/test.ig",
    "version": "1.0.0", "name": "TestIg", "status": "active", "packageId": "test.ig", "fhirVersion": ["4.0.1"],
}  # fmt: skip
FAVOURITE = parameter("favourite", "Patient.extension.where(url = 'http://example.org/f').value", kind="token")


def _content() -> bytes:
    return guide("test.ig", "1.0.0", GUIDE, profile("p"), profile("old", status="retired"), FAVOURITE)


def _resource(statement: Any, name: str = "Patient") -> Any:
    return next(each for each in statement["rest"][0]["resource"] if each["type"] == name)


def test_guides_and_profiles_come_and_go_with_their_package(client: Client) -> None:
    before = client.get("metadata").json
    assert "implementationGuide" not in before
    assert f"{URL}/StructureDefinition/p" not in _resource(before).get("supportedProfile", [])
    assert install(client, _content()).status == 200
    during = client.get("metadata").json
    assert during["implementationGuide"] == [f"{URL}/ImplementationGuide/test.ig|1.0.0"]
    assert _resource(during)["supportedProfile"] == [f"{URL}/StructureDefinition/p"]
    assert remove(client, "test.ig").status == 200
    assert client.get("metadata").json == before


def test_a_profile_of_ones_own_is_supported_too(client: Client) -> None:
    assert client.post("StructureDefinition", profile("mine", "Basic")).status == 201
    assert _resource(client.get("metadata").json, "Basic")["supportedProfile"] == [f"{URL}/StructureDefinition/mine"]


def test_this_servers_profiles_are_supported_everywhere(client: Client) -> None:
    assert (
        "urn:salam:StructureDefinition:queue-ticket"
        in _resource(client.get("metadata").json, "Task")["supportedProfile"]
    )


def test_another_process_knows_at_its_next_request(live_server: str, tenant: TestTenant) -> None:
    token, mine = tenant.token(), tenant.client()

    def there(path: str) -> Any:
        headers = {"Authorization": f"Bearer {token}", "Prefer": "handling=strict"}
        request = urllib.request.Request(f"{live_server}/t/{tenant.slug}/fhir/{path}", headers=headers)
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.loads(answer.read())

    assert "implementationGuide" not in there("metadata")
    assert install(mine, _content()).status == 200
    seen = there("metadata")
    assert seen["implementationGuide"] == [f"{URL}/ImplementationGuide/test.ig|1.0.0"]
    assert f"{URL}/StructureDefinition/p" in _resource(seen)["supportedProfile"]
    assert there(f"StructureDefinition?url={URL}/StructureDefinition/p")["total"] == 1
    assert remove(mine, "test.ig").status == 200
    assert "implementationGuide" not in there("metadata")


def test_many_search_parameters_are_put_to_use_together(new_tenant: Callable[[], TestTenant]) -> None:
    tenant = new_tenant()
    client = tenant.client()
    for number in range(3):
        value = {"url": "http://example.org/5", "valueString": f"v{number}"}
        assert client.post("Patient", {"resourceType": "Patient", "extension": [value]}).status == 201
    expressions = [f"Patient.extension.where(url = 'http://example.org/{n}').value" for n in range(8)]
    parameters = [parameter(f"own-{n}", text, kind="string") for n, text in enumerate(expressions)]
    assert install(client, guide("test.many", "1.0.0", *parameters)).status == 200
    assert client.get("Patient?own-5=v1").status >= 400
    before = tenants.find(session(), tenant.slug).registry_version
    worker.backfill(tenant.slug)
    assert tenants.find(session(), tenant.slug).registry_version - before <= 2
    assert client.get("Patient?own-5=v1").json["total"] == 1
    shown = {each["name"] for each in _resource(client.get("metadata").json)["searchParam"]}
    assert {f"own-{n}" for n in range(8)} <= shown
