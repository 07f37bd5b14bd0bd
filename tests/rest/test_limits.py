"""Bounds on what one request may ask, each with a clear answer."""

import pytest

from fhir_server.settings import settings
from tests.client import Client
from tests.rest.answers import entries, refused
from tests.rest.bodies import bundle, entry, mark, patient, urn


def test_a_body_over_the_limit_is_413(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "max_body_bytes", 2_000)
    assert client.post("Patient", patient(mark())).status == 201
    assert "2000" in refused(client.post("Patient", patient(mark(), contact=[{"name": {"text": "x" * 2000}}])), 413)


def test_a_body_that_unpacks_to_too_much_is_413(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    import gzip

    monkeypatch.setattr(settings, "max_body_bytes", 100_000)
    packed = gzip.compress(b" " * 5_000_000 + b"{}")
    assert len(packed) < 100_000
    refused(client.post("Patient", packed, content_encoding="gzip"), 413)


@pytest.mark.parametrize(("opening", "closing"), [('{"a":', "}"), ("[", "]")])
@pytest.mark.parametrize("depth", [80, 2_000, 200_000])
def test_nesting_over_the_limit_is_refused(client: Client, depth: int, opening: str, closing: str) -> None:
    text = '{"resourceType":"Patient","x":' + opening * depth + "1" + closing * depth + "}"
    refused(client.post("Patient", text), (400, 413))


def test_deep_but_valid_nesting_is_stored(client: Client) -> None:
    extension: dict[str, object] = {"url": "urn:x", "valueString": "deep"}
    for _ in range(20):
        extension = {"url": "urn:x", "extension": [extension]}
    stored = client.create(patient(mark(), extension=[extension]))
    assert stored["extension"] == [extension]


def test_a_bundle_over_the_limit_is_413(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "max_bundle_entries", 3)
    for kind in ("batch", "transaction"):
        sent = [entry("GET", "Patient?_count=1") for _ in range(4)]
        assert len(entries(client.post("", bundle(kind, *sent[:3])))) == 3
        assert "3" in refused(client.post("", bundle(kind, *sent)), 413, "Bundle.entry")


def test_a_page_is_never_larger_than_the_limit(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "page_size", 2)
    monkeypatch.setattr(settings, "max_page_size", 2)
    client.post("", bundle("transaction", *(entry("POST", "Patient", patient(mark()), urn()) for _ in range(4))))
    for path in ("Patient", "Patient?_count=1000", "Patient/_history?_count=1000"):
        assert len(entries(client.get(path))) <= 2


@pytest.mark.parametrize("value", ["-1", "x", "1.5", "", "9" * 30])
def test_a_count_that_is_no_count(client: Client, value: str) -> None:
    answer = client.get(f"Patient?_count={value}")
    if value.startswith("9"):
        assert answer.status == 200
    else:
        refused(answer, 400, "http._count")


@pytest.mark.parametrize("length", [5_000, 100_000])
def test_very_long_queries(client: Client, length: int) -> None:
    answer = client.get(f"Patient?name={'x' * length}")
    assert answer.status in (200, 400, 413, 414, 422)
    many = client.get("Patient?identifier=" + ",".join(["x"] * (length // 10)))
    assert many.status in (200, 400, 413, 414, 422)


@pytest.mark.parametrize("path", ["Patient?name=%00", "Patient?identifier=a%00b", "Patient/%00", "Patient?_id=%00"])
def test_nul_characters(client: Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status in (200, 400, 404)
    if answer.status != 200:
        refused(answer, (400, 404))


@pytest.mark.parametrize("path", ["Patient?name=%ff%fe", "Patient/%ff", "Patient?%ff=1", "Patient?name=%ZZ", "%c0%80"])
def test_bytes_that_are_not_utf8(client: Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status in (200, 400, 404)


@pytest.mark.parametrize("text", ["\\u0000", "\\ud800", "\\udfff\\ud800", "\\u0001", "\u2028"])
def test_characters_that_text_should_not_have(client: Client, text: str) -> None:
    body = f'{{"resourceType":"Patient","name":[{{"family":"a{text}b"}}]}}'
    answer = client.post("Patient", body)
    if answer.status == 201:
        assert client.get(f"Patient/{answer.id}").json == answer.json
        assert client.get(f"Patient/{answer.id}?_format=xml").status == 200
    else:
        refused(answer, (400, 422))


@pytest.mark.parametrize("number", ["1e400", "-1e400", "1e-400", "9" * 400, "1" + "0" * 5000, "1e999999999", "-0.0"])
def test_numbers_of_any_size(client: Client, number: str) -> None:
    body = f'{{"resourceType":"Observation","status":"final","code":{{"text":"x"}},"valueQuantity":{{"value":{number}}}}}'
    answer = client.post("Observation", body)
    if answer.status == 201:
        assert client.get(f"Observation/{answer.id}").status == 200
    else:
        refused(answer, (400, 422))


def test_a_property_twice(client: Client) -> None:
    answer = client.post("Patient", '{"resourceType":"Patient","gender":"male","gender":"female"}')
    assert answer.status in (201, 400, 422)
