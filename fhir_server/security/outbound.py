"""The one way in which the server calls a URL that somebody gave it (jwks_uri, endpoints of web push).

What a URL may reach is decided by the address that its name resolves to, asked once, and the connection goes to that
address: a name that changes its mind reaches nothing else. No redirects, no proxies, no credentials, no compression;
the time and size limits hold for the whole exchange, however slowly the bytes come. Nothing that a resource contains
(canonicals, Attachment.url, implicitRules) is ever fetched.
"""

import io
import re
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from http.client import HTTPException, HTTPMessage, HTTPResponse
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any, cast
from urllib.parse import SplitResult, urlsplit

from fhir_server.settings import settings

# Not `ip_address(…).is_global`: that is true for multicast, NAT64 and 6to4 forms of private addresses.
_NOT_PUBLIC_4 = [
    IPv4Network(network)
    for network in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
        "224.0.0.0/4", "240.0.0.0/4",
    )
]  # fmt: skip
_PUBLIC_6 = IPv6Network("2000::/3")
# Teredo and the other protocol assignments, documentation, 6to4.
_NOT_PUBLIC_6 = [IPv6Network(n) for n in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")]
_NAT64 = IPv6Network("64:ff9b::/96")

_URL = re.compile(r"[!-~]{1,2000}\Z")
_NAME = re.compile(r"[A-Za-z0-9._:-]{1,253}\Z")
_HEADER_ROOM = 65_536
_PAUSE_S = 30.0
_slow: dict[tuple[str, int], float] = {}


class Refused(Exception):
    """The URL may not be fetched. The text says why and names no address."""


class Unreachable(Exception):
    """The URL may be fetched, but gave nothing usable in time. `began`: the request may have arrived there."""

    began = False


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came: the body, and for how many seconds it may be kept (None: not said)."""

    body: bytes
    max_age: int | None


@dataclass(frozen=True, slots=True)
class Posted:
    """What a host answered. `retry_after`: the seconds that it asks to wait, 0 when it does not say."""

    status: int
    body: bytes
    retry_after: int


def get(url: str, *, max_bytes: int = 1_000_000, seconds: float = 3, accept: str = "application/json") -> Fetched:
    """Fetch a URL. Raises `Refused` or `Unreachable`.

    https to public addresses only; SALAM_OUTBOUND_ALLOW names `host:port` that may be called all the same, also by
    http. A host that did not answer in time is left alone for 30 seconds.
    """
    head = {"Accept": accept}
    answer = _call("GET", url, head, b"", max_bytes, seconds)
    if answer.status != 200 or answer.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Unreachable(f"The host answered {answer.status}.")
    return Fetched(answer.body, _max_age(answer.headers.get("Cache-Control", "")))


def post(
    url: str, body: bytes, headers: Mapping[str, str], *, max_bytes: int = 100_000, seconds: float = 10
) -> Posted:
    """Send a body to a URL under the same rules; the answer, whatever its status. Raises `Refused` (also for a
    redirect) or `Unreachable`."""
    answer = _call("POST", url, headers, body, max_bytes, seconds)
    wait = answer.headers.get("Retry-After", "")
    return Posted(answer.status, answer.body, int(wait) if re.fullmatch(r"[0-9]{1,6}", wait) else 0)


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: HTTPMessage
    body: bytes


def _call(method: str, url: str, headers: Mapping[str, str], body: bytes, max_bytes: int, seconds: float) -> _Answer:
    parts, host, port = _parsed(url)
    deadline = time.monotonic() + seconds
    if _slow.get((host, port), 0.0) > time.monotonic():
        raise Unreachable("The host did not answer a moment ago.")
    began = False
    try:
        with _connected(parts.scheme, host, port, deadline) as connection:
            began = True
            return _exchange(connection, _request(method, parts, host, port, headers, body), deadline, max_bytes)
    except TimeoutError:
        if len(_slow) > 1000:
            _slow.clear()
        _slow[host, port] = time.monotonic() + _PAUSE_S
        raise _unreachable("The host did not answer in time.", began) from None
    except (OSError, HTTPException, ValueError) as error:
        raise _unreachable(f"The exchange with the host failed ({type(error).__name__}).", began) from None


def _unreachable(text: str, began: bool) -> Unreachable:
    error = Unreachable(text)
    error.began = began
    return error


def check(url: str) -> None:
    """Refuse a URL that `get` would not fetch, as far as that shows without asking its name. Raises `Refused`."""
    _, host, port = _parsed(url)
    try:
        literal = ip_address(host)
    except ValueError:
        return
    if not _allowed(host, port) and not is_public(literal):
        raise Refused("The URL does not lead to a public address.")


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address belongs to the public internet, also by what is packed inside it."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_4)
    if address.ipv4_mapped is not None:
        return is_public(address.ipv4_mapped)
    if address in _NAT64:
        return is_public(IPv4Address(int(address) & 0xFFFF_FFFF))
    return address in _PUBLIC_6 and not any(address in network for network in _NOT_PUBLIC_6)


def _parsed(url: str) -> tuple[SplitResult, str, int]:
    if not _URL.match(url) or "\\" in url:
        raise Refused("This is not a URL that can be fetched.")
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port or {"https": 443, "http": 80}.get(parts.scheme, 0)
    except ValueError:
        raise Refused("This is not a URL that can be fetched.") from None
    if not _NAME.match(host) or "@" in parts.netloc:
        raise Refused("The URL must have a plain host name and no user.")
    if parts.scheme != "https" and not (parts.scheme == "http" and _allowed(host, port)):
        raise Refused("The URL must begin with https://.")
    return parts, host, port


@lru_cache(maxsize=8)
def _allow_list(text: str) -> frozenset[str]:
    return frozenset(part.strip().lower() for part in text.split(",") if part.strip())


def _allowed(host: str, port: int) -> bool:
    shown = f"[{host}]" if ":" in host else host
    return f"{shown}:{port}" in _allow_list(settings.outbound_allow)


def _connected(scheme: str, host: str, port: int, deadline: float) -> socket.socket:
    """A connection to the first address of the name; every address of it must be one that may be called."""
    found = _resolved(host, port, deadline)
    if not _allowed(host, port):
        for _, place in found:
            if not is_public(ip_address(str(place[0]).partition("%")[0])):
                raise Refused("The URL does not lead to a public address.")
    family, place = found[0]
    plain = socket.socket(family, socket.SOCK_STREAM)
    try:
        plain.settimeout(_left(deadline))
        plain.connect(place)
        if scheme == "http":
            return plain
        plain.settimeout(_left(deadline))
        return _tls().wrap_socket(plain, server_hostname=host)
    except BaseException:
        plain.close()
        raise


def _resolved(host: str, port: int, deadline: float) -> list[tuple[socket.AddressFamily, tuple[Any, ...]]]:
    """The addresses of a name, asked once. In a thread, because the resolver knows no deadline."""
    found: list[tuple[socket.AddressFamily, tuple[Any, ...]]] = []

    def ask() -> None:
        try:
            rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            return
        found.extend((row[0], row[4]) for row in rows)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(_left(deadline))
    if asking.is_alive():
        raise TimeoutError
    if not found:
        raise Unreachable("The host's name has no address.")
    return found


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


class _Reading(io.RawIOBase):
    """The bytes of a connection until a deadline and up to a number of bytes, whatever pace they come at."""

    def __init__(self, connection: socket.socket, deadline: float, most: int) -> None:
        self._connection, self._deadline, self._most = connection, deadline, most

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._connection.settimeout(_left(self._deadline))
        count = self._connection.recv_into(buffer)
        self._most -= count
        if self._most < 0:
            raise ValueError("too large")
        return count

    def makefile(self, *_: Any, **__: Any) -> io.BufferedReader:
        """What HTTPResponse asks a socket for."""
        return io.BufferedReader(self)


def _request(
    method: str, parts: SplitResult, host: str, port: int, headers: Mapping[str, str], body: bytes
) -> bytes:
    shown = f"[{host}]" if ":" in host else host
    default = {"https": 443, "http": 80}[parts.scheme]
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    named = {
        "Host": shown if port == default else f"{shown}:{port}",
        **headers,
        "Accept-Encoding": "identity",
        "User-Agent": "salam",
        "Connection": "close",
    }
    if method != "GET":
        named["Content-Length"] = str(len(body))
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in named.items()), "", ""]
    if any("\r" in line or "\n" in line for line in lines):
        raise ValueError("a header with a line break")
    return "\r\n".join(lines).encode("ascii") + body


def _exchange(connection: socket.socket, request: bytes, deadline: float, max_bytes: int) -> _Answer:
    connection.settimeout(_left(deadline))
    connection.sendall(request)
    answer = HTTPResponse(cast(socket.socket, _Reading(connection, deadline, max_bytes * 2 + _HEADER_ROOM)))
    with answer:
        answer.begin()
        if 300 <= answer.status < 400:
            raise Refused("The URL redirects; give the one that it leads to.")
        # Of a refusal only the status counts: no time is given to its body.
        body = answer.read(max_bytes + 1) if answer.status < 300 else b""
    if len(body) > max_bytes:
        raise Unreachable(f"The answer is larger than {max_bytes} bytes.")
    return _Answer(answer.status, answer.headers, body)


def _max_age(cache_control: str) -> int | None:
    if "no-store" in cache_control.lower() or "no-cache" in cache_control.lower():
        return 0
    found = re.search(r"\bmax-age=\"?([0-9]{1,9})", cache_control, re.IGNORECASE)
    return int(found[1]) if found else None
