"""JSON that is broken, ambiguous or too much is a 400 or 413, never a 5xx (security-reliability.md T12, 5.5)."""

import gzip
import time

import pytest

from fhir_server.core.errors import TooLarge
from fhir_server.core.resource_json import decode_sent
from fhir_server.settings import settings
from tests.client import Client

P = b'{"resourceType":"Patient",'

# sec-26
BROKEN = {
    "nothing": b"",
    "space": b" \n",
    "no JSON": b"Patient",
    "two values": P + b'"active":true}{}',
    "trailing comma": P + b'"active":true,}',
    "trailing text": P + b'"active":true}x',
    "comment": P + b'/* c */"active":true}',
    "single quotes": b"{'resourceType':'Patient'}",
    "bare name": b'{resourceType:"Patient"}',
    "NaN": P + b'"multipleBirthInteger":NaN}',
    "Infinity": P + b'"multipleBirthInteger":Infinity}',
    "-Infinity": P + b'"multipleBirthInteger":-Infinity}',
    "leading zero": P + b'"multipleBirthInteger":01}',
    "leading plus": P + b'"multipleBirthInteger":+1}',
    "hexadecimal": P + b'"multipleBirthInteger":0x1}',
    "True": P + b'"active":True}',
    "line break in a string": P + b'"language":"f\nr"}',
    "NUL in a string": P + b'"language":"f\x00r"}',
    "NUL before": b"\x00" + P + b'"active":true}',
    "NUL as a code": P + b'"name":[{"family":"a\\u0000b"}]}',
    "NUL in a name": P + b'"a\\u0000b":1}',
    "BOM": b"\xef\xbb\xbf" + P + b'"active":true}',
    "UTF-16": '{"resourceType":"Patient","active":true}'.encode("utf-16"),
    "UTF-16 without BOM": '{"resourceType":"Patient","active":true}'.encode("utf-16-le"),
    "UTF-32": '{"resourceType":"Patient","active":true}'.encode("utf-32"),
    "latin-1": '{"resourceType":"Patient","name":[{"family":"Andr\u00e9"}]}'.encode("latin-1"),
    "overlong UTF-8": P + b'"name":[{"family":"\xc0\x80"}]}',
    "surrogate in UTF-8": P + b'"name":[{"family":"\xed\xa0\x80"}]}',
    "high surrogate alone": P + b'"name":[{"family":"a\\ud800b"}]}',
    "low surrogate alone": P + b'"name":[{"family":"a\\udc00b"}]}',
    "surrogates the wrong way round": P + b'"name":[{"family":"\\udc00\\ud800"}]}',
    "broken escape": P + b'"name":[{"family":"\\x41"}]}',
    "5000 digits": P + b'"multipleBirthInteger":' + b"9" * 5000 + b"}",
    "a property twice": P + b'"gender":"male","gender":"female"}',
    "the type twice": b'{"resourceType":"Patient","resourceType":"Observation"}',
    "a property twice, once as a code": P + b'"gender":"male","\\u0067ender":"female"}',
    "a property twice, deep": P + b'"name":[{"family":"a"},{"family":"b","family":"c"}]}',
    "a property twice behind codes": P + b'"language":"\\u0022\\u0022","gender":"male","gender":"female"}',
    "deep arrays": b"[" * 100_000,
    "deep objects": b'{"a":' * 100_000,
    "deep and closed": P + b'"x":' + b"[" * 5_000 + b"]" * 5_000 + b"}",
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN.keys())
def test_it_is_refused_and_explained(client: Client, body: bytes) -> None:
    for method, path in (("POST", "Patient"), ("PUT", "Patient/x"), ("POST", "")):
        answer = client.request(method, path, body)
        assert answer.status in (400, 413), (method, answer.text)
        assert answer.json["resourceType"] == "OperationOutcome"
        assert len(answer.body) < 1000


WELL = [
    '{"resourceType":"Patient","name":[{"family":"a\\"b"}]}',
    '{"resourceType":"Patient","name":[{"family":"\\u0022"}]}',
    '{"resourceType":"Patient","name":[{"family":"a\\\\u0022b"}]}',
    '{"resourceType":"Patient","name":[{"family":"a\\\\u0000b"}]}',
    '{"resourceType":"Patient","name":[{"family":"\\ud83d\\ude00"}]}',
    '{"resourceType":"Patient","name":[{"family":"\\\\\\""}]}',
    '{"resourceType":"Patient","name":[{"given":["a","a"]},{"given":["a"]}]}',
    ' \r\n\t{"resourceType" : "Patient" , "active" : true }\n',
]


