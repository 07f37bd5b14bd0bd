"""The mark of kept data: put on and taken off without touching anything else; and the policies that lead to it."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.core.errors import Issue
from fhir_server.validation import modes, tagging

Json = dict[str, Any]
_tags = st.lists(st.fixed_dictionaries({"system": st.sampled_from([tagging.SYSTEM, "urn:x"]),
                                        "code": st.sampled_from([tagging.CODE, "a"])}), min_size=1, max_size=3)  # fmt: skip
_extensions = st.lists(st.fixed_dictionaries({"url": st.sampled_from([tagging.ISSUE, "urn:x"]),
                                              "valueString": st.just("x")}), min_size=1, max_size=3)  # fmt: skip
_metas = st.fixed_dictionaries({}, optional={"tag": _tags, "extension": _extensions, "source": st.just("urn:s")}).filter(bool)
_resources = st.fixed_dictionaries({"resourceType": st.just("Patient")}, optional={"meta": _metas, "active": st.booleans()})
_issues = st.lists(
    st.builds(Issue, st.just("error"), st.sampled_from(["value", "invariant"]), st.text(min_size=1, max_size=9),
              st.sampled_from(["Patient", None]), rule=st.sampled_from(["pat-1", None])), min_size=1, max_size=30)  # fmt: skip


def others(resource: Json) -> Json:
    """What is not the server's mark."""
    meta = resource.get("meta", {})
    kept = {
        "tag": [tag for tag in meta.get("tag", []) if tag != {"system": tagging.SYSTEM, "code": tagging.CODE}],
        "extension": [each for each in meta.get("extension", []) if each["url"] != tagging.ISSUE],
    }
    return {**resource, "meta": {**meta, **kept}}


@given(_resources, _issues)
def test_put_on_and_taken_off(resource: Json, issues: list[Issue]) -> None:
    before = copy.deepcopy(resource)
    tagging.remove(resource)
    assert not tagging.is_marked(resource)
    assert others(resource) == others(before)
    bare = copy.deepcopy(resource)
    tagging.add(resource, issues)
    assert tagging.is_marked(resource)
    assert [issue.text for issue in tagging.issues(resource)][:20] == [issue.text for issue in issues][:20]
    assert len(list(tagging.issues(resource))) == min(len(issues), 21)
    tagging.remove(resource)
    assert resource == bare


def test_what_is_shared_is_not_changed() -> None:
    meta = {"tag": [{"system": "urn:x", "code": "a"}]}
    resource: Json = {"resourceType": "Patient", "meta": meta}
    tagging.add(resource, [Issue("error", "value", "x")])
    assert meta == {"tag": [{"system": "urn:x", "code": "a"}]}


FORMS: list[tuple[Any, str | None]] = [
    ({}, None),
    ({"default": {"mode": "tag"}, "types": {"Patient": {"mode": "off", "unknown": "reject", "profiles": ["urn:p"]}}}, None),
    ([], "policy"),
    ({"modes": {}}, "policy.modes"),
    ({"default": "tag"}, "policy.default"),
    ({"default": {"profiles": ["urn:p"]}}, "policy.default.profiles"),
    ({"types": []}, "policy.types"),
    ({"types": {"Patience": {}}}, "policy.types.Patience"),
    ({"types": {"Patient": {"mode": "maybe"}}}, "policy.types.Patient.mode"),
    ({"types": {"Patient": {"mode": ["tag"]}}}, "policy.types.Patient.mode"),
    ({"types": {"Patient": {"profiles": "urn:p"}}}, "policy.types.Patient.profiles"),
    ({"types": {"Patient": {"profiles": ["urn:p"] * 21}}}, "policy.types.Patient.profiles"),
]


@pytest.mark.parametrize(("policy", "place"), FORMS)
def test_forms_of_policies(policy: Any, place: str | None) -> None:
    found = [issue.expression for issue in modes.check(policy, {"Patient"})]
    assert found == ([place] if place else [])


def test_a_type_inherits_what_it_does_not_say() -> None:
    settings = {"validation": {"default": {"mode": "tag", "unknown": "reject"}, "types": {"Patient": {"mode": "off"}}}}
    assert modes.policy_of(settings, "Patient") == modes.Policy("off", "reject")
    assert modes.policy_of(settings, "Device") == modes.Policy("tag", "reject")
    assert modes.policy_of({}, "Device") == modes.Policy(None, "advise")
