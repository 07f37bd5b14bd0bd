"""What FHIRPath asks of the server around it, and references that a resource answers by itself."""

from typing import Any

import pytest

from fhir_server.conformance.registry import base_registry
from fhir_server.fhirpath import CannotTell, Env, FhirPathError, Node, evaluate, evaluate_on
from fhir_server.fhirpath.nodes import MOST_WORK, SERVICE_WORK
from fhir_server.validation.run import check

OBSERVATION: dict[str, Any] = {
    "resourceType": "Observation",
    "status": "final",
    "code": {"coding": [{"system": "s", "code": "animal"}, {"system": "t", "code": "dog"}]},
    "subject": {"reference": "Patient/1"},
    "component": [{"code": {"coding": [{"system": "s", "code": "dog"}]}}, {"code": {"text": "x"}}],
}


class Known:
    """Services that know little."""

    def member_of(self, value_set: str, node: Node) -> bool | None:
        return {"http://x/yes": True, "http://x/no": False}.get(value_set)

    def conforms_to(self, node: Node, profile: str) -> bool | None:
        return node[0] == "Observation" if profile == "http://x/profile" else None

    def subsumes(self, system: str, a: str, b: str) -> bool | None:
        return a == "animal" if system == "s" else None

    def resolve(self, reference: str) -> Node | None:
        patient: Node = ("Patient", {"resourceType": "Patient", "id": "1", "active": True}, None)
        return patient if reference == "Patient/1" else None

    def in_slice(self, node: Node, profile: str, name: str) -> bool | None:
        return "coding" in node[1]["code"] if name == "coded" else None


ANSWERED: list[tuple[str, list[Any]]] = [
    ("code.memberOf('http://x/yes')", [True]),
    ("status.memberOf('http://x/no')", [False]),
    ("component.where(code.memberOf('http://x/yes')).count()", [2]),
    ("code.memberOf({})", []),
    ("category.memberOf('http://x/yes')", []),
    ("conformsTo('http://x/profile')", [True]),
    ("code.conformsTo('http://x/profile')", [False]),
    ("code.subsumes(component.first().code)", [True]),
    ("component.first().code.subsumedBy(code)", [True]),
    ("component.first().code.subsumes(code)", [False]),
    ("code.coding.first().subsumes(component.first().code.coding.first())", [True]),
    ("code.subsumes(component.last().code)", [False]),
    ("subject.resolve().active", [True]),
    ("subject.reference.resolve().id", ["1"]),
    ("'Patient/2'.resolve() is Patient", [True]),
    ("component.slice('http://x/profile', 'coded').count()", [1]),
]


@pytest.mark.parametrize(("expression", "expected"), ANSWERED)
def test_services_are_asked(expression: str, expected: list[Any]) -> None:
    assert [n[1] for n in evaluate(expression, OBSERVATION, base_registry(), services=Known())] == expected


UNKNOWN = [
    "code.memberOf('http://x/nobody')",
    "conformsTo('http://x/nobody')",
    "code.coding.last().subsumes(code.coding.last().select(%other))",
    "component.slice('http://x/profile', 'nobody')",
]


@pytest.mark.parametrize("expression", UNKNOWN)
def test_what_they_do_not_know_cannot_be_told(expression: str) -> None:
    other: Node = ("Coding", {"system": "t", "code": "cat"}, None)
    with pytest.raises(CannotTell):
        evaluate(expression, OBSERVATION, base_registry(), services=Known(), variables={"other": [other]})
    with pytest.raises(CannotTell, match="cannot be told here"):
        evaluate(expression, OBSERVATION, base_registry(), variables={"other": [other]})


def test_without_guesses_only_what_is_found_resolves() -> None:
    node: Node = ("Observation", OBSERVATION, None)
    for guesses, expected in ((True, 1), (False, 0)):
        env = Env(node, guesses=guesses)
        assert len(evaluate_on("subject.resolve()", node, env, base_registry())) == expected


