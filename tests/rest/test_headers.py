"""What every answer carries: CORS, gzip, X-Request-Id, lengths, cache validators."""

import gzip
import re

import pytest

from tests.client import Client
from tests.rest.answers import refused
from tests.rest.bodies import mark, patient

LONG = [{"text": "a note that repeats itself " * 20}] * 10


@pytest.mark.parametrize("path", ["metadata", "Patient", "Patient/never-was", "Patien", "Patient?nam=x"])
def test_any_origin_may_read_any_answer(client: Client, path: str) -> None:
    answer = client.get(path, origin="https://app.example")
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    exposed = answer.headers["Access-Control-Expose-Headers"]
    assert {"ETag", "Location", "Last-Modified", "X-Request-Id"} <= set(exposed.split(", "))


def test_a_preflight_needs_no_token(client: Client) -> None:
    anonymous = Client(client.slug, None)
    answer = anonymous.request(
        "OPTIONS",
        "Patient/1",
        origin="https://app.example",
        access_control_request_method="PUT",
        access_control_request_headers="authorization,content-type,if-match,prefer",
    )
    assert (answer.status, answer.body) == (204, b"")
    assert "PUT" in answer.headers["Access-Control-Allow-Methods"]
    allowed = answer.headers["Access-Control-Allow-Headers"].lower()
    assert all(name in allowed for name in ("authorization", "content-type", "if-match", "if-none-exist", "prefer"))


def test_a_long_answer_is_compressed_on_request(client: Client) -> None:
    stored = client.create(patient(mark(), contact=[{"name": LONG[0]}] * 100))
    local = f"Patient/{stored['id']}"
    plain, packed = client.get(local), client.get(local, accept_encoding="gzip, deflate, br")
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in packed.headers["Vary"]
    assert int(packed.headers["Content-Length"]) == len(packed.body) < len(plain.body)
    assert gzip.decompress(packed.body) == plain.body
    assert "Content-Encoding" not in plain.headers


@pytest.mark.parametrize("encoding", ["", "identity", "br", "gzip;q=0", "gzip; q=0"])
def test_who_does_not_want_gzip_gets_none(client: Client, encoding: str) -> None:
    stored = client.create(patient(mark(), contact=[{"name": LONG[0]}] * 100))
    answer = client.get(f"Patient/{stored['id']}", accept_encoding=encoding)
    assert "Content-Encoding" not in answer.headers
    assert answer.json == stored


def test_a_compressed_body_is_read(client: Client) -> None:
    packed = gzip.compress(b'{"resourceType":"Patient","active":true}')
    assert client.post("Patient", packed, content_encoding="gzip").json["active"] is True
    refused(client.post("Patient", b"not gzip", content_encoding="gzip"), 400, "http.Content-Encoding")
    refused(client.post("Patient", packed[:-12], content_encoding="gzip"), 400)
    refused(client.post("Patient", b"x", content_encoding="br"), 415, "http.Content-Encoding")


def test_a_request_id_comes_back(client: Client) -> None:
    assert client.get("metadata", x_request_id="abc-123").headers["X-Request-Id"] == "abc-123"
    ids = {client.get("Patient/never-was").headers["X-Request-Id"] for _ in range(3)}
    assert len(ids) == 3
    assert all(re.fullmatch(r"[0-9a-f]{32}", one) for one in ids)


@pytest.mark.parametrize("sent", ["x" * 101, "ü", "a\x7fb"])
def test_a_request_id_that_could_hurt_a_log_is_replaced(client: Client, sent: str) -> None:
    assert re.fullmatch(r"[0-9a-f]{32}", client.get("metadata", x_request_id=sent).headers["X-Request-Id"])


@pytest.mark.parametrize("path", ["Patient", "Patient?_count=1", "Patient/_history", "metadata", "Patient/never-was"])
def test_content_length_is_the_bodys(client: Client, path: str) -> None:
    answer = client.get(path)
    assert int(answer.headers["Content-Length"]) == len(answer.body) > 0


def test_answers_without_a_body_have_no_content_type(client: Client) -> None:
    stored = client.create(patient(mark()))
    local = f"Patient/{stored['id']}"
    for answer in (client.get(local, if_none_match='W/"1"'), client.delete(local)):
        assert answer.body == b""
        assert "Content-Type" not in answer.headers


def test_locations_use_the_host_that_the_client_used(client: Client) -> None:
    answer = client.post("Patient", patient(mark()), host="fhir.clinic.example:8443")
    assert answer.headers["Location"].startswith("http://fhir.clinic.example:8443/t/")


@pytest.mark.parametrize("host", ["a b", 'x"y', "x\\y", "x/y", "x?y", "x#y", "x@y", "é", "x" * 300])
def test_a_host_that_is_none_does_not_break_anything(client: Client, host: str) -> None:
    for path in ("Patient?_count=1", "metadata"):
        refused(client.get(path, host=host), 400, "http.Host")
