"""patch: JSON Patch (RFC 6902) and FHIRPath Patch. https://hl7.org/fhir/R4/http.html#patch, fhirpatch.html"""

from typing import Any

import pytest

from tests.client import Answer, Client
from tests.rest.answers import refused, versions
from tests.rest.bodies import mark, patient

Steps = list[dict[str, Any]]


def steps(client: Client, url: str, body: Any, **headers: str) -> Answer:
    return client.patch(url, body, content_type="application/json-patch+json", **headers)


def operation(type: str, path: str, **more: Any) -> dict[str, Any]:
    """One FHIRPath Patch operation. `more`: name, index, source, destination or value with its type (valueCode=...)."""
    parts: Steps = [{"name": "type", "valueCode": type}, {"name": "path", "valueString": path}]
    for name, value in more.items():
        if name.startswith("value"):
            parts.append({"name": "value", name: value})
        elif name == "name":
            parts.append({"name": "name", "valueString": value})
        elif name == "part":
            parts.append({"name": "value", "part": value})
        else:
            parts.append({"name": name, "valueInteger": value})
    return {"name": "operation", "part": parts}


def parameters(*operations: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Parameters", "parameter": list(operations)}


def person(client: Client) -> tuple[str, dict[str, Any]]:
    stored = client.create(patient(mark(), gender="female", name=[{"family": "A", "given": ["x", "y"]}, {"text": "B"}]))
    return f"Patient/{stored['id']}", stored


JSON_ROWS: list[tuple[Steps, dict[str, Any]]] = [
    ([{"op": "add", "path": "/active", "value": True}], {"active": True}),
    ([{"op": "replace", "path": "/gender", "value": "male"}], {"gender": "male"}),
    ([{"op": "remove", "path": "/gender"}], {"gender": None}),
    ([{"op": "add", "path": "/name/-", "value": {"text": "C"}}], {"name": 3}),
    ([{"op": "add", "path": "/name/0", "value": {"text": "C"}}], {"name": 3}),
    ([{"op": "remove", "path": "/name/1"}], {"name": 1}),
    ([{"op": "copy", "from": "/name/0", "path": "/name/-"}], {"name": 3}),
    ([{"op": "move", "from": "/name/1/text", "path": "/name/0/text"}, {"op": "remove", "path": "/name/1"}], {"name": 1}),
    ([{"op": "test", "path": "/gender", "value": "female"}, {"op": "remove", "path": "/gender"}], {"gender": None}),
]


@pytest.mark.parametrize(("body", "expected"), JSON_ROWS)
def test_json_patch(client: Client, body: Steps, expected: dict[str, Any]) -> None:
    local, _ = person(client)
    answer = steps(client, local, body)
    assert answer.status == 200, answer.text
    assert answer.headers["ETag"] == 'W/"2"'
    assert client.get(local).json == answer.json
    for name, value in expected.items():
        found = answer.json.get(name)
        assert (len(found) if isinstance(value, int) and not isinstance(value, bool) else found) == value


FHIRPATH_ROWS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (parameters(operation("add", "Patient", name="active", valueBoolean=True)), {"active": True}),
    (parameters(operation("replace", "Patient.gender", valueCode="male")), {"gender": "male"}),
    (parameters(operation("delete", "Patient.gender")), {"gender": None}),
    (parameters(operation("insert", "Patient.name[0].given", index=1, valueString="z")), {"given": ["x", "z", "y"]}),
    (parameters(operation("move", "Patient.name[0].given", source=0, destination=1)), {"given": ["y", "x"]}),
    (parameters(operation("delete", "Patient.name.where(text = 'B')")), {"name": 1}),
    (parameters(operation("add", "Patient", name="name", valueHumanName={"text": "C"})), {"name": 3}),
    (
        parameters(
            operation("add", "Patient", name="contact", part=[{"name": "name", "valueHumanName": {"text": "M"}}])
        ),
        {"contact": 1},
    ),
]


@pytest.mark.parametrize(("body", "expected"), FHIRPATH_ROWS)
def test_fhirpath_patch(client: Client, body: dict[str, Any], expected: dict[str, Any]) -> None:
    local, _ = person(client)
    answer = client.patch(local, body)
    assert answer.status == 200, answer.text
    read = client.get(local).json
    assert read == answer.json
    for name, value in expected.items():
        found = read["name"][0].get("given") if name == "given" else read.get(name)
        assert (len(found) if isinstance(value, int) and not isinstance(value, bool) else found) == value


def test_fhirpath_patch_as_xml(client: Client) -> None:
    local, _ = person(client)
    body = (
        '<Parameters xmlns="http://hl7.org/fhir"><parameter><name value="operation"/>'
        '<part><name value="type"/><valueCode value="replace"/></part>'
        '<part><name value="path"/><valueString value="Patient.gender"/></part>'
        '<part><name value="value"/><valueCode value="other"/></part></parameter></Parameters>'
    )
    assert client.patch(local, body, content_type="application/fhir+xml").json["gender"] == "other"