@pytest.mark.parametrize("body", WELL)
def test_unusual_but_right_json_is_read(client: Client, body: str) -> None:
    answer = client.post("Patient", body)
    assert answer.status == 201, answer.text
    assert client.get(f"Patient/{answer.id}").json == answer.json


def allowed(body: bytes) -> bool:
    try:
        decode_sent(body, max_values=1000, max_string=1000)
    except TooLarge:
        return False
    return True


# sec-29
def test_limits_at_n_and_n_plus_one() -> None:
    assert allowed(b"[" + b",".join([b"1"] * 1000) + b"]")
    assert not allowed(b"[" + b",".join([b"1"] * 1001) + b"]")
    assert not allowed(b"[" + b",".join([b"{}"] * 600) + b"]")
    assert allowed(b'{"a":"' + b"x" * 1000 + b'"}')
    assert not allowed(b'{"a":"' + b"x" * 1001 + b'"}')
    assert not allowed(b'{"a":["' + b"x" * 1001 + b'"]}')
    assert not allowed(b'{"' + b"x" * 1001 + b'":1}')
    assert allowed(b'{"data":"' + b"x" * 5000 + b'"}'), "base64 content may be longer"


@pytest.mark.parametrize("count", [900_000, 1_100_000])
def test_a_million_properties(client: Client, count: int) -> None:
    body = b'{"resourceType":"Patient",' + b",".join(b'"a%d":1' % n for n in range(count)) + b"}"
    started = time.thread_time()
    answer = client.post("Patient", body)
    assert answer.status == (422 if count < settings.max_nodes else 413)
    assert len(answer.body) < 50_000
    assert time.thread_time() - started < 10


def test_the_limits_are_settings(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "max_nodes", 20)
    assert client.post("Patient", {"resourceType": "Patient", "name": [{"given": ["a"] * 30}]}).status == 413
    monkeypatch.undo()
    monkeypatch.setattr(settings, "max_string_bytes", 100)
    for kind, body in (
        ("json", '{"resourceType":"Patient","name":[{"family":"%s"}]}'),
        ("xml", '<Patient xmlns="http://hl7.org/fhir"><name><family value="%s"/></name></Patient>'),
    ):
        assert client.post("Patient", body % ("x" * 100), content_type=f"application/fhir+{kind}").status == 201
        assert client.post("Patient", body % ("x" * 101), content_type=f"application/fhir+{kind}").status == 413


# sec-T12: Content-Type is believed, and must be one that the server reads.
@pytest.mark.parametrize(
    "kind",
    ["text/plain", "text/html", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/yaml",
     "application/fhir+json; charset=utf-16", "application/fhir+json; charset=iso-8859-1", "application/fhir+turtle",
     "application/json, text/html", "json"],
)  # fmt: skip
def test_other_content_types_are_415(client: Client, kind: str) -> None:
    if kind == "json":
        kind = "jsonx"
    assert client.post("Patient", b'{"resourceType":"Patient"}', content_type=kind).status == 415


@pytest.mark.parametrize(
    "kind", ["application/fhir+json", "application/fhir+json; charset=UTF-8", 'application/json;charset="utf-8"',
             "application/fhir+json; fhirVersion=4.0"],
)  # fmt: skip
def test_its_own_content_types_are_read(client: Client, kind: str) -> None:
    assert client.post("Patient", b'{"resourceType":"Patient"}', content_type=kind).status == 201


# sec-T17, sec-28
def test_a_gzip_bomb_is_413_at_once(client: Client) -> None:
    layer = gzip.compress(b"\x00" * 200_000_000, compresslevel=9)
    assert len(layer) < 300_000
    started = time.thread_time()
    answer = client.post("Patient", layer, content_encoding="gzip")
    assert answer.status == 413
    assert time.thread_time() - started < 1.0
    twice = gzip.compress(layer)
    assert client.post("Patient", twice, content_encoding="gzip").status in (400, 413)


def test_gzip_must_be_whole_and_alone(client: Client) -> None:
    packed = gzip.compress(b'{"resourceType":"Patient"}')
    assert client.post("Patient", packed, content_encoding="gzip").status == 201
    for body in (packed[:-1], packed[:-8], packed + b"x", packed + packed, packed[:10], b""):
        assert client.post("Patient", body, content_encoding="gzip").status == 400
    for encoding in ("deflate", "br", "gzip, gzip", "zstd", "compress"):
        assert client.post("Patient", packed, content_encoding=encoding).status == 415
