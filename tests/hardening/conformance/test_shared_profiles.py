"""Tenants whose profiles say the same share what was compiled; what the profiles rest on may differ all the same."""

from collections.abc import Callable

import pytest

from tests.client import Client
from tests.conftest import TestTenant
from tests.hardening.conformance.hostile import URL, Json, code_system, patient, profile, put

IMPOSE = "http://hl7.org/fhir/StructureDefinition/structuredefinition-imposeProfile"


def _part(id_: str, kind: str, *elements: Json, **more: object) -> Json:
    return {**profile(id_, *elements, kind=kind, **more), "kind": "complex-type"}


def _of(letter: str, other: bool) -> list[Json]:
    """What the tenants' profiles rest on: each tenant has its own under the same urls."""
    element = "Patient.birthDate" if other else "Patient.gender"
    required = {"id": element, "path": element, "min": 1}
    include = [{"system": f"{URL}codes", "concept": [{"code": letter}]}]
    value = {"id": "Extension.value[x]", "path": "Extension.value[x]", "min": 1,
             "type": [{"code": "integer" if other else "string"}]}  # fmt: skip
    fixed = {"id": "Extension.url", "path": "Extension.url", "fixedUri": f"{URL}extension"}
    return [
        profile("base", required), profile("imposed", required),
        _part("extension", "Extension", fixed, value, context=[{"type": "element", "expression": "Element"}]),
        _part("identifier", "Identifier", {"id": "Identifier.system", "path": "Identifier.system", "patternUri": f"urn:{letter}"}),
        {"resourceType": "ValueSet", "id": "values", "url": f"{URL}values", "status": "active", "compose": {"include": include}},
        code_system("codes", {"code": "a"}, {"code": "b"}),
    ]  # fmt: skip


def _sliced(path: str, kind: str, by: str) -> list[Json]:
    discriminator = {"type": "value", "path": "url"} if kind == "Extension" else {"type": "profile", "path": "$this"}
    return [
        {"id": path, "path": path, "slicing": {"discriminator": [discriminator], "rules": "open"}},
        {"id": f"{path}:one", "path": path, "sliceName": "one", "min": 1, "type": [{"code": kind, "profile": [f"{URL}{by}"]}]},
    ]  # fmt: skip


def _rule(id_: str, expression: str) -> Json:
    rules = [{"key": "x-1", "severity": "error", "human": "x", "expression": expression}]
    return profile(id_, differential={"element": [{"id": "Patient", "path": "Patient", "constraint": rules}]})


STATUS = "Patient.maritalStatus"
SAME: list[Json] = [
    profile("derived", baseDefinition=f"{URL}base"),
    profile("imposing", extension=[{"url": IMPOSE, "valueCanonical": f"{URL}imposed"}]),
    profile("bound", {"id": STATUS, "path": STATUS, "min": 1, "binding": {"strength": "required", "valueSet": f"{URL}values"}}),
    profile("extended", *_sliced("Patient.extension", "Extension", "extension")),
    profile("identified", *_sliced("Patient.identifier", "Identifier", "identifier")),
    _rule("conforming", f"conformsTo('{URL}base')"), _rule("member", f"maritalStatus.memberOf('{URL}values')"),
]  # fmt: skip


def _fitting(letter: str, other: bool) -> dict[str, Json]:
    """What fits the tenant's definitions, by profile; it does not fit those of the other."""
    known: Json = {"birthDate": "2000-01-01"} if other else {"gender": "female"}
    status = {"maritalStatus": {"coding": [{"system": f"{URL}codes", "code": letter}]}}
    value: Json = {"valueInteger": 1} if other else {"valueString": "x"}
    given: dict[str, Json] = {
        "derived": known, "imposing": known, "conforming": known, "bound": status, "member": status,
        "extended": {"extension": [{"url": f"{URL}extension", **value}]},
        "identified": {"identifier": [{"system": f"urn:{letter}", "value": "1"}]},
    }  # fmt: skip
    return {name: patient("p", name, **more) for name, more in given.items()}


@pytest.fixture
def pair(new_tenant: Callable[[], TestTenant]) -> tuple[Client, Client]:
    """Two tenants with the same profiles."""
    clients = new_tenant().client(), new_tenant().client()
    for client, other in zip(clients, (False, True), strict=True):
        _define(client, other)
        for definition in SAME:
            assert put(client, definition).status == 201
    return clients


def _define(client: Client, other: bool) -> None:
    for definition in _of("b" if other else "a", other):
        assert put(client, definition).status in (200, 201)


def _check(client: Client, other: bool) -> None:
    for name, fits in _fitting("b" if other else "a", other).items():
        assert put(client, fits).status in (200, 201), name
    for name, fits in _fitting("a" if other else "b", not other).items():
        assert put(client, fits).status == 422, name


def test_each_goes_by_its_own(pair: tuple[Client, Client]) -> None:
    first, second = pair
    for _ in range(2):
        _check(first, other=False)
        _check(second, other=True)
    # Each takes what the other had, whose compiled profiles are here still.
    _define(first, other=True)
    _define(second, other=False)
    _check(first, other=True)
    _check(second, other=False)
    _define(second, other=True)
    for client in pair:
        _check(client, other=True)
