"""delete. https://hl7.org/fhir/R4/http.html#delete"""

import pytest

from tests.client import Client
from tests.rest.answers import refused, versions
from tests.rest.bodies import mark, patient


def test_a_deleted_resource_is_gone_everywhere_but_in_history(client: Client) -> None:
    word = mark()
    stored = client.create(patient(word))
    local = f"Patient/{stored['id']}"
    answer = client.delete(local)
    assert (answer.status, answer.body, answer.headers["ETag"]) == (204, b"", 'W/"2"')
    refused(client.get(local), 410)
    for query in (f"identifier={word}", f"family={word}", f"_id={stored['id']}"):
        assert client.search(f"Patient?{query}") == []
    assert versions(client, local) == ["2", "1"]


def test_deleting_again_makes_no_version(client: Client) -> None:
    stored = client.create(patient(mark()))
    local = f"Patient/{stored['id']}"
    assert [client.delete(local).headers["ETag"] for _ in range(3)] == ['W/"2"'] * 3
    assert versions(client, local) == ["2", "1"]


def test_deleting_what_never_was_is_no_error(client: Client) -> None:
    assert client.delete(f"Patient/{mark()}").status == 204


def test_if_match(client: Client) -> None:
    stored = client.create(patient(mark()))
    local = f"Patient/{stored['id']}"
    refused(client.delete(local, if_match='W/"4"'), 412, "http.If-Match")
    assert client.get(local).status == 200
    assert client.delete(local, if_match='W/"1"').status == 204


def test_a_referenced_resource_can_be_deleted(client: Client) -> None:
    stored = client.create(patient(mark()))
    group = {"resourceType": "Group", "type": "person", "actual": True}
    client.create({**group, "member": [{"entity": {"reference": f"Patient/{stored['id']}"}}]})
    assert client.delete(f"Patient/{stored['id']}").status == 204


@pytest.mark.parametrize("path", ["", "metadata", "_history", "Patient/x/_history", "Patient/x/_history/1"])
def test_other_urls_cannot_be_deleted(client: Client, path: str) -> None:
    answer = client.delete(path)
    refused(answer, 405)
    assert "DELETE" not in answer.headers["Allow"]
