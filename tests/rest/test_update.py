"""update. https://hl7.org/fhir/R4/http.html#update"""

from decimal import Decimal
from typing import Any

import pytest

from tests.client import Client
from tests.rest.answers import refused, versions
from tests.rest.bodies import mark, patient, weight


def test_an_update_makes_the_next_version(client: Client) -> None:
    stored = client.create(patient(mark()))
    local = f"Patient/{stored['id']}"
    answer = client.put(local, {**stored, "gender": "female"})
    assert answer.status == 200
    assert answer.headers["ETag"] == 'W/"2"'
    assert answer.json["meta"]["versionId"] == "2"
    assert answer.json["meta"]["lastUpdated"] > stored["meta"]["lastUpdated"]
    assert client.get(local).json == answer.json


def test_the_old_values_are_no_longer_found(client: Client) -> None:
    word, other = mark(), mark()
    stored = client.create(patient(word))
    client.put(f"Patient/{stored['id']}", patient(other, id=stored["id"]))
    assert client.search(f"Patient?identifier={word}") == []
    assert client.search(f"Patient?family={word}") == []
    assert [found["id"] for found in client.search(f"Patient?identifier={other}")] == [stored["id"]]


SAME: list[dict[str, Any]] = [
    {},
    {"meta": {"versionId": "9", "lastUpdated": "1999-01-01T00:00:00Z"}},
]


@pytest.mark.parametrize("change", SAME)
def test_an_update_that_changes_nothing_makes_no_version(client: Client, change: dict[str, Any]) -> None:
    stored = client.create(patient(mark()))
    local = f"Patient/{stored['id']}"
    answer = client.put(local, {**stored, **change})
    assert answer.status == 200
    assert answer.headers["ETag"] == 'W/"1"'
    assert answer.json == stored
    assert versions(client, local) == ["1"]


def test_the_order_of_properties_is_no_change(client: Client) -> None:
    stored = client.create(patient(mark(), gender="female"))
    local = f"Patient/{stored['id']}"
    assert client.put(local, dict(reversed(stored.items()))).headers["ETag"] == 'W/"1"'


def test_another_number_of_digits_is_a_change(client: Client) -> None:
    stored = client.create(weight("Patient/p", "1.0"))
    local = f"Observation/{stored['id']}"
    quantity = {**stored["valueQuantity"], "value": Decimal("1.00")}
    answer = client.put(local, {**stored, "valueQuantity": quantity})
    assert answer.headers["ETag"] == 'W/"2"'
    assert '"value":1.00' in client.get(local).text


def test_a_changed_tag_is_a_change(client: Client) -> None:
    stored = client.create(patient(mark()))
    tagged = {**stored, "meta": {"tag": [{"code": "a"}]}}
    assert client.put(f"Patient/{stored['id']}", tagged).headers["ETag"] == 'W/"2"'


def test_an_update_creates_under_the_clients_id(client: Client) -> None:
    id_ = mark()
    answer = client.put(f"Patient/{id_}", patient(id_, id=id_))
    assert answer.status == 201
    assert answer.headers["Location"] == f"{client.base}/Patient/{id_}/_history/1"
    assert client.get(f"Patient/{id_}").json == answer.json


def test_two_types_may_have_the_same_id(client: Client) -> None:
    id_ = mark()
    client.put(f"Patient/{id_}", patient(id_, id=id_))
    group = {"resourceType": "Group", "id": id_, "type": "person", "actual": True}
    assert client.put(f"Group/{id_}", group).status == 201
    assert client.get(f"Patient/{id_}").json["resourceType"] == "Patient"


def test_an_update_brings_a_deleted_resource_back(client: Client) -> None:
    stored = client.create(patient(mark()))
    local = f"Patient/{stored['id']}"
    client.delete(local)
    refused(client.get(local), 410)
    answer = client.put(local, stored)
    assert answer.status in (200, 201)
    assert answer.headers["ETag"] == 'W/"3"'
    assert client.get(local).status == 200
    assert versions(client, local) == ["3", "2", "1"]
    assert [found["id"] for found in client.search(f"Patient?_id={stored['id']}")] == [stored["id"]]


@pytest.mark.parametrize("tag", ['W/"1"', '"1"', 'W/"5", W/"1"'])
def test_if_match_of_the_current_version_updates(client: Client, tag: str) -> None:
    stored = client.create(patient(mark()))
    assert client.put(f"Patient/{stored['id']}", {**stored, "active": True}, if_match=tag).headers["ETag"] == 'W/"2"'


def test_if_match_of_another_version_is_412_and_changes_nothing(client: Client) -> None:
    stored = client.create(patient(mark()))
    local = f"Patient/{stored['id']}"
    client.put(local, {**stored, "active": True})
    answer = client.put(local, {**stored, "active": False}, if_match='W/"1"')
    assert "version 2" in refused(answer, 412, "http.If-Match")
    assert client.get(local).json["active"] is True


def test_if_match_on_what_is_not_there_is_412(client: Client) -> None:
    id_ = mark()
    refused(client.put(f"Patient/{id_}", patient(id_, id=id_), if_match='W/"1"'), 412, "http.If-Match")
    refused(client.get(f"Patient/{id_}"), 404)


def test_if_none_match_star_only_creates(client: Client) -> None:
    id_ = mark()
    assert client.put(f"Patient/{id_}", patient(id_, id=id_), if_none_match="*").status == 201
    answer = client.put(f"Patient/{id_}", patient(id_, id=id_, active=True), if_none_match="*")
    refused(answer, 412, "http.If-None-Match")


def test_prefer_minimal_and_outcome(client: Client) -> None:
    stored = client.create(patient(mark()))
    local = f"Patient/{stored['id']}"
    minimal = client.put(local, {**stored, "active": True}, prefer="return=minimal")
    assert (minimal.status, minimal.body, minimal.headers["ETag"]) == (200, b"", 'W/"2"')
    same = client.put(local, {**stored, "active": True}, prefer="return=OperationOutcome")
    assert "nothing changed" in same.issues[0]["details"]["text"]


@pytest.mark.parametrize("given", [{"id": "other"}, {}])
def test_the_bodys_id_must_be_the_urls(client: Client, given: dict[str, str]) -> None:
    refused(client.put(f"Patient/{mark()}", {"resourceType": "Patient", **given}), 400, "Patient.id")


def test_the_bodys_type_must_be_the_urls(client: Client) -> None:
    refused(client.put("Patient/x1", {"resourceType": "Group", "id": "x1", "type": "person", "actual": True}), (400, 422))


@pytest.mark.parametrize("id_", ["x" * 65, "a_b", "né"])
def test_an_impossible_id_is_refused(client: Client, id_: str) -> None:
    refused(client.put(f"Patient/{id_}", {"resourceType": "Patient", "id": id_}), (400, 422))


def test_an_invalid_update_leaves_the_old_version(client: Client) -> None:
    stored = client.create(patient(mark()))
    local = f"Patient/{stored['id']}"
    refused(client.put(local, {**stored, "gender": "divers"}), (400, 422), "Patient.gender")
    assert client.get(local).json == stored
