"""Tenants share what they would compile alike, and nothing else."""

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.core.errors import FhirError, Issue
from fhir_server.validation.profile import profile_issues
from fhir_server.validation.profiles import shelf
from fhir_server.validation.profiles.plans import Plan, plans_of
from fhir_server.validation.scope import Scope
from tests.client import Client
from tests.conftest import TestTenant
from tests.validation.profiles import clinic
from tests.validation.profiles.kit import CORE, URL, Json, el, errors, extension, profile, scope_of, slicing

TRIED, BASE, PART = f"{URL}tried", f"{URL}base", f"{URL}part"
PATIENT: Json = {"resourceType": "Patient", "name": [{"family": "x"}]}


def plan(scope: Scope, canonical: str = TRIED) -> Plan:
    """The compiled profile that a tenant works with."""
    return plans_of(scope.registry).plan(scope, canonical)


def copy(definition: Json, number: int) -> Json:
    """The same definition as another tenant stores it."""
    return {**definition, "id": f"d{number}", "meta": {"versionId": str(number)}}


def test_the_same_guide_is_compiled_once() -> None:
    first, second = (scope_of(*(copy(each, n) for each in clinic.definitions())) for n in (1, 2))
    for definition in clinic.definitions():
        assert plan(first, definition["url"]) is plan(second, definition["url"])
        assert {"id", "meta"}.isdisjoint(plan(first, definition["url"]).definition or ())
    assert profile_issues(first, clinic.patient(), clinic.PATIENT) == profile_issues(second, clinic.patient(), clinic.PATIENT)


def test_r4_s_own_profiles_are_compiled_once_whatever_else_tenants_have() -> None:
    assert plan(scope_of(profile("Patient")), f"{CORE}bp") is plan(scope_of(), f"{CORE}bp")


def base(**said: Any) -> Json:
    return profile("Patient", el("Patient.gender", **said), name="base")


