"""batch: every entry for itself. https://hl7.org/fhir/R4/http.html#transaction"""

from threading import Thread
from typing import Any

import pytest

from fhir_server.core.context import Context
from fhir_server.interactions.worlds import refresh
from fhir_server.rest import bundles
from fhir_server.rest.dispatch import session
from fhir_server.storage import tenants
from tests.client import Client
from tests.conftest import TestTenant
from tests.rest.answers import entries, refused
from tests.rest.bodies import bundle, entry, mark, patient

JSON_PATCH_BINARY = {"resourceType": "Binary", "contentType": "application/json-patch+json"}


def statuses(found: list[dict[str, Any]]) -> list[str]:
    return [one["response"]["status"][:3] for one in found]


def test_each_entry_has_its_own_answer_in_order(client: Client) -> None:
    word = mark()
    stored = client.create(patient(mark()))
    local = f"Patient/{stored['id']}"
    answer = client.post(
        "",
        bundle(
            "batch",
            entry("GET", local),
            entry("POST", "Patient", patient(word)),
            entry("PUT", f"Patient/{word}", patient(word, id=word)),
            entry("GET", f"Patient?identifier=urn:test|{word}&_count=1"),
            entry("DELETE", local),
            entry("GET", local),
            entry("GET", f"{local}/_history/1"),
        ),
    )
    found = entries(answer)
    assert answer.json["type"] == "batch-response"
    assert statuses(found) == ["200", "201", "201", "200", "204", "410", "200"]
    assert found[0]["resource"] == stored
    assert found[1]["response"]["location"].startswith(f"{client.base}/Patient/")
    assert found[1]["response"]["etag"] == 'W/"1"'
    assert found[1]["response"]["lastModified"].endswith("Z")
    assert found[3]["resource"]["type"] == "searchset"
    assert found[5]["response"]["outcome"]["resourceType"] == "OperationOutcome"


FAILURES: list[tuple[dict[str, Any], str, str]] = [
    (entry("GET", "Patient/never-was"), "404", "Bundle.entry[1]"),
    (entry("GET", "Patien/1"), "404", "Bundle.entry[1]"),
    (entry("GET", "Patient?nam=x"), "400", "Bundle.entry[1].request.url"),
    (entry("POST", "Patient", patient("x", gender="divers")), "4", "Bundle.entry[1].resource.gender"),
    (entry("PUT", "Patient/b", patient("x", id="a")), "400", "Bundle.entry[1].resource.id"),
    (entry("PUT", "Patient/none", patient("x", id="none"), ifMatch='W/"3"'), "412", "Bundle.entry[1].request.ifMatch"),
    (entry("POST", "", bundle("batch")), "400", "Bundle.entry[1]"),
    (entry("DELETE", "Patient"), "405", "Bundle.entry[1].request.url"),
]


@pytest.mark.parametrize(("bad", "status", "expression"), FAILURES)
def test_one_failure_does_not_stop_the_others(client: Client, bad: dict[str, Any], status: str, expression: str) -> None:
    one, two = mark(), mark()
    sent = bundle("batch", entry("POST", "Patient", patient(one)), bad, entry("POST", "Patient", patient(two)))
    found = entries(client.post("", sent))
    assert [state[0] for state in statuses(found)] == ["2", "4", "2"]
    assert found[1]["response"]["status"].startswith(status)
    (issue, *_) = found[1]["response"]["outcome"]["issue"]
    assert issue["expression"][0].startswith("Bundle.entry[1]")
    assert len(issue["details"]["text"]) > 10
    assert [len(client.search(f"Patient?identifier={word}")) for word in (one, two)] == [1, 1]


@pytest.mark.parametrize(("bad", "status", "expression"), FAILURES)
def test_the_place_of_a_failure_is_an_element_of_the_bundle(
    client: Client, bad: dict[str, Any], status: str, expression: str
) -> None:
    found = entries(client.post("", bundle("batch", entry("GET", "Patient?_count=0"), bad)))
    named = [place for issue in found[1]["response"]["outcome"]["issue"] for place in issue["expression"]]
    assert expression in named


MALFORMED: list[tuple[Any, str]] = [
    ({"resourceType": "Bundle", "type": "batch", "entry": {}}, "Bundle.entry"),
    ({"resourceType": "Bundle", "type": "batch", "entry": [1]}, "Bundle.entry[0].request"),
    ({"resourceType": "Bundle", "type": "batch", "entry": [{}]}, "Bundle.entry[0].request"),
    (bundle("batch", {"request": {"method": "GET"}}), "Bundle.entry[0].request.url"),
    (bundle("batch", {"request": {"method": "FETCH", "url": "Patient"}}), "Bundle.entry[0].request.method"),
    (bundle("batch", {"request": {"method": "POST", "url": "Patient"}}), "Bundle.entry[0].resource"),
    (bundle("batch", {"request": {"method": "POST", "url": "Patient"}, "resource": []}), "Bundle.entry[0].resource"),
    (bundle("searchset"), "Bundle.type"),
    ({"resourceType": "Bundle"}, "Bundle.type"),
    ({"resourceType": "Patient"}, "Bundle.type"),
]


