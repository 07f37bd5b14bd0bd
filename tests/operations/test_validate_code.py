"""$validate-code in depth, on value sets and code systems: forms of input, displays, languages, inactive, messages."""

from urllib.parse import quote

import pytest

from tests.client import Client
from tests.operations.terminology_resources import FISH, all_of, by, fish, parameters, refusal, said, value_set

SWIMMERS = "urn:test:swimmers"


@pytest.fixture(scope="module", autouse=True)
def stored(client: Client) -> dict[str, str]:
    fragment = {
        "resourceType": "CodeSystem", "url": "urn:test:part", "status": "active", "content": "fragment", "concept": [{"code": "one"}],
    }  # fmt: skip
    resources = {
        "fish": fish(),
        "swimmers": value_set(SWIMMERS, by("concept", "is-a", "any"), all_of("urn:test:far", concept=[{"code": "x", "display": "Far X"}]), exclude=[by("concept", "is-a", "migrant")], version="1"),
        "active": value_set("urn:test:active", all_of(), inactive=False),
        "named": value_set("urn:test:named", all_of(concept=[{"code": "trout", "display": "Forelle"}])),
        "two": value_set("urn:test:two", all_of(concept=[{"code": "trout"}]), all_of("urn:test:far", concept=[{"code": "trout"}])),
        "part": value_set("urn:test:of-part", all_of("urn:test:part"), all_of("urn:test:part", concept=[{"code": "named"}])),
        "snomed": value_set("urn:test:snomed", all_of("http://snomed.info/sct"), all_of(concept=[{"code": "salmon"}])),
        "languages": value_set("urn:test:languages", {"system": "urn:ietf:bcp:47"}),
        "fragment": fragment,
    }
    return {name: client.create(resource)["id"] for name, resource in resources.items()}


# Query without `code=`, code, result, a word of the message.
IN_VALUE_SET: list[tuple[str, str, bool, str]] = [
    (f"url={SWIMMERS}&system={FISH}", "trout", True, ""),
    (f"url={SWIMMERS}&system={FISH}", "Trout", False, "no such code"),
    (f"url={SWIMMERS}&system={FISH}", "sturgeon", False, "not in the value set"),
    (f"url={SWIMMERS}&system=urn:test:other", "trout", False, "not in the value set"),
    (f"url={SWIMMERS}&system=urn:test:far", "x", True, ""),
    (f"url={SWIMMERS}&system=urn:test:far", "y", False, "not in the value set"),
    (f"url={SWIMMERS}&system=urn:test:far&display=Far%20x", "x", True, ""),
    (f"url={SWIMMERS}&system=urn:test:far&display=Near", "x", False, "display"),
    (f"url={SWIMMERS}", "trout", True, ""),
    (f"url={SWIMMERS}&inferSystem=true", "trout", True, ""),
    ("url=urn:test:two", "trout", False, "name one"),
    (f"url={SWIMMERS}&system={FISH}&display=BROWN%20%20trout", "trout", True, ""),
    (f"url={SWIMMERS}&system={FISH}&display=Truite", "trout", True, ""),
    (f"url={SWIMMERS}&system={FISH}&display=Salmon", "salmon", True, ""),
    (f"url={SWIMMERS}&system={FISH}&display=Pike", "trout", False, "display"),
    (f"url={SWIMMERS}&system={FISH}&display=Truite&displayLanguage=fr", "trout", True, ""),
    (f"url={SWIMMERS}&system={FISH}&display=Truite&displayLanguage=es", "salmon", False, "display"),
    (f"url={SWIMMERS}&system={FISH}&display=Salm%C3%B3n&displayLanguage=fr", "salmon", False, "language"),
    ("url=urn:test:named&display=forelle&system=" + FISH, "trout", True, ""),
    (f"url={SWIMMERS}&system={FISH}&abstract=false", "any", False, "only groups"),
    (f"url={SWIMMERS}&system={FISH}&abstract=true", "any", True, ""),
    (f"url={SWIMMERS}&system={FISH}", "any", True, ""),
    (f"url=urn:test:active&system={FISH}", "sturgeon", False, "not to be used"),
    (f"url=urn:test:all-fish&system={FISH}", "sturgeon", True, "not to be used"),
    ("url=urn:test:of-part&system=urn:test:part", "one", True, ""),
    ("url=urn:test:of-part&system=urn:test:part", "named", True, ""),
    (f"url=urn:test:snomed&system={FISH}", "salmon", True, ""),
    ("url=urn:test:languages&system=urn:ietf:bcp:47", "fr-MA", True, ""),
    ("url=urn:test:languages&system=urn:ietf:bcp:47", "not a language", False, "not in the value set"),
    (f"url={SWIMMERS}&system={FISH}&systemVersion=1", "trout", True, ""),
]


