"""Compositions: filters, imports, excludes, over the base package and over a small system with every trap."""

from typing import Any

import pytest

from fhir_server.conformance.registry import base_registry
from fhir_server.core.errors import FhirError
from fhir_server.terminology.compose import contains, selection
from fhir_server.terminology.definitions import Definitions
from fhir_server.terminology.resources import Held, Resources

V3 = "http://terminology.hl7.org/CodeSystem/v3-RoleCode"
COLOURS: dict[str, Any] = {
    "resourceType": "CodeSystem",
    "url": "urn:colours",
    "version": "2",
    "name": "Colours",
    "content": "complete",
    "caseSensitive": False,
    "property": [{"code": "warm", "type": "boolean"}, {"code": "wave", "type": "integer"}],
    "concept": [
        {
            "code": "any",
            "display": "Any colour",
            "property": [{"code": "notSelectable", "valueBoolean": True}],
            "concept": [
                {
                    "code": "red",
                    "display": "Red",
                    "designation": [{"language": "fr", "value": "Rouge"}],
                    "property": [{"code": "warm", "valueBoolean": True}, {"code": "child", "valueCode": "pink"}],
                    "concept": [{"code": "dark-red", "display": "Dark red"}],
                },
                {"code": "white", "display": "White", "concept": [{"code": "pink", "display": "Pink"}]},
                {"code": "old", "display": "Old", "property": [{"code": "status", "valueCode": "retired"}]},
            ],
        }
    ],
}
ALL = {"any", "red", "dark-red", "white", "pink", "old"}


def definitions(**value_sets: dict[str, Any]) -> Definitions:
    return given(COLOURS, *value_sets.values())


def given(*resources: dict[str, Any]) -> Definitions:
    """Definitions that a request brings along, over the base package."""
    return Definitions(base_registry(), Resources(given=[Held(resource, None) for resource in resources]))


def entries(here: Definitions, value_set: dict[str, Any]) -> set[tuple[str, str]]:
    """The (system, code) pairs of a value set."""
    found = selection(here, value_set)
    pairs = {(p.system.url, concept.code) for p in found.parts for concept in p.system.page(list(p.concepts))}
    return pairs | set(found.listed)


def of_filter(name: str, operator: str, value: str) -> set[str]:
    include = {"system": "urn:colours", "filter": [{"property": name, "op": operator, "value": value}]}
    return {code for _, code in entries(definitions(), {"compose": {"include": [include]}})}


FILTERS = [
    ("concept", "is-a", "red", {"red", "dark-red", "pink"}),
    ("concept", "is-a", "RED", {"red", "dark-red", "pink"}),
    ("concept", "descendent-of", "red", {"dark-red", "pink"}),
    ("code", "is-not-a", "white", {"any", "red", "dark-red", "old"}),
    ("concept", "generalizes", "pink", {"pink", "white", "red", "any"}),
    ("parent", "=", "white", {"pink"}),
    ("child", "=", "pink", {"red", "white"}),
    ("warm", "=", "true", {"red"}),
    ("warm", "exists", "true", {"red"}),
    ("warm", "exists", "false", ALL - {"red"}),
    ("concept", "in", "red, white", {"red", "white"}),
    ("concept", "not-in", "red,white", ALL - {"red", "white"}),
    ("code", "regex", "[a-z]{3}", {"any", "red", "old"}),
    ("display", "regex", ".*red", {"dark-red"}),
    ("inactive", "=", "true", {"old"}),
    ("wave", "exists", "true", set()),
]


@pytest.mark.parametrize(("name", "operator", "value", "codes"), FILTERS)
def test_filter(name: str, operator: str, value: str, codes: set[str]) -> None:
    assert of_filter(name, operator, value) == codes


def test_the_filter_table_would_notice_a_wrong_row() -> None:
    assert of_filter("concept", "is-a", "red") != {"red", "dark-red"}, "pink stands below red by property only"


# Patterns that other engines need ages for, and how many times `a` the texts are long that match.
HOSTILE = [
    ("(a|b)*c", range(0)),
    ("a?" * 40 + "a" * 40, range(40, 81)),
    ("(a|a)" * 6, range(6, 7)),
    ("(a+)+$", range(1, 400)),
    ("(a*)*b", range(0)),
    ("(.*)*(.*)*(.*)*x", range(0)),
]


@pytest.mark.parametrize(("pattern", "expected"), HOSTILE)
def test_a_pattern_takes_no_more_time_than_its_text_is_long(pattern: str, expected: range) -> None:
    concepts = [{"code": "a" * length} for length in range(1, 400)]
    many = {"resourceType": "CodeSystem", "url": "urn:a", "content": "complete", "concept": concepts}
    rule = {"property": "code", "op": "regex", "value": pattern}
    # What goes back and tries again does not come to an end here.
    found = entries(given(many), {"compose": {"include": [{"system": "urn:a", "filter": [rule]}]}})
    assert {code for _, code in found} == {"a" * length for length in expected}


REFUSED = [
    ("nothing", "=", "x"),
    ("display", "is-a", "red"),
    ("concept", "is-a", "green"),
    ("concept", "sounds-like", "red"),
    ("code", "regex", "["),
    ("code", "regex", "a{1000}{1000}{1000}"),
    ("code", "regex", "(a)\\1"),
    ("code", "regex", "a" * 2000),
]


