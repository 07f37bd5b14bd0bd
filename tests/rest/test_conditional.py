"""Conditional create, update, patch and delete with none, one and many matches.

https://hl7.org/fhir/R4/http.html#ccreate, #cond-update, #cdelete
"""

import pytest

from tests.client import Client
from tests.rest.answers import entries, refused, versions
from tests.rest.bodies import bundle, entry, mark, patient

MANY = 3
ACTIVE = [{"op": "add", "path": "/active", "value": True}]


def some(client: Client, word: str, number: int) -> list[str]:
    """Ids of `number` new patients of the same identifier."""
    return [client.create(patient(word, multipleBirthInteger=n))["id"] for n in range(number)]


def count(client: Client, word: str) -> int:
    return len(client.search(f"Patient?identifier=urn:test|{word}"))


def test_create_without_a_match_creates(client: Client) -> None:
    word = mark()
    answer = client.post("Patient", patient(word), if_none_exist=f"identifier=urn:test|{word}")
    assert answer.status == 201
    assert count(client, word) == 1


@pytest.mark.parametrize("form", ["identifier=urn:test|{}", "Patient?identifier=urn%3Atest%7C{}", "?identifier={}"])
def test_create_with_one_match_gives_that_one(client: Client, form: str) -> None:
    word = mark()
    (id_,) = some(client, word, 1)
    answer = client.post("Patient", patient(word, active=True), if_none_exist=form.format(word))
    assert answer.status == 200
    assert answer.id == id_
    assert answer.headers["Location"].endswith(f"Patient/{id_}/_history/1")
    assert answer.headers["ETag"] == 'W/"1"'
    assert (count(client, word), versions(client, f"Patient/{id_}")) == (1, ["1"])


def test_create_with_many_matches_is_412(client: Client) -> None:
    word = mark()
    some(client, word, MANY)
    answer = client.post("Patient", patient(word), if_none_exist=f"identifier=urn:test|{word}")
    assert "more than one" in refused(answer, 412)
    assert count(client, word) == MANY


def test_a_deleted_match_does_not_count(client: Client) -> None:
    word = mark()
    (id_,) = some(client, word, 1)
    client.delete(f"Patient/{id_}")
    assert client.post("Patient", patient(word), if_none_exist=f"identifier=urn:test|{word}").status == 201


@pytest.mark.parametrize("condition", ["", "nonsense=1", "identifer=x", "birthdate=abc", "_count=1"])
def test_create_under_an_unclear_condition_is_refused(client: Client, condition: str) -> None:
    word = mark()
    refused(client.post("Patient", patient(word), if_none_exist=condition), (400, 412))
    assert count(client, word) == 0


def test_update_without_a_match_creates(client: Client) -> None:
    word = mark()
    answer = client.put(f"Patient?identifier=urn:test|{word}", patient(word))
    assert answer.status == 201
    assert answer.headers["Location"] == f"{client.base}/Patient/{answer.id}/_history/1"
    assert count(client, word) == 1


def test_update_without_a_match_creates_under_the_given_id(client: Client) -> None:
    word = mark()
    answer = client.put(f"Patient?identifier=urn:test|{word}", patient(word, id=word))
    assert (answer.status, answer.id) == (201, word)


@pytest.mark.parametrize("kind", ["", "batch", "transaction"])
def test_update_without_a_match_replaces_nobody(client: Client, kind: str) -> None:
    """R4 leaves it open, R5 refuses: what somebody else stored under this id would be lost."""
    word, other = mark(), mark()
    client.put(f"Patient/{word}", patient(other, id=word))
    url, body = f"Patient?identifier=urn:test|{word}", patient(word, id=word)
    if kind == "batch":
        (found,) = entries(client.post("", bundle(kind, entry("PUT", url, body))))
        assert found["response"]["status"].startswith("409")
    else:
        answer = client.post("", bundle(kind, entry("PUT", url, body))) if kind else client.put(url, body)
        refused(answer, 409)
    assert len(versions(client, f"Patient/{word}")) == 1
    client.delete(f"Patient/{word}")
    assert client.put(url, body).status == 201


def test_update_with_one_match_updates_it(client: Client) -> None:
    word = mark()
    (id_,) = some(client, word, 1)
    answer = client.put(f"Patient?identifier=urn:test|{word}", patient(word, active=True))
    assert (answer.status, answer.id, answer.headers["ETag"]) == (200, id_, 'W/"2"')
    same = client.put(f"Patient?identifier=urn:test|{word}", patient(word, active=True, id=id_))
    assert (same.status, same.headers["ETag"]) == (200, 'W/"2"')


