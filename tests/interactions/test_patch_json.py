"""RFC 6902 on resources, one behaviour per row."""

import copy
from decimal import Decimal
from typing import Any

import pytest

from fhir_server.core.errors import FhirError, Invalid, Unprocessable
from fhir_server.interactions.patch_json import apply_json_patch

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p",
    "meta": {"versionId": "1"},
    "active": True,
    "name": [{"family": "Diop", "given": ["Awa", "Marie"], "_given": [None, {"id": "g"}]}],
    "multipleBirthInteger": 1,
    "extension": [{"url": "http://x", "valueDecimal": Decimal("1.00")}],
}


def op(kind: str, path: str, **more: Any) -> dict[str, Any]:
    return {"op": kind, "path": path, **{name.rstrip("_"): value for name, value in more.items()}}


DONE: list[tuple[list[dict[str, Any]], str, Any]] = [
    ([op("add", "/gender", value="female")], "gender", "female"),
    ([op("add", "/active", value=False)], "active", False),
    ([op("add", "/name/0/given/1", value="Fatou")], "name.0.given", ["Awa", "Fatou", "Marie"]),
    ([op("add", "/name/0/given/-", value="Fatou")], "name.0.given", ["Awa", "Marie", "Fatou"]),
    ([op("replace", "/name/0/family", value="Ndiaye")], "name.0.family", "Ndiaye"),
    ([op("remove", "/name/0/given/0")], "name.0.given", ["Marie"]),
    ([op("move", "/name/0/text", from_="/name/0/family")], "name.0.text", "Diop"),
    ([op("copy", "/name/-", from_="/name/0")], "name.1.family", "Diop"),
    ([op("test", "/active", value=True), op("remove", "/active")], "active", None),
    ([op("test", "/extension/0/valueDecimal", value=Decimal("1.0"))], "active", True),
    ([op("test", "/extension/0/valueDecimal", value=1)], "extension.0.valueDecimal", Decimal("1.00")),
    ([op("test", "/name/0/given", value=["Awa", "Marie"])], "active", True),
    ([op("test", "/id", value="p")], "id", "p"),
    ([op("add", "/identifier", value=[]), op("add", "/identifier/-", value={"value": "1"})], "identifier.0.value", "1"),
    ([op("remove", "/extension/0")], "extension", None),
    ([op("remove", "/name/0/_given/1/id")], "name.0._given", None),
]  # fmt: skip


def at(value: Any, path: str) -> Any:
    for step in path.split("."):
        value = value[int(step)] if step.isdigit() else value.get(step)
    return value


@pytest.mark.parametrize(("patch", "path", "expected"), DONE)
def test_operation(patch: list[dict[str, Any]], path: str, expected: Any) -> None:
    before = copy.deepcopy(PATIENT)
    assert at(apply_json_patch(PATIENT, patch), path) == expected
    assert before == PATIENT


REFUSED: list[tuple[dict[str, Any], type[FhirError]]] = [
    (op("test", "/active", value=False), Unprocessable),
    (op("test", "/multipleBirthInteger", value=True), Unprocessable),
    (op("test", "/gender", value="female"), Unprocessable),
    (op("remove", "/gender"), Unprocessable),
    (op("replace", "/gender", value="female"), Unprocessable),
    (op("replace", "/name/7/family", value="x"), Unprocessable),
    (op("add", "/name/7", value={}), Unprocessable),
    (op("add", "/name/00", value={}), Unprocessable),
    (op("add", "/name/" + "1" * 6000, value={}), Unprocessable),
    (op("add", "/active/x", value=1), Unprocessable),
    (op("remove", "/id"), Unprocessable),
    (op("replace", "/id", value="other"), Unprocessable),
    (op("replace", "/resourceType", value="Group"), Unprocessable),
    (op("replace", "/meta/versionId", value="7"), Unprocessable),
    (op("replace", "", value={}), Unprocessable),
    (op("move", "/language", from_="/id"), Unprocessable),
    (op("move", "/name/0/period", from_="/name/0"), Unprocessable),
    (op("move", "/language"), Invalid),
    (op("add", "/gender"), Invalid),
    (op("add", "gender", value="female"), Invalid),
    (op("replce", "/gender", value="female"), Invalid),
    ({"op": ["add"], "path": "/gender", "value": 1}, Invalid),
    ({"op": "add", "path": 1, "value": 1}, Invalid),
]


@pytest.mark.parametrize(("step", "error"), REFUSED)
def test_refusal_names_the_operation(step: dict[str, Any], error: type[FhirError]) -> None:
    with pytest.raises(error) as caught:
        apply_json_patch(PATIENT, [op("test", "/active", value=True), step])
    assert (caught.value.issues[0].expression or "").startswith("[1]")


def test_a_step_that_is_no_object_is_refused() -> None:
    with pytest.raises(Invalid):
        apply_json_patch(PATIENT, ["remove everything"])