@pytest.mark.parametrize(("query", "code", "result", "word"), IN_VALUE_SET)
def test_in_a_value_set(client: Client, query: str, code: str, result: bool, word: str) -> None:
    answer = client.get(f"ValueSet/$validate-code?{query}&code={quote(code)}")
    assert said(answer, "result") is result
    message = said(answer, "message") or ""
    assert word in message
    assert bool(message) is bool(word)


def test_the_table_would_notice_a_wrong_row(client: Client) -> None:
    assert said(client.get(f"ValueSet/$validate-code?url={SWIMMERS}&system={FISH}&code=pike"), "result") is not True


IN_CODE_SYSTEM: list[tuple[str, str, bool, str]] = [
    (f"url={FISH}", "sea-trout", True, ""),
    (f"url={FISH}", "pike", False, "no code"),
    (f"url={FISH}&version=1", "trout", True, ""),
    (f"url={FISH}&display=Truite", "trout", True, ""),
    (f"url={FISH}&display=Pike", "trout", False, "display"),
    (f"url={FISH}", "sturgeon", True, "not to be used"),
    (f"url={FISH}&abstract=false", "any", False, "only groups"),
    ("url=urn:test:part", "one", True, ""),
    ("url=http://unitsofmeasure.org", "mg/dL", True, ""),
    ("url=urn:ietf:bcp:13", "text/plain", True, ""),
    ("url=urn:ietf:bcp:13", "plain", False, "no code"),
]


@pytest.mark.parametrize(("query", "code", "result", "word"), IN_CODE_SYSTEM)
def test_in_a_code_system(client: Client, query: str, code: str, result: bool, word: str) -> None:
    answer = client.get(f"CodeSystem/$validate-code?{query}&code={quote(code)}")
    assert said(answer, "result") is result
    assert word in (said(answer, "message") or "")


REFUSED: list[tuple[str, tuple[int, str]]] = [
    (f"ValueSet/$validate-code?url=urn:test:nowhere&system={FISH}&code=x", (404, "not-found")),
    (f"ValueSet/$validate-code?url={SWIMMERS}&code=x&inferSystem=false", (400, "required")),
    (f"ValueSet/$validate-code?url={SWIMMERS}&system={FISH}", (400, "required")),
    (f"ValueSet/$validate-code?system={FISH}&code=x", (400, "required")),
    (f"ValueSet/$validate-code?url={SWIMMERS}&code=x&date=2020", (422, "not-supported")),
    (f"ValueSet/$validate-code?url={SWIMMERS}&code=x&context=urn:x", (400, "required")),
    (f"ValueSet/$validate-code?url={SWIMMERS}&code=trout&system={FISH}&systemVersion=7", (422, "not-supported")),
    (f"ValueSet/$validate-code?url={SWIMMERS}&valueSetVersion=7&code=trout&system={FISH}", (404, "not-found")),
    ("ValueSet/$validate-code?url=urn:test:snomed&system=http://snomed.info/sct&code=1", (422, "not-supported")),
    ("ValueSet/$validate-code?url=urn:test:of-part&system=urn:test:part&code=two", (422, "not-supported")),
    ("CodeSystem/$validate-code?url=urn:test:nowhere&code=x", (422, "not-supported")),
    ("CodeSystem/$validate-code?url=urn:test:part&code=two", (422, "not-supported")),
    (f"CodeSystem/$validate-code?url={FISH}&version=9&code=trout", (422, "not-supported")),
    ("CodeSystem/$validate-code?code=x", (400, "required")),
]


