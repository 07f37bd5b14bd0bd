"""Posting to a URL that somebody gave (endpoints of web push) is bound by the same rules as fetching one."""

import socket
import time
from collections.abc import Callable

import pytest

from fhir_server.security import outbound
from fhir_server.security.outbound import Refused, Unreachable, post
from fhir_server.settings import settings
from tests.hardening.test_outbound import Listener, Talk, answer, listen, says, silent

Listen = Callable[[Talk], str]
__all__ = ["listen"]


def test_any_status_comes_back(listen: Listen) -> None:
    for status, expected in (("201 Created", 201), ("410 Gone", 410), ("500 Oops", 500)):
        assert post(listen(says(answer(b"", status=status))), b"body", {}).status == expected


def test_what_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    listener = Listener(says(answer(b"", "Retry-After: 120", status="429 Slow")))
    monkeypatch.setattr(settings, "outbound_allow", f"127.0.0.1:{listener.port}")
    answered = post(f"http://127.0.0.1:{listener.port}/push?x=1", b"\x00body", {"TTL": "60"})
    assert (answered.status, answered.retry_after) == (429, 120)
    request = listener.requests[0]
    assert request.startswith(b"POST /push?x=1 HTTP/1.1\r\n") and request.endswith(b"\r\n\r\n\x00body")
    assert b"Content-Length: 5\r\n" in request and b"TTL: 60\r\n" in request
    listener.socket.close()


def test_a_redirect_is_not_followed(listen: Listen) -> None:
    url = listen(says(answer(b"", "Location: http://127.0.0.1:1/", status="307 Elsewhere")))
    with pytest.raises(Refused):
        post(url, b"x", {})


def test_a_header_cannot_smuggle_another(listen: Listen) -> None:
    url = listen(says(answer(b"")))
    with pytest.raises(Unreachable):
        post(url, b"x", {"Topic": "a\r\nX-Evil: 1"})


@pytest.mark.parametrize("url", [
    "http://push.example/", "https://127.0.0.1/", "https://[::1]/", "https://169.254.169.254/", "https://10.0.0.1:443/",
    "https://0x7f000001/", "https://localhost/",
])  # fmt: skip
def test_addresses_inside_are_not_called(url: str) -> None:
    outbound._slow.clear()
    with pytest.raises((Refused, Unreachable)):
        post(url, b"x", {})


def test_it_is_known_whether_the_request_may_have_arrived(listen: Listen, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Unreachable) as late:
        post(listen(silent), b"x", {}, seconds=3)
    assert late.value.began
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    monkeypatch.setattr(settings, "outbound_allow", f"127.0.0.1:{port}")
    with pytest.raises(Unreachable) as refused:
        post(f"http://127.0.0.1:{port}/", b"x", {})
    assert not refused.value.began


def test_a_slow_drip_ends_with_the_time(listen: Listen) -> None:
    dripped = 0
    whole = answer(b"x" * 1000)

    def drip(peer: socket.socket) -> None:
        nonlocal dripped
        for byte in whole:
            peer.sendall(bytes([byte]))
            dripped += 1
            time.sleep(0.05)

    with pytest.raises(Unreachable):
        post(listen(drip), b"x", {}, seconds=0.5)
    assert dripped < len(whole), "the whole answer was waited for"
