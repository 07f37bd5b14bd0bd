"""Bytes that are hardly HTTP, at a real socket: never a 5xx, and the server goes on serving."""

import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from tests.conftest import TestTenant

BODY = b'{"resourceType":"Patient","active":true}'
KIND = b"Content-Type: application/fhir+json\r\n"
RAW = [
    b"GET {base}/Patient/\xff\xfe HTTP/1.1\r\nHost: x\r\n{auth}\r\n",
    b"GET {base}/Patient/%ff%00 HTTP/1.1\r\nHost: x\r\n{auth}\r\n",
    b"GET {base}/Patient?name=\xc3\xa9&birthdate=%zz HTTP/1.1\r\nHost: x\r\n{auth}\r\n",
    b"GET {base}/Patient?" + b"a" * 60_000 + b" HTTP/1.1\r\nHost: x\r\n{auth}\r\n",
    b"GET {base}/Patient HTTP/1.1\r\nHost: x\r\nAccept: \xff\xfe\r\n{auth}\r\n",
    b"GET {base}/Patient HTTP/1.1\r\nHost: \xff\r\n{auth}\r\n",
    b"GET {base}/Patient HTTP/1.1\r\n{auth}\r\n",
    b"GET {base}/Patient HTTP/1.0\r\n{auth}\r\n",
    b"GET {base}/Patient HTTP/9.9\r\nHost: x\r\n{auth}\r\n",
    b"GET {base}/metadata HTTP/1.1\r\nHost: x\r\nX-Request-Id: \xe9\r\n\r\n",
    b"GET {base}/Patient HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \xff\xff\r\n\r\n",
    b"POST {base}/Patient HTTP/1.1\r\nHost: x\r\n{auth}" + KIND + b"Content-Length: x\r\n\r\n" + BODY,
    b"POST {base}/Patient HTTP/1.1\r\nHost: x\r\n{auth}" + KIND + b"Content-Length: -1\r\n\r\n" + BODY,
    b"POST {base}/Patient HTTP/1.1\r\nHost: x\r\n{auth}" + KIND + b"\r\n",
    b"POST {base}/Patient HTTP/1.1\r\nHost: x\r\n{auth}" + KIND + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{{}}   \r\n0\r\n\r\n",
    b"POST {base}/Patient HTTP/1.1\r\nHost: x\r\n{auth}" + KIND + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"POST {base}/Patient HTTP/1.1\r\nHost: x\r\n{auth}" + KIND + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n{{}}",
    b"FOO {base}/Patient HTTP/1.1\r\nHost: x\r\n{auth}\r\n",
    b"GET http://elsewhere.example{base}/Patient HTTP/1.1\r\nHost: x\r\n{auth}\r\n",
    b"GET * HTTP/1.1\r\nHost: x\r\n{auth}\r\n",
    b"GET /t/../../etc/passwd HTTP/1.1\r\nHost: x\r\n{auth}\r\n",
    b"GET /../../t HTTP/1.1\r\nHost: x\r\n{auth}\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"\r\n\r\n\r\n",
    b"\x00" * 1000,
]


def answer(url: str, raw: bytes, seconds: float = 10) -> bytes:
    """The first bytes that come back; empty when the server closes or waits for more."""
    where = urlsplit(url)
    with socket.create_connection((str(where.hostname), where.port or 80), timeout=seconds) as connection:
        try:
            connection.sendall(raw)
            return connection.recv(4096)
        except (ConnectionError, TimeoutError):
            return b""


@pytest.mark.parametrize("raw", RAW, ids=range(len(RAW)))
def test_odd_bytes(live_server: str, tenant: "TestTenant", raw: bytes) -> None:
    auth = f"Authorization: Bearer {tenant.token()}\r\nConnection: close\r\n".encode()
    base = f"/t/{tenant.slug}/fhir".encode()
    raw = raw.replace(b"{base}", base).replace(b"{auth}", auth).replace(b"{{", b"{").replace(b"}}", b"}")
    heard = answer(live_server, raw, 0.7)
    if heard:
        assert heard.startswith(b"HTTP/1."), heard[:200]
        assert heard.split(b" ", 2)[1][:1] in (b"1", b"2", b"4"), heard[:500]
    healthy = answer(live_server, b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert healthy.split(b" ", 2)[1] == b"200"
