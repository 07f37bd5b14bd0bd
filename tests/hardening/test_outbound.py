"""Nothing that somebody sends makes the server call what it should not (security-reliability.md T13, smart-186, 190).

A listener stands on every loopback address that a spelling could reach; it must stay untouched.
"""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from ipaddress import ip_address

import pytest

from fhir_server.security import outbound
from fhir_server.security.outbound import Refused, Unreachable, get, is_public
from fhir_server.settings import settings

Talk = Callable[[socket.socket], None]


class Listener:
    """A server on loopback that talks as it is told and counts who connected."""

    def __init__(self, talk: Talk, family: socket.AddressFamily = socket.AF_INET) -> None:
        self.socket = socket.socket(family)
        self.socket.bind(("127.0.0.1" if family == socket.AF_INET else "::1", 0))
        self.socket.listen(16)
        self.port: int = self.socket.getsockname()[1]
        self.connections = 0
        self.requests: list[bytes] = []
        self._talk = talk
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self.socket.accept()
            except OSError:
                return
            self.connections += 1
            with peer, suppress(OSError):
                peer.settimeout(90)
                if self._talk is not silent:
                    self.requests.append(peer.recv(65536))
                self._talk(peer)


def silent(peer: socket.socket) -> None:
    # Until the other side has had enough.
    while peer.recv(65536):
        pass


def says(text: bytes) -> Talk:
    return lambda peer: peer.sendall(text)


def answer(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


@pytest.fixture
def listen(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Talk], str]]:
    """Starts a listener that may be called; gives its URL."""
    outbound._slow.clear()
    started: list[Listener] = []

    def start(talk: Talk) -> str:
        started.append(Listener(talk))
        monkeypatch.setattr(settings, "outbound_allow", f"127.0.0.1:{started[-1].port}")
        return f"http://127.0.0.1:{started[-1].port}/keys"

    yield start
    for listener in started:
        listener.socket.close()
    outbound._slow.clear()


@pytest.fixture(scope="module")
def trap() -> Iterator[list[Listener]]:
    listeners = [Listener(says(answer(b"{}")))]
    with suppress(OSError):
        listeners.append(Listener(says(answer(b"{}")), socket.AF_INET6))
    yield listeners
    for listener in listeners:
        assert listener.connections == 0
        listener.socket.close()


SPELLINGS = [
    "127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "017700000001", "0", "0.0.0.0",
    "localhost", "LOCALHOST", "localhost.", "[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]",
    "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b::127.0.0.1]", "[64:ff9b:1::7f00:1]", "[2002:7f00:1::]",
    "[2001:0:4136:e378:8000:63bf:80ff:fffe]", "[fe80::1]", "[fe80::1%25lo]", "[fec0::1]", "[fc00::1]", "[fd00::1]",
    "[ff02::1]", "224.0.0.1", "255.255.255.255", "169.254.169.254", "[::ffff:169.254.169.254]", "10.0.0.1",
    "172.16.0.1", "192.168.1.1", "100.64.0.1", "198.18.0.1", "192.0.0.1", "0.0.0.1", "240.0.0.1", "①②⑦.⓪.⓪.①",
    "127。0。0。1", "user@127.0.0.1", "example.org@127.0.0.1", "127.0.0.1#@example.org", "127.0.0.1\\@example.org",
]  # fmt: skip


# smart-190, sec-37
@pytest.mark.parametrize("host", SPELLINGS)
def test_no_spelling_reaches_this_machine(trap: list[Listener], host: str) -> None:
    for listener in trap:
        for scheme in ("https", "http"):
            with pytest.raises((Refused, Unreachable)):
                get(f"{scheme}://{host}:{listener.port}/", seconds=2)
        assert listener.connections == 0


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "gopher://example.org/", "ftp://example.org/", "http://example.org/", "//example.org/", "",
     "https:///path", "https://", "https://exa mple.org/", "https://example.org/\r\nHost: x", "https://example.org\t/",
     "https://example.org:99999/", "https://example.org:x/", "https://[::1", "jar:https://example.org/", "data:,{}",
     "https://" + "a" * 3000],
)  # fmt: skip
def test_what_is_no_https_url_is_refused(url: str) -> None:
    with pytest.raises(Refused):
        get(url)
    with pytest.raises(Refused):
        outbound.check(url)


