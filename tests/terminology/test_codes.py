"""$validate-code, $lookup and $subsumes."""

from typing import Any

import pytest

from fhir_server.conformance.registry import base_registry
from fhir_server.core.errors import FhirError, NotFound
from fhir_server.terminology.definitions import Definitions
from fhir_server.terminology.lookup import lookup
from fhir_server.terminology.subsumes import subsumes
from fhir_server.terminology.validate_code import Question, Verdict, any_of, in_code_system, in_value_set
from tests.terminology.test_compose import V3, definitions

GENDER = "http://hl7.org/fhir/administrative-gender"
IN_GENDER: list[tuple[dict[str, Any], bool]] = [
    ({"system": GENDER, "code": "male"}, True),
    ({"system": None, "code": "male"}, True),
    ({"system": GENDER, "code": "Male"}, False),
    ({"system": GENDER, "code": "male", "display": "male"}, True),
    ({"system": GENDER, "code": "male", "display": "Female"}, False),
    ({"system": "urn:other", "code": "male"}, False),
    ({"system": None, "code": "none"}, False),
]


def gender(**asked: Any) -> Verdict:
    here = definitions()
    return in_value_set(here, here.value_set("http://hl7.org/fhir/ValueSet/administrative-gender"), Question(**asked))


@pytest.mark.parametrize(("asked", "expected"), IN_GENDER)
def test_in_value_set(asked: dict[str, Any], expected: bool) -> None:
    verdict = gender(**asked)
    assert verdict.result is expected
    assert expected or verdict.message


def test_the_value_set_table_would_notice_a_wrong_row() -> None:
    assert gender(system=GENDER, code="x").result is not True


def test_a_wrong_display_is_answered_with_the_right_one() -> None:
    verdict = gender(system=GENDER, code="male", display="Female")
    assert verdict.display == "Male"
    names = [p["name"] for p in verdict.parameters()["parameter"]]
    assert names == ["result", "message", "display", "code", "system", "version", "issues"]


IN_SYSTEM = [
    ("urn:colours", "RED", True),
    ("urn:colours", "green", False),
    ("urn:ietf:bcp:47", "fr-MA", True),
    ("urn:ietf:bcp:47", "français", False),
    ("urn:ietf:bcp:13", "application/fhir+json", True),
    ("urn:ietf:bcp:13", "pdf", False),
    ("http://unitsofmeasure.org", "mg/dL", True),
    ("http://unitsofmeasure.org", "mg//dL", False),
]


@pytest.mark.parametrize(("system", "code", "expected"), IN_SYSTEM)
def test_in_code_system(system: str, code: str, expected: bool) -> None:
    assert in_code_system(definitions(), Question(system, code)).result is expected


def test_the_code_system_table_would_notice_a_wrong_row() -> None:
    assert in_code_system(definitions(), Question("urn:colours", "pink")).result is not False


def test_abstract_codes_where_they_are_not_wanted() -> None:
    assert in_code_system(definitions(), Question("urn:colours", "any")).result
    assert not in_code_system(definitions(), Question("urn:colours", "any", abstract=False)).result


def test_what_this_server_cannot_know_is_not_called_invalid() -> None:
    with pytest.raises(FhirError) as raised:
        in_code_system(definitions(), Question("http://snomed.info/sct", "no-such-thing"))
    assert (raised.value.status, raised.value.issues[0].code) == (422, "not-supported")


NO = Verdict.wrong(Question("urn:colours", "x"), "no")


def test_a_concept_is_valid_by_any_coding() -> None:
    assert any_of([NO, Verdict(True)]).result
    assert not any_of([NO]).result
    assert not any_of([]).result


def values(answer: dict[str, Any], code: str) -> list[Any]:
    found = []
    for parameter in answer["parameter"]:
        if parameter["name"] == "property":
            name, value = parameter["part"]
            if name["valueCode"] == code:
                found.append(next(v for k, v in value.items() if k.startswith("value")))
    return found


def test_lookup() -> None:
    answer = lookup(definitions(), "urn:colours", "pink")
    assert {p["name"]: p.get("valueString") for p in answer["parameter"] if p["name"] != "property"} == {
        "name": "Colours",
        "version": "2",
        "display": "Pink",
    }
    assert values(answer, "parent") == ["white", "red"]
    assert values(answer, "inactive") == [False]
    mother = lookup(Definitions(base_registry()), V3, "MTH")
    assert values(mother, "parent") == ["PRN"]
    assert "NMTH" in values(mother, "child")


def test_lookup_of_named_properties_and_in_a_language() -> None:
    answer = lookup(definitions(), "urn:colours", "red", frozenset({"warm"}), ("fr",))
    assert [p["name"] for p in answer["parameter"]] == ["name", "version", "display", "property"]
    assert answer["parameter"][2]["valueString"] == "Rouge"
    assert values(answer, "warm") == [True]
    with pytest.raises(NotFound):
        lookup(definitions(), "urn:colours", "green")


def test_lookup_of_a_unit() -> None:
    answer = lookup(definitions(), "http://unitsofmeasure.org", "mg/dL")
    assert answer["parameter"][:2] == [
        {"name": "name", "valueString": "UCUM"},
        {"name": "display", "valueString": "(milligram) / (deciliter)"},
    ]
    assert values(answer, "printed") == ["mg/dL"]
    with pytest.raises(FhirError):
        lookup(definitions(), "http://unitsofmeasure.org", "mg//dL")


SUBSUMES = [
    ("red", "red", "equivalent"),
    ("red", "RED", "equivalent"),
    ("any", "pink", "subsumes"),
    ("pink", "red", "subsumed-by"),
    ("white", "red", "not-subsumed"),
]


@pytest.mark.parametrize(("a", "b", "expected"), SUBSUMES)
def test_subsumes(a: str, b: str, expected: str) -> None:
    assert subsumes(definitions(), "urn:colours", a, b) == expected


def test_the_subsumes_table_would_notice_a_wrong_row() -> None:
    assert subsumes(definitions(), "urn:colours", "dark-red", "red") != "subsumes"
    with pytest.raises(NotFound):
        subsumes(definitions(), "urn:colours", "red", "green")
