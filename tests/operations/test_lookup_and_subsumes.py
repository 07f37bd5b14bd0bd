"""$lookup and $subsumes in depth."""

from typing import Any

import pytest

from tests.client import Answer, Client
from tests.operations.terminology_resources import FISH, GENDER, fish, parameters, refusal, said


@pytest.fixture(scope="module", autouse=True)
def stored(client: Client) -> str:
    return str(client.create(fish())["id"])


def properties(answer: Answer) -> dict[str, list[Any]]:
    assert answer.status == 200, answer.text
    held: dict[str, list[Any]] = {}
    for parameter in answer.json["parameter"]:
        if parameter["name"] == "property":
            name, value = parameter["part"]
            held.setdefault(name["valueCode"], []).append(next(v for k, v in value.items() if k.startswith("value")))
    return held


def test_everything_of_a_code(client: Client) -> None:
    answer = client.get(f"CodeSystem/$lookup?system={FISH}&code=salmon")
    assert [said(answer, name) for name in ("name", "version", "display")] == ["Fish", "1", "Atlantic salmon"]
    assert properties(answer) == {
        "definition": ["A fish that swims upstream."],
        "inactive": [False],
        "parent": ["any"],
        "water": ["salt", "fresh"],
        "seen": ["2020-01-01"],
        "kin": [{"system": FISH, "code": "trout"}],
    }
    designations = [p["part"] for p in answer.json["parameter"] if p["name"] == "designation"]
    assert [len(parts) for parts in designations] == [2, 2, 2]
    assert designations[2][0]["valueCoding"]["code"] == "latin"


def test_the_places_in_the_hierarchy(client: Client) -> None:
    found = properties(client.get(f"CodeSystem/$lookup?system={FISH}&code=migrant&property=child&property=parent"))
    assert found == {"parent": ["any"], "child": ["sturgeon"]}
    found = properties(client.get(f"CodeSystem/$lookup?system={FISH}&code=sturgeon"))
    assert (found["parent"], found["inactive"], found["status"]) == (["any", "migrant"], [True], ["retired"])
    assert properties(client.get(f"CodeSystem/$lookup?system={FISH}&code=any"))["notSelectable"] == [True]


PROPERTIES = [
    ("water", {"water"}, 0),
    ("designation", set(), 3),
    ("*", {"definition", "inactive", "parent", "water", "seen", "kin"}, 3),
    ("no-such", set(), 0),
]


@pytest.mark.parametrize(("name", "expected", "designations"), PROPERTIES)
def test_only_the_properties_that_are_named(client: Client, name: str, expected: set[str], designations: int) -> None:
    answer = client.get(f"CodeSystem/$lookup?system={FISH}&code=salmon&property={name}")
    assert set(properties(answer)) == expected
    assert len([p for p in answer.json["parameter"] if p["name"] == "designation"]) == designations


def test_languages_and_codings(client: Client) -> None:
    path = f"CodeSystem/$lookup?system={FISH}&code=salmon"
    assert said(client.get(f"{path}&displayLanguage=es"), "display") == "Salmón"
    assert said(client.get(path, accept_language="fr"), "display") == "Saumon de l'Atlantique"
    coding = {"system": FISH, "code": "trout", "version": "1"}
    assert said(client.post("CodeSystem/$lookup", parameters(coding__valueCoding=coding)), "display") == "Brown trout"


REFUSED: list[tuple[str, tuple[int, str]]] = [
    (f"CodeSystem/$lookup?system={FISH}", (400, "required")),
    ("CodeSystem/$lookup?code=trout", (400, "required")),
    (f"CodeSystem/$lookup?system={FISH}&code=pike", (404, "not-found")),
    (f"CodeSystem/$lookup?system={FISH}&code=trout&version=3", (422, "not-supported")),
    (f"CodeSystem/$lookup?system={FISH}&code=trout&date=2020", (422, "not-supported")),
    ("CodeSystem/$lookup?system=urn:test:nowhere&code=x", (422, "not-supported")),
    (f"CodeSystem/$subsumes?system={FISH}&codeA=trout", (400, "required")),
    ("CodeSystem/$subsumes?codeA=trout&codeB=any", (400, "invalid")),
    (f"CodeSystem/$subsumes?system={FISH}&codeA=pike&codeB=any", (404, "not-found")),
    (f"CodeSystem/$subsumes?system={FISH}&version=3&codeA=trout&codeB=any", (422, "not-supported")),
    ("CodeSystem/$subsumes?system=urn:test:nowhere&codeA=x&codeB=y", (422, "not-supported")),
]


@pytest.mark.parametrize(("path", "expected"), REFUSED)
def test_refusals(client: Client, path: str, expected: tuple[int, str]) -> None:
    assert refusal(client.get(path)) == expected


def test_a_refusal_of_an_unknown_system_names_it(client: Client) -> None:
    answer = client.get("CodeSystem/$lookup?system=urn:test:nowhere&code=x")
    assert "urn:test:nowhere" in answer.issues[0]["details"]["text"]


SUBSUMES = [
    ("any", "sea-trout", "subsumes"),
    ("sea-trout", "any", "subsumed-by"),
    ("migrant", "sturgeon", "subsumes"),
    ("any", "sturgeon", "subsumes"),
    ("trout", "sturgeon", "not-subsumed"),
    ("trout", "trout", "equivalent"),
]


@pytest.mark.parametrize(("a", "b", "outcome"), SUBSUMES)
def test_subsumes(client: Client, stored: str, a: str, b: str, outcome: str) -> None:
    assert said(client.get(f"CodeSystem/$subsumes?system={FISH}&codeA={a}&codeB={b}"), "outcome") == outcome
    codings = {f"coding{side}__valueCoding": {"system": FISH, "code": code} for side, code in (("A", a), ("B", b))}
    assert said(client.post("CodeSystem/$subsumes", parameters(**codings)), "outcome") == outcome
    assert said(client.get(f"CodeSystem/{stored}/$subsumes?codeA={a}&codeB={b}"), "outcome") == outcome


def test_the_table_would_notice_a_wrong_row(client: Client) -> None:
    assert said(client.get(f"CodeSystem/$subsumes?system={FISH}&codeA=trout&codeB=salmon"), "outcome") != "subsumes"


def test_codings_of_two_systems_or_versions_are_refused(client: Client) -> None:
    for other in ({"system": GENDER, "code": "male"}, {"system": FISH, "code": "any", "version": "2"}):
        one = {"system": FISH, "code": "trout", "version": "1"}
        assert client.post("CodeSystem/$subsumes", parameters(codingA__valueCoding=one, codingB__valueCoding=other)).status == 400
