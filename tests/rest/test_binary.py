"""Binary in its own media type. https://hl7.org/fhir/R4/binary.html#rest"""

from base64 import b64decode, b64encode

import pytest

from tests.client import Client
from tests.rest.answers import refused
from tests.rest.bodies import mark

PIXEL = b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
EVERY_BYTE = bytes(range(256)) * 8


@pytest.mark.parametrize(("kind", "content"), [("image/png", PIXEL), ("application/octet-stream", EVERY_BYTE)])
def test_raw_in_raw_out(client: Client, kind: str, content: bytes) -> None:
    created = client.post("Binary", content, content_type=kind)
    assert created.status == 201
    assert created.headers["Location"].startswith(f"{client.base}/Binary/")
    resource = client.get(created.headers["Location"].partition("/_history")[0], accept="application/fhir+json")
    assert resource.json["contentType"] == kind
    assert b64decode(resource.json["data"]) == content
    raw = client.get(f"Binary/{resource.id}", accept=kind)
    assert (raw.status, raw.body, raw.headers["Content-Type"]) == (200, content, kind)
    assert raw.headers["ETag"] == 'W/"1"'


def test_a_browser_gets_the_content_and_may_not_run_it(client: Client) -> None:
    page = b"<html><script>alert(1)</script></html>"
    stored = client.post("Binary", page, content_type="text/html", accept="application/fhir+json").json
    raw = client.get(f"Binary/{stored['id']}", accept="text/html,application/xhtml+xml,*/*;q=0.8")
    assert raw.body == page
    assert raw.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in raw.headers["Content-Security-Policy"]


@pytest.mark.parametrize("accept", ["application/fhir+json", "application/json", "*/*", ""])
def test_fhir_is_what_comes_unless_the_type_is_asked_for(client: Client, accept: str) -> None:
    stored = client.post("Binary", PIXEL, content_type="image/png", accept="application/fhir+json").json
    headers = {"accept": accept} if accept else {}
    assert client.get(f"Binary/{stored['id']}", **headers).json == stored


def test_format_goes_before_accept(client: Client) -> None:
    stored = client.post("Binary", PIXEL, content_type="image/png", accept="application/fhir+json").json
    assert client.get(f"Binary/{stored['id']}?_format=json", accept="image/png").json == stored


def test_binary_as_a_resource(client: Client) -> None:
    data = b64encode(PIXEL).decode()
    stored = client.create({"resourceType": "Binary", "contentType": "image/png", "data": data})
    assert client.get(f"Binary/{stored['id']}", accept="image/png").body == PIXEL


def test_a_raw_update_makes_the_next_version_and_the_same_one_none(client: Client) -> None:
    id_ = mark()
    tags = [
        client.put(f"Binary/{id_}", content, content_type="text/plain; charset=utf-8").headers["ETag"]
        for content in (b"one", b"one", b"two")
    ]
    assert tags == ['W/"1"', 'W/"1"', 'W/"2"']
    assert client.get(f"Binary/{id_}", accept="text/plain").body == b"two"
    assert client.get(f"Binary/{id_}/_history/1", accept="text/plain").body == b"one"


def test_the_security_context_header_is_kept(client: Client) -> None:
    headers = {"content_type": "text/plain", "x_security_context": "Patient/123", "accept": "application/fhir+json"}
    stored = client.post("Binary", b"x", **headers).json
    assert stored["securityContext"] == {"reference": "Patient/123"}
    raw = client.get(f"Binary/{stored['id']}", accept="text/plain")
    assert raw.headers.get("X-Security-Context") in (None, "Patient/123")


def test_base64_that_is_none_is_refused(client: Client) -> None:
    body = {"resourceType": "Binary", "contentType": "image/png", "data": "not base64!"}
    refused(client.post("Binary", body), (400, 422), "Binary.data")


@pytest.mark.parametrize(("accept", "raw"), [("image/gif", True), ("image/*", True), ("image/gif, text/xml", False)])
def test_another_type_gives_the_content_as_it_is(client: Client, accept: str, raw: bool) -> None:
    """The standard does not make it an error to ask for another type than the content has."""
    stored = client.post("Binary", PIXEL, content_type="image/png", accept="application/fhir+json").json
    answer = client.get(f"Binary/{stored['id']}", accept=accept)
    assert answer.status == 200
    assert (answer.body == PIXEL) == raw
    assert (answer.headers["Content-Type"] == "image/png") == raw
