"""The terminology operations over imported content: they answer as over a CodeSystem resource; what comes first when
there are several; versions, supplements, and what SNOMED CT's and LOINC's urls mean."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.client import Client
from tests.conftest import TestTenant
from tests.operations import test_expand
from tests.operations.terminology_resources import (
    FISH,
    all_of,
    by,
    codes,
    expand,
    fish,
    parameters,
    refusal,
    said,
    value_set,
)  # fmt: skip
from tests.terminology.imported import import_table

SNOMED, LOINC = "http://snomed.info/sct", "http://loinc.org"
EDITION = "http://snomed.info/sct/900000000000207008/version/20240101"
FISH_TABLE = """
    code,display,parent,inactive,abstract,definition,designation:fr,designation:es,property:water:code
    any,Any fish,,,true,,,,
    salmon,Atlantic salmon,any,,,A fish that swims upstream.,Saumon de l'Atlantique,Salmón,salt|fresh
    trout,Brown trout,any,,,,Truite,,fresh
    sea-trout,Sea trout,trout,,,,,,
    migrant,Migrating fish,any,,,,,,
    sturgeon,Sturgeon,any|migrant,true,,,,,
"""
SNOMED_TABLE = """
    code,display,parent,property:refset:code,property:246075003:code
    138875005,SNOMED CT Concept,,,
    404684003,Clinical finding,138875005,,
    22298006,Myocardial infarction,404684003,700,
    57054005,Acute myocardial infarction,22298006,700,
    40733004,Infectious disease,404684003,,409822003
    6142004,Influenza,40733004,,407477006
    900000000000455006,Reference set,138875005,,
    700,Our reference set,900000000000455006,,
    409822003,Domain bacteria,138875005,,
    407477006,Influenza virus,138875005,,
"""
LOINC_TABLE = """
    code,display,parent,property:LIST:code,property:SCALE_TYP:code
    LP1-1,Chemistry,,,
    LP2-2,Glucose,LP1-1,,
    2345-7,Glucose [Mass/volume],LP2-2,,Qn
    11502-2,Laboratory report,,,Doc
    LA1-1,Yes,,LL1-1,
    LA2-2,No,,LL1-1,
