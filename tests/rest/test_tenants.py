"""One tenant never sees another's resources, not even that they exist."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.client import Client
from tests.rest.answers import entries, link, refused, resources
from tests.rest.bodies import bundle, entry, mark, patient, weight

if TYPE_CHECKING:
    from tests.conftest import TestTenant


@pytest.fixture(scope="module")
def other(new_tenant: "Callable[[], TestTenant]") -> Client:
    return new_tenant().client()


def test_an_id_of_another_tenant_is_not_found(client: Client, other: Client) -> None:
    stored = client.create(patient(mark()))
    local = f"Patient/{stored['id']}"
    for path in (local, f"{local}/_history", f"{local}/_history/1", f"{local}/$everything"):
        refused(other.get(path), 404)
    change = [{"op": "add", "path": "/active", "value": True}]
    refused(other.patch(local, change, content_type="application/json-patch+json"), 404)
    refused(other.put(local, stored, if_match='W/"1"'), 412)
    assert other.delete(local).status == 204
    assert client.get(local).json == stored


def test_the_same_id_in_two_tenants_is_two_resources(client: Client, other: Client) -> None:
    id_ = mark()
    assert client.put(f"Patient/{id_}", patient(id_, id=id_, gender="male")).status == 201
    assert other.put(f"Patient/{id_}", patient(id_, id=id_, gender="female")).status == 201
    assert client.get(f"Patient/{id_}").json["gender"] == "male"
    assert client.get(f"Patient/{id_}/_history").json["entry"][0]["resource"]["gender"] == "male"
    other.delete(f"Patient/{id_}")
    assert client.get(f"Patient/{id_}").status == 200


def test_searches_histories_and_includes_stay_inside(client: Client, other: Client) -> None:
    word = mark()
    stored = client.create(patient(word))
    other.create(weight(f"Patient/{stored['id']}"))
    for path in (f"Patient?identifier={word}", f"Patient?family={word}", f"Patient?_id={stored['id']}"):
        assert resources(other.get(path)) == []
    for path in ("_history?_count=1000", "Patient/_history?_count=1000"):
        assert all(one.get("id") != stored["id"] for one in resources(other.get(path)))
    found = resources(other.get(f"Observation?subject=Patient/{stored['id']}&_include=Observation:subject"))
    assert [one["resourceType"] for one in found] == ["Observation"]
    assert resources(other.get(f"Observation?subject:Patient.identifier={word}")) == []


def test_conditions_look_only_inside(client: Client, other: Client) -> None:
    word = mark()
    stored = client.create(patient(word))
    condition = f"identifier=urn:test|{word}"
    created = other.post("Patient", patient(word), if_none_exist=condition)
    assert created.status == 201
    assert created.id != stored["id"]
    assert other.delete(f"Patient?{condition}").status in (200, 204)
    assert client.get(f"Patient/{stored['id']}").status == 200
    sent = bundle("transaction", entry("POST", "Observation", weight(f"Patient?{condition}")))
    refused(other.post("", sent), (400, 412))


def test_a_page_link_of_another_tenant_is_refused(client: Client, other: Client) -> None:
    for _ in range(3):
        client.create(patient(mark()))
        other.create(patient(mark()))
    url = str(link(client.get("Patient?_count=1"), "next"))
    query = url.partition("?")[2]
    refused(other.get(f"Patient?{query}"), 400)
    assert client.get(f"Patient?{query}").status == 200


def test_an_absolute_url_into_another_tenant_is_not_followed(client: Client, other: Client) -> None:
    stored = client.create(patient(mark()))
    sent = bundle("batch", entry("GET", f"{client.base}/Patient/{stored['id']}"))
    (one,) = entries(other.post("", sent))
    assert one["response"]["status"].startswith("4")
    assert "resource" not in one


@pytest.mark.parametrize("slug", ["no-such-tenant", "UPPER", "x" * 200, "a b", "é", "..", "'", "%00", "1"])
def test_a_tenant_that_is_not_there(client: Client, slug: str) -> None:
    for path in ("metadata", "Patient"):
        answer = Client(slug, client.token).request("GET", f"/t/{slug}/fhir/{path}")
        refused(answer, (400, 404))


def test_a_suspended_tenant_is_as_if_it_were_not_there(new_tenant: "Callable[[], TestTenant]") -> None:
    from fhir_server.rest.dispatch import session

    tenant = new_tenant()
    client = tenant.client()
    assert client.get("Patient").status == 200
    for status, expected in (("suspended", 404), ("active", 200)):
        session().plain([("UPDATE tenant SET status = $2 WHERE tenant_id = $1", (tenant.id, status))])
        assert client.get("Patient").status == expected
        assert client.get("metadata").status == expected


@pytest.mark.parametrize("path", ["/t/", "/t/x", "/t/x/", "/t/x/other/Patient", "/t//fhir/Patient", "/t/x/fhirs/Patient"])
def test_paths_beside_fhir(client: Client, path: str) -> None:
    refused(client.get(path), 404)
