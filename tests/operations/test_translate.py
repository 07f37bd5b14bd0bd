"""$translate: which maps, forms of input, equivalences, dependencies, products, unmapped codes, the other way round."""

from typing import Any

import pytest

from tests.client import Answer, Client
from tests.operations.terminology_resources import GENDER, parameters, refusal, said

A, B, C = "urn:test:a", "urn:test:b", "urn:test:c"
ADDRESS_USE = "http://hl7.org/fhir/address-use"
MAP: dict[str, Any] = {
    "resourceType": "ConceptMap",
    "url": "urn:test:map",
    "version": "2",
    "status": "active",
    "sourceUri": "urn:test:vs-a",
    "targetUri": "urn:test:vs-b",
    "group": [
        {
            "source": A,
            "target": B,
            "targetVersion": "7",
            "element": [
                {"code": "one", "target": [{"code": "eins", "display": "Eins", "equivalence": "equivalent"}]},
                {"code": "two", "target": [{"code": "zwei", "equivalence": "wider"}, {"code": "zwo", "equivalence": "equal"}]},
                {"code": "none", "target": [{"equivalence": "unmatched", "comment": "Nothing fits."}]},
                {
                    "code": "it depends",
                    "target": [
                        {"code": "links", "equivalence": "equivalent", "dependsOn": [{"property": "urn:test:side", "value": "left", "system": C}]},
                        {"code": "rechts", "equivalence": "equivalent", "dependsOn": [{"property": "urn:test:side", "value": "right"}]},
                    ],
                },
                {"code": "more", "target": [{"code": "mehr", "equivalence": "narrower", "comment": "A part of it.", "product": [{"property": "urn:test:side", "system": C, "value": "left"}]}]},
            ],
            "unmapped": {"mode": "fixed", "code": "anderes", "display": "Anderes"},
        },
        {"source": A, "target": C, "element": [{"code": "one", "target": [{"code": "I", "equivalence": "equivalent"}]}], "unmapped": {"mode": "provided"}},
    ],
}  # fmt: skip
OTHER: dict[str, Any] = {
    "resourceType": "ConceptMap", "url": "urn:test:other", "status": "active",
    "group": [{"source": A, "target": B, "element": [{"code": "x", "target": [{"code": "y", "equivalence": "equal"}]}], "unmapped": {"mode": "other-map", "url": "urn:test:map"}}],
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def stored(client: Client) -> str:
    client.create(OTHER)
    client.create({**MAP, "url": "urn:test:circle", "group": [{"source": C, "target": C, "element": [{"code": "q"}], "unmapped": {"mode": "other-map", "url": "urn:test:circle"}}]})
    return str(client.create(MAP)["id"])


def matches(answer: Answer) -> list[tuple[Any, Any, Any]]:
    assert answer.status == 200, answer.text
    found = []
    for parameter in answer.json["parameter"]:
        if parameter["name"] == "match":
            held = {part["name"]: next((v for k, v in part.items() if k.startswith("value")), None) for part in parameter["part"]}
            concept = held.get("concept") or {}
            found.append((held["equivalence"], concept.get("code"), concept.get("system")))
    return found


MATCHED = [
    (f"url=urn:test:map&system={A}&code=one&targetsystem={B}", True, [("equivalent", "eins", B)]),
    (f"url=urn:test:map&system={A}&code=one", True, [("equivalent", "eins", B), ("equivalent", "I", C)]),
    (f"url=urn:test:map&system={A}&code=two&targetsystem={B}", True, [("wider", "zwei", B), ("equal", "zwo", B)]),
    (f"url=urn:test:map&system={A}&code=none&targetsystem={B}", False, [("unmatched", None, None)]),
    (f"url=urn:test:map&system={A}&code=what&targetsystem={B}", True, [("inexact", "anderes", B)]),
    (f"url=urn:test:map&system={A}&code=what&targetsystem={C}", True, [("equal", "what", C)]),
    (f"url=urn:test:map&system={A}&code=it%20depends&targetsystem={B}", False, []),
    (f"url=urn:test:map&system={B}&code=zwei&reverse=true", True, [("narrower", "two", A)]),
    (f"url=urn:test:map&system={B}&code=nicht&reverse=true", False, []),
    (f"url=urn:test:map&conceptMapVersion=2&system={A}&code=one&targetsystem={C}", True, [("equivalent", "I", C)]),
    (f"url=urn:test:other&system={A}&code=x", True, [("equal", "y", B)]),
    (f"url=urn:test:other&system={A}&code=one&targetsystem={B}", True, [("equivalent", "eins", B)]),
    (f"url=urn:test:circle&system={C}&code=other", False, []),
    ("url=urn:test:map&system=urn:test:nowhere&code=one", False, []),
    (f"source=urn:test:vs-a&target=urn:test:vs-b&system={A}&code=one&targetsystem={B}", True, [("equivalent", "eins", B)]),
    (f"source=urn:test:vs-a&target=urn:test:nowhere&system={A}&code=one", False, []),
    (f"source=urn:test:vs-b&target=urn:test:vs-a&reverse=true&system={B}&code=eins", True, [("equivalent", "one", A)]),
    (f"target=http://terminology.hl7.org/ValueSet/v3-AddressUse&system={ADDRESS_USE}&code=home", True, [("equivalent", "H", "http://terminology.hl7.org/CodeSystem/v3-AddressUse"), ("equal", "H", "http://terminology.hl7.org/CodeSystem/v3-AddressUse")]),
    (f"url=http://hl7.org/fhir/ConceptMap/cm-administrative-gender-v3&system={GENDER}&code=male", True, [("equal", "M", "http://terminology.hl7.org/CodeSystem/v3-AdministrativeGender")]),
]  # fmt: skip


@pytest.mark.parametrize(("query", "result", "expected"), MATCHED)
def test_translate(client: Client, query: str, result: bool, expected: list[Any]) -> None:
    answer = client.get(f"ConceptMap/$translate?{query}")
    assert matches(answer) == expected
    assert said(answer, "result") is result
    assert result or said(answer, "message")


def test_the_table_would_notice_a_wrong_row(client: Client) -> None:
    answer = client.get(f"ConceptMap/$translate?url=urn:test:map&system={A}&code=two&targetsystem={B}")
    assert matches(answer) != [("equal", "zwo", B)]


def test_forms_of_input(client: Client, stored: str) -> None:
    one, two = {"system": A, "code": "one"}, {"system": A, "code": "two"}
    expected = [("equivalent", "eins", B)]
    for asked in (
        parameters(coding__valueCoding=one, targetsystem__valueUri=B),
        parameters(codeableConcept__valueCodeableConcept={"coding": [one]}, targetsystem__valueUri=B),
    ):
        assert matches(client.post(f"ConceptMap/{stored}/$translate", asked)) == expected
    asked = parameters(conceptMap__resource=MAP, coding__valueCoding=one, targetsystem__valueUri=B)
    assert matches(client.post("ConceptMap/$translate", asked)) == expected
    both = parameters(codeableConcept__valueCodeableConcept={"coding": [one, two]}, targetsystem__valueUri=B)
    assert len(matches(client.post(f"ConceptMap/{stored}/$translate", both))) == 3


SIDES = [("left", C, ["links"]), ("left", "urn:test:nowhere", []), ("right", C, ["rechts"]), ("up", C, [])]


@pytest.mark.parametrize(("side", "system", "expected"), SIDES)
def test_dependencies(client: Client, side: str, system: str, expected: list[str]) -> None:
    asked = parameters(url__valueUri="urn:test:map", coding__valueCoding={"system": A, "code": "it depends"}, targetsystem__valueUri=B)
    concept = {"coding": [{"system": system, "code": side}]}
    parts = [{"name": "element", "valueUri": "urn:test:side"}, {"name": "concept", "valueCodeableConcept": concept}]
    asked["parameter"].append({"name": "dependency", "part": parts})
    assert [code for _, code, _ in matches(client.post("ConceptMap/$translate", asked))] == expected


def test_products_and_the_map_that_says_so(client: Client) -> None:
    answer = client.get(f"ConceptMap/$translate?url=urn:test:map&system={A}&code=more&targetsystem={B}")
    (match,) = [p["part"] for p in answer.json["parameter"] if p["name"] == "match"]
    held = {part["name"]: part for part in match}
    assert held["concept"]["valueCoding"] == {"system": B, "version": "7", "code": "mehr"}
    assert held["source"]["valueUri"] == "urn:test:map"
    assert held["product"]["part"] == [
        {"name": "element", "valueUri": "urn:test:side"},
        {"name": "concept", "valueCoding": {"system": C, "code": "left"}},
    ]


REFUSED: list[tuple[str, tuple[int, str]]] = [
    (f"ConceptMap/$translate?url=urn:test:nowhere&system={A}&code=one", (404, "not-found")),
    (f"ConceptMap/$translate?url=urn:test:map&conceptMapVersion=9&system={A}&code=one", (404, "not-found")),
    ("ConceptMap/$translate?url=urn:test:map&code=one", (400, "required")),
    (f"ConceptMap/$translate?url=urn:test:map&system={A}", (400, "required")),
    (f"ConceptMap/$translate?system={A}&code=one", (400, "required")),
    ("ConceptMap/no-such/$translate?system=x&code=one", (404, "not-found")),
]


@pytest.mark.parametrize(("path", "expected"), REFUSED)
def test_refusals(client: Client, path: str, expected: tuple[int, str]) -> None:
    assert refusal(client.get(path)) == expected


def test_parts_are_checked(client: Client) -> None:
    for parts in ([{"name": "what", "valueUri": "x"}], [{"name": "element", "valueUri": "a"}] * 2, [{"name": "element", "valueCoding": {}}]):
        asked = parameters(url__valueUri="urn:test:map", coding__valueCoding={"system": A, "code": "one"})
        asked["parameter"].append({"name": "dependency", "part": parts})
        assert client.post("ConceptMap/$translate", asked).status in (400, 422)