def test_questions_are_limited() -> None:
    many = {**OBSERVATION, "component": [{"code": {"text": "x"}}] * (MOST_WORK // SERVICE_WORK + 20)}
    with pytest.raises(FhirPathError, match="too much work"):
        evaluate("component.code.where(memberOf('http://x/yes'))", many, base_registry(), services=Known())


def entry(url: str, resource: dict[str, Any]) -> dict[str, Any]:
    return {"fullUrl": url, "resource": resource}


URN = "urn:uuid:0d2177ba-f67b-4f29-addb-91040de55388"
BUNDLE: dict[str, Any] = {
    "resourceType": "Bundle",
    "type": "collection",
    "entry": [
        entry("http://a/fhir/Patient/1", {"resourceType": "Patient", "id": "1", "gender": "male"}),
        entry("http://b/fhir/Patient/1", {
            "resourceType": "Patient", "id": "1", "gender": "female", "meta": {"versionId": "2"}}),
        entry(URN, {"resourceType": "Patient", "gender": "other"}),
        entry("http://a/fhir/Observation/1", {
            "resourceType": "Observation", "id": "a", "subject": {"reference": "Patient/1"},
            "contained": [{"resourceType": "Patient", "id": "c", "gender": "unknown"}],
            "performer": [{"reference": "#c"}]}),
        entry("http://b/fhir/Observation/1", {
            "resourceType": "Observation", "id": "b", "subject": {"reference": "Patient/1"},
            "performer": [{"reference": "Patient/1/_history/2"}, {"reference": "Patient/1/_history/3"}]}),
        entry("http://c/fhir/Observation/1", {
            "resourceType": "Observation", "id": "c", "subject": {"reference": URN},
            "performer": [{"reference": "Patient/1"}, {"reference": "http://a/fhir/Patient/1"}]}),
    ],
}  # fmt: skip
BUNDLED = [
    ("a", "subject", ["male"]),
    ("b", "subject", ["female"]),
    ("c", "subject", ["other"]),
    ("a", "performer", ["unknown"]),
    ("b", "performer", ["female"]),
    ("c", "performer", ["male"]),
]


@pytest.mark.parametrize(("id_", "element", "genders"), BUNDLED)
def test_references_within_a_bundle_resolve_by_full_url(id_: str, element: str, genders: list[str]) -> None:
    """https://hl7.org/fhir/R4/bundle.html#references"""
    node: Node = ("Bundle", BUNDLE, None)
    expression = f"entry.resource.ofType(Observation).where(id = '{id_}').{element}.resolve().gender"
    found = evaluate_on(expression, node, Env(node, guesses=False), base_registry())
    assert [each[1] for each in found] == genders


def test_variables_of_the_environment() -> None:
    contained = {"resourceType": "Patient", "id": "c"}
    root: Node = ("Observation", {**OBSERVATION, "contained": [contained]}, None)
    inner: Node = ("Patient", contained, None)
    env = Env(inner, root, context=[("id", "x", None)])
    for expression, expected in (("%resource.id", "c"), ("%rootResource.status", "final"), ("%context", "x")):
        assert [node[1] for node in evaluate_on(expression, inner, env, base_registry())] == [expected]


def test_the_context_of_a_constraint_is_its_element() -> None:
    """ig-1 looks for a resource's group among those of `%context`, which is ImplementationGuide.definition."""
    for group, broken in (("g", False), ("h", True)):
        listed = {"reference": {"reference": "Patient/1"}, "groupingId": group}
        guide = {
            "resourceType": "ImplementationGuide",
            "url": "http://x",
            "name": "Guide",
            "status": "draft",
            "packageId": "x.y",
            "fhirVersion": ["4.0.1"],
            "definition": {"grouping": [{"id": "g", "name": "G"}], "resource": [listed]},
        }
        errors = [issue.text for issue in check(base_registry(), guide) if issue.severity == "error"]
        assert any("ig-1" in text for text in errors) is broken, errors
