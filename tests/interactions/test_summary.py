"""`_summary` and `_elements`. https://hl7.org/fhir/R4/search.html#summary"""

from copy import deepcopy
from typing import Any

import pytest

from fhir_server.conformance.registry import base_registry
from fhir_server.interactions.summary import SUBSETTED, subset

BASE = base_registry()
OBSERVATION: dict[str, Any] = {
    "resourceType": "Observation", "id": "o", "meta": {"versionId": "1", "tag": [{"code": "x"}]},
    "language": "en", "text": {"status": "generated", "div": "<div/>"}, "contained": [{"resourceType": "Patient"}],
    "extension": [{"url": "urn:e"}], "modifierExtension": [{"url": "urn:m", "valueBoolean": True}],
    "status": "final", "_status": {"id": "s"}, "code": {"extension": [{"url": "u"}], "text": "c"},
    "valueQuantity": {"value": 1, "unit": "g"}, "note": [{"text": "n"}], "method": {"text": "m"},
    "component": [{"code": {"text": "cc"}, "valueString": "v", "referenceRange": [{"text": "r"}]}],
}
MANDATORY = ["resourceType", "id", "meta", "status", "_status", "code"]
ALL = list(OBSERVATION)

# (summary, elements, keys of the answer in order)
CASES: list[tuple[str | None, tuple[str, ...], list[str]]] = [
    ("true", (), ["resourceType", "id", "meta", "modifierExtension", "status", "_status", "code", "valueQuantity",
                  "component"]),
    ("text", (), ["resourceType", "id", "meta", "text", "status", "_status", "code"]),
    ("data", (), [key for key in ALL if key != "text"]),
    ("false", (), ALL),
    ("count", (), ALL),
    (None, (), ALL),
    (None, ("note",), ["resourceType", "id", "meta", "modifierExtension", "status", "_status", "code", "note"]),
    (None, ("value",), ["resourceType", "id", "meta", "modifierExtension", "status", "_status", "code",
                        "valueQuantity"]),
    (None, ("value[x]", "text"), ["resourceType", "id", "meta", "text", "modifierExtension", "status", "_status",
                                  "code", "valueQuantity"]),
    (None, ("component.code",), ["resourceType", "id", "meta", "modifierExtension", "status", "_status", "code",
                                 "component"]),
    (None, ("Observation.note", "Patient.method"), ["resourceType", "id", "meta", "modifierExtension", "status",
                                                    "_status", "code", "note"]),
    (None, ("nonsense",), ["resourceType", "id", "meta", "modifierExtension", "status", "_status", "code"]),
    ("true", ("note",), ["resourceType", "id", "meta", "modifierExtension", "status", "_status", "code", "note"]),
]


def keys(summary: str | None, elements: tuple[str, ...]) -> list[str]:
    """Top-level names of what is left."""
    return list(subset(OBSERVATION, BASE, summary=summary, elements=elements))


@pytest.mark.parametrize(("summary", "elements", "expected"), CASES)
def test_what_is_left(summary: str | None, elements: tuple[str, ...], expected: list[str]) -> None:
    assert keys(summary, elements) == expected


def test_the_table_runner_sees_a_wrong_row() -> None:
    assert keys("text", ()) != MANDATORY


def test_summary_goes_into_objects() -> None:
    left = subset(OBSERVATION, BASE, summary="true", elements=())
    assert left["component"] == [{"code": {"text": "cc"}, "valueString": "v"}]
    assert left["code"] == {"text": "c"}, "an extension inside is no summary element"
    assert left["modifierExtension"] == OBSERVATION["modifierExtension"], "kept whole"


def test_subsetted_is_added_once_and_the_original_stays() -> None:
    before = deepcopy(OBSERVATION)
    left = subset(OBSERVATION, BASE, summary="text", elements=())
    assert before == OBSERVATION
    assert left["meta"]["tag"] == [{"code": "x"}, SUBSETTED]
    assert left["meta"]["versionId"] == "1"
    assert subset(left, BASE, summary="text", elements=())["meta"]["tag"] == [{"code": "x"}, SUBSETTED]


def test_meta_is_made_when_there_is_none() -> None:
    left = subset({"resourceType": "Patient", "id": "1", "active": True}, BASE, summary="data", elements=())
    assert left == {"resourceType": "Patient", "id": "1", "meta": {"tag": [SUBSETTED]}, "active": True}


@pytest.mark.parametrize("summary", ["false", "count", None])
def test_all_of_it_is_the_same_object_without_tag(summary: str | None) -> None:
    assert subset(OBSERVATION, BASE, summary=summary, elements=()) is OBSERVATION


def test_resources_in_a_bundle_are_summarised() -> None:
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": OBSERVATION}]}
    left = subset(bundle, BASE, summary="true", elements=())
    assert "note" not in left["entry"][0]["resource"]
    assert left["entry"][0]["resource"]["status"] == "final"


@pytest.mark.parametrize("resource_type", BASE.resource_types)
def test_mandatory_and_modifier_elements_survive_for_every_type(resource_type: str) -> None:
    structure = BASE.structures[resource_type]
    whole: dict[str, Any] = {"resourceType": resource_type}
    whole.update((name, [] if element.max is None else {}) for name, element in structure.elements.items())
    left = subset(whole, BASE, summary=None, elements=("id",))
    needed = {name for name, element in structure.elements.items() if element.min or element.modifier}
    assert set(left) == needed | {"resourceType", "id", "meta"}
