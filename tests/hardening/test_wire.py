"""What only the real web server can show: raw bytes on a socket (security-reliability.md T17, T30, T38, 2.3 gunicorn row)."""

import socket
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import urlsplit

import pytest

from tests.client import Client
from tests.conftest import TestTenant

Talk = Callable[..., bytes]


@pytest.fixture(scope="module")
def other(new_tenant: Callable[[], TestTenant]) -> Client:
    other = new_tenant().client()
    assert other.put("Patient/theirs", {"resourceType": "Patient", "id": "theirs", "language": "zz-theirs"}).status == 201
    return other


@pytest.fixture
def talk(live_server: str) -> Talk:
    """Sends bytes and gives all that comes back until the server closes or says nothing for so many seconds."""
    place = urlsplit(live_server)

    def exchange(raw: bytes, seconds: float = 20) -> bytes:
        with socket.create_connection((place.hostname, place.port), timeout=seconds) as peer:
            with suppress(BrokenPipeError, ConnectionResetError):  # a server may answer and close before it has read all
                peer.sendall(raw)
            found = b""
            try:
                while chunk := peer.recv(65536):
                    found += chunk
            except (TimeoutError, ConnectionResetError):
                pass
        return found

    return exchange


def request(target: str, *headers: str, method: str = "GET", body: bytes = b"", close: bool = True) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", "Host: a.example", *headers, *(["Connection: close"] if close else []), "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def statuses(answer: bytes) -> list[int]:
    return [int(line.split()[1]) for line in answer.split(b"\r\n") if line.startswith(b"HTTP/1.")]


# sec-T30: A's token, everything that could lead a careless server to B's resources.
TARGETS = [
    "/t/A/../B/fhir/Patient/theirs", "/t/A/fhir/../../B/fhir/Patient/theirs", "/t/A/%2e%2e/B/fhir/Patient/theirs",
    "/t/A/%2E%2E%2FB/fhir/Patient/theirs", "/t/A/fhir/%2e%2e/%2e%2e/B/fhir/Patient/theirs", "/t/A/%252e%252e/B/fhir/Patient/theirs",
    "//t/B/fhir/Patient/theirs", "/t//B/fhir/Patient/theirs", "/t/B/fhir/Patient//theirs", "/t/B;/fhir/Patient/theirs",
    "/t/B%00/fhir/Patient/theirs", "/t/B/fhir/Patient/theirs%00", "/t/B/fhir/Patient/theirs", "http://other/t/B/fhir/Patient/theirs",
    "/t/A/fhir/Patient/theirs?/../../../B/fhir/Patient/theirs", "/t/A/fhir/Patient/theirs#/t/B", "/t/A/fhir\\..\\..\\B/fhir/Patient/theirs",
    "/t/A/fhir/Patient?_id=../../../B/fhir/Patient/theirs", "/T/B/fhir/Patient/theirs", "/t/A/fhir/%2Ft%2FB%2Ffhir%2FPatient%2Ftheirs",
]  # fmt: skip


@pytest.mark.parametrize("target", TARGETS)
def test_no_target_leads_to_another_tenant(client: Client, other: Client, talk: Talk, target: str) -> None:
    target = target.replace("/A", f"/{client.slug}").replace("B", other.slug)
    answer = talk(request(target, f"Authorization: Bearer {client.token}"))
    assert b"zz-theirs" not in answer
    assert statuses(answer)[0] in (200, 400, 401, 404)
    if statuses(answer)[0] == 200:
        assert b'"total":0' in answer or b'"entry"' not in answer


