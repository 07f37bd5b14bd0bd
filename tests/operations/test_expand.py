"""$expand in depth: composition, filters, order, languages, designations, properties, versions, limits."""

from time import thread_time
from typing import Any
from urllib.parse import quote

import pytest

from tests.client import Client
from tests.operations.terminology_resources import (
    FISH,
    GENDER,
    all_of,
    by,
    codes,
    expand,
    fish,
    parameters,
    refusal,
    value_set,
)  # fmt: skip

EVERY = ["any", "salmon", "trout", "sea-trout", "migrant", "sturgeon"]
R5 = "http://hl7.org/fhir/5.0/StructureDefinition/extension-ValueSet.expansion."
R5_OPERATOR = "http://hl7.org/fhir/5.0/StructureDefinition/extension-ValueSet.compose.include.filter.op"


@pytest.fixture(scope="module", autouse=True)
def stored(client: Client) -> None:
    client.create(fish())


COMPOSED: list[tuple[list[dict[str, Any]], dict[str, Any], list[str]]] = [
    ([all_of()], {}, EVERY),
    ([all_of()], {"inactive": False}, EVERY[:-1]),
    ([all_of()], {"inactive": True}, EVERY),
    ([all_of(concept=[{"code": "trout"}, {"code": "any"}])], {}, ["trout", "any"]),
    ([all_of(concept=[{"code": "trout"}, {"code": "no-such"}])], {}, ["trout"]),
    ([by("concept", "is-a", "trout")], {}, ["trout", "sea-trout"]),
    ([by("concept", "descendent-of", "migrant")], {}, ["sturgeon"]),
    ([by("concept", "is-not-a", "any")], {}, []),
    ([by("concept", "generalizes", "sturgeon")], {}, ["any", "migrant", "sturgeon"]),
    ([by("concept", "in", "salmon,trout")], {}, ["salmon", "trout"]),
    ([by("concept", "not-in", "salmon,trout")], {}, ["any", "sea-trout", "migrant", "sturgeon"]),
    ([by("water", "=", "fresh")], {}, ["salmon", "trout"]),
    ([by("water", "in", "salt, sweet")], {}, ["salmon"]),
    ([by("water", "not-in", "salt")], {}, [c for c in EVERY if c != "salmon"]),
    ([by("water", "exists", "true")], {}, ["salmon", "trout"]),
    ([by("water", "exists", "false")], {}, ["any", "sea-trout", "migrant", "sturgeon"]),
    ([by("water", "regex", "s.*")], {}, ["salmon"]),
    ([by("code", "regex", "(s[a-z]*)+")], {}, ["salmon", "sturgeon"]),
    ([by("kin", "=", "trout")], {}, ["salmon"]),
    ([by("parent", "=", "any")], {}, ["salmon", "trout", "migrant", "sturgeon"]),
    ([by("parent", "exists", "false")], {}, ["any"]),
    ([by("child", "exists", "true")], {}, ["any", "trout", "migrant"]),
    ([by("ancestor", "=", "migrant")], {}, ["sturgeon"]),
    ([by("display", "regex", ".*trout")], {}, ["trout", "sea-trout"]),
    ([by("display", "=", "Sturgeon")], {}, ["sturgeon"]),
    ([by("inactive", "=", "true")], {}, ["sturgeon"]),
    ([by("notSelectable", "=", "false")], {}, EVERY[1:]),
    ([by("constraint", "=", "< any MINUS << trout")], {}, ["salmon", "migrant", "sturgeon"]),
    ([all_of(filter=[{"property": "water", "op": "=", "value": "fresh"}, {"property": "code", "op": "regex", "value": "s.*"}])], {}, ["salmon"]),
    ([all_of()], {"exclude": [by("concept", "is-a", "trout"), all_of(concept=[{"code": "any"}])]}, ["salmon", "migrant", "sturgeon"]),
    ([{"valueSet": ["urn:test:all-fish"]}], {"exclude": [{"valueSet": ["urn:test:all-fish"]}]}, []),
    ([by("concept", "is-a", "trout"), all_of(concept=[{"code": "salmon"}])], {}, ["salmon", "trout", "sea-trout"]),
]  # fmt: skip