@pytest.mark.parametrize(("path", "expected"), REFUSED)
def test_refusals(client: Client, path: str, expected: tuple[int, str]) -> None:
    assert refusal(client.get(path)) == expected


def test_what_is_known_of_the_code_is_answered(client: Client) -> None:
    answer = client.get(f"ValueSet/$validate-code?url=urn:test:all-fish&system={FISH}&code=sturgeon")
    names = [p["name"] for p in answer.json["parameter"]]
    assert names == ["result", "message", "display", "code", "system", "version", "inactive", "issues"]
    assert [said(answer, name) for name in ("display", "code", "system", "version")] == ["Sturgeon", "sturgeon", FISH, "1"]
    assert said(answer, "issues")["issue"][0]["severity"] == "warning"


def test_the_display_is_recommended_in_the_language(client: Client) -> None:
    path = f"CodeSystem/$validate-code?url={FISH}&code=trout"
    assert said(client.get(path), "display") == "Brown trout"
    assert said(client.get(f"{path}&displayLanguage=fr"), "display") == "Truite"
    assert said(client.get(path, accept_language="fr-MA,fr;q=0.8"), "display") == "Truite"


def test_a_coding_and_a_concept(client: Client, stored: dict[str, str]) -> None:
    wrong, right = {"system": FISH, "code": "pike"}, {"system": FISH, "code": "trout", "display": "Pike"}
    answer = client.post("ValueSet/$validate-code", parameters(url__valueUri=SWIMMERS, coding__valueCoding=right))
    assert said(answer, "result") is False
    assert said(answer, "issues")["issue"][0]["expression"] == ["Coding.display"]
    concept = {"coding": [wrong, {**right, "display": "Truite"}]}
    answer = client.post(f"ValueSet/{stored['swimmers']}/$validate-code", parameters(codeableConcept__valueCodeableConcept=concept))
    assert (said(answer, "result"), said(answer, "code")) == (True, "trout")
    answer = client.post(f"ValueSet/{stored['swimmers']}/$validate-code", parameters(codeableConcept__valueCodeableConcept={"coding": [wrong, wrong]}))
    assert [issue["expression"] for issue in said(answer, "issues")["issue"]] == [["CodeableConcept.coding[0].code"], ["CodeableConcept.coding[1].code"]]
    answer = client.post(f"ValueSet/{stored['swimmers']}/$validate-code", parameters(codeableConcept__valueCodeableConcept={"text": "?"}))
    assert said(answer, "result") is False


def test_one_coding_that_can_be_told_is_enough(client: Client) -> None:
    unknown, known = {"system": "http://snomed.info/sct", "code": "1"}, {"system": FISH, "code": "salmon"}
    for codings, expected in (([unknown, known], 200), ([unknown], 422)):
        asked = parameters(url__valueUri="urn:test:snomed", codeableConcept__valueCodeableConcept={"coding": codings})
        assert client.post("ValueSet/$validate-code", asked).status == expected


def test_on_a_code_system_given_and_stored(client: Client, stored: dict[str, str]) -> None:
    other = fish(concept=[{"code": "pike"}])
    assert said(client.post("CodeSystem/$validate-code", parameters(codeSystem__resource=other, code__valueCode="pike")), "result") is True
    assert said(client.get(f"CodeSystem/{stored['fish']}/$validate-code?code=pike"), "result") is False
    coding = {"system": "urn:test:part", "code": "one"}
    asked = parameters(coding__valueCoding=coding)
    assert "not of the code system" in said(client.post(f"CodeSystem/{stored['fish']}/$validate-code", asked), "message")
    supplement = {"resourceType": "CodeSystem", "url": "urn:test:s", "status": "active", "content": "supplement", "supplements": FISH}
    assert client.post("CodeSystem/$validate-code", parameters(codeSystem__resource=supplement, code__valueCode="x")).status == 422


def test_no_code_is_as_slow_as_a_regular_expression_can_make_it(client: Client) -> None:
    hostile = value_set("urn:test:x", by("code", "regex", "(a+)+$"))
    asked = parameters(valueSet__resource=hostile, system__valueUri=FISH, code__valueCode="trout")
    assert said(client.post("ValueSet/$validate-code", asked), "result") is False