@pytest.mark.parametrize(("body", "expression"), MALFORMED)
def test_a_bundle_that_is_none(client: Client, body: Any, expression: str) -> None:
    answer = client.post("", body)
    if answer.status == 200:
        (one,) = entries(answer)
        assert one["response"]["status"].startswith("4")
        named = [place for issue in one["response"]["outcome"]["issue"] for place in issue["expression"]]
        assert expression in named
    else:
        refused(answer, (400, 422), expression)


def test_an_empty_batch(client: Client) -> None:
    assert entries(client.post("", bundle("batch"))) == []


def test_conditional_entries(client: Client) -> None:
    word = mark()
    condition = f"identifier=urn:test|{word}"
    change = {**JSON_PATCH_BINARY, "data": "W3sib3AiOiJhZGQiLCJwYXRoIjoiL2FjdGl2ZSIsInZhbHVlIjp0cnVlfV0="}
    sent = bundle(
        "batch",
        entry("POST", "Patient", patient(word), ifNoneExist=condition),
        entry("POST", "Patient", patient(word), ifNoneExist=condition),
        entry("PUT", f"Patient?{condition}", patient(word, gender="other")),
        entry("PATCH", f"Patient?{condition}", change),
        entry("DELETE", f"Patient?{condition}"),
    )
    found = entries(client.post("", sent, prefer="return=representation"))
    assert statuses(found) == ["201", "200", "200", "200", "200"]
    assert found[3]["resource"]["active"] is True
    assert client.search(f"Patient?{condition}") == []


def test_conditional_reads(client: Client) -> None:
    stored = client.create(patient(mark()))
    sent = bundle("batch", entry("GET", f"Patient/{stored['id']}", ifNoneMatch='W/"1"'))
    assert statuses(entries(client.post("", sent))) == ["304"]


@pytest.mark.parametrize("prefix", ["", "/", "base/"])
def test_urls_may_be_relative_or_absolute(client: Client, prefix: str) -> None:
    stored = client.create(patient(mark()))
    url = f"{prefix.replace('base', client.base)}Patient/{stored['id']}"
    assert entries(client.post("", bundle("batch", entry("GET", url))))[0]["resource"] == stored


def test_a_url_of_another_server_is_not_ours(client: Client) -> None:
    (one,) = entries(client.post("", bundle("batch", entry("GET", "http://elsewhere.example/fhir/Patient/1"))))
    assert one["response"]["status"].startswith("4")


def test_operations_and_metadata_in_a_batch(client: Client) -> None:
    stored = client.create(patient(mark()))
    sent = bundle(
        "batch",
        entry("GET", f"Patient/{stored['id']}/$everything"),
        entry("POST", "Patient/$validate", patient(mark())),
        entry("GET", "metadata"),
    )
    found = entries(client.post("", sent))
    assert statuses(found) == ["200", "200", "200"]
    assert found[2]["resource"]["resourceType"] == "CapabilityStatement"


@pytest.mark.parametrize(("prefer", "whole"), [("return=minimal", False), ("return=representation", True), ("", False)])
def test_prefer_holds_for_the_entries(client: Client, prefer: str, whole: bool) -> None:
    sent = bundle("batch", entry("POST", "Patient", patient(mark())))
    (one,) = entries(client.post("", sent, **({"prefer": prefer} if prefer else {})))
    assert ("resource" in one) == whole
    assert one["response"]["status"].startswith("201")
    assert client.get(one["response"]["location"]).status == 200


def test_definitions_that_go_on_changing_repeat_nothing(
    client: Client, tenant: TestTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An entry that others disturb is tried again, not the ones before it."""
    renew, more = bundles._renew, [True, True, False]

    def disturbed(ctx: Context) -> None:
        renew(ctx)
        if more.pop(0):
            elsewhere(tenant)

    monkeypatch.setattr(bundles, "_renew", disturbed)
    first, last = mark(), mark()
    profile = {"resourceType": "ValueSet", "status": "active", "url": f"urn:test:{mark()}"}
    sent = bundle(
        "batch",
        entry("POST", "Patient", patient(first)),
        entry("POST", "ValueSet", profile),
        entry("POST", "Patient", patient(last)),
    )
    assert statuses(entries(client.post("", sent))) == ["201"] * 3
    assert more == []
    assert [len(client.search(f"Patient?identifier={word}")) for word in (first, last)] == [1, 1]


def elsewhere(tenant: TestTenant) -> None:
    """Another request changes the tenant's definitions."""

    def change() -> None:
        db = session()
        place = refresh(db, tenant.slug)
        db.enter(tenant.id, None, place.version)
        tenants.raise_registry_version(db, tenant.id)
        db.commit()

    thread = Thread(target=change)
    thread.start()
    thread.join()
