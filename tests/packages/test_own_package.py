"""This server's own guide: built the same every time, installable, and its examples are what its profiles ask for."""

import gzip
import io
import json
import tarfile
from collections.abc import Callable
from typing import Any

import pytest

from fhir_server.conformance.own_definitions import own_definitions
from fhir_server.conformance.packages import own_package
from fhir_server.conformance.packages.content import read_package
from fhir_server.conformance.registry import base_registry
from tests.client import Client
from tests.conftest import TestTenant
from tests.packages.making import install, told

Json = dict[str, Any]
CONTENT = own_package.build()[2]
EXAMPLES = {f"{each['resourceType']}/{each['id']}": each for each in own_package.examples()}
PROFILED = {name: each for name, each in EXAMPLES.items() if "profile" in each.get("meta", {})}


@pytest.fixture(scope="module")
def client(new_tenant: Callable[[], TestTenant]) -> Client:
    """A client of a tenant in which the guide and its examples are installed."""
    client = new_tenant().client()
    answer = install(client, CONTENT, examples=True)
    assert answer.status == 200, answer.text
    strange = [note for note in told(answer) if "already" not in note]
    assert strange == []
    return client


def _members() -> dict[str, Any]:
    with tarfile.open(fileobj=io.BytesIO(CONTENT)) as archive:
        return {each.name: json.loads(archive.extractfile(each).read()) for each in archive}  # type: ignore[union-attr]


def test_the_same_definitions_give_the_same_bytes() -> None:
    assert own_package.build()[2] == CONTENT
    assert gzip.decompress(CONTENT)[:20].startswith(b"package/package.json")


def test_it_says_what_it_is() -> None:
    members = _members()
    manifest = members["package/package.json"]
    assert manifest["name"] == "salam.clinic"
    assert manifest["fhirVersions"] == ["4.0.1"]
    listed = {row["filename"] for row in members["package/.index.json"]["files"]}
    assert listed == {name.split("/")[1] for name in members if name.count("/") == 1} - {"package.json", ".index.json"}
    guide = members["package/ImplementationGuide-salam.clinic.json"]
    named = {row["reference"]["reference"] for row in guide["definition"]["resource"]}
    assert set(EXAMPLES) <= named
    assert len(named) == len(listed) - 1 + len(EXAMPLES)


def test_every_profile_has_a_snapshot_and_an_example() -> None:
    profiles = {each["url"] for each in own_definitions("structures") if each["type"] != "Extension"}
    shown = {url for each in PROFILED.values() for url in each["meta"]["profile"]}
    assert profiles == shown
    for each in _members().values():
        if each.get("resourceType") == "StructureDefinition":
            assert each["snapshot"]["element"][0]["path"] == each["type"]


def test_every_extension_is_used_by_a_profile() -> None:
    text = json.dumps([each for each in own_definitions("structures") if each["type"] != "Extension"])
    unused = {
        each["id"] for each in own_definitions("structures") if each["type"] == "Extension" and each["url"] not in text
    }
    assert unused <= {"validation-issue", "queue-position"}


def test_it_is_read_as_any_package() -> None:
    package = read_package(CONTENT, base_registry())
    assert package.notes == ()
    assert package.dependencies == {}


def _validated(client: Client, resource: Json, profile: str) -> list[Json]:
    """The errors and warnings of $validate against a profile."""
    kind = resource["resourceType"]
    body = {
        "resourceType": "Parameters",
        "parameter": [{"name": "resource", "resource": resource}, {"name": "profile", "valueUri": profile}],
    }
    issues: list[Json] = client.post(f"{kind}/$validate", body).issues
    return [each for each in issues if each["severity"] in ("fatal", "error")]


@pytest.mark.parametrize("name", PROFILED)
def test_the_examples_are_valid(client: Client, name: str) -> None:
    resource = PROFILED[name]
    assert client.get(name).status == 200
    for profile in resource["meta"]["profile"]:
        assert _validated(client, resource, profile) == []


def _without(name: str) -> Callable[[Json], None]:
    return lambda resource: resource.pop(name)


def _with(name: str, value: Any) -> Callable[[Json], None]:
    return lambda resource: resource.update({name: value})


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("Task/example-ticket", _without("identifier")),
        ("Task/example-ticket", _with("intent", "plan")),
        ("HealthcareService/example-queue", _without("extension")),
        ("Device/example-board", _without("location")),
        ("Device/example-board", _with("type", {"text": "television"})),
        ("ActivityDefinition/example-template", _with("kind", "Task")),
        ("CommunicationRequest/example-reminder", _without("identifier")),
        ("QuestionnaireResponse/example-answers", _without("questionnaire")),
        ("Appointment/example-waiting", _with("start", "2026-03-02T09:00:00Z")),
        ("Invoice/example-bill", _with("status", "cancelled")),
        ("Invoice/example-bill", _with("totalGross", {"value": 250, "currency": "EUR"})),
        ("PaymentReconciliation/example-payment", _without("detail")),
    ],
)
def test_what_breaks_a_profile_is_seen(client: Client, name: str, change: Callable[[Json], None]) -> None:
    resource = json.loads(json.dumps(PROFILED[name], default=float))
    change(resource)
    assert any(_validated(client, resource, profile) for profile in PROFILED[name]["meta"]["profile"])