@pytest.mark.parametrize(("name", "operator", "value"), REFUSED)
def test_filter_that_is_refused(name: str, operator: str, value: str) -> None:
    with pytest.raises(FhirError) as raised:
        of_filter(name, operator, value)
    assert raised.value.status == 422


def test_the_hierarchy_of_the_package() -> None:
    include = {"system": V3, "filter": [{"property": "concept", "op": "is-a", "value": "PRN"}]}
    codes = {code for _, code in entries(definitions(), {"compose": {"include": [include]}})}
    assert {"PRN", "MTH", "FTH", "NMTH", "STPFTH"} <= codes
    assert "SIB" not in codes


def test_imports_intersect_with_the_system_and_each_other() -> None:
    warm = {"url": "warm", "compose": {"include": [{"system": "urn:colours", "concept": [{"code": "red"}]}]}}
    both = {"compose": {"include": [{"valueSet": ["warm"], "system": "urn:colours"}]}}
    assert set(entries(definitions(warm=warm), both)) == {("urn:colours", "red")}


def test_excludes_and_inactive() -> None:
    compose = {
        "inactive": False,
        "include": [{"system": "urn:colours"}],
        "exclude": [{"system": "urn:colours", "concept": [{"code": "any"}]}],
    }
    found = {code for _, code in entries(definitions(), {"compose": compose})}
    assert found == ALL - {"any", "old"}
    assert not contains(definitions(), {"compose": compose}, "urn:colours", "any")
    assert not contains(definitions(), {"compose": compose}, "urn:colours", "old")
    assert contains(definitions(), {"compose": compose}, "urn:colours", "pink")


def test_a_circle_of_imports_ends() -> None:
    a = {"url": "a", "compose": {"include": [{"valueSet": ["b"]}]}}
    b = {"url": "b", "compose": {"include": [{"valueSet": ["a"]}]}}
    with pytest.raises(FhirError, match="imports itself") as raised:
        entries(definitions(a=a, b=b), a)
    assert raised.value.status == 422


def test_a_missing_import_is_not_a_404() -> None:
    with pytest.raises(FhirError, match="urn:nowhere") as raised:
        entries(definitions(), {"url": "a", "compose": {"include": [{"valueSet": ["urn:nowhere"]}]}})
    assert raised.value.status == 422


def test_a_system_without_codes_here_is_named() -> None:
    with pytest.raises(FhirError, match="SNOMED") as raised:
        entries(definitions(), {"compose": {"include": [{"system": "http://snomed.info/sct"}]}})
    assert (raised.value.status, raised.value.issues[0].code) == (422, "not-supported")


def test_membership_asks_only_what_concerns_the_system() -> None:
    mixed = {"compose": {"include": [{"system": "http://snomed.info/sct"}, {"system": "urn:colours"}]}}
    assert contains(definitions(), mixed, "urn:colours", "red")
    with pytest.raises(FhirError, match="SNOMED"):
        contains(definitions(), mixed, "http://snomed.info/sct", "1")


def test_imports_that_fan_out_are_each_read_once() -> None:
    sets: dict[str, Any] = {
        f"s{i}": {"url": f"s{i}", "compose": {"include": [{"valueSet": [f"s{i + 1}"]}] * 50}} for i in range(9)
    }
    sets["s9"] = {"url": "s9", "compose": {"include": [{"system": "urn:colours"}]}}
    assert len(entries(definitions(**sets), sets["s0"])) == 6
    assert not contains(definitions(**sets), sets["s0"], "urn:colours", "green")
    exclusion = {"compose": {"include": [{"system": "urn:colours"}], "exclude": [{"valueSet": ["s0"]}]}}
    assert entries(definitions(**sets), exclusion) == set()


def test_excluding_by_filter_and_by_a_carried_expansion_stays_linear() -> None:
    many = {"resourceType": "CodeSystem", "url": "urn:many", "content": "complete", "concept": [{"code": f"c{i}"} for i in range(20_000)]}
    carried = {"url": "carried", "expansion": {"contains": [{"system": "urn:many", "code": f"c{i}"} for i in range(9)]}}
    here = given(many, carried)
    odd = {"property": "code", "op": "regex", "value": "c[0-9]*[13579]"}
    compose = {
        "include": [{"system": "urn:many"}],
        "exclude": [{"system": "urn:many", "filter": [odd]}, {"valueSet": ["carried"]}],
    }
    assert len(entries(here, {"compose": compose})) == 10_000 - 5


def test_membership_agrees_with_the_listing_on_every_value_set_of_the_package() -> None:
    registry = base_registry()
    here = Definitions(registry)
    checked = 0
    for url, value_set in registry.terminology.all("value-sets").items():
        try:
            listed = entries(here, value_set)
        except FhirError:
            continue
        for system, code in list(listed)[:3]:
            assert contains(here, value_set, system, code), url
            checked += 1
        assert not contains(here, value_set, "urn:colours", "red"), url
    assert checked > 2500


def test_a_system_under_two_names_is_one() -> None:
    twice = {"compose": {"include": [{"system": "urn:colours", "version": "2"}, {"system": "urn:colours"}]}}
    assert len(selection(definitions(), twice).parts) == 1
    assert len(entries(definitions(), twice)) == 6
