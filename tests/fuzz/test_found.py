"""Requests that fuzzing found to fail once, so that they never do again."""

from typing import Any

import pytest

from tests.client import Client
from tests.fuzz.chunks import fault
from tests.fuzz.generator import Sent, capability

CONTAINED: list[Any] = [
    {"resourceType": {"a": 1}, "id": "a"},
    {"resourceType": ["Organization"], "id": "a"},
    {"resourceType": "Organization", "id": "a", "telecom": "text"},
    {"resourceType": "Organization", "id": "a", "contained": "text"},
    {"resourceType": "Nonsense", "id": "a"},
    {"resourceType": None, "id": "a"},
    {"id": "a"},
    "text",
    None,
    [],
]


@pytest.mark.parametrize("inner", CONTAINED)
def test_resources_inside_resources_may_be_anything(client: Client, inner: Any) -> None:
    bodies: list[dict[str, Any]] = [
        {"resourceType": "Patient", "contained": [inner], "managingOrganization": {"reference": "#a"}},
        {"resourceType": "Bundle", "type": "collection", "entry": [{"fullUrl": "urn:uuid:1", "resource": inner}]},
        {"resourceType": "Parameters", "parameter": [{"name": "x", "part": [{"name": "y", "resource": inner}]}]},
    ]
    for body in bodies:
        for path in (body["resourceType"], f"{body['resourceType']}/$validate"):
            answer = client.post(path, body)
            assert fault(answer) is None, answer.text
            assert answer.status in ((200, 400, 422) if "$" in path else (400, 422))


FOUND = [
    Sent("GET", "Location?partof=Patient/x&_summary=count"),
    Sent("GET", "Patient?_count=0&general-practitioner=Patient%2Fx&_total=accurate"),
    Sent("GET", "Patient?%11=a&_format=xml"),
    Sent("GET", "Patient?name:%11=a&_format=xml"),
    Sent("GET", "Patient/_history?_at=2020"),
    Sent("POST", "SearchParameter", b'{"resourceType":"SearchParameter","extension":[{"resourceType":7}]}'),
]


@pytest.mark.parametrize("sent", FOUND)
def test_what_failed_once(client: Client, sent: Sent) -> None:
    answer = client.request(sent.method, sent.path, sent.body, **sent.headers)
    assert fault(answer) is None, answer.text


def test_a_search_parameter_that_names_a_type_twice(client: Client) -> None:
    assert client.post("SearchParameter", {**capability(), "base": ["Patient"] * 3}).status in (201, 422)