"""


@pytest.fixture(scope="module", autouse=True)
def imported(tenant: TestTenant, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("tables")
    import_table(folder, tenant.id, FISH, FISH_TABLE, "1", "Fish")
    import_table(folder, tenant.id, SNOMED, SNOMED_TABLE, EDITION, "SNOMED CT")
    import_table(folder, tenant.id, LOINC, LOINC_TABLE, "2.77", "LOINC")


# What the imported table has not: a Coding as property, CodeSystem.valueSet.
LIKE_A_RESOURCE = [row for row in test_expand.COMPOSED if "kin" not in str(row) and "all-fish" not in str(row)]


@pytest.mark.parametrize(("include", "more", "expected"), LIKE_A_RESOURCE)
def test_compose_as_over_a_resource(client: Client, include: Any, more: dict[str, Any], expected: list[str]) -> None:
    assert sorted(codes(expand(client, value_set("urn:test:x", *include, **more)))) == sorted(expected)


@pytest.mark.parametrize(("text", "expected"), [row for row in test_expand.TEXTS if row[0] != "salar"])
def test_text_as_over_a_resource(client: Client, text: str, expected: list[str]) -> None:
    found = expand(client, value_set("urn:test:x", all_of()), filter__valueString=text)
    assert sorted(codes(found)) == sorted(expected)


def test_lookup_and_validate_and_subsumes(client: Client) -> None:
    answer = client.get(f"CodeSystem/$lookup?system={FISH}&code=salmon&displayLanguage=fr")
    assert (said(answer, "name"), said(answer, "version"), said(answer, "display")) == ("Fish", "1", "Saumon de l'Atlantique")
    answer = client.get(f"CodeSystem/$lookup?system={FISH}&code=migrant&property=child")
    assert answer.json["parameter"][-1]["part"][1] == {"name": "value", "valueCode": "sturgeon"}
    answer = client.get(f"CodeSystem/$validate-code?url={FISH}&code=sturgeon")
    assert (said(answer, "result"), said(answer, "inactive")) == (True, True)
    assert said(client.get(f"CodeSystem/$validate-code?url={FISH}&code=trout&display=truite"), "result") is True
    assert said(client.get(f"CodeSystem/$validate-code?url={FISH}&code=pike"), "result") is False
    assert said(client.get(f"CodeSystem/$subsumes?system={FISH}&codeA=migrant&codeB=sturgeon"), "outcome") == "subsumes"


ECL: list[tuple[str, list[str]]] = [
    ("22298006", ["22298006"]),
    ("<< 22298006 |Myocardial infarction|", ["22298006", "57054005"]),
    ("< 404684003 MINUS << 40733004", ["22298006", "57054005"]),
    ("> 57054005", ["138875005", "22298006", "404684003"]),
    ("<! 404684003", ["22298006", "40733004"]),
    (">! 57054005", ["22298006"]),
    ("^ 700", ["22298006", "57054005"]),
    ("^ 700 AND < 22298006", ["57054005"]),
    ("(<< 22298006 OR << 40733004) MINUS (^ 700)", ["40733004", "6142004"]),
    ("< 404684003 : 246075003 = 407477006", ["6142004"]),
    ("< 404684003 : 246075003 = *", ["40733004", "6142004"]),
    ("* : 246075003 != 407477006", ["40733004"]),
    ("< 404684003 . 246075003", ["407477006", "409822003"]),
    ("< 404684003 : 246075003 = (407477006 OR 409822003) /* either */", ["40733004", "6142004"]),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "expected"), ECL)
def test_expression_constraints(client: Client, expression: str, expected: list[str]) -> None:
    url = f"{SNOMED}?fhir_vs=ecl/{quote(expression)}"
    answer = client.get(f"ValueSet/$expand?url={quote(url, safe='')}")
    assert answer.status == 200, answer.text
    assert sorted(codes(answer.json["expansion"])) == sorted(expected)


REFUSED_ECL = ["< 404684003 : { 246075003 = * }", "< 999", "<< ", "a b", "22298006 AND 6142004 OR 40733004", "< 404684003 : 999 = *", "^ *x", "(22298006", "x" * 5000]


@pytest.mark.parametrize("expression", REFUSED_ECL)
def test_expression_constraints_that_are_refused(client: Client, expression: str) -> None:
    url = f"{SNOMED}?fhir_vs=ecl/{quote(expression)}"
    assert client.get(f"ValueSet/$expand?url={quote(url, safe='')}").status == 422


IMPLICIT = [
    (f"{SNOMED}?fhir_vs", 10),
    (f"{SNOMED}?fhir_vs=isa/40733004", 2),
    (f"{SNOMED}?fhir_vs=refset/700", 2),
    (f"{SNOMED}?fhir_vs=refset", 1),
    (f"{SNOMED}/900000000000207008?fhir_vs=isa/40733004", 2),
    (f"{EDITION}?fhir_vs=isa/40733004", 2),
    (f"{LOINC}/vs", 6),
    (f"{LOINC}/vs/LL1-1", 2),
    (f"{LOINC}/vs/LP1-1", 2),
    ("http://hl7.org/fhir/ValueSet/doc-typecodes", 1),
]


@pytest.mark.parametrize(("url", "total"), IMPLICIT)
def test_implicit_value_sets(client: Client, url: str, total: int) -> None:
    answer = client.get(f"ValueSet/$expand?url={quote(url, safe='')}")
    assert answer.status == 200, answer.text
    assert answer.json["expansion"]["total"] == total
    assert answer.json["url"] == url


def test_membership_of_an_implicit_value_set(client: Client) -> None:
    url = quote(f"{SNOMED}?fhir_vs=isa/22298006", safe="")
    for code, expected in (("57054005", True), ("6142004", False), ("no", False)):
        assert said(client.get(f"ValueSet/$validate-code?url={url}&system={SNOMED}&code={code}"), "result") is expected


def test_other_tenants_do_not_see_it(new_tenant: Callable[[], TestTenant]) -> None:
    other = new_tenant().client()
    assert refusal(other.get(f"CodeSystem/$lookup?system={FISH}&code=trout")) == (422, "not-supported")
    assert refusal(other.get(f"ValueSet/$expand?url={quote(SNOMED + '?fhir_vs', safe='')}")) == (422, "not-supported")


def test_what_comes_first(new_tenant: Callable[[], TestTenant], tmp_path: Path) -> None:
    tenant = new_tenant()
    client = tenant.client()
    url = f"urn:test:first:{tenant.slug}"
    display = f"CodeSystem/$lookup?system={url}&code=a"
    import_table(tmp_path, 0, url, "code,display\na,Of the site", "3")
    assert said(client.get(display), "display") == "Of the site"
    import_table(tmp_path, tenant.id, url, "code,display\na,Of the tenant", "2")
    assert said(client.get(display), "display") == "Of the tenant"
    header = {"resourceType": "CodeSystem", "url": url, "status": "active", "content": "not-present"}
    stored = client.create(header)
    assert said(client.get(display), "display") == "Of the tenant"
    assert said(client.get(f"CodeSystem/{stored['id']}/$validate-code?code=a"), "result") is True
    part = {**stored, "content": "fragment", "concept": [{"code": "a", "display": "Of the part"}]}
    client.put(f"CodeSystem/{stored['id']}", part)
    assert said(client.get(display), "display") == "Of the tenant"
    own = {**stored, "content": "complete", "version": "1", "concept": [{"code": "a", "display": "Its resource"}]}
    client.put(f"CodeSystem/{stored['id']}", own)
    assert said(client.get(display), "display") == "Its resource"
    for version, expected in (("1", "Its resource"), ("2", "Of the tenant"), ("3", "Of the site")):
        assert said(client.get(f"{display}&version={version}"), "display") == expected
    assert refusal(client.get(f"{display}&version=4")) == (422, "not-supported")
    client.delete(f"CodeSystem/{stored['id']}")
    assert said(client.get(display), "display") == "Of the tenant"


def test_supplements_of_either_kind(new_tenant: Callable[[], TestTenant], tmp_path: Path) -> None:
    for kind in ("imported", "resource"):
        tenant = new_tenant()
        client = tenant.client()
        if kind == "imported":
            import_table(tmp_path, tenant.id, FISH, FISH_TABLE, "1")
        else:
            client.create(fish())
        designation = {"language": "de", "value": "Bachforelle"}
        concepts = [{"code": "trout", "designation": [designation], "property": [{"code": "tasty", "valueBoolean": True}]}, {"code": "pike"}]
        supplement = {
            "resourceType": "CodeSystem", "url": "urn:test:german", "status": "active", "content": "supplement",
            "supplements": f"{FISH}|1", "property": [{"code": "tasty", "type": "boolean"}], "concept": concepts,
        }  # fmt: skip
        stored = client.create(supplement)
        path = f"CodeSystem/$lookup?system={FISH}&code=trout&displayLanguage=de"
        assert said(client.get(path), "display") == "Bachforelle", kind
        tasty = value_set("urn:test:x", by("tasty", "=", "true"))
        assert codes(expand(client, tasty)) == ["trout"]
        assert codes(expand(client, value_set("urn:test:x", all_of()), filter__valueString="bachf")) == ["trout"]
        assert codes(expand(client, value_set("urn:test:x", by("tasty", "exists", "false"))))[:2] == ["any", "salmon"]
        assert said(client.get(f"CodeSystem/$validate-code?url={FISH}&code=pike"), "result") is False
        assert said(client.get(f"CodeSystem/$validate-code?url={FISH}&code=trout&display=bachforelle"), "result") is True
        client.put(f"CodeSystem/{stored['id']}", {**stored, "supplements": f"{FISH}|9"})
        assert said(client.get(path), "display") == "Brown trout"


def test_versions_side_by_side(new_tenant: Callable[[], TestTenant], tmp_path: Path) -> None:
    tenant = new_tenant()
    client = tenant.client()
    client.create(fish("1"))
    client.create(fish("2.0.1", concept=[{"code": "trout"}, {"code": "pike"}]))
    import_table(tmp_path, tenant.id, FISH, "code,display\ncarp,Carp", "0.5")
    newest, first, second, old = (all_of(**v) for v in ({}, {"version": "1"}, {"version": "2.0"}, {"version": "0.5"}))
    assert codes(expand(client, value_set("urn:test:x", newest))) == ["trout", "pike"]
    assert "salmon" in codes(expand(client, value_set("urn:test:x", first)))
    assert codes(expand(client, value_set("urn:test:x", second))) == ["trout", "pike"]
    assert codes(expand(client, value_set("urn:test:x", old))) == ["carp"]
    both = expand(client, value_set("urn:test:x", second, old))
    assert [(item["version"], item["code"]) for item in both["contains"]] == [("2.0.1", "trout"), ("2.0.1", "pike"), ("0.5", "carp")]
    used = [p["valueUri"] for p in both["parameter"] if p["name"] == "version"]
    assert used == [f"{FISH}|2.0.1", f"{FISH}|0.5"]
    less = expand(client, value_set("urn:test:x", second, first, exclude=[all_of(concept=[{"code": "trout"}])]))
    assert "trout" not in codes(less)
    asked = {"system_version__valueCanonical": f"{FISH}|0.5"}
    assert codes(expand(client, value_set("urn:test:x", newest), **asked)) == ["carp"]
    assert codes(expand(client, value_set("urn:test:x", second), **asked)) == ["trout", "pike"]
    forced = {"force_system_version__valueCanonical": f"{FISH}|0.5"}
    assert codes(expand(client, value_set("urn:test:x", second), **forced)) == ["carp"]
    checked = parameters(valueSet__resource=value_set("urn:test:x", second), check_system_version__valueCanonical=f"{FISH}|1")
    assert refusal(client.post("ValueSet/$expand", checked)) == (422, "not-supported")
    insisted = {"check_system_version__valueCanonical": f"{FISH}|1"}
    assert "salmon" in codes(expand(client, value_set("urn:test:x", newest), **insisted))
    for version, code, expected in (("1", "salmon", True), ("2.0.1", "salmon", False), ("0.5", "carp", True)):
        answer = client.get(f"CodeSystem/$validate-code?url={FISH}&version={version}&code={code}")
        assert said(answer, "result") is expected
    client.create(value_set("urn:test:pinned", first))
    path = f"ValueSet/$validate-code?url=urn:test:pinned&system={FISH}"
    assert said(client.get(f"{path}&code=salmon"), "version") == "1"
    assert said(client.get(f"{path}&code=salmon&systemVersion=1"), "result") is True
    assert said(client.get(f"{path}&code=salmon&systemVersion=0.5"), "result") is False
    assert said(client.get(f"{path}&code=pike"), "result") is False
    client.create(value_set("urn:test:unpinned", newest))
    path = f"ValueSet/$validate-code?url=urn:test:unpinned&system={FISH}"
    for version, code, expected in (("1", "salmon", True), ("0.5", "carp", True), ("2.0", "salmon", False)):
        assert said(client.get(f"{path}&code={code}&systemVersion={version}"), "result") is expected


def test_what_is_given_twice_is_one_system(client: Client) -> None:
    given = fish("7", url="urn:test:given")
    asked = parameters(codeSystem__resource=given, code__valueCode="trout", version__valueString="7")
    assert said(client.post("CodeSystem/$validate-code", asked), "version") == "7"


def test_a_list_of_another_version_stands_by_itself(client: Client) -> None:
    listed = value_set("urn:test:x", all_of(version="77", concept=[{"code": "eel", "display": "Eel"}]))
    assert [item["display"] for item in expand(client, listed)["contains"]] == ["Eel"]
    whole = value_set("urn:test:x", all_of(version="77"))
    assert refusal(client.post("ValueSet/$expand", whole)) == (422, "not-supported")


def test_closure_over_imported_content(client: Client) -> None:
    client.post("$closure", parameters(name__valueString="problems"))
    codings = [{"system": SNOMED, "code": code} for code in ("57054005", "404684003")]
    answer = client.post("$closure", parameters(name__valueString="problems", concept__valueCoding=codings))
    (group,) = answer.json["group"]
    assert group["element"] == [{"code": "57054005", "target": [{"code": "404684003", "equivalence": "subsumes"}]}]


def test_one_is_found_and_read_as_a_code_system_without_its_concepts(client: Client, new_tenant: Any) -> None:
    found = client.get(f"CodeSystem?url={SNOMED}").json
    assert found["total"] == 1
    resource = found["entry"][0]["resource"]
    assert (resource["version"], resource["name"], resource["content"]) == (EDITION, "SNOMED CT", "not-present")
    assert resource["count"] == int(resource["count"]) > 5 and resource["hierarchyMeaning"] == "is-a"
    assert client.get(f"CodeSystem/{resource['id']}").json == resource
    assert client.get(f"CodeSystem?_id={resource['id']}&_elements=url").json["entry"][0]["resource"]["url"] == SNOMED
    assert client.post("CodeSystem/$validate", resource).json["issue"][0]["severity"] in ("information", "warning")
    assert client.get(f"CodeSystem?url={SNOMED}&version=http://snomed.info/sct/1").json["total"] == 0
    other = new_tenant().client()
    # R4 itself has a CodeSystem of SNOMED CT's url.
    assert EDITION not in other.get(f"CodeSystem?url={SNOMED}").text
    assert [client.get(f"CodeSystem?url={FISH}").json["total"], other.get(f"CodeSystem?url={FISH}").json["total"]] == [1, 0]
    assert other.get(f"CodeSystem/{resource['id']}").status == 404