# sec-35: requests whose length two servers could see differently.
SMUGGLING = {
    "CL.TE": ("POST", ["Content-Length: 6", "Transfer-Encoding: chunked"], b"0\r\n\r\nGET /t/HIDDEN HTTP/1.1\r\nHost: a\r\n\r\n"),
    "TE.CL": ("POST", ["Transfer-Encoding: chunked", "Content-Length: 4"], b"5c\r\nGET /t/HIDDEN HTTP/1.1\r\n\r\n0\r\n\r\n"),
    "two lengths": ("POST", ["Content-Length: 0", "Content-Length: 44"], b"GET /t/HIDDEN HTTP/1.1\r\nHost: a\r\n\r\n"),
    "length list": ("POST", ["Content-Length: 0, 44"], b"GET /t/HIDDEN HTTP/1.1\r\nHost: a\r\n\r\n"),
    "negative length": ("POST", ["Content-Length: -1"], b"x"),
    "plus length": ("POST", ["Content-Length: +1"], b"x"),
    "odd encoding": ("POST", ["Transfer-Encoding: xchunked"], b"0\r\n\r\n"),
    "spaced encoding": ("POST", ["Transfer-Encoding : chunked"], b"0\r\n\r\n"),
    "folded encoding": ("POST", ["Transfer-Encoding:\r\n chunked"], b"0\r\n\r\n"),
    "double encoding": ("POST", ["Transfer-Encoding: chunked", "Transfer-Encoding: identity"], b"0\r\n\r\n"),
    "bad chunk": ("POST", ["Transfer-Encoding: chunked"], b"zz\r\nx\r\n0\r\n\r\n"),
    "huge chunk": ("POST", ["Transfer-Encoding: chunked"], b"ffffffffffffffffff\r\nx\r\n0\r\n\r\n"),
    "bare line feeds": ("GET", ["X: a\nTransfer-Encoding: chunked"], b""),
    "folded header": ("GET", ["X: a\r\n b"], b""),
    "space in a name": ("GET", ["X Y: a"], b""),
    "NUL in a header": ("GET", ["X: a\x00b"], b""),
    "two hosts": ("GET", ["Host: b.example"], b""),
}


@pytest.mark.parametrize(("method", "headers", "body"), SMUGGLING.values(), ids=SMUGGLING.keys())
def test_no_second_request_hides_in_the_first(
    client: Client, talk: Talk, method: str, headers: list[str], body: bytes
) -> None:
    named = [f"Authorization: Bearer {client.token}", "Content-Type: application/fhir+json", *headers]
    answer = talk(request(f"/t/{client.slug}/fhir/Patient", *named, method=method, body=body, close=False), 2)
    assert len(statuses(answer)) <= 1 or statuses(answer)[1:] == [400]
    assert all(status < 500 for status in statuses(answer))
    assert b"HIDDEN" not in answer


# sec-T30
def test_trace_echoes_nothing(client: Client, talk: Talk) -> None:
    answer = talk(request(f"/t/{client.slug}/fhir/Patient", "X-Canary: canary-5", method="TRACE"))
    assert statuses(answer) == [405]
    assert b"canary-5" not in answer


def test_http_1_0_and_absolute_forms_keep_to_the_hosts_header(client: Client, talk: Talk) -> None:
    target = f"/t/{client.slug}/fhir/Patient?_count=1"
    authorization = f"Authorization: Bearer {client.token}"
    for raw in (request(f"http://evil.example{target}", authorization),
                f"GET {target} HTTP/1.0\r\n{authorization}\r\n\r\n".encode()):  # fmt: skip
        answer = talk(raw)
        assert statuses(answer) == [200]
        assert b"evil.example" not in answer


# sec-T38
def test_long_lines_and_many_headers(client: Client, talk: Talk) -> None:
    target = f"/t/{client.slug}/fhir/metadata"
    assert statuses(talk(request(target + "?" + "a" * 100_000)))[0] in (400, 414, 431)
    many = [f"X-{n}: {'a' * 100}" for n in range(5000)]
    assert statuses(talk(request(target, *many)))[0] in (400, 431)
    assert statuses(talk(request(target, "X: " + "a" * 1_000_000)))[0] in (400, 431)


# sec-T17: the limit holds however the length is told.
@pytest.mark.parametrize("told", ["length", "chunks"])
def test_a_body_over_the_limit(client: Client, talk: Talk, told: str) -> None:
    size = 17 * 1024 * 1024
    headers = [f"Authorization: Bearer {client.token}", "Content-Type: application/fhir+json"]
    target = f"/t/{client.slug}/fhir/Patient"
    if told == "length":
        answer = talk(request(target, *headers, f"Content-Length: {size}", method="POST", body=b"x"))
    else:
        body = (b"10000\r\n" + b" " * 65536 + b"\r\n") * (size // 65536) + b"0\r\n\r\n"
        answer = talk(request(target, *headers, "Transfer-Encoding: chunked", method="POST", body=body))
    assert statuses(answer) == [413]
