"""transaction: all entries or none, in the order of the standard. https://hl7.org/fhir/R4/http.html#trules"""

from base64 import b64encode
from typing import Any

import pytest

from tests.client import Client
from tests.rest.answers import entries, refused, versions
from tests.rest.bodies import bundle, entry, mark, patient, urn, weight


def statuses(found: list[dict[str, Any]]) -> list[str]:
    return [one["response"]["status"][:3] for one in found]


def transact(client: Client, *sent: dict[str, Any], **headers: str) -> list[dict[str, Any]]:
    answer = client.post("", bundle("transaction", *sent), **{"prefer": "return=representation", **headers})
    found = entries(answer)
    assert answer.json["type"] == "transaction-response"
    assert len(found) == len(sent)
    return found


def count(client: Client, word: str) -> int:
    return len(client.search(f"Patient?identifier=urn:test|{word}"))


def json_patch(text: str) -> dict[str, str]:
    data = b64encode(text.encode()).decode()
    return {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": data}


def test_every_interaction_in_one(client: Client) -> None:
    word = mark()
    old, gone = (client.create(patient(mark())) for _ in range(2))
    found = transact(
        client,
        entry("GET", f"Patient?identifier=urn:test|{word}"),
        entry("PATCH", f"Patient/{old['id']}", json_patch('[{"op":"add","path":"/active","value":true}]')),
        entry("PUT", f"Patient/{word}", patient(word, id=word)),
        entry("POST", "Patient", patient(word)),
        entry("DELETE", f"Patient/{gone['id']}"),
        entry("GET", f"Patient/{old['id']}"),
    )
    assert statuses(found) == ["200", "200", "201", "201", "204", "200"]
    assert len(found[0]["resource"]["entry"]) == 2, "GET runs last"
    assert found[5]["resource"]["active"] is True
    assert found[3]["response"]["location"].startswith(f"{client.base}/Patient/")
    assert client.get(f"Patient/{gone['id']}").status == 410


def test_delete_comes_before_create_and_update(client: Client) -> None:
    word = mark()
    client.create(patient(word))
    condition = f"identifier=urn:test|{word}"
    found = transact(
        client,
        entry("POST", "Patient", patient(word), ifNoneExist=condition),
        entry("DELETE", f"Patient?{condition}"),
    )
    assert statuses(found) == ["201", "204"]
    assert count(client, word) == 1


def test_fhirpath_patch_in_a_transaction(client: Client) -> None:
    stored = client.create(patient(mark()))
    parts = [
        {"name": "type", "valueCode": "add"},
        {"name": "path", "valueString": "Patient"},
        {"name": "name", "valueString": "active"},
        {"name": "value", "valueBoolean": True},
    ]
    body = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}
    (one,) = transact(client, entry("PATCH", f"Patient/{stored['id']}", body))
    assert one["resource"]["active"] is True
    assert client.get(f"Patient/{stored['id']}").json["meta"]["versionId"] == "2"


def test_an_update_that_changes_nothing_makes_no_version(client: Client) -> None:
    stored = client.create(patient(mark()))
    (one,) = transact(client, entry("PUT", f"Patient/{stored['id']}", stored))
    assert (one["response"]["status"][:3], one["response"]["etag"]) == ("200", 'W/"1"')
    assert versions(client, f"Patient/{stored['id']}") == ["1"]


def test_if_match(client: Client) -> None:
    stored = client.create(patient(mark()))
    local, changed = f"Patient/{stored['id']}", {**stored, "active": True}
    answer = client.post("", bundle("transaction", entry("PUT", local, changed, ifMatch='W/"2"')))
    refused(answer, 412)
    assert statuses(transact(client, entry("PUT", local, changed, ifMatch='W/"1"'))) == ["200"]


def test_a_conditional_create_takes_the_existing_one(client: Client) -> None:
    word, full_url = mark(), urn()
    stored = client.create(patient(word))
    found = transact(
        client,
        entry("POST", "Patient", patient(word), full_url, ifNoneExist=f"identifier=urn:test|{word}"),
        entry("POST", "Observation", weight(full_url)),
    )
    assert statuses(found) == ["200", "201"]
    assert found[1]["resource"]["subject"]["reference"] == f"Patient/{stored['id']}"
    assert count(client, word) == 1


