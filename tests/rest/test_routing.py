"""Which URL names what, and hints for those that name nothing. https://hl7.org/fhir/R4/http.html#summary"""

import pytest

from tests.client import Client
from tests.rest.answers import entries, link, refused, resources
from tests.rest.bodies import mark, patient


@pytest.mark.parametrize(
    ("name", "hint"), [("Patien", "Patient"), ("patient", "Patient"), ("Observations", "Observation"), ("Xyz", "")]
)
def test_an_unknown_type_gets_a_hint(client: Client, name: str, hint: str) -> None:
    answer = client.get(f"{name}/1")
    text = refused(answer, 404)
    assert (f"Did you mean {hint}?" in text) == bool(hint)


NEAR = [
    ("Patient?nam=x", "http.nam", "name"),
    ("Patient?birthDate=2020", "http.birthDate", "birthdate"),
    ("Patient?identifer=x", "http.identifer", "identifier"),
    ("Observation?patien=x", "http.patien", "patient"),
    ("Patient?_lastupdated=2020", "http._lastupdated", "_lastUpdated"),
    ("Patient?zzzzzzzz=1", "http.zzzzzzzz", ""),
]


@pytest.mark.parametrize(("path", "expression", "hint"), NEAR)
def test_an_unknown_parameter_gets_a_hint(client: Client, path: str, expression: str, hint: str) -> None:
    assert hint in refused(client.get(path), 400, expression)


def test_lenient_ignores_an_unknown_parameter_and_says_so(client: Client) -> None:
    word = mark()
    stored = client.create(patient(word))
    answer = client.get(f"Patient?identifier={word}&nam=x", prefer="handling=lenient")
    assert [one["id"] for one in resources(answer) if one["resourceType"] == "Patient"] == [stored["id"]]
    assert "nam=" not in str(link(answer, "self"))
    (said,) = [one for one in entries(answer) if one["resource"]["resourceType"] == "OperationOutcome"]
    assert said["search"]["mode"] == "outcome"
    assert "nam" in said["resource"]["issue"][0]["details"]["text"]


METHODS = [
    ("PUT", "", "GET, POST"),
    ("PATCH", "metadata", "GET"),
    ("POST", "_history", "GET"),
    ("PUT", "Patient/_history", "GET"),
    ("POST", "Patient/x", "GET, PUT, PATCH, DELETE"),
    ("PUT", "Patient/x/_history/1", "GET"),
    ("GET", "Patient/_search", "POST"),
    ("TRACE", "Patient", "GET, POST, PUT, PATCH, DELETE"),
    ("BREW", "Patient/x", "GET, PUT, PATCH, DELETE"),
]


@pytest.mark.parametrize(("method", "path", "allowed"), METHODS)
def test_a_method_that_a_url_does_not_have(client: Client, method: str, path: str, allowed: str) -> None:
    answer = client.request(method, path)
    refused(answer, 405)
    assert set(allowed.split(", ")) <= set(answer.headers["Allow"].split(", "))


NOTHING = [
    "Patient/1/2/3",
    "Patient/1/_history/1/2",
    "Patient/1/nonsense",
    "metadata/x",
    "_history/1",
    "_search/x",
    "Patient/_search/x",
    "$nonsense",
    "Patient/$nonsense",
    "Patient/1/$nonsense",
    "$",
    "Patient/$",
]


@pytest.mark.parametrize("path", NOTHING)
def test_a_url_that_names_nothing(client: Client, path: str) -> None:
    refused(client.get(path), (400, 404))


@pytest.mark.parametrize("path", ["Patient/", "/Patient", "Patient//"])
def test_slashes_too_many(client: Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status in (200, 400, 404)
    assert answer.json["resourceType"] in ("Bundle", "OperationOutcome")


def test_an_unknown_operation_gets_a_hint(client: Client) -> None:
    assert "everything" in refused(client.get("Patient/x/$everythin"), (400, 404))


def test_percent_encoded_paths(client: Client) -> None:
    stored = client.create(patient(mark()))
    assert client.get(f"Patient/{stored['id'].replace('-', '%2D')}").json == stored


def test_both_ways_to_search(client: Client) -> None:
    word = mark()
    stored = client.create(patient(word))
    form = "application/x-www-form-urlencoded"
    for path, body in (("Patient/_search", f"identifier={word}"), ("_search", f"_type=Patient&identifier={word}")):
        found = client.post(path, body, content_type=form)
        assert [one["id"] for one in resources(found)] == [stored["id"]]
    mixed = client.post("Patient/_search?_count=1", f"identifier={word}", content_type=form)
    assert [one["id"] for one in resources(mixed)] == [stored["id"]]
    refused(client.post("Patient/_search", {"identifier": word}), 415, "http.Content-Type")
    refused(client.post("Patient/_search", b"name=\xff", content_type=form), 400)