@pytest.mark.parametrize(("include", "more", "expected"), COMPOSED)
def test_compose(client: Client, include: Any, more: dict[str, Any], expected: list[str]) -> None:
    found = expand(client, value_set("urn:test:x", *include, **more))
    assert codes(found) == expected
    assert found["total"] == len(expected)


def test_the_table_would_notice_a_wrong_row(client: Client) -> None:
    assert codes(expand(client, value_set("urn:test:x", by("concept", "descendent-of", "trout")))) != ["trout", "sea-trout"]


def test_an_operator_of_r5(client: Client) -> None:
    rule: dict[str, Any] = {"property": "concept", "op": "is-a", "value": "any"}
    rule |= {"_op": {"extension": [{"url": R5_OPERATOR, "valueCode": "child-of"}]}}
    found = expand(client, value_set("urn:test:x", all_of(filter=[rule])))
    assert codes(found) == ["salmon", "trout", "migrant", "sturgeon"]


REFUSED: list[tuple[Any, tuple[int, str]]] = [
    ([by("nothing", "=", "x")], (422, "not-supported")),
    ([by("display", "is-a", "x")], (422, "not-supported")),
    ([by("concept", "is-a", "no-such")], (422, "processing")),
    ([by("code", "regex", "a{1000}{1000}{1000}")], (422, "processing")),
    ([by("code", "regex", "[")], (422, "processing")),
    ([by("constraint", "=", "< any : {x = y}")], (422, "not-supported")),
    ([by("constraint", "=", " OR ".join(["<< any"] * 101))], (422, "too-costly")),
    ([by("concept", "in", "x," * 40_000)], (422, "too-costly")),
    ([{"system": f"urn:test:far:{i}", "concept": [{"code": "x"}]} for i in range(5000)], (422, "too-costly")),
    ([by("constraint", "=", "(" * 50 + "any" + ")" * 50)], (422, "too-costly")),
    ([by("constraint", "=", "any AND any OR any")], (422, "not-supported")),
    ([by("code", "=", "x", system="http://snomed.info/sct")], (422, "not-supported")),
    ([all_of(filter=[{"property": "concept", "op": "is-a", "value": "any"}] * 10_000)], (422, "too-costly")),
    ([all_of(version="9")], (422, "not-supported")),
    ([{"valueSet": ["urn:test:nowhere"]}], (422, "not-found")),
    ([{"valueSet": ["urn:test:x"]}], (422, "processing")),
]  # fmt: skip


@pytest.mark.parametrize(("include", "expected"), REFUSED)
def test_compositions_that_are_refused(client: Client, include: Any, expected: tuple[int, str]) -> None:
    resource = value_set("urn:test:x", *include)
    client.put("ValueSet/circle", {**resource, "id": "circle"} if "urn:test:x" in str(include) else {**value_set("urn:test:y", all_of()), "id": "circle"})
    began = thread_time()
    assert refusal(client.post("ValueSet/$expand", resource)) == expected
    assert thread_time() - began < 10, "a hundred times what it takes"


def test_imports_that_fan_out_are_worked_out_once_each(client: Client) -> None:
    for level in range(9):
        inner = [{"valueSet": [f"urn:test:fan-{level + 1}"]}] * 50 if level < 8 else [all_of()]
        client.create(value_set(f"urn:test:fan-{level}", *inner))
    assert codes(client.get("ValueSet/$expand?url=urn:test:fan-0").json["expansion"]) == EVERY


def test_a_circle_over_stored_value_sets_ends(client: Client) -> None:
    for one, other in (("a", "b"), ("b", "c"), ("c", "a")):
        client.create(value_set(f"urn:test:circle-{one}", {"valueSet": [f"urn:test:circle-{other}"]}))
    answer = client.get("ValueSet/$expand?url=urn:test:circle-b")
    assert refusal(answer) == (422, "processing")
    assert refusal(client.get(f"ValueSet/$validate-code?url=urn:test:circle-a&system={FISH}&code=trout")) == (422, "processing")