FAILING: list[tuple[dict[str, Any], int | tuple[int, ...], str]] = [
    (entry("POST", "Patient", patient("x", gender="divers")), (400, 422), "Bundle.entry[2].resource.gender"),
    (entry("POST", "Patient", {"resourceType": "Group"}), (400, 422), "Bundle.entry[2].resource"),
    (entry("POST", "Patien", patient("x")), (400, 404), "Bundle.entry[2].request.url"),
    (entry("POST", "Patient/x", patient("x")), (400, 405), "Bundle.entry[2].request.url"),
    (entry("PUT", "Patient/b", patient("x", id="a")), 400, "Bundle.entry[2].resource.id"),
    (entry("PUT", "Patient/no", patient("x", id="no"), ifMatch='W/"1"'), 412, "Bundle.entry[2].request.ifMatch"),
    (entry("PATCH", "Patient/never-was", json_patch("[]")), 404, "Bundle.entry[2]"),
    (entry("PATCH", "Patient/{victim}", json_patch("[{}]")), (400, 422), "Bundle.entry[2].resource"),
    (entry("PATCH", "Patient?identifier=never-was", json_patch("[]")), 404, "Bundle.entry[2].request.url"),
    (entry("DELETE", "Patien/1"), (400, 404), "Bundle.entry[2].request.url"),
    (entry("GET", "Patient/never-was"), 404, "Bundle.entry[2]"),
    (entry("GET", "Patient?nam=x"), 400, "Bundle.entry[2].request.url"),
    (entry("POST", "Patient", patient("x"), ifNoneExist="identifer=1"), (400, 412), "Bundle.entry[2].request.ifNoneExist"),
    (entry("PUT", "Patient?identifer=1", patient("x")), (400, 412), "Bundle.entry[2].request.url"),
]


@pytest.mark.parametrize(("bad", "status", "expression"), FAILING)
def test_one_failure_undoes_everything_and_is_named(
    client: Client, bad: dict[str, Any], status: int | tuple[int, ...], expression: str
) -> None:
    word = mark()
    victim, other = (client.create(patient(mark())) for _ in range(2))
    url = bad["request"]["url"].replace("{victim}", other["id"])
    bad = {**bad, "request": {**bad["request"], "url": url}}
    sent = bundle(
        "transaction",
        entry("POST", "Patient", patient(word)),
        entry("DELETE", f"Patient/{victim['id']}"),
        bad,
        entry("PUT", f"Patient/{word}", patient(word, id=word)),
    )
    answer = client.post("", sent)
    refused(answer, status)
    named = [place for issue in answer.issues for place in issue["expression"]]
    assert all(place.startswith("Bundle.entry[2]") for place in named)
    assert expression in named
    assert count(client, word) == 0
    assert client.get(f"Patient/{victim['id']}").json == victim


def test_the_same_resource_twice_is_refused(client: Client) -> None:
    word = mark()
    stored = client.create(patient(word))
    local, condition = f"Patient/{stored['id']}", f"Patient?identifier=urn:test|{word}"
    pairs = [
        (entry("PUT", local, stored), entry("PUT", local, {**stored, "active": True})),
        (entry("PUT", local, {**stored, "active": True}), entry("PUT", condition, patient(word, gender="male"))),
        (entry("PATCH", local, json_patch("[]")), entry("PUT", local, {**stored, "active": True})),
        (entry("DELETE", local), entry("PUT", local, {**stored, "active": True})),
        (
            entry("POST", "Patient", patient("y"), ifNoneExist="identifier=urn:test|y"),
            entry("POST", "Patient", patient("y"), ifNoneExist="identifier=urn:test|y"),
        ),
    ]
    for pair in pairs:
        text = refused(client.post("", bundle("transaction", *pair)), 400)
        assert "Bundle.entry[0]" in text or "same" in text
    assert client.get(local).json == stored


def test_two_entries_with_one_full_url_are_refused(client: Client) -> None:
    word, full_url = mark(), urn()
    pair = [entry("POST", "Patient", patient(word), full_url) for _ in range(2)]
    refused(client.post("", bundle("transaction", *pair)), (400, 422))
    assert count(client, word) == 0


def test_a_batch_or_transaction_inside_is_refused(client: Client) -> None:
    refused(client.post("", bundle("transaction", entry("POST", "", bundle("batch")))), (400, 404))


def test_an_empty_transaction(client: Client) -> None:
    assert transact(client) == []


def test_prefer_minimal(client: Client) -> None:
    (one,) = transact(client, entry("POST", "Patient", patient(mark())), prefer="return=minimal")
    assert "resource" not in one
    assert one["response"]["etag"] == 'W/"1"'


def test_a_hundred_entries_are_found_at_once(client: Client) -> None:
    word, subject = mark(), urn()
    sent = [entry("POST", "Patient", patient(word), subject)]
    sent += [entry("POST", "Observation", weight(subject, f"{n}.5"), urn()) for n in range(1, 100)]
    found = transact(client, *sent)
    assert set(statuses(found)) == {"201"}
    answer = client.get(f"Observation?subject:Patient.identifier={word}&_total=accurate&_count=1")
    assert answer.json["total"] == 99
