"""Official examples, spoiled in whatever a tenant that tags may keep: the engine holds, finds and shows them all."""

import copy
from typing import Any

import pytest

from fhir_server.conformance.registry import base_registry
from fhir_server.core.resource_json import decode
from tests.client import Client
from tests.shared_data import examples, needs_shared

Json = dict[str, Any]
TAG = "urn:salam:CodeSystem:validation|invalid"
# Written by the server alone, or checked as a definition besides.
_OTHERS = frozenset({"AuditEvent", "SearchParameter", "StructureDefinition"})


@pytest.fixture(scope="module")
def tagging(client: Client) -> Client:
    parameter = [{"name": "mode", "valueCode": "tag"}]
    assert client.post("$change-validation-policy", {"resourceType": "Parameters", "parameter": parameter}).status == 200
    return client


def spoiled(resource: Json) -> Json:
    """Every bound code and every reference of the resource replaced by one that is none."""
    registry = base_registry()

    def walk(type_: str, value: Json) -> None:
        elements = registry.structures[type_].elements
        for key, item in value.items():
            element = elements.get(key)
            if element is None:
                continue
            if element.type == "code" and element.binding and element.binding[0] == "required":
                value[key] = ["no-such-code" for _ in item] if isinstance(item, list) else "no-such-code"
                continue
            if registry.structures[element.type].kind in ("primitive-type", "resource"):
                continue
            for each in item if isinstance(item, list) else [item]:
                if element.type == "Reference" and "reference" in each:
                    each["reference"] = "nothing at all"
                walk(element.type, each)

    found = copy.deepcopy(resource)
    walk(found["resourceType"], found)
    return found


def _rows() -> list[tuple[str, str]]:
    return [row for row in examples() if row[0].partition("-")[0] not in _OTHERS]


@needs_shared
@pytest.mark.parametrize(("name", "text"), [pytest.param(*row, id=row[0]) for row in _rows()])
def test_spoiled_examples_are_held(tagging: Client, name: str, text: str) -> None:
    resource = spoiled(decode(text))
    kind = resource["resourceType"]
    answer = tagging.post(kind, resource)
    assert answer.status in (201, 422), answer.text
    if answer.status == 422:
        # A rule of business may refuse what R4's rules let be kept.
        codes = {issue["code"] for issue in answer.issues}
        assert codes & {"business-rule", "structure", "required", "value", "processing"}, answer.text
        return
    path = f"{kind}/{answer.id}"
    assert tagging.get(path).status == 200
    assert tagging.get(path, accept="application/fhir+xml").status == 200
    assert tagging.get(f"{path}?_summary=true").status == 200
    assert tagging.get(f"{path}/$validate").status == 200
    assert [each["id"] for each in tagging.search(f"{kind}?_id={answer.id}&_tag={TAG}")] in ([answer.id], [])
    assert tagging.request("PUT", path, answer.json).json["meta"]["versionId"] == "1"
    assert tagging.request("DELETE", path).status == 204
