"""Which objects an invariant is evaluated on, and what it then finds."""

from typing import Any

import pytest

from fhir_server.conformance.registry import base_registry
from fhir_server.conformance.structures import Structure
from fhir_server.core.errors import Unprocessable
from fhir_server.core.resource_json import decode
from fhir_server.fhirpath import Env, FhirPathError
from fhir_server.validation.invariants import CORRECTED, ELSEWHERE, compile_constraint
from fhir_server.validation.run import validate
from fhir_server.validation.walk import Path, Plans, Rule, Visit, Walk
from tests.shared_data import examples, needs_shared


def compiled(type_: str, key: str) -> Any:
    registry = base_registry()
    constraint = next(c for c in registry.structures[type_].constraints if c.key == key)
    return compile_constraint(registry, type_, constraint)


GATES = [
    ("Period", "per-1", {"end"}),
    ("Quantity", "qty-3", {"code"}),
    ("Patient", "dom-2", {"contained"}),
    ("Appointment", "app-4", {"cancelationReason"}),
]


@pytest.mark.parametrize(("type_", "key", "names"), GATES)
def test_skipped_without_the_named_properties(type_: str, key: str, names: set[str]) -> None:
    gate, _, _ = compiled(type_, key)
    assert {name for name in gate if not name.startswith("_")} == names


UNGATED = [("Patient.contact", "pat-1"), ("Extension", "ext-1"), ("Organization", "org-1"), ("Questionnaire", "que-2")]


@pytest.mark.parametrize(("type_", "key"), UNGATED)
def test_not_skipped_where_an_empty_object_fails_or_anything_may_matter(type_: str, key: str) -> None:
    assert compiled(type_, key)[0] is None


def test_no_gate_hides_a_failure() -> None:
    """Every gated constraint holds, or cannot be told, for an object without the properties it waits for."""
    registry = base_registry()
    for structure in registry.structures.values():
        for constraint in structure.constraints:
            found = compile_constraint(registry, structure.name, constraint) if constraint.expression else None
            if found is None or found[0] is None:
                continue
            node = (structure.name, {"id": "x", "zzz": 1}, None)
            try:
                assert found[1]([node], Env(node)) is not False, constraint.key
            except FhirPathError:
                continue


def test_every_correction_still_has_something_to_correct() -> None:
    published = {c.key: c.expression for s in base_registry().structures.values() for c in s.constraints}
    assert all(wrong in published[key] for key, (wrong, _) in CORRECTED.items())


BASE: dict[str, dict[str, Any]] = {
    "Questionnaire": {"resourceType": "Questionnaire", "status": "draft"},
    "Organization": {"resourceType": "Organization", "name": "x"},
    "Bundle": {"resourceType": "Bundle", "type": "collection"},
    "Condition": {"resourceType": "Condition", "subject": {"display": "x"}},
    "Task": {"resourceType": "Task", "status": "draft", "intent": "order"},
    "ElementDefinition": {"resourceType": "StructureDefinition", "url": "http://x", "name": "X", "status": "draft",
                          "kind": "resource", "abstract": False, "type": "Patient", "baseDefinition": "http://y"},
}  # fmt: skip
ITEM = {"linkId": "1", "type": "boolean"}
WHEN = {"question": "1", "operator": "exists"}

# base, what is added, key of the invariant that refuses it (None: accepted)
ROWS: list[tuple[str, dict[str, Any], str | None]] = [
    ("Questionnaire", {"item": [ITEM, {"linkId": "2", "type": "group"}]}, "que-1"),
    ("Questionnaire", {"item": [ITEM, ITEM]}, "que-2"),
    ("Questionnaire", {"item": [{**ITEM, "linkId": "2", "enableWhen": [{**WHEN, "answerBoolean": True}]}]}, None),
    ("Questionnaire", {"item": [{**ITEM, "linkId": "2", "enableWhen": [{**WHEN, "answerInteger": 1}]}]}, "que-7"),
    ("Organization", {"telecom": [{"system": "phone", "value": "1", "use": "home"}]}, "org-3"),
    ("Organization", {"telecom": [{"system": "phone", "value": "1", "use": "work"}]}, None),
    ("Organization", {"telecom": [{"value": "1"}]}, "cpt-2"),
    ("Bundle", {"total": 3}, "bdl-1"),
    ("Bundle", {"entry": [{"fullUrl": "urn:uuid:1"}]}, "bdl-5"),
    ("Bundle", {"entry": [{"resource": {"resourceType": "Patient"}}]}, None),
    ("Bundle", {"entry": [{"fullUrl": "http://x/Patient/1", "resource": {"resourceType": "Patient"}}] * 2}, "bdl-7"),
    ("Condition", {"abatementDateTime": "2020"}, "con-4"),
    ("Condition", {"onsetPeriod": {"start": "2020-01-02", "end": "2020-01-01"}}, "per-1"),
    ("Condition", {"onsetPeriod": {"start": "2020-01-02", "end": "2020-01"}}, None),
    ("Condition", {"onsetAge": {"value": 0, "unit": "a", "system": "http://unitsofmeasure.org", "code": "a"}}, "age-1"),
    ("Task", {"lastModified": "2020-01-01", "authoredOn": "2020-01-02"}, "inv-1"),
    ("ElementDefinition", {"snapshot": {"element": [{"id": "Patient", "path": "Patient", "definition": "x", "min": 0,
     "max": "-1", "base": {"path": "Patient", "min": 0, "max": "*"}}]}}, "eld-3"),
    ("ElementDefinition", {"snapshot": {"element": [{"id": "Patient", "path": "Patient", "definition": "x", "min": 0,
     "max": "*", "base": {"path": "Patient", "min": 0, "max": "*"}}]}, "differential": {"element": [
     {"id": "Patient", "path": "Patient"}]}}, None),
]  # fmt: skip


@pytest.mark.parametrize(("base", "added", "key"), ROWS)
def test_invariant(base: str, added: dict[str, Any], key: str | None) -> None:
    resource = {**BASE[base], **added}
    if key is None:
        validate(base_registry(), resource)
        return
    with pytest.raises(Unprocessable) as caught:
        validate(base_registry(), resource)
    assert any(issue.text.endswith(f"({key})") for issue in caught.value.issues)


@needs_shared
def test_what_the_gates_skip_would_have_held() -> None:
    """On every object of the official examples."""
    registry = base_registry()
    skipped = 0

    def look(structure: Structure) -> Visit | None:
        rows = [c for c in structure.constraints if c.expression and c.severity == "error" and c.key not in ELSEWHERE]
        found = [each for c in rows if (each := compile_constraint(registry, structure.name, c)) and each[0] is not None]

        def visit(value: Any, sibling: Any, path: Path, walk: Walk) -> None:
            nonlocal skipped
            for gate, test, constraint in found:
                if gate is not None and gate.isdisjoint(value):
                    skipped += 1
                    try:
                        assert test([(structure.name, value, None)], walk.env) is not False, constraint.key
                    except FhirPathError:
                        continue

        return visit

    plans = Plans(registry, [Rule("gates", on_object=lambda _, structure: look(structure))], lambda *_: None)
    for _, text in examples():
        resource = decode(text)
        place: Path = (None, resource["resourceType"], None)
        plans.walk(plans.plan(place[1]), resource, place, Walk(resource, resource, []))
    assert skipped > 500