def test_update_with_one_match_and_another_id_is_refused(client: Client) -> None:
    word = mark()
    some(client, word, 1)
    answer = client.put(f"Patient?identifier=urn:test|{word}", patient(word, id="another"))
    refused(answer, (400, 409, 412), "Patient.id")


def test_update_with_many_matches_is_412(client: Client) -> None:
    word = mark()
    ids = some(client, word, MANY)
    refused(client.put(f"Patient?identifier=urn:test|{word}", patient(word)), 412)
    assert all(versions(client, f"Patient/{id_}") == ["1"] for id_ in ids)


def test_update_with_if_match(client: Client) -> None:
    word = mark()
    some(client, word, 1)
    url = f"Patient?identifier=urn:test|{word}"
    refused(client.put(url, patient(word, active=True), if_match='W/"3"'), 412, "http.If-Match")
    assert client.put(url, patient(word, active=True), if_match='W/"1"').status == 200


def test_patch_with_none_one_and_many(client: Client) -> None:
    word = mark()
    url, kind = f"Patient?identifier=urn:test|{word}", "application/json-patch+json"
    refused(client.patch(url, ACTIVE, content_type=kind), 404)
    (first,) = some(client, word, 1)
    answer = client.patch(url, ACTIVE, content_type=kind)
    assert (answer.status, answer.id, answer.json["active"]) == (200, first, True)
    some(client, word, 1)
    refused(client.patch(url, ACTIVE, content_type=kind), 412)


@pytest.mark.parametrize("number", [0, 1, MANY])
def test_delete_takes_every_match(client: Client, number: int) -> None:
    word, bystander = mark(), mark()
    some(client, bystander, 1)
    ids = some(client, word, number)
    answer = client.delete(f"Patient?identifier=urn:test|{word}")
    assert answer.status in (200, 204)
    assert all(client.get(f"Patient/{id_}").status == 410 for id_ in ids)
    assert (count(client, word), count(client, bystander)) == (0, 1)
    if answer.body:
        assert str(number) in answer.issues[0]["details"]["text"]


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_a_type_without_a_condition_is_never_changed(client: Client, method: str) -> None:
    body = {"PUT": patient(mark()), "PATCH": ACTIVE}.get(method)
    headers = {"content_type": "application/json-patch+json"} if method == "PATCH" else {}
    refused(client.request(method, "Patient", body, **headers), (400, 405, 412))
    refused(client.request(method, "Patient?_format=json", body, **headers), (400, 405, 412))


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_a_misspelt_condition_is_never_ignored(client: Client, method: str) -> None:
    """Even a lenient client must not delete everything because of a typo."""
    word = mark()
    some(client, word, 1)
    body = {"PUT": patient(word), "PATCH": ACTIVE}.get(method)
    headers = {"content_type": "application/json-patch+json"} if method == "PATCH" else {}
    for prefer in ("handling=strict", "handling=lenient"):
        answer = client.request(method, f"Patient?identifer={word}", body, prefer=prefer, **headers)
        refused(answer, (400, 412))
    assert count(client, word) == 1


NO_CONDITIONS = ["_format=json", "_count=1", "_sort=name", "_summary=true", "_elements=id", "_total=none", "_pretty=true"]


@pytest.mark.parametrize("query", NO_CONDITIONS)
@pytest.mark.parametrize("method", ["DELETE", "PUT"])
def test_parameters_that_choose_nothing_are_no_condition(client: Client, method: str, query: str) -> None:
    """Otherwise DELETE Patient?_format=json would delete every patient."""
    word = mark()
    some(client, word, 1)
    refused(client.request(method, f"Patient?{query}", patient(word) if method == "PUT" else None), (400, 405, 412))
    body = [entry(method, f"Patient?{query}", patient(word) if method == "PUT" else None)]
    refused(client.post("", bundle("transaction", *body)), (400, 405, 412))
    assert count(client, word) == 1


def test_conditions_may_use_any_search(client: Client) -> None:
    word = mark()
    (id_,) = some(client, word, 1)
    url = f"Patient?family:exact={word.title()}&birthdate=ge1980-02-29&birthdate=le1980"
    assert client.put(url, patient(word, active=True)).id == id_
