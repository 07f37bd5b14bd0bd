"""Spoiled examples and definitions sent to every operation of conformance: an answer soon, and never a fault of ours."""

from random import Random
from typing import Any

import pytest

from fhir_server.core.resource_json import encode
from tests.client import Client
from tests.fuzz.generator import mutated, samples
from tests.hardening.conformance.hostile import URL, Json, budget, code_system, parameter, profile

CONSTRAINT = {"key": "x-1", "severity": "error", "human": "x", "expression": "given.exists() or family.exists()"}
SLICING = {"discriminator": [{"type": "value", "path": "system"}], "rules": "open"}
PATH = "Patient.identifier"
DEFINITIONS: list[Json] = [
    profile("m1", {"id": "Patient.name", "path": "Patient.name", "min": 1, "constraint": [CONSTRAINT]},
            {"id": "Patient.maritalStatus", "path": "Patient.maritalStatus",
             "binding": {"strength": "required", "valueSet": f"{URL}values"}}),
    profile("m2", {"id": PATH, "path": PATH, "slicing": SLICING}, {"id": f"{PATH}:a", "path": PATH, "sliceName": "a", "max": "1"},
            {"id": f"{PATH}:a.system", "path": f"{PATH}.system", "fixedUri": "urn:a"}),
    profile("m3", snapshot={"element": [
        {"id": "Patient", "path": "Patient", "min": 0, "max": "*"},
        {"id": "Patient.contact", "path": "Patient.contact", "min": 0, "max": "2", "type": [{"code": "BackboneElement"}]},
        {"id": "Patient.link", "path": "Patient.link", "contentReference": "#Patient.contact"}]}),
    {"resourceType": "ValueSet", "id": "values", "url": f"{URL}values", "status": "active", "compose": {
        "include": [{"system": f"{URL}codes", "filter": [{"property": "concept", "op": "is-a", "value": "a"}]},
                    {"system": f"{URL}codes", "concept": [{"code": "b", "designation": [{"language": "fr", "value": "x"}]}]}],
        "exclude": [{"valueSet": [f"{URL}values"]}]}, "expansion": {"timestamp": "2020-01-01T00:00:00Z", "contains": [{"code": "a"}]}},
    code_system("codes", {"code": "a", "concept": [{"code": "b", "property": [{"code": "p", "valueDecimal": 1.5}]}]},
                property=[{"code": "p", "type": "decimal"}], filter=[{"code": "p", "operator": ["="], "value": "x"}]),
    {"resourceType": "ConceptMap", "id": "map", "url": f"{URL}map", "status": "active", "group": [
        {"source": f"{URL}codes", "target": "urn:t", "element": [{"code": "a", "target": [{"code": "z", "equivalence": "equal"}]}],
         "unmapped": {"mode": "other-map", "url": f"{URL}map"}}]},
    parameter("m-parameter", "Patient.name.where(use = 'official').family", kind="string"),
    {"resourceType": "Questionnaire", "id": "q", "url": f"{URL}q", "status": "active", "item": [
        {"linkId": "1", "type": "choice", "answerValueSet": f"{URL}values", "enableWhenBehavior": "all",
         "enableWhen": [{"question": "2", "operator": ">", "answerInteger": 1}]}, {"linkId": "2", "type": "integer"}]},
]  # fmt: skip
EXPRESSIONS = (
    "descendants().count()", "descendants().where($this is string).first()", f"conformsTo('{URL}m1')",
    "descendants().ofType(Reference).resolve()", "children().elementDefinition()", "repeat(children()).type()",
)  # fmt: skip


def _asked(name: str, resource: Any, **more: str) -> Json:
    strings = [{"name": key, "valueString": value} for key, value in more.items()]
    return {"resourceType": "Parameters", "parameter": [*strings, {"name": name, "resource": resource}]}


def _send(client: Client, resource: Any, random: Random) -> None:
    kind = resource.get("resourceType") if isinstance(resource, dict) else None
    kind = kind if isinstance(kind, str) and kind.isalpha() and kind.isascii() else "Patient"
    requests: list[tuple[str, str, Any]] = [
        ("POST", f"{kind}/$validate?profile={URL}m1", resource),
        ("POST", f"{kind}/$validate", _asked("resource", resource)),
        ("POST", "$fhirpath", _asked("resource", resource, expression=random.choice(EXPRESSIONS))),
        ("PUT", f"{kind}/{resource.get('id')}" if isinstance(resource, dict) else kind, resource),
        ("POST", "StructureDefinition/$snapshot", _asked("definition", resource)),
        ("POST", "ValueSet/$expand?count=5", _asked("valueSet", resource)),
        ("POST", "ValueSet/$validate-code?system=urn:x&code=a", _asked("valueSet", resource)),
        ("POST", "ConceptMap/$translate?system=urn:x&code=a", _asked("conceptMap", resource)),
        ("POST", "CodeSystem/$lookup", _asked("coding", resource)),
    ]
    for method, path, body in requests:
        if "\x00" in path or not path.isascii() or not path.isprintable():
            continue
        with budget(5):
            answer = client.request(method, path, encode(body))
        assert answer.status < 500, (method, path, encode(body)[:2_000])


@pytest.mark.parametrize("seed", range(6))
def test_definitions(client: Client, seed: int) -> None:
    random = Random(seed)
    for _ in range(3):
        for definition in DEFINITIONS:
            _send(client, mutated(random, definition), random)
    # The tenant is in use still, with whatever was let in.
    for path in ("Patient?_count=1", "metadata", f"ValueSet/$expand?url={URL}values&count=1", "$packages"):
        assert client.get(path).status in (200, 404, 422), path
    kept = {"resourceType": "Patient", "id": "kept", "meta": {"profile": [f"{URL}m1", f"{URL}m2", f"{URL}m3"]}}
    assert client.put("Patient/kept", {**kept, "name": [{"family": "x"}], "identifier": [{"system": "urn:a"}]}).status < 500


@pytest.mark.parametrize("seed", range(4))
def test_examples(client: Client, seed: int) -> None:
    random = Random(seed)
    for resource in random.sample(samples(), min(12, len(samples()))):
        _send(client, mutated(random, resource), random)
