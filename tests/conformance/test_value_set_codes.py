"""Compose rules one by one, on small definitions. https://hl7.org/fhir/R4/valueset.html#compositions"""

from typing import Any

import pytest

from fhir_server.conformance.value_sets import Expander

SYSTEM = {
    "url": "urn:s", "content": "complete",
    "concept": [
        {"code": "a", "concept": [{"code": "a1", "concept": [{"code": "a11"}]}, {"code": "a2"}]},
        {"code": "b", "property": [{"code": "child", "valueCode": "a2"}, {"code": "abstract", "valueBoolean": True}]},
        {"code": "c", "property": [{"code": "parent", "valueCode": "b"}]},
    ],
}
FRAGMENT = {"url": "urn:f", "content": "fragment", "concept": [{"code": "x"}]}


def rule(operator: str, value: str, name: str = "concept") -> dict[str, Any]:
    return {"include": [{"system": "urn:s", "filter": [{"property": name, "op": operator, "value": value}]}]}


COMPOSE: list[tuple[str, dict[str, Any], set[str] | None]] = [
    ("whole system", {"include": [{"system": "urn:s"}]}, {"a", "a1", "a11", "a2", "b", "c"}),
    ("concept list", {"include": [{"system": "urn:other", "concept": [{"code": "z"}]}]}, {"z"}),
    ("is-a", rule("is-a", "a"), {"a", "a1", "a11", "a2"}),
    ("descendent-of", rule("descendent-of", "a"), {"a1", "a11", "a2"}),
    ("is-not-a", rule("is-not-a", "a"), {"b", "c"}),
    ("is-a by properties", rule("is-a", "b"), {"b", "a2", "c"}),
    ("parent", rule("=", "a", "parent"), {"a1", "a2"}),
    ("property", rule("=", "true", "abstract"), {"b"}),
    ("regex", rule("regex", "a.*", "code"), {"a", "a1", "a11", "a2"}),
    ("unknown operator", rule("generalizes", "a"), None),
    ("unknown system", {"include": [{"system": "urn:none"}]}, None),
    ("incomplete system", {"include": [{"system": "urn:f"}]}, None),
    ("exclude", {"include": [{"system": "urn:s"}], "exclude": [{"system": "urn:s", "concept": [{"code": "a"}]}]},
     {"a1", "a11", "a2", "b", "c"}),
    ("value set", {"include": [{"valueSet": ["urn:v:letters"]}]}, {"b", "c"}),
    ("system within value set", {"include": [{"system": "urn:s", "valueSet": ["urn:v:letters"]}]}, {"b", "c"}),
    ("unknown value set", {"include": [{"valueSet": ["urn:v:none"]}]}, None),
    ("itself", {"include": [{"valueSet": ["urn:v"]}]}, None),
]


def expand(compose: dict[str, Any]) -> set[str] | None:
    """Codes of a value set `urn:v` with this compose."""
    letters = {"compose": {"include": [{"system": "urn:s", "concept": [{"code": "b"}, {"code": "c"}]}]}}
    sets = {"urn:v": {"compose": compose}, "urn:v:letters": letters}
    found = Expander(sets.get, {"urn:s": SYSTEM, "urn:f": FRAGMENT}.get).codes("urn:v")
    return None if found is None else {code for _, code in found}


@pytest.mark.parametrize(("name", "compose", "expected"), COMPOSE, ids=[row[0] for row in COMPOSE])
def test_compose(name: str, compose: dict[str, Any], expected: set[str] | None) -> None:
    assert expand(compose) == expected


def test_the_table_runner_sees_a_wrong_row() -> None:
    assert expand(rule("is-a", "a")) != {"a"}


def test_stored_expansion_without_compose() -> None:
    contains = [{"system": "urn:s", "code": "a", "abstract": True, "contains": [{"system": "urn:s", "code": "a1"}]}]
    expander = Expander({"urn:v": {"expansion": {"contains": contains}}}.get, {}.get)
    assert expander.codes("urn:v") == {("urn:s", "a1")}
