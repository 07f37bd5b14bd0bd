"""read and vread. https://hl7.org/fhir/R4/http.html#read"""

import re
from email.utils import parsedate_to_datetime

import pytest

from tests.client import Client
from tests.rest.answers import refused
from tests.rest.bodies import mark, patient

INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


def test_a_read_gives_the_stored_resource_with_its_version(client: Client) -> None:
    sent = patient(mark())
    stored = client.create(sent)
    answer = client.get(f"Patient/{stored['id']}")
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("application/fhir+json")
    assert answer.headers["ETag"] == 'W/"1"'
    assert parsedate_to_datetime(answer.headers["Last-Modified"]).tzinfo is not None
    read = answer.json
    assert read["meta"]["versionId"] == "1"
    assert INSTANT.fullmatch(read["meta"]["lastUpdated"])
    assert {k: v for k, v in read.items() if k not in ("id", "meta")} == sent


def test_properties_come_back_in_the_order_they_were_sent(client: Client) -> None:
    sent = {"resourceType": "Patient", "birthDate": "1980", "active": True, "gender": "female", "deceasedBoolean": False}
    stored = client.create(sent)
    assert list(stored) == ["resourceType", "id", "meta", "birthDate", "active", "gender", "deceasedBoolean"]


def test_head_is_get_without_a_body(client: Client) -> None:
    stored = client.create(patient(mark()))
    get, head = (client.request(method, f"Patient/{stored['id']}") for method in ("GET", "HEAD"))
    assert (head.status, head.body) == (200, b"")
    assert head.headers["ETag"] == get.headers["ETag"]
    assert head.headers["Content-Length"] == str(len(get.body))


@pytest.mark.parametrize("path", ["Patient/never-was", "Patient/never-was/_history/1", f"Patient/{'x' * 64}"])
def test_what_never_was_is_not_found(client: Client, path: str) -> None:
    text = refused(client.get(path), 404)
    assert path.partition("/_history")[0] in text


@pytest.mark.parametrize("id_", ["x" * 65, "no spaces", "né", "a_b"])
def test_an_impossible_id_is_not_found_or_invalid(client: Client, id_: str) -> None:
    refused(client.get(f"Patient/{id_}"), (400, 404))


def test_every_version_can_be_read(client: Client) -> None:
    first = client.create(patient(mark()))
    local = f"Patient/{first['id']}"
    client.put(local, {**first, "gender": "female"})
    assert client.get(f"{local}/_history/1").json == first
    second = client.get(f"{local}/_history/2")
    assert second.headers["ETag"] == 'W/"2"'
    assert second.json["gender"] == "female"
    assert second.json == client.get(local).json


@pytest.mark.parametrize("version", ["2", "0", "-1", "abc", "1x", "99999999999999999999", "١"])
def test_a_version_that_is_not_there(client: Client, version: str) -> None:
    stored = client.create(patient(mark()))
    refused(client.get(f"Patient/{stored['id']}/_history/{version}"), 404)


def test_a_deleted_resource_is_gone_but_its_versions_stay(client: Client) -> None:
    stored = client.create(patient(mark()))
    local = f"Patient/{stored['id']}"
    client.delete(local)
    gone = client.get(local)
    refused(gone, 410)
    assert gone.headers["ETag"] == 'W/"2"'
    refused(client.get(f"{local}/_history/2"), 410)
    assert client.get(f"{local}/_history/1").json == stored


@pytest.mark.parametrize("tag", ['W/"1"', '"1"', '"7", W/"1"', "*"])
def test_if_none_match_of_the_current_version_is_304(client: Client, tag: str) -> None:
    stored = client.create(patient(mark()))
    answer = client.get(f"Patient/{stored['id']}", if_none_match=tag)
    assert (answer.status, answer.body) == (304, b"")
    assert answer.headers["ETag"] == 'W/"1"'


def test_if_none_match_of_an_older_version_reads(client: Client) -> None:
    stored = client.create(patient(mark()))
    client.put(f"Patient/{stored['id']}", {**stored, "gender": "other"})
    assert client.get(f"Patient/{stored['id']}", if_none_match='W/"1"').json["gender"] == "other"


def test_if_modified_since(client: Client) -> None:
    stored = client.create(patient(mark()))
    local = f"Patient/{stored['id']}"
    same = client.get(local).headers["Last-Modified"]
    assert client.get(local, if_modified_since=same).status == 304
    assert client.get(local, if_modified_since="Wed, 01 Jan 2020 00:00:00 GMT").status == 200
    # RFC 9110 13.1.3: If-None-Match goes before it.
    assert client.get(local, if_modified_since=same, if_none_match='W/"9"').status == 200
