"""Definitions that lead in circles, cost too much or are broken end in a clear refusal; nothing is kept that grows."""

import gc
import tracemalloc
import weakref
from itertools import pairwise

import pytest

from fhir_server.conformance.snapshots import snapshot_of
from fhir_server.core.errors import FhirError, NotFound, TooCostly, Unprocessable
from fhir_server.fhirpath import allowance
from fhir_server.fhirpath.allowance import Together
from fhir_server.validation.profile import known_profile, profile_issues
from fhir_server.validation.profiles import trial
from fhir_server.validation.profiles.plans import plans_of
from tests.validation.profiles import clinic
from tests.validation.profiles.kit import CORE, URL, Json, el, errors, extension, profile, scope_of, slicing

PATIENT: Json = {"resourceType": "Patient", "name": [{"family": "x"}]}


def refers(to: str) -> list[Json]:
    """The type of a reference."""
    return [{"code": "Reference", "targetProfile": [to]}]


def test_an_unknown_profile_is_not_found() -> None:
    with pytest.raises(NotFound):
        profile_issues(scope_of(), PATIENT, f"{URL}none")
    assert not known_profile(scope_of(), f"{URL}none") and known_profile(scope_of(), f"{CORE}bp")


def test_bases_that_go_in_a_circle_are_refused() -> None:
    one = profile("Patient", name="one", base=f"{URL}two")
    two = profile("Patient", name="two", base=f"{URL}one")
    with pytest.raises(FhirError) as refused:
        profile_issues(scope_of(one, two), PATIENT, f"{URL}one")
    assert 400 <= refused.value.status < 500


def test_a_profile_of_what_it_refers_to_ends() -> None:
    """a links to b, b to a, and both to be of the profile."""
    linked = profile("Patient", el("Patient.link.other", type=refers(f"{URL}tried")))
    people: dict[str, Json] = {}
    for own, other in (("a", "b"), ("b", "a")):
        link = [{"type": "seealso", "other": {"reference": f"Patient/{other}"}}]
        people[f"Patient/{own}"] = {"resourceType": "Patient", "id": own, "link": link}
    assert errors(scope_of(linked, resolve=people.get), people["Patient/a"]) == []


def test_a_long_chain_of_references_is_followed_a_little() -> None:
    linked = profile("Patient", el("Patient.link.other", type=refers(f"{URL}tried")))
    asked: list[str] = []

    def resolve(reference: str) -> Json:
        asked.append(reference)
        link = [{"type": "seealso", "other": {"reference": f"Patient/{len(asked)}"}}]
        return {"resourceType": "Patient", "link": link}

    assert errors(scope_of(linked, resolve=resolve), resolve("")) == []
    assert len(asked) < 5


def test_a_profile_that_asks_for_itself_ends() -> None:
    said = [{"key": "t-1", "severity": "error", "human": "x", "expression": f"conformsTo('{URL}tried')"}]
    assert errors(scope_of(profile("Patient", el("Patient", constraint=said))), PATIENT) == []


def test_an_extension_within_itself_ends() -> None:
    kind = [{"code": "Extension", "profile": [f"{URL}nested"]}]
    nested = extension("nested", el("Extension.extension", slicing=slicing("value:url")), el("Extension.extension:own", type=kind, max="1"))
    value: Json = {"url": f"{URL}nested", "valueString": "x"}
    for _ in range(20):
        value = {"url": f"{URL}nested", "extension": [value]}
    held = profile("Patient", el("Patient.extension", slicing=slicing("value:url")), el("Patient.extension:nested", type=kind))
    assert errors(scope_of(held, nested), {**PATIENT, "extension": [value]}) == []


def item(depth: int) -> Json:
    """A group in a group in a group."""
    inner = item(depth - 1) if depth else {"linkId": "z", "type": "string", "text": "x"}
    return {"linkId": f"{depth}", "type": "group", "text": "x", "item": [inner]}


