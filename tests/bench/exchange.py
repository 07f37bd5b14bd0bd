"""HTTP/1.1 as the benchmark speaks it: whole requests as bytes, replies by Content-Length, connections kept alive."""

import re
import socket
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_STATUS = re.compile(rb"HTTP/1\.1 (\d{3})")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
HEAD_END = b"\r\n\r\n"


@dataclass(slots=True)
class Reply:
    """`size` counts the head too, as wrk does."""

    status: int
    head: bytes
    body: bytes

    @property
    def size(self) -> int:
        """Bytes on the wire."""
        return len(self.head) + len(self.body)


@dataclass(frozen=True, slots=True)
class Target:
    """Where requests go: the tenant's FHIR base on loopback, and the token."""

    base: str
    token: str

    @property
    def address(self) -> tuple[str, int]:
        """Host and port. Raises ValueError for an address that is not loopback."""
        parts = urlsplit(self.base)
        host = parts.hostname or ""
        if not (host == "localhost" or host.startswith("127.") or host == "::1"):
            raise ValueError(f"The benchmark loads servers on this machine only, not {host}.")
        return host, parts.port or 80

    def request(self, method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
        """A whole request. `path` is relative to the base, or a URL (then of the same server)."""
        host, port = self.address
        if "://" in path:
            parts = urlsplit(path)
            where = f"{parts.path}?{parts.query}" if parts.query else parts.path
        else:
            prefix = urlsplit(self.base).path
            where = f"{prefix}/{path}" if path else prefix
        lines = [f"{method} {where} HTTP/1.1", f"Host: {host}:{port}", "Accept: application/fhir+json"]
        if self.token:
            lines.append(f"Authorization: Bearer {self.token}")
        if body:
            lines += ["Content-Type: application/fhir+json", f"Content-Length: {len(body)}"]
        lines += [f"{name.replace('_', '-').title()}: {value}" for name, value in headers.items()]
        return "\r\n".join(lines).encode() + HEAD_END + body


@dataclass(slots=True)
class Connection:
    """One connection, used by one thread; it is opened again when the server has closed it."""

    address: tuple[str, int]
    _socket: socket.socket | None = field(default=None, repr=False)

    def exchange(self, request: bytes) -> Reply:
        """Send a request and read its reply. Raises OSError when there is none."""
        if self._socket is None:
            self._socket = socket.create_connection(self.address, timeout=120)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(request)
        data = bytearray()
        end = -1
        while end < 0:
            self._receive(data)
            end = data.find(HEAD_END)
        status, length = read_head(bytes(data[: end + 4]))
        while len(data) < end + 4 + length:
            self._receive(data)
        return Reply(status, bytes(data[: end + 4]), bytes(data[end + 4 :]))

    def _receive(self, data: bytearray) -> None:
        assert self._socket is not None
        chunk = self._socket.recv(262_144)
        if not chunk:
            self.close()
            raise ConnectionError("The server closed the connection before its reply was whole.")
        data += chunk

    def close(self) -> None:
        """Close it."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None


def read_head(head: bytes) -> tuple[int, int]:
    """Status and length of the body. Raises ValueError when the head says neither."""
    status, length = _STATUS.match(head), _LENGTH.search(head)
    if status is None:
        raise ValueError("The reply has no status line.")
    if length is None and status[1] not in (b"204", b"304"):
        raise ValueError("The reply has no Content-Length.")
    return int(status[1]), int(length[1]) if length else 0
