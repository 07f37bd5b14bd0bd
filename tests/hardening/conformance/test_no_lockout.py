"""Whatever definition a tenant stores, it can go on working, and take the definition away again."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.client import Client
from tests.conftest import TestTenant
from tests.hardening.conformance.hostile import (
    HEAVY,
    URL,
    Json,
    budget,
    code_system,
    goes_on,
    parameter,
    patient,
    profile,
    put,
    tags,
)

BIRTHDATE = {
    "definition": "http://hl7.org/fhir/SearchParameter/individual-birthdate", "expression": "birthDate",
}  # fmt: skip
UPDATED = {"definition": "http://hl7.org/fhir/SearchParameter/Resource-lastUpdated", "expression": "meta.lastUpdated"}


def _with(other: str, second: Json = BIRTHDATE, first: str = "gender") -> list[Json]:
    return [{"definition": f"{URL}{other}", "expression": first}, second]


@pytest.mark.parametrize(
    "version", ["1" * 5_000, "9." * 3_000, "²", "٣.٣", "1-" + "8" * 5_000, "|", "-", "a" * 10_000], ids=lambda v: v[:6]
)
@pytest.mark.parametrize("make", [code_system, profile], ids=["CodeSystem", "StructureDefinition"])
def test_odd_versions(client: Client, make: Callable[..., Json], version: str) -> None:
    definition = make("versioned", version=version)
    first = put(client, definition)
    assert first.status < 500
    # Versions are compared where there are two.
    assert put(client, {**definition, "id": "other", "version": "2"}).status < 500
    kept = [name for name in ("versioned", "other") if client.get(f"{definition['resourceType']}/{name}").status == 200]
    goes_on(client, *(f"{definition['resourceType']}/{name}" for name in kept))


@pytest.mark.parametrize("base", ["Patient", "Resource"])
def test_a_composite_of_itself(new_tenant: Callable[[], TestTenant], base: str) -> None:
    client = new_tenant().client()
    path = "Patient.gender" if base == "Patient" else "Resource.id"
    assert put(client, parameter("self", path, base)).status == 201
    components = _with("self") if base == "Patient" else _with("self", UPDATED, "id")
    assert put(client, parameter("self", base, base, "composite", component=components)).status == 422
    goes_on(client, "SearchParameter/self")


def test_two_composites_of_each_other(new_tenant: Callable[[], TestTenant]) -> None:
    client = new_tenant().client()
    pair = ("one", "two"), ("two", "one")
    for name, _ in pair:
        assert put(client, parameter(name, "Patient.gender")).status == 201
    entries = [
        {"resource": parameter(name, "Patient", kind="composite", component=_with(other)),
         "request": {"method": "PUT", "url": f"SearchParameter/{name}"}}
        for name, other in pair
    ]  # fmt: skip
    answer = client.post("", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert answer.status == 422
    goes_on(client, "SearchParameter/one", "SearchParameter/two")


def test_parameters_that_are_heavy_on_every_resource(new_tenant: Callable[[], TestTenant]) -> None:
    client = new_tenant().client()
    stored = []
    for number in range(4):
        with budget():
            answer = put(client, parameter(f"heavy{number}", f"Resource.id.where({HEAVY} > {number})", "Resource"))
        assert answer.status in (201, 422)
        stored += [f"SearchParameter/heavy{number}"] if answer.status == 201 else []
    goes_on(client, *stored)


ELEMENTS: dict[str, list[Json]] = {
    "without ids": [{"path": "Patient"}, {"path": "Patient.name"}],
    "in no order": [{"id": "Patient.name", "path": "Patient.name"}, {"id": "Patient", "path": "Patient"}],
    "of another type": [{"id": "Observation", "path": "Observation"}, {"id": "Observation.code", "path": "Observation.code"}],
    "an unknown child": [{"id": "Patient", "path": "Patient"}, {"id": "Patient.x", "path": "Patient.x", "min": 1}],
    "its own content": [{"id": "Patient", "path": "Patient"},
                        {"id": "Patient.contact", "path": "Patient.contact", "contentReference": "#Patient.contact"}],
    "its parent's content": [{"id": "Patient", "path": "Patient"},
                             {"id": "Patient.contact", "path": "Patient.contact", "contentReference": "#Patient"}],
    "content of nothing": [{"id": "Patient", "path": "Patient"},
                           {"id": "Patient.contact", "path": "Patient.contact", "contentReference": "#Patient.none"}],
    "a slice of nothing": [{"id": "Patient", "path": "Patient"},
                           {"id": "Patient.name:a", "path": "Patient.name", "sliceName": "a"}],
    **{f"max {most[:6]}": [{"id": "Patient", "path": "Patient"},
                           {"id": "Patient.name", "path": "Patient.name", "max": most, "type": [{"code": "HumanName"}]}]
       for most in ("x", "-1", "9" * 5_000, "1e3", "²", "")},
}  # fmt: skip


@pytest.fixture(scope="module")
def tagging(new_tenant: Callable[[], TestTenant]) -> Client:
    """A tenant that keeps StructureDefinitions although they break R4's rules."""
    client = new_tenant().client()
    tags(client, "StructureDefinition")
    return client


@pytest.mark.parametrize("name", ELEMENTS)
def test_snapshots_that_break_the_rules(tagging: Client, name: str) -> None:
    """The mode `tag` keeps what breaks rules; the engine may not fall over it."""
    answer = put(tagging, profile("broken", snapshot={"element": ELEMENTS[name]}))
    assert answer.status < 500, answer.text
    contact = [{"name": {"text": "x"}, "gender": "female"}]
    claims: Any = patient("claims", "broken", contact=contact)
    for told in (
        put(tagging, claims), tagging.post("Patient/$validate", claims),
        tagging.get(f"StructureDefinition/$snapshot?url={URL}broken"), tagging.get("metadata"),
        tagging.post(f"Patient/$fhirpath?expression=conformsTo('{URL}broken').not().not()", claims),
    ):  # fmt: skip
        assert told.status < 500, told.text
    if tagging.get("StructureDefinition/broken").status == 200:
        goes_on(tagging, "StructureDefinition/broken")