def test_a_patch_that_changes_nothing_makes_no_version(client: Client) -> None:
    local, stored = person(client)
    answer = steps(client, local, [{"op": "replace", "path": "/gender", "value": "female"}])
    assert (answer.status, answer.json) == (200, stored)
    assert versions(client, local) == ["1"]


REFUSED: list[tuple[Any, str]] = [
    ([{"op": "test", "path": "/gender", "value": "male"}, {"op": "remove", "path": "/name"}], "a test that fails"),
    ([{"op": "remove", "path": "/nothing"}], "nothing there"),
    ([{"op": "replace", "path": "/name/9", "value": {}}], "no such place"),
    ([{"op": "add", "path": "/name/9", "value": {}}], "beyond the end"),
    ([{"op": "fly", "path": "/name"}], "no such operation"),
    ([{"op": "add", "path": "name", "value": 1}], "no pointer"),
    ([{"op": "add", "path": "/gender"}], "no value"),
    ([{"path": "/gender"}], "no operation"),
    (["add"], "no object"),
    ({"op": "add"}, "no list"),
    ([{"op": "replace", "path": "", "value": []}], "the resource becomes a list"),
    ([{"op": "add", "path": "/gender", "value": "divers"}], "invalid afterwards"),
    ([{"op": "replace", "path": "/id", "value": "other"}], "another id"),
    ([{"op": "replace", "path": "/resourceType", "value": "Group"}], "another type"),
    ([{"op": "move", "from": "/name", "path": "/name/0"}], "into itself"),
]


@pytest.mark.parametrize(("body", "why"), REFUSED, ids=[why for _, why in REFUSED])
def test_a_json_patch_that_cannot_be_applied(client: Client, body: Any, why: str) -> None:
    local, stored = person(client)
    refused(steps(client, local, body), (400, 409, 412, 422))
    assert client.get(local).json == stored


REFUSED_PARAMETERS: list[tuple[dict[str, Any], str]] = [
    (parameters(operation("fly", "Patient.gender")), "no such operation"),
    (parameters(operation("replace", "Patient.gender[", valueCode="male")), "no FHIRPath"),
    (parameters(operation("replace", "Patient.nothing", valueCode="male")), "no such element"),
    (parameters(operation("replace", "Patient.name", valueHumanName={"text": "x"})), "several places"),
    (parameters(operation("add", "Patient", valueBoolean=True)), "no name"),
    (parameters(operation("add", "Patient", name="active")), "no value"),
    (parameters(operation("insert", "Patient.name", index=9, valueHumanName={"text": "x"})), "beyond the end"),
    (parameters(operation("move", "Patient.name", source=5, destination=0)), "no such source"),
    (parameters(operation("replace", "Patient.gender", valueCode="divers")), "invalid afterwards"),
    (parameters(operation("replace", "Patient.id", valueId="other")), "another id"),
    (parameters({"name": "operation"}), "empty"),
    (parameters({"name": "else"}), "another parameter"),
    ({"resourceType": "Patient"}, "no Parameters"),
]


@pytest.mark.parametrize(("body", "why"), REFUSED_PARAMETERS, ids=[why for _, why in REFUSED_PARAMETERS])
def test_a_fhirpath_patch_that_cannot_be_applied(client: Client, body: dict[str, Any], why: str) -> None:
    local, stored = person(client)
    refused(client.patch(local, body), (400, 422))
    assert client.get(local).json == stored


def test_if_match(client: Client) -> None:
    local, _ = person(client)
    change: Steps = [{"op": "add", "path": "/active", "value": True}]
    refused(steps(client, local, change, if_match='W/"8"'), 412, "http.If-Match")
    assert steps(client, local, change, if_match='W/"1"').headers["ETag"] == 'W/"2"'


def test_what_is_not_there_cannot_be_patched(client: Client) -> None:
    change: Steps = [{"op": "add", "path": "/active", "value": True}]
    refused(steps(client, f"Patient/{mark()}", change), 404)
    local, _ = person(client)
    client.delete(local)
    refused(steps(client, local, change), (404, 410))


@pytest.mark.parametrize("kind", ["application/merge-patch+json", "text/plain", "image/png"])
def test_other_patch_formats_are_415(client: Client, kind: str) -> None:
    local, _ = person(client)
    refused(client.patch(local, b'{"active":true}', content_type=kind), 415)


def test_prefer_minimal(client: Client) -> None:
    local, _ = person(client)
    answer = steps(client, local, [{"op": "remove", "path": "/gender"}], prefer="return=minimal")
    assert (answer.status, answer.body, answer.headers["ETag"]) == (200, b"", 'W/"2"')
