"""HTTP over loopback for many threads at once, and ways to run them together."""

import http.client
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http.client import HTTPConnection
from typing import Any, TypeVar
from urllib.parse import urlsplit

from fhir_server.core.resource_json import decode, encode

T = TypeVar("T")
LOST = (OSError, http.client.HTTPException)


@dataclass(slots=True)
class Heard:
    """An answer. `etag` is the version in it."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON value."""
        return decode(self.body)

    @property
    def etag(self) -> str:
        """The ETag."""
        return self.headers.get("etag", "")


@dataclass(slots=True)
class Http:
    """One thread's connection to a tenant. Raises one of `LOST` when there is no answer."""

    base: str
    token: str
    _connection: HTTPConnection | None = field(default=None)

    def request(self, method: str, path: str, body: Any = None, **headers: str) -> Heard:
        """Send a request; `path` is below the FHIR base."""
        where = urlsplit(self.base)
        if self._connection is None:
            self._connection = HTTPConnection(str(where.hostname), where.port, timeout=180)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named |= {"Authorization": f"Bearer {self.token}", "Content-Type": "application/fhir+json"}
        url = f"{where.path}/{path}" if path else where.path
        try:
            self._connection.request(method, url, None if body is None else encode(body), named)
            answer = self._connection.getresponse()
            data = answer.read()
        except LOST:
            self.close()
            raise
        return Heard(answer.status, {name.lower(): value for name, value in answer.getheaders()}, data)

    def close(self) -> None:
        """Give the connection up; the next request makes a new one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def together(works: Sequence[Callable[[], T]], seconds: float = 240) -> list[T]:
    """Run all at the same moment, one thread each; their results in order. Raises the first thread's exception."""
    gate = threading.Barrier(len(works))
    results: list[T | None] = [None] * len(works)
    failures: list[BaseException] = []

    def run(index: int) -> None:
        try:
            gate.wait(seconds)
            results[index] = works[index]()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(index,), daemon=True) for index in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(seconds)
    assert not any(thread.is_alive() for thread in threads), "a thread did not finish"
    if failures:
        raise failures[0]
    return results  # type: ignore[return-value]
