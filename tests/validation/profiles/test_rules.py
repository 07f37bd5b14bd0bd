"""Every rule that a profile can make has an instance that keeps it and one that breaks it, at the place it names."""

from typing import Any

import pytest

from fhir_server.validation.profile import profile_issues
from fhir_server.validation.run import check
from tests.validation.profiles.cases import VALUE_SETS, Case, patient
from tests.validation.profiles.element_rules import BINDINGS, CARDINALITY, INVARIANTS, TYPES, VALUES
from tests.validation.profiles.further_rules import FURTHER
from tests.validation.profiles.kit import CORE, URL, Json, el, errors, profile, scope_of, slicing
from tests.validation.profiles.slice_rules import EXTENSIONS, NESTED, SLICES

CASES = [*CARDINALITY, *VALUES, *TYPES, *BINDINGS, *INVARIANTS, *SLICES, *EXTENSIONS, *NESTED, *FURTHER]


def found(case: Case, resource: Json) -> list[tuple[str, str | None, str | None]]:
    """(severity, expression, rule) of all that the case's profile says of a resource."""
    tried = profile(resource["resourceType"], *case.elements)
    scope = scope_of(tried, *case.definitions, value_sets=VALUE_SETS)
    assert [issue for issue in check(scope.registry, resource) if issue.severity == "error"] == [], "no valid R4"
    issues = profile_issues(scope, resource, URL + "tried")
    return [(issue.severity, issue.expression, issue.rule) for issue in issues]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_keeps_the_rule_passes(case: Case) -> None:
    wrong = ("error", "warning", "information")[: {"error": 1, "warning": 2, "information": 3}[case.severity]]
    assert [row for row in found(case, case.good) if row[0] in wrong] == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_breaks_the_rule_is_named_with_its_place(case: Case) -> None:
    rule = case.rule if case.rule.startswith("t-") else URL + (case.rule if "#" in case.rule else f"tried#{case.rule}")
    if case.rule.startswith("SimpleQuantity"):
        rule = "sqty-1"
    assert (case.severity, case.at, rule) in found(case, case.bad)


def test_the_table_is_large_and_its_names_differ() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 140


def test_a_validator_that_says_nothing_fails_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Known bad: every row of broken rules notices."""
    monkeypatch.setitem(globals(), "profile_issues", lambda *_: [])
    for case in CASES:
        with pytest.raises(AssertionError):
            test_what_breaks_the_rule_is_named_with_its_place(case)


def test_several_issues_come_in_one_go() -> None:
    tried = profile("Patient", el("Patient.name", min=1), el("Patient.gender", fixedCode="female"), el("Patient.birthDate", min=1))
    issues = errors(scope_of(tried), patient(gender="male"))
    assert {issue.expression for issue in issues} == {"Patient.name", "Patient.birthDate", "Patient.gender"}
    assert issues[0].text == "'name' must be there at least once in tried, but is missing."


@pytest.mark.parametrize("imposed", ["named", f"{CORE}Patient"])
def test_what_conforms_to_a_profile_conforms_to_those_that_it_imposes(imposed: str) -> None:
    impose = "http://hl7.org/fhir/StructureDefinition/structuredefinition-imposeProfile"
    canonical = imposed if ":" in imposed else URL + imposed
    tried = profile("Patient", el("Patient.gender", min=1), extension=[{"url": impose, "valueCanonical": canonical}])
    named = profile("Patient", el("Patient.name", min=1), name="named")
    found = {issue.rule for issue in errors(scope_of(tried, named), patient(active=True))}
    own, other = f"{tried['url']}#Patient.gender", f"{named['url']}#Patient.name"
    assert found == ({own, other} if imposed == "named" else {own})


def test_an_imposed_profile_that_nobody_has_is_told_of() -> None:
    impose = "http://hl7.org/fhir/StructureDefinition/structuredefinition-imposeProfile"
    tried = profile("Patient", extension=[{"url": impose, "valueCanonical": "urn:nobody"}])
    issues = profile_issues(scope_of(tried), patient(active=True), tried["url"])
    assert [(issue.severity, issue.rule) for issue in issues] == [("warning", "urn:nobody")]


def sliced(**rules: Any) -> Json:
    """Identifiers of two systems."""
    parts = [
        each for name, most in (("a", "1"), ("b", "0"))
        for each in (el(f"Patient.identifier:{name}", max=most), el(f"Patient.identifier:{name}.system", fixedUri=f"urn:{name}", min=1))
    ]  # fmt: skip
    parts[0]["min"] = 1
    return profile("Patient", el("Patient.identifier", slicing=slicing("value:system", **rules)), *parts)


SENTENCES = [
    (sliced(), [], "The slice 'a' (system urn:a) of 'identifier' must be there at least once in tried, but is missing."),
    (sliced(), ["a", "a"], "The slice 'a' (system urn:a) of 'identifier' can be there once at most in tried, but is there 2 times."),
    (sliced(), ["a", "b"], "The slice 'b' (system urn:b) of 'identifier' must not be there in tried, but is there once."),
    (sliced(rules="closed"), ["a", "c"],
     "This item is of none of the slices of 'identifier' in tried: 'a' (system urn:a), 'b' (system urn:b)."),
    (profile("Patient", el("Patient.name", max="1")), [], "'name' can be there once at most in tried, but is there 2 times."),
]  # fmt: skip


@pytest.mark.parametrize(("definition", "systems", "sentence"), SENTENCES)
def test_a_person_can_act_on_what_is_said(definition: Json, systems: list[str], sentence: str) -> None:
    """What would belong to a slice is said with it."""
    patient: Json = {"resourceType": "Patient", "name": [{"family": "x"}, {"family": "y"}]}
    if systems:
        patient["identifier"] = [{"system": f"urn:{each}", "value": "1"} for each in systems]
    assert [issue.text for issue in errors(scope_of(definition), patient)] == [sentence]
