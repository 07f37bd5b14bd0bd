"""$closure: tables that clients keep up, bit by bit, at once, and again."""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import pytest

from fhir_server.operations import closure
from tests.client import Answer, Client
from tests.operations.terminology_resources import FISH, fish, parameters, refusal

ABOVE = {
    "any": set(), "salmon": {"any"}, "trout": {"any"}, "sea-trout": {"any", "trout"}, "migrant": {"any"},
    "sturgeon": {"any", "migrant"},
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def stored(client: Client) -> None:
    client.create(fish())


def call(client: Client, name: str, *codes: str, **more: Any) -> Answer:
    codings = [{"system": FISH, "code": code} for code in codes]
    return client.post("$closure", parameters(name__valueString=name, concept__valueCoding=codings, **more))


def told(answer: Answer) -> set[tuple[str, str]]:
    assert answer.status == 200, answer.text
    found = set()
    for group in answer.json.get("group", ()):
        assert (group["source"], group["target"]) == (FISH, FISH)
        for element in group["element"]:
            for target in element["target"]:
                assert target["equivalence"] == "subsumes"
                found.add((element["code"], target["code"]))
    return found


def version(answer: Answer) -> str:
    assert answer.status == 200, answer.text
    return str(answer.json["version"])


def test_deltas_and_hearing_them_again(client: Client) -> None:
    first = call(client, "fish")
    assert (first.json["resourceType"], version(first), told(first)) == ("ConceptMap", "0", set())
    steps = [
        (["sea-trout", "salmon"], "1", set()),
        (["any"], "2", {("sea-trout", "any"), ("salmon", "any")}),
        (["trout"], "3", {("trout", "any"), ("sea-trout", "trout")}),
        (["trout", "any"], "3", set()),
        (["sturgeon", "migrant"], "4", {("sturgeon", "migrant"), ("sturgeon", "any"), ("migrant", "any")}),
    ]
    every: set[tuple[str, str]] = set()
    deltas = []
    for codes, expected_version, expected in steps:
        answer = call(client, "fish", *codes)
        assert (version(answer), told(answer)) == (expected_version, expected)
        every |= expected
        deltas.append(expected)
    assert every == {(code, above) for code, those in ABOVE.items() for above in those}
    again = call(client, "fish", version__valueString="0")
    assert (version(again), told(again)) == ("4", every)
    assert told(call(client, "fish", version__valueString="2")) == deltas[2] | deltas[4]
    assert told(call(client, "fish", version__valueString="4")) == set()


def test_a_table_begun_anew_is_empty(client: Client) -> None:
    call(client, "anew")
    call(client, "anew", "any", "trout")
    assert version(call(client, "anew")) == "0"
    assert told(call(client, "anew", version__valueString="0")) == set()
    assert told(call(client, "anew", "salmon", "any")) == {("salmon", "any")}


def test_nothing_is_added_of_a_bad_request(client: Client) -> None:
    call(client, "half")
    assert refusal(call(client, "half", "any", "pike")) == (422, "code-invalid")
    far = [{"system": FISH, "code": "any"}, {"system": "urn:test:nowhere", "code": "x"}]
    assert refusal(client.post("$closure", parameters(name__valueString="half", concept__valueCoding=far))) == (422, "not-supported")
    assert (version(call(client, "half", version__valueString="0")), version(call(client, "half", "any"))) == ("0", "1")


REFUSED: list[tuple[dict[str, Any], tuple[int, str]]] = [
    ({"name__valueString": "unknown", "concept__valueCoding": {"system": FISH, "code": "any"}}, (404, "not-found")),
    ({"name__valueString": "unknown", "version__valueString": "0"}, (404, "not-found")),
    ({"name__valueString": "x" * 300}, (400, "value")),
    ({"concept__valueCoding": {"system": FISH, "code": "any"}}, (400, "required")),
    ({"name__valueString": "good", "version__valueString": "9"}, (400, "value")),
    ({"name__valueString": "good", "version__valueString": "x"}, (400, "value")),
    ({"name__valueString": "good", "concept__valueCoding": {"code": "any"}}, (400, "required")),
    ({"name__valueString": "good", "version__valueString": "0", "concept__valueCoding": {"system": FISH, "code": "any"}}, (400, "invalid")),
    ({"name__valueString": "good", "concept__valueCoding": [{"system": FISH, "code": f"c{i}"} for i in range(1001)]}, (422, "too-costly")),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "expected"), REFUSED)
def test_refusals(client: Client, asked: dict[str, Any], expected: tuple[int, str]) -> None:
    call(client, "good")
    assert refusal(client.post("$closure", parameters(**asked))) == expected


def test_it_takes_the_right_to_change_and_post(client: Client, tenant: Any) -> None:
    reader = tenant.client("system/*.rs")
    assert call(reader, "mine").status == 403
    assert client.get("$closure?name=x").status == 405


def test_tables_are_the_tenants_own(client: Client, new_tenant: Any) -> None:
    call(client, "private")
    call(client, "private", "any", "trout")
    other = new_tenant().client()
    assert call(other, "private", version__valueString="0").status == 404


def test_who_adds_at_the_same_time_waits(client: Client, tenant: Any) -> None:
    call(client, "busy")
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda code: call(tenant.client(), "busy", code), ABOVE))
    versions = sorted(int(version(answer)) for answer in answers)
    assert versions == list(range(1, len(ABOVE) + 1))
    union = set().union(*map(told, answers))
    assert union == {(code, above) for code, those in ABOVE.items() for above in those}
    in_order = sorted(answers, key=lambda answer: int(version(answer)))
    assert all(not told(one) & told(other) for one, other in pairwise(in_order))


def test_there_are_limits(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    call(client, "limited")
    monkeypatch.setattr(closure, "MOST_CONCEPTS", 2)
    assert call(client, "limited", "any", "trout").status == 200
    assert refusal(call(client, "limited", "salmon")) == (422, "too-costly")
    monkeypatch.setattr(closure, "MOST_TABLES", 1)
    assert refusal(call(client, "one more")) == (422, "too-costly")
    assert call(client, "limited").status == 200
