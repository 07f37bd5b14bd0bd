"""This server's own profiles and extensions have snapshots, and can be used."""

from typing import Any

import pytest

from fhir_server.conformance import base_definitions
from fhir_server.conformance.own_definitions import own_definitions
from fhir_server.conformance.registry import base_registry
from fhir_server.conformance.snapshots import snapshot_of
from fhir_server.validation.run import check
from fhir_server.validation.structure_definitions import check_definition

OWN = {definition["id"]: definition for definition in own_definitions("structures")}


@pytest.mark.parametrize("name", OWN)
def test_each_has_a_snapshot_that_says_what_its_differential_says(name: str) -> None:
    elements = {element["id"]: element for element in snapshot_of(OWN[name], base_definitions.find)}
    assert next(iter(elements)) == OWN[name]["type"]
    for entry in OWN[name]["differential"]["element"]:
        held: dict[str, Any] = elements[entry["id"]]
        said = {key: value for key, value in entry.items() if key in ("short", "min", "max", "binding", "fixedUri")}
        assert {key: held[key] for key in said} == said, entry["id"]


@pytest.mark.parametrize("name", OWN)
def test_each_can_be_used(name: str) -> None:
    assert check_definition(OWN[name], base_definitions.find) == []


@pytest.mark.parametrize("name", OWN)
def test_each_is_valid_with_its_snapshot(name: str) -> None:
    elements = snapshot_of(OWN[name], base_definitions.find)
    whole = {**OWN[name], "snapshot": {"element": elements}}
    assert [issue for issue in check(base_registry(), whole) if issue.severity == "error"] == []
