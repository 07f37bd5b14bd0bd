"""Profiles that would keep a web worker busy for minutes: a refusal or an answer within seconds, and nobody else waits."""

from typing import Any

from fhir_server.fhirpath import allowance, nodes
from tests.client import Answer, Client
from tests.hardening.conformance.hostile import Json, budget, goes_on, patient, profile, put

# Three within each other: cubic in what the resource holds.
WITHIN = (
    "%resource.descendants().where(%resource.descendants().where(%resource.descendants().exists()).exists()).exists()"
)


def test_what_a_server_gives_is_a_few_seconds() -> None:
    """The tests of this folder run with a fifth of it (conftest)."""
    assert allowance.MOST_SECONDS * 5 <= 5.0
    assert nodes.MOST_SECONDS * 5 <= 1.0


def _rule(key: str, expression: str) -> Json:
    return {"key": key, "severity": "error", "human": key, "expression": expression}


def _bounded(client: Client, resource: Json) -> list[Answer]:
    with budget():
        stored = put(client, resource)
    with budget():
        told = client.post(f"{resource['resourceType']}/$validate", resource)
    assert stored.status in (200, 201, 422), stored.text
    assert told.status in (200, 422), told.text
    return [stored, told]


def test_invariants_on_every_item(client: Client) -> None:
    rules = [_rule(f"h-{number}", WITHIN) for number in range(5)]
    assert put(client, profile("each", {"id": "Patient.name", "path": "Patient.name", "constraint": rules})).status == 201
    names = [{"family": f"f{number}", "given": ["a", "b"]} for number in range(300)]
    _bounded(client, patient("each", "each", name=names))
    goes_on(client, "StructureDefinition/each")


def test_an_extension_with_heavy_invariants(client: Client) -> None:
    url = "http://hostile.example/ext"
    element: Json = {"id": "Extension", "path": "Extension", "constraint": [_rule(f"e-{n}", WITHIN) for n in range(9)]}
    fixed = {"id": "Extension.url", "path": "Extension.url", "fixedUri": url}
    context = [{"type": "element", "expression": "Element"}]
    definition = profile("ext", kind="Extension", context=context, differential={"element": [element, fixed]})
    assert put(client, definition).status == 201
    extensions: list[Any] = [{"url": url, "valueString": "x"}] * 5
    _bounded(client, patient("ext", extension=extensions, name=[{"text": f"n{n}"} for n in range(300)]))
    goes_on(client, "StructureDefinition/ext")


def test_profiles_that_ask_for_one_another(client: Client) -> None:
    for name, other in (("ask1", "ask2"), ("ask2", "ask3"), ("ask3", "ask1")):
        asks = f"%resource.conformsTo('http://hostile.example/{other}')"
        rules = [_rule(f"{name}-{n}", f"{asks} and {asks} and {WITHIN}") for n in range(3)]
        path = "Questionnaire.item"
        definition = profile(name, {"id": path, "path": path, "constraint": rules}, kind="Questionnaire")
        assert put(client, definition).status == 201
    items = [{"linkId": str(n), "type": "group", "text": "t", "item": [{"linkId": f"{n}.1", "type": "string"}]}
             for n in range(60)]  # fmt: skip
    claims: Json = {"meta": {"profile": ["http://hostile.example/ask1"]}}
    _bounded(client, {"resourceType": "Questionnaire", "id": "ask", "status": "draft", **claims, "item": items})
    goes_on(client, "StructureDefinition/ask1", "StructureDefinition/ask2", "StructureDefinition/ask3")


def test_a_pattern_of_twenty_thousand_codes(client: Client) -> None:
    """Known bad: each code of the pattern looked for in each of the resource is 200 million comparisons."""
    coding = [{"system": "s", "code": str(number)} for number in range(20_000)]
    path = "Patient.maritalStatus"
    with budget():
        answer = put(client, profile("large", {"id": path, "path": path, "patternCodeableConcept": {"coding": coding}}))
    assert answer.status in (201, 422)
    _bounded(client, patient("large", "large", maritalStatus={"coding": coding[::-1]}))
    if answer.status == 201:
        goes_on(client, "StructureDefinition/large")


def test_thousands_of_slices_and_items(client: Client) -> None:
    path = "Patient.identifier"
    slices: list[Json] = [
        {"id": path, "path": path, "slicing": {"discriminator": [{"type": "value", "path": "system"}], "rules": "open"}}
    ]
    for number in range(900):
        slices.append({"id": f"{path}:s{number}", "path": path, "sliceName": f"s{number}"})
        fixed = {"id": f"{path}:s{number}.system", "path": f"{path}.system", "patternUri": f"urn:s:{number}"}
        slices.append(fixed)
    with budget():
        answer = put(client, profile("slices", *slices))
    assert answer.status in (201, 422)
    _bounded(client, patient("slices", "slices", identifier=[{"system": f"urn:x:{n}"} for n in range(3_000)]))
    if answer.status == 201:
        goes_on(client, "StructureDefinition/slices")