TEXTS = [
    ("trout", ["trout", "sea-trout"]),
    ("sea tr", ["sea-trout"]),
    ("TRUITE", ["trout"]),
    ("salmon", ["salmon"]),
    ("salmón atl", ["salmon"]),
    ("salar", ["salmon"]),
    ("rout", []),
    ("fish any", ["any"]),
]


@pytest.mark.parametrize(("text", "expected"), TEXTS)
def test_text(client: Client, text: str, expected: list[str]) -> None:
    assert codes(expand(client, value_set("urn:test:x", all_of()), filter__valueString=text)) == expected


def test_text_finds_what_the_value_set_itself_calls_a_code(client: Client) -> None:
    named = value_set("urn:test:x", all_of(concept=[{"code": "trout", "display": "Forelle"}, {"code": "salmon"}]))
    found = expand(client, named, filter__valueString="forel")
    assert [(item["code"], item["display"]) for item in found["contains"]] == [("trout", "Forelle")]


def test_languages(client: Client) -> None:
    whole = value_set("urn:test:x", all_of())
    shown = {i["code"]: i["display"] for i in expand(client, whole, displayLanguage__valueCode="fr-CA")["contains"]}
    assert (shown["trout"], shown["salmon"], shown["migrant"]) == ("Truite", "Saumon de l'Atlantique", "Migrating fish")
    answer = client.post("ValueSet/$expand", whole, accept_language="de, es;q=0.5, fr;q=0.9")
    shown = {item["code"]: item["display"] for item in answer.json["expansion"]["contains"]}
    assert (shown["salmon"], shown["trout"]) == ("Saumon de l'Atlantique", "Truite")
    mixed = client.post("ValueSet/$expand", parameters(valueSet__resource=whole, displayLanguage__valueCode="es"), accept_language="fr")
    shown = {item["code"]: item["display"] for item in mixed.json["expansion"]["contains"]}
    assert (shown["salmon"], shown["trout"]) == ("Salmón", "Brown trout")


DESIGNATIONS = [
    ({"includeDesignations__valueBoolean": True}, 3),
    ({"designation__valueString": "urn:ietf:bcp:47|fr"}, 1),
    ({"designation__valueString": "urn:test:use|latin"}, 1),
    ({"designation__valueString": ["urn:test:use|latin", "urn:ietf:bcp:47|es"]}, 2),
    ({"designation__valueString": "urn:other|latin"}, 0),
    ({}, 0),
]


@pytest.mark.parametrize(("asked", "count"), DESIGNATIONS)
def test_designations(client: Client, asked: dict[str, Any], count: int) -> None:
    (item,) = expand(client, value_set("urn:test:x", by("water", "=", "salt")), **asked)["contains"]
    assert len(item.get("designation", ())) == count


def test_properties(client: Client) -> None:
    resource = value_set("urn:test:x", by("water", "=", "salt"))
    found = expand(client, resource, property__valueString=["water", "definition", "parent"])
    assert [e["extension"][0]["valueCode"] for e in found["extension"]] == ["water", "definition", "parent"]
    (item,) = found["contains"]
    held: dict[str, list[Any]] = {}
    for extension in item["extension"]:
        assert extension["url"] == f"{R5}contains.property"
        name, value = extension["extension"]
        held.setdefault(name["valueCode"], []).append(next(v for k, v in value.items() if k.startswith("value")))
    assert held == {"definition": ["A fish that swims upstream."], "parent": ["any"], "water": ["salt", "fresh"]}


def test_hierarchy(client: Client) -> None:
    whole = value_set("urn:test:x", all_of())
    (root,) = expand(client, whole, excludeNested__valueBoolean=False)["contains"]
    assert (root["code"], root["abstract"]) == ("any", True)
    assert [item["code"] for item in root["contains"]] == ["salmon", "trout", "migrant", "sturgeon"]
    flat = expand(client, whole, excludeNested__valueBoolean=False, count__valueInteger=3)
    assert codes(flat) == EVERY[:3]