# By what they differ -> the definitions of two tenants.
TWO: dict[str, tuple[list[Json], list[Json]]] = {
    "the profile": ([profile("Patient")], [profile("Patient", el("Patient.gender", min=1))]),
    "its base": ([profile("Patient", base=BASE), base(min=0)], [profile("Patient", base=BASE), base(min=1)]),
    "the base of its base": (
        [profile("Patient", base=f"{URL}middle"), profile("Patient", name="middle", base=BASE), base(min=0)],
        [profile("Patient", base=f"{URL}middle"), profile("Patient", name="middle", base=BASE), base(min=1)],
    ),
    "R4's definition, replaced": (
        [profile("Patient", base=f"{CORE}bp-like")] + [{**base(), "url": f"{CORE}bp-like"}],
        [profile("Patient", base=f"{CORE}bp-like")] + [{**base(min=1), "url": f"{CORE}bp-like"}],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", TWO)
@pytest.mark.parametrize("turn", [1, -1])
def test_what_differs_is_compiled_for_each(case: str, turn: int) -> None:
    """The first demands no gender and the second does, whoever comes first."""
    scopes = [scope_of(*definitions) for definitions in TWO[case]]
    found = {n: [issue.expression for issue in errors(scopes[n], PATIENT)] for n in (0, 1)[::turn]}
    assert found == {0: [], 1: ["Patient.gender"]}
    assert plan(scopes[0]) is not plan(scopes[1])


def test_a_profile_whose_slices_are_told_by_another_profile() -> None:
    """Which identifiers are of the slice stands in another definition, whose elements are compiled in."""
    kind = [{"code": "Identifier", "profile": [PART]}]
    sliced = profile(
        "Patient", el("Patient.identifier", slicing=slicing("value:system")), el("Patient.identifier:own", type=kind, min=1)
    )
    scopes = [
        scope_of(sliced, profile("Identifier", el("Identifier.system", fixedUri=system, min=1), name="part"))
        for system in ("urn:a", "urn:b")
    ]
    patient = {**PATIENT, "identifier": [{"system": "urn:a", "value": "1"}]}
    assert [len(errors(scope, patient)) for scope in scopes] == [0, 1]
    assert plan(scopes[0]) is not plan(scopes[1])


def test_profiles_of_parts_and_targets_are_asked_of_each_tenant() -> None:
    kind = [{"code": "Extension", "profile": [PART]}]
    held = profile("Patient", el("Patient.extension", slicing=slicing("value:url")), el("Patient.extension:part", type=kind))
    scopes = [scope_of(held, extension("part", el("Extension.value[x]", type=[{"code": code}]))) for code in ("string", "code")]
    patient = {**PATIENT, "extension": [{"url": PART, "valueString": "x"}]}
    assert [len(errors(scope, patient)) for scope in scopes] == [0, 1]


def test_value_sets_are_asked_of_each_tenant() -> None:
    """They are looked for when a resource is on trial: the profile itself is shared."""
    bound = profile("Patient", el("Patient.language", binding={"strength": "required", "valueSet": f"{URL}words"}))
    scopes = [scope_of(bound, value_sets={f"{URL}words": {("urn:ietf:bcp:47", code)}}) for code in ("fr", "ar")]
    assert [len(errors(scope, {**PATIENT, "language": "fr"})) for scope in scopes] == [0, 1]
    assert plan(scopes[0]) is plan(scopes[1])


def test_who_lacks_a_base_is_given_nothing() -> None:
    whole, lacking = scope_of(*TWO["its base"][1]), scope_of(TWO["its base"][1][0])
    assert len(errors(whole, PATIENT)) == 1
    with pytest.raises(FhirError):
        plan(lacking)


def test_a_shared_profile_holds_nothing_of_who_made_it() -> None:
    first, second = clinic.scope(), clinic.scope()
    assert plan(first, clinic.PATIENT) is plan(second, clinic.PATIENT)
    held = [weakref.ref(each) for each in (first.registry, first.registry.canonicals, first.definitions, plans_of(first.registry))]
    del first
    gc.collect()
    assert [each() for each in held] == [None] * len(held)
    assert profile_issues(second, clinic.patient(), clinic.PATIENT) == []


def test_what_nobody_uses_any_more_goes() -> None:
    scope = scope_of(profile("Patient", name="passing"))
    kept = weakref.ref(plan(scope, f"{URL}passing"))
    del scope
    gc.collect()
    assert kept() is None
    assert f"{URL}passing" not in {canonical for canonical, _ in shelf._plans}


ELEMENTS = st.sampled_from([el("Patient.gender", min=1), el("Patient.birthDate", min=1), el("Patient.photo", min=1)])
OWN = st.builds(lambda element, named: profile("Patient", element, base=named), ELEMENTS, st.sampled_from(["", BASE, PART]))
TENANTS = st.lists(
    st.tuples(
        OWN,
        st.none() | st.builds(lambda e: profile("Patient", e, name="base"), ELEMENTS),
        st.none() | st.builds(lambda e, b: profile("Patient", e, name="part", base=b), ELEMENTS, st.sampled_from(["", BASE])),
    ),
    min_size=2, max_size=6,
)  # fmt: skip


def told(scope: Scope) -> list[Issue] | str:
    """What a tenant is told of a patient."""
    try:
        return profile_issues(scope, PATIENT, TRIED)
    except FhirError as error:
        return str(error)


@given(TENANTS)
def test_every_tenant_is_told_what_it_would_be_told_alone(tenants: list[tuple[Json | None, ...]]) -> None:
    scopes = [scope_of(*(each for each in definitions if each)) for definitions in tenants]
    together = [told(scope) for scope in scopes]
    alone = []
    for definitions in tenants:
        shelf._plans.clear()
        alone.append(told(scope_of(*(each for each in definitions if each))))
    assert together == alone


def test_two_tenants_with_one_url_over_http(new_tenant: Callable[[], TestTenant]) -> None:
    clients: list[Client] = [new_tenant().client() for _ in range(4)]
    for number, client in enumerate(clients):
        demanded = ("gender", "birthDate")[number % 2]
        client.create(profile("Patient", el(f"Patient.{demanded}", min=1)))
    claim = {**PATIENT, "meta": {"profile": [TRIED]}}
    for _ in range(2):
        answers = [client.post("Patient", claim) for client in clients]
        assert [answer.issues[0]["expression"] for answer in answers] == [["Patient.gender"], ["Patient.birthDate"]] * 2
