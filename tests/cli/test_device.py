"""fhir-server device: boards and kiosks made, paired, listed and ended by the operator."""

import json
from typing import Any

import pytest
from click.testing import CliRunner

from fhir_server.cli import commands
from fhir_server.core.errors import Invalid
from tests.client import Client
from tests.conftest import TestTenant


def call(tenant: TestTenant, *arguments: str) -> Any:
    """The JSON that a command prints."""
    result = CliRunner().invoke(commands, ["device", *arguments, "--tenant", tenant.slug, "--json"], standalone_mode=False)
    if result.exception:
        raise result.exception
    return json.loads(result.stdout)


def test_a_board_is_made_paired_and_ended(tenant: TestTenant, client: Client) -> None:
    site = f"Location/{client.create({'resourceType': 'Location'})['id']}"
    made = call(tenant, "create", "--kind", "board", "--location", site, "--name", "Hall", "--language", "ar", "--queue", "HealthcareService/q")
    stored = client.get(made["device"]).json
    assert (stored["location"], stored["deviceName"][0]["name"]) == ({"reference": site}, "Hall")
    assert {part["url"] for part in stored["extension"][0]["extension"]} == {"queue", "language"}
    assert made["code"] in made["url"] and len(made["code"]) == 9
    again = call(tenant, "pair", made["device"])
    assert again["code"] != made["code"]
    assert call(tenant, "list") == [{"device": made["device"], "kind": "board", "state": "waiting"}]
    assert call(tenant, "unpair", made["device"].partition("/")[2])["ended"] is True
    assert call(tenant, "list")[0]["state"] == "ended"


@pytest.mark.parametrize("arguments", [
    ("create", "--kind", "kiosk", "--location", "Location/nowhere"), ("pair", "nothing"), ("unpair", "nothing"),
])  # fmt: skip
def test_mistakes_are_explained(tenant: TestTenant, arguments: tuple[str, ...]) -> None:
    with pytest.raises(Invalid, match=r"known|paired"):
        call(tenant, *arguments)