def test_slices_within_slices_are_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every level is tried by its content, which tries the next: the work doubles with each."""
    monkeypatch.setattr(trial, "_MOST_TRIALS", 2000)
    tried = profile(
        "Questionnaire", el("Questionnaire.item", min=1), el("Questionnaire.item.text", min=1),
        el("Questionnaire.item.item", slicing={"rules": "open"}), el("Questionnaire.item.item:group", max="1"),
    )  # fmt: skip
    deep = {"resourceType": "Questionnaire", "status": "draft", "item": [item(25)]}
    with pytest.raises(TooCostly):
        profile_issues(scope_of(tried), deep, f"{URL}tried")


BROKEN = [
    profile("Patient", el("Patient.shoes", min=1)),
    profile("Patient", el("Patient.name", slicing=slicing("value:use")), el("Patient.name:odd", min=1)),
    profile("Patient", el("Patient.name", slicing=slicing("value:shoes")), el("Patient.name:odd", min=1)),
    profile("Patient", el("Patient.name", slicing=slicing("colour:use")), el("Patient.name:odd", min=1)),
    profile("Patient", el("Patient.name", slicing=slicing("value:where(use = 'x')")), el("Patient.name:odd", min=1)),
    {**profile("Patient"), "type": "Shoe", "baseDefinition": f"{CORE}Shoe"},
]


@pytest.mark.parametrize("broken", BROKEN)
def test_a_profile_that_cannot_be_used_says_why(broken: Json) -> None:
    with pytest.raises(FhirError) as refused:
        profile_issues(scope_of(broken), PATIENT, f"{URL}tried")
    assert 400 <= refused.value.status < 500 and refused.value.issues[0].text


def test_an_invariant_that_cannot_be_read_is_told() -> None:
    said = [{"key": "t-1", "severity": "error", "human": "x", "expression": "shoes.exists("}]
    held = profile("Patient", el("Patient.name", constraint=said))
    try:
        found = profile_issues(scope_of(held), PATIENT, f"{URL}tried")
    except Unprocessable:
        return
    assert [(i.severity, i.expression, i.rule) for i in found] == [("information", "Patient.name[0]", "t-1")]


def test_an_invariant_that_asks_for_what_is_not_here_is_told() -> None:
    asks = "memberOf('http://example.org/ValueSet/unknown')"
    said = [{"key": "t-1", "severity": "error", "human": "x", "expression": asks}]
    held = profile("Patient", el("Patient.language", constraint=said))
    found = profile_issues(scope_of(held), {**PATIENT, "language": "fr"}, f"{URL}tried")
    assert [(i.severity, i.expression, i.rule) for i in found] == [("information", "Patient.language", "t-1")]


def test_what_cannot_be_told_is_told() -> None:
    binding = {"strength": "required", "valueSet": "http://example.org/ValueSet/unknown"}
    held = profile("Patient", el("Patient.name", type=[{"code": "HumanName", "profile": [f"{URL}none"]}]), el("Patient.language", binding=binding))
    held["differential"]["element"].reverse()
    found = profile_issues(scope_of(held), {**PATIENT, "language": "fr"}, f"{URL}tried")
    assert {(i.severity, i.expression) for i in found} == {("information", "Patient.language"), ("warning", "Patient.name[0]")}


def test_a_changed_definition_is_seen_at_once() -> None:
    """A tenant's definitions have a picture of their own: no plan of one is another's."""
    before, after = scope_of(profile("Patient")), scope_of(profile("Patient", el("Patient.gender", min=1)))
    assert errors(before, PATIENT) == [] and len(errors(after, PATIENT)) == 1
    assert plans_of(before.registry) is not plans_of(after.registry)


def test_what_was_compiled_goes_with_the_definitions() -> None:
    """Nothing that is compiled holds a tenant's session or definitions."""
    scope = clinic.scope()
    assert profile_issues(scope, clinic.patient(), clinic.PATIENT) == []
    held, definitions = weakref.ref(scope.registry.canonicals), weakref.ref(scope.definitions)
    del scope
    gc.collect()
    assert held() is None and definitions() is None


def test_100_000_invariants_leave_nothing_behind() -> None:
    """Each patient has some 50 on its way; what is allocated afterwards is what was before."""
    scope, patients = clinic.scope(), [clinic.patient(n) for n in range(10)]

    def work(times: int) -> int:
        for _ in range(times):
            for each in patients:
                profile_issues(scope, each, clinic.PATIENT)
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        work(5)
        held = [work(20) for _ in range(4)]
    finally:
        tracemalloc.stop()
    # What other threads of this process happen to hold is not in every round.
    assert min(after - before for before, after in pairwise(held)) < 20_000


def test_long_patterns_are_counted() -> None:
    """Each item of a pattern is looked for among the items of the value: so many are no matter of expressions."""
    codings = [{"system": "urn:x", "code": str(number)} for number in range(5000)]
    tried = profile("Patient", el("Patient.maritalStatus", patternCodeableConcept={"coding": codings}))
    resource = {"resourceType": "Patient", "maritalStatus": {"coding": codings[::-1]}}
    with pytest.raises(TooCostly), Together():
        profile_issues(scope_of(tried), resource, tried["url"])
    with Together():
        few = {"resourceType": "Patient", "maritalStatus": {"coding": codings[:10]}}
        found = profile_issues(scope_of(tried), few, tried["url"])
        assert [issue.rule for issue in found if issue.severity == "error"] == [f"{URL}tried#Patient.maritalStatus"]


def test_long_patterns_of_profiles_on_one_another_are_counted() -> None:
    codings = [{"system": "urn:x", "code": str(number)} for number in range(2000)]
    base = profile("Patient", el("Patient.maritalStatus", patternCodeableConcept={"coding": codings}), name="base")
    upon = profile("Patient", el("Patient.maritalStatus", patternCodeableConcept={"coding": codings[::-1]}), base=base["url"])
    with pytest.raises(TooCostly):
        snapshot_of(upon, scope_of(base, upon).definitions.find)


def test_many_slices_of_many_items_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allowance, "MOST_WORK", 1_000_000)
    slices = [
        each
        for number in range(300)
        for each in (el(f"Patient.identifier:s{number}"), el(f"Patient.identifier:s{number}.system", fixedUri=f"urn:{number}"))
    ]
    tried = profile("Patient", el("Patient.identifier", slicing=slicing("value:system")), *slices)
    scope, identifier = scope_of(tried), {"system": "urn:none", "value": "1"}
    with Together():
        assert profile_issues(scope, {"resourceType": "Patient", "identifier": [identifier] * 10}, tried["url"]) == []
    with pytest.raises(TooCostly), Together():
        profile_issues(scope, {"resourceType": "Patient", "identifier": [identifier] * 500}, tried["url"])