@pytest.mark.parametrize("text", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_public_addresses_are_public(text: str) -> None:
    assert is_public(ip_address(text))


def test_the_whole_of_private_space_is_not_public() -> None:
    for text in ("10.1.2.3", "127.255.255.254", "169.254.0.1", "172.31.255.255", "192.0.2.1", "198.51.100.7", "203.0.113.9",
                 "239.1.1.1", "::", "::1", "::a.b.c.d".replace("a.b.c.d", "8.8.8.8"), "2001:db8::1", "2001:10::1", "3fff::1",
                 "5f00::1", "4000::1", "100::1", "64:ff9b::a00:1", "2002:808:808::"):  # fmt: skip
        assert not is_public(ip_address(text)), text


# sec-37: DNS rebinding. The first answer is public, every later one is loopback.
def test_a_name_is_asked_once_and_its_address_is_called(monkeypatch: pytest.MonkeyPatch, trap: list[Listener]) -> None:
    asked: list[str] = []
    called: list[object] = []

    def resolve(host: str, port: int, **_: object) -> list[object]:
        asked.append(host)
        address = "8.8.8.8" if len(asked) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    class Caught(socket.socket):
        def connect(self, place: object) -> None:
            called.append(place)
            raise ConnectionRefusedError

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(socket, "socket", Caught)
    port = trap[0].port
    with pytest.raises(Unreachable):
        get(f"https://rebinding.example:{port}/")
    assert (asked, called) == (["rebinding.example"], [("8.8.8.8", port)])
    with pytest.raises(Refused):
        get(f"https://rebinding.example:{port}/")
    assert len(called) == 1


def test_one_private_address_among_public_ones_is_enough_to_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(host: str, port: int, **_: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in ("8.8.8.8", "10.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(Refused):
        get("https://mixed.example/")


def test_a_refusal_names_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(host: str, port: int, **_: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.11.12.13", port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(Refused) as caught:
        get("https://intranet.example/")
    assert "10.11" not in str(caught.value)


def test_a_resolver_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    released, answered = threading.Event(), list[bool]()

    def resolve(*_: object, **__: object) -> list[object]:
        released.wait(90)
        answered.append(True)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(Unreachable):
        get("https://slow.example/", seconds=0.3)
    assert not answered
    released.set()
    outbound._slow.clear()


def test_what_is_allowed_is_fetched(listen: Callable[[Talk], str]) -> None:
    url = listen(says(answer(b'{"keys": []}', "Cache-Control: public, max-age=600")))
    got = get(url)
    assert (got.body, got.max_age) == (b'{"keys": []}', 600)


def test_chunks_are_understood(listen: Callable[[Talk], str]) -> None:
    text = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    got = get(listen(says(text)))
    assert (got.body, got.max_age) == (b"abcde", None)


def test_the_request_carries_nothing_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/")
    listener = Listener(says(answer(b"{}")))
    monkeypatch.setattr(settings, "outbound_allow", f"127.0.0.1:{listener.port}")
    get(f"http://127.0.0.1:{listener.port}/a?b=c#d")
    assert listener.requests == [
        f"GET /a?b=c HTTP/1.1\r\nHost: 127.0.0.1:{listener.port}\r\nAccept: application/json\r\n"
        "Accept-Encoding: identity\r\nUser-Agent: salam\r\nConnection: close\r\n\r\n".encode()
    ]
    listener.socket.close()


# sec-37
@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
def test_redirects_are_not_followed(listen: Callable[[Talk], str], trap: list[Listener], status: str) -> None:
    url = listen(says(answer(b"", f"Location: http://127.0.0.1:{trap[0].port}/", status=status)))
    with pytest.raises(Refused, match="redirects"):
        get(url)


@pytest.mark.parametrize("status", ["404 Not Found", "500 Oops", "204 No Content", "206 Partial Content"])
def test_only_200_counts(listen: Callable[[Talk], str], status: str) -> None:
    with pytest.raises(Unreachable):
        get(listen(says(answer(b"{}", status=status))))


def test_size_at_the_limit_and_over(listen: Callable[[Talk], str]) -> None:
    assert len(get(listen(says(answer(b"x" * 1000))), max_bytes=1000).body) == 1000
    with pytest.raises(Unreachable):
        get(listen(says(answer(b"x" * 1001))), max_bytes=1000)


def test_an_answer_without_end_is_cut(listen: Callable[[Talk], str]) -> None:
    def flood(peer: socket.socket) -> None:
        peer.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            peer.sendall(b"x" * 65536)

    with pytest.raises(Unreachable):
        get(listen(flood))


def test_headers_without_end_are_cut(listen: Callable[[Talk], str]) -> None:
    def flood(peer: socket.socket) -> None:
        peer.sendall(b"HTTP/1.1 200 OK\r\n")
        while True:
            peer.sendall(b"X-A: " + b"a" * 60000 + b"\r\n")

    with pytest.raises(Unreachable):
        get(listen(flood), max_bytes=1000)


def test_compression_is_not_unpacked(listen: Callable[[Talk], str]) -> None:
    with pytest.raises(Unreachable):
        get(listen(says(answer(b"\x1f\x8b\x08", "Content-Encoding: gzip"))))


# sec-F7
@pytest.mark.parametrize("what", ["nothing", "drip", "dripping headers"])
def test_a_slow_host_costs_the_time_limit_once(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    outbound._slow.clear()
    dripped: list[bytes] = []

    def drip(peer: socket.socket) -> None:
        peer.sendall(b"" if what == "dripping headers" else b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            peer.sendall(b"x")
            dripped.append(b"x")
            time.sleep(0.05)

    listener = Listener(silent if what == "nothing" else drip)
    monkeypatch.setattr(settings, "outbound_allow", f"127.0.0.1:{listener.port}")
    url = f"http://127.0.0.1:{listener.port}/keys"
    with pytest.raises(Unreachable):
        get(url, seconds=0.4)
    assert len(dripped) < 1000, "the whole answer was waited for"
    called = listener.connections
    with pytest.raises(Unreachable):
        get(url, seconds=0.4)
    assert listener.connections == called, "the host is left alone for a while"
    listener.socket.close()
    outbound._slow.clear()


@pytest.mark.parametrize("text", [b"", b"\x00" * 100, b"HTTP/1.1\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"SSH-2.0-x\r\n"])
def test_what_is_no_http_is_unreachable(listen: Callable[[Talk], str], text: bytes) -> None:
    with pytest.raises(Unreachable):
        get(listen(says(text)))


def test_a_certificate_must_be_good(listen: Callable[[Talk], str]) -> None:
    url = listen(says(answer(b"{}")))
    with pytest.raises(Unreachable):
        get(url.replace("http:", "https:"))
