"""$expand, and what search asks: the listing, text filter, paging, languages."""

from typing import Any

import pytest

from fhir_server.conformance.registry import base_registry
from fhir_server.core.errors import FhirError, TooCostly
from fhir_server.terminology.expand import expand
from fhir_server.terminology.expansion import Expansion
from tests.terminology.test_compose import COLOURS, definitions, given

GENDER = "http://hl7.org/fhir/ValueSet/administrative-gender"
OWN = {"url": "own", "status": "active", "compose": {"include": [{"system": "urn:colours"}]}}


def codes(expansion: dict[str, Any]) -> list[str]:
    return [item["code"] for item in expansion["expansion"].get("contains", ())]


def of(value_set: dict[str, Any], **wanted: Any) -> dict[str, Any]:
    return expand(definitions(), value_set, Expansion(**wanted), "2026-01-01T00:00:00Z")


def package(url: str) -> dict[str, Any]:
    found = base_registry().value_set(url)
    assert found is not None
    return found


def test_administrative_gender() -> None:
    answer = of(package(GENDER))
    assert codes(answer) == ["male", "female", "other", "unknown"]
    assert answer["expansion"]["total"] == 4
    assert answer["expansion"]["timestamp"] == "2026-01-01T00:00:00Z"
    assert "compose" not in answer
    assert answer["expansion"]["parameter"] == [
        {"name": "version", "valueUri": "http://hl7.org/fhir/administrative-gender|4.0.1"}
    ]


TEXTS = [("red", ["red", "dark-red"]), ("ROUGÉ", ["red"]), ("dark red", ["dark-red"]), ("pin", ["pink"]), ("x", [])]


@pytest.mark.parametrize(("text", "expected"), TEXTS)
def test_text_filter(text: str, expected: list[str]) -> None:
    assert codes(of(OWN, filter=text)) == expected


def test_the_text_table_would_notice_a_wrong_row() -> None:
    assert codes(of(OWN, filter="red")) != ["red"]


def test_pages_are_disjoint_complete_and_share_an_identifier() -> None:
    pages = [of(OWN, offset=offset, count=4) for offset in (0, 4)]
    assert sum((codes(page) for page in pages), []) == codes(of(OWN))
    assert {page["expansion"]["total"] for page in pages} == {6}
    assert len({page["expansion"]["identifier"] for page in pages}) == 1
    assert codes(of(OWN, count=0)) == []
    assert codes(of(OWN, offset=50)) == []


def test_marks_of_codes_and_choosing_by_them() -> None:
    items = {item["code"]: item for item in of(OWN)["expansion"]["contains"]}
    assert items["any"]["abstract"] is True
    assert items["old"]["inactive"] is True
    assert "old" not in codes(of(OWN, active_only=True))
    assert "any" not in codes(of(OWN, exclude_not_for_ui=True))
    assert codes(of(OWN, exclude_systems=frozenset({"urn:colours"}))) == []


def test_nesting_puts_each_code_once() -> None:
    (root,) = of(OWN, exclude_nested=False)["expansion"]["contains"]
    assert [item["code"] for item in root["contains"]] == ["red", "white", "old"]
    assert [item["code"] for item in root["contains"][1]["contains"]] == ["pink"]
    assert [item["code"] for item in root["contains"][0]["contains"]] == ["dark-red"]


def test_designations_and_language() -> None:
    (red,) = of(OWN, filter="rouge", include_designations=True)["expansion"]["contains"]
    assert red["designation"] == [{"language": "fr", "value": "Rouge"}]
    assert red["display"] == "Red"
    (red,) = of(OWN, filter="rouge", languages=("fr-MA",))["expansion"]["contains"]
    assert red["display"] == "Rouge"
    assert "designation" not in red


def test_too_costly_says_how_to_narrow() -> None:
    many = {**COLOURS, "concept": [{"code": f"c{i}"} for i in range(5001)]}
    here = given(many)
    with pytest.raises(TooCostly, match="count") as raised:
        expand(here, OWN, Expansion(), "")
    assert raised.value.status == 422
    assert len(codes(expand(here, OWN, Expansion(count=10), ""))) == 10


def test_a_tenants_own_system_replaces_the_packages() -> None:
    url = "http://hl7.org/fhir/administrative-gender"
    own = {"url": url, "version": "9", "content": "complete", "concept": [{"code": "only"}]}
    assert codes(of(package(GENDER))) == ["male", "female", "other", "unknown"]
    mine = given(own)
    assert codes(expand(mine, package(GENDER), Expansion(), "")) == ["only"]
    assert codes(of(package(GENDER))) == ["male", "female", "other", "unknown"]


def test_a_fragment_is_marked() -> None:
    answer = of(package("http://hl7.org/fhir/ValueSet/insuranceplan-type"))
    names = {parameter["name"] for parameter in answer["expansion"]["parameter"]}
    assert "warning-fragment" in names


def test_versions_that_are_not_held_are_refused() -> None:
    with pytest.raises(FhirError, match="version"):
        definitions(own=OWN | {"version": "1"}).value_set("own|2")
    with pytest.raises(FhirError, match="version"):
        definitions().require("urn:colours|1")


def test_listed_codes_come_first_and_only_those_that_are_in() -> None:
    listed = {"system": "urn:colours", "concept": [{"code": "pink"}, {"code": "white"}, {"code": "red"}]}
    filtered = {"system": "urn:colours", "filter": [{"property": "concept", "op": "=", "value": "any"}]}
    taken = {"system": "urn:colours", "concept": [{"code": "white"}]}
    value_set = {"url": "own", "compose": {"include": [listed, filtered], "exclude": [taken]}}
    assert codes(of(value_set)) == ["pink", "red", "any"]
    assert codes(of({"url": "own", "compose": {"include": [listed]}})) == ["pink", "white", "red"]


def test_the_first_that_names_a_code_is_followed() -> None:
    named = [{"system": "urn:colours", "concept": [{"code": "RED", "display": text}]} for text in ("First", "Second")]
    (red,) = of({"url": "own", "compose": {"include": named}})["expansion"]["contains"]
    assert (red["code"], red["display"]) == ("red", "First")