def test_choices(client: Client) -> None:
    whole = value_set("urn:test:x", all_of(), {"system": GENDER})
    assert "sturgeon" not in codes(expand(client, whole, activeOnly__valueBoolean=True))
    assert "any" not in codes(expand(client, whole, excludeNotForUI__valueBoolean=True))
    found = expand(client, whole, exclude_system__valueCanonical=FISH)
    assert codes(found) == ["male", "female", "other", "unknown"]
    assert f"{FISH}|1" not in [p.get("valueUri") for p in found["parameter"] if p["name"] == "version"]


def test_what_was_asked_and_used_is_repeated(client: Client) -> None:
    found = expand(client, value_set("urn:test:x", all_of()), filter__valueString="trout", count__valueInteger=1)
    assert found["parameter"] == [
        {"name": "filter", "valueString": "trout"},
        {"name": "count", "valueInteger": 1},
        {"name": "version", "valueUri": f"{FISH}|1"},
    ]
    assert (found["total"], found["offset"]) == (2, 0)


def test_the_definition_on_request(client: Client) -> None:
    resource = value_set("urn:test:x", all_of())
    for wanted in (True, False):
        asked = parameters(valueSet__resource=resource, includeDefinition__valueBoolean=wanted)
        assert ("compose" in client.post("ValueSet/$expand", asked).json) is wanted


def test_an_expansion_that_is_carried(client: Client) -> None:
    contains = [{"system": FISH, "code": "trout", "contains": [{"system": FISH, "code": "salmon"}]}, {"system": "urn:far", "code": "x", "display": "X"}]
    resource = {"resourceType": "ValueSet", "status": "active", "expansion": {"timestamp": "2020-01-01", "contains": contains}}
    assert codes(expand(client, resource)) == ["trout", "salmon", "x"]


def test_what_is_too_large_is_refused_or_cut(client: Client) -> None:
    many = {"resourceType": "CodeSystem", "url": "urn:test:many", "status": "active", "content": "complete", "concept": [{"code": f"c{i}"} for i in range(5200)]}
    client.create(many)
    whole = value_set("urn:test:x", {"system": "urn:test:many"})
    assert refusal(client.post("ValueSet/$expand", whole)) == (422, "too-costly")
    assert refusal(client.post("ValueSet/$expand", parameters(valueSet__resource=whole, count__valueInteger=5100))) == (422, "too-costly")
    page = expand(client, whole, count__valueInteger=20, offset__valueInteger=5190)
    assert (page["total"], codes(page)[0], len(codes(page))) == (5200, "c5190", 10)
    cut = expand(client, whole, limitedExpansion__valueBoolean=True)
    assert (len(codes(cut)), cut["total"]) == (5000, 5200)
    assert cut["extension"][0]["valueBoolean"] is True


IMPLICIT = [
    ("urn:test:all-fish", EVERY),
    ("http://hl7.org/fhir/ValueSet/administrative-gender", ["male", "female", "other", "unknown"]),
]


@pytest.mark.parametrize(("url", "expected"), IMPLICIT)
def test_by_url(client: Client, url: str, expected: list[str]) -> None:
    answer = client.get(f"ValueSet/$expand?url={quote(url)}")
    assert answer.status == 200, answer.text
    assert codes(answer.json["expansion"]) == expected


NOT_HERE = [
    "http://snomed.info/sct?fhir_vs",
    "http://snomed.info/sct?fhir_vs=isa/50697003",
    "http://snomed.info/sct?fhir_vs=refset/723264001",
    "http://snomed.info/sct?fhir_vs=ecl/%3C%3C%2050697003",
    "http://loinc.org/vs",
    "http://loinc.org/vs/LL715-4",
    "http://unitsofmeasure.org/vs",
]


@pytest.mark.parametrize("url", NOT_HERE)
def test_implicit_value_sets_whose_system_is_not_here(client: Client, url: str) -> None:
    assert refusal(client.get(f"ValueSet/$expand?url={quote(url, safe='')}")) == (422, "not-supported")


@pytest.mark.parametrize("url", ["http://snomed.info/sct?fhir_vs=what/1", "http://loinc.org/vs/XX1-2", "urn:none"])
def test_urls_that_mean_nothing(client: Client, url: str) -> None:
    assert refusal(client.get(f"ValueSet/$expand?url={quote(url, safe='')}")) == (404, "not-found")
