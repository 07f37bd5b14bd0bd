"""Formats asked for and sent. https://hl7.org/fhir/R4/http.html#mime-type"""

import pytest

from tests.client import Client
from tests.rest.answers import refused
from tests.rest.bodies import mark, patient

JSON, XML = "application/fhir+json", "application/fhir+xml"


@pytest.fixture(scope="module")
def local(client: Client) -> str:
    return f"Patient/{client.create(patient(mark()))['id']}"


ACCEPTED = [
    ("", JSON),
    ("*/*", JSON),
    ("application/*", JSON),
    (JSON, JSON),
    ("application/json", JSON),
    ("text/json", JSON),
    ("application/json+fhir", JSON),
    ("application/fhir+json; fhirVersion=4.0", JSON),
    (XML, XML),
    ("application/xml", XML),
    ("text/xml", XML),
    ("text/html, application/fhir+xml", XML),
    ("application/fhir+json;q=0.5, application/fhir+xml", XML),
    ("application/fhir+xml;q=0.1, application/fhir+json;q=0.9", JSON),
    ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", XML),
    ("application/fhir+xml;q=0, application/fhir+json", JSON),
    ("text/csv, */*;q=0.1", JSON),
    ("application/fhir+json; fhirVersion=3.0, application/fhir+xml; fhirVersion=\"4.0\"", XML),
]


@pytest.mark.parametrize(("accept", "kind"), ACCEPTED)
def test_accept(client: Client, local: str, accept: str, kind: str) -> None:
    answer = client.get(local, **({"accept": accept} if accept else {}))
    assert answer.status == 200
    assert answer.headers["Content-Type"] == f"{kind}; charset=utf-8"
    assert answer.body.startswith(b"{" if kind == JSON else b"<")


FORMATS = [
    ("json", JSON),
    ("xml", XML),
    ("application/fhir+json", JSON),
    ("application/fhir%2Bxml", XML),
    ("application/fhir+xml", XML),
    ("text/xml", XML),
]


@pytest.mark.parametrize(("value", "kind"), FORMATS)
def test_format_goes_before_accept(client: Client, local: str, value: str, kind: str) -> None:
    other = XML if kind == JSON else JSON
    answer = client.get(f"{local}?_format={value}", accept=other)
    assert answer.headers["Content-Type"] == f"{kind}; charset=utf-8"


@pytest.mark.parametrize("accept", ["text/csv", "image/png", "application/fhir+turtle", "nonsense", ";;;,,,"])
def test_what_is_not_written_is_406(client: Client, local: str, accept: str) -> None:
    refused(client.get(local, accept=accept), 406, "http.Accept")


@pytest.mark.parametrize("value", ["csv", "html", "ttl", "j son"])
def test_a_format_that_is_not_written_is_406(client: Client, local: str, value: str) -> None:
    refused(client.get(f"{local}?_format={value}"), 406, "http._format")


SENT = [JSON, "application/json", "application/fhir+json; charset=utf-8", "text/json", "APPLICATION/FHIR+JSON"]


@pytest.mark.parametrize("kind", SENT)
def test_content_types_that_are_read(client: Client, kind: str) -> None:
    assert client.post("Patient", patient(mark()), content_type=kind).status == 201


@pytest.mark.parametrize("kind", ["text/plain", "text/html", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_content_types_that_are_not_read_are_415(client: Client, kind: str) -> None:
    refused(client.post("Patient", patient(mark()), content_type=kind), 415, "http.Content-Type")


def test_xml_under_a_json_content_type_is_400(client: Client) -> None:
    refused(client.post("Patient", b'<Patient xmlns="http://hl7.org/fhir"/>', content_type=JSON), 400)


@pytest.mark.parametrize("accept", [JSON, XML])
def test_errors_come_in_the_format_asked_for(client: Client, accept: str) -> None:
    answer = client.get("Patient/never-was", accept=accept)
    assert answer.status == 404
    assert answer.headers["Content-Type"] == f"{accept}; charset=utf-8"
    assert b"OperationOutcome" in answer.body


def test_pretty(client: Client, local: str) -> None:
    plain, pretty = client.get(local), client.get(f"{local}?_pretty=true")
    assert plain.body.count(b"\n") == 0
    assert pretty.body.count(b"\n") > 5
    assert pretty.json == plain.json
    assert client.get(f"{local}?_pretty=true&_format=xml").body.count(b"\n") > 5
    assert client.get(f"{local}?_pretty=false").body == plain.body


@pytest.mark.parametrize("version", ["3.0", "5.0", "4.3", ""])
def test_other_versions_of_fhir_are_neither_given_nor_taken(client: Client, local: str, version: str) -> None:
    """https://hl7.org/fhir/R4/http.html#version-parameter"""
    named = f"{JSON}; fhirVersion={version}"
    refused(client.get(local, accept=named), 406)
    refused(client.get(f"{local}?_format={named.replace(' ', '')}"), 406)
    refused(client.post("Patient", patient(mark()), content_type=named), 415)
    assert client.post("Patient", patient(mark()), content_type=f"{JSON};fhirVersion=4.0").status == 201
