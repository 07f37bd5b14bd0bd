"""Requests to a FHIR server over HTTP, from several threads, with a note of how each went."""

import http.client
import json
import threading
import time
import uuid
from collections import Counter
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

_TIMEOUT, _IDLE = 30.0, 2.0
Json = dict[str, Any]


class Refused(Exception):
    """The server refused a request. `detail`: code of the first issue's details, "" for none."""

    def __init__(self, what: str, status: int, body: Json) -> None:
        issue: Json = next(iter(body.get("issue", ())), {})
        details = issue.get("details", {})
        self.status, self.detail = status, next((c["code"] for c in details.get("coding", ())), "")
        super().__init__(f"{what}: {status} {details.get('text', '')}".strip())


class Api:
    """One tenant of a server. `base`: `http://host:port/t/slug`."""

    def __init__(self, base: str, token: str) -> None:
        parts = urlsplit(base)
        self._secure, self._address, self._path = parts.scheme == "https", parts.netloc, parts.path.rstrip("/")
        self._token = token
        self._local = threading.local()
        self._lock = threading.Lock()
        self._connections: list[http.client.HTTPConnection] = []
        self.seconds: list[float] = []
        self.refused: Counter[str] = Counter()

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"{'https' if self._secure else 'http'}://{self._address}"

    @property
    def path(self) -> str:
        """The tenant's path."""
        return self._path

    def get(self, path: str) -> Json:
        """A resource or Bundle. Raises `Refused`."""
        return self._asked("GET", f"/fhir/{path}", None)

    def put(self, resource: Json) -> Json:
        """Store a resource under its id. Raises `Refused`."""
        return self._asked("PUT", f"/fhir/{resource['resourceType']}/{resource['id']}", resource)

    def transaction(self, entries: list[Json]) -> Json:
        """Write a transaction Bundle. Raises `Refused`."""
        return self._asked("POST", "/fhir", {"resourceType": "Bundle", "type": "transaction", "entry": entries})

    def run(self, path: str, **parameters: Mapping[str, Any]) -> Json:
        """Run an operation with these parameters, each given as its value[x] or resource. Raises `Refused`."""
        listed = [{"name": name.replace("_", "-"), **value} for name, value in parameters.items()]
        body = {"resourceType": "Parameters", "parameter": listed} if listed else None
        return self._asked("POST", f"/fhir/{path}", body)

    def open(self, method: str, url: str) -> Json:
        """Use a secret link: without a token. Raises `Refused`."""
        return self._asked(method, urlsplit(url).path.removeprefix(self._path), None, token=False)

    def every(self, path: str) -> list[Json]:
        """The entries of all pages. Raises `Refused`."""
        entries: list[Json] = []
        where: str | None = f"/fhir/{path}"
        while where is not None:
            page = self._asked("GET", where, None)
            entries += page.get("entry", [])
            onward = next((each["url"] for each in page.get("link", ()) if each["relation"] == "next"), None)
            where = onward.partition(self._path)[2] if onward else None
        return entries

    def close(self) -> None:
        """Close the connections of all threads; nobody may be using them."""
        for connection in self._connections:
            connection.close()

    def _asked(self, method: str, path: str, body: Json | None, *, token: bool = True) -> Json:
        begin = time.monotonic()
        headers = {"Content-Type": "application/fhir+json", "Accept": "application/fhir+json, application/json"}
        if token:
            headers["Authorization"] = f"Bearer {self._token}"
        if method == "POST" and "/$" in path:
            # So that an operation can be sent again when nobody knows whether it arrived.
            headers["Idempotency-Key"] = uuid.uuid4().hex
        status, answer = self._sent(method, self._path + path, body, headers)
        with self._lock:
            self.seconds.append(time.monotonic() - begin)
            if status >= 400:
                self.refused[f"{status}"] += 1
        if status >= 400:
            raise Refused(f"{method} {path.partition('?')[0]}", status, answer)
        return answer

    def _sent(self, method: str, path: str, body: Json | None, headers: Mapping[str, str]) -> tuple[int, Json]:
        data = None if body is None else json.dumps(body).encode()
        again = method == "GET" or "Idempotency-Key" in headers
        for attempt in (1, 2):
            connection = self._connection()
            try:
                connection.request(method, path, data, headers)
                response = connection.getresponse()
                text = response.read()
                return response.status, _value(text)
            except (http.client.HTTPException, OSError):
                self._drop()
                if attempt == 2 or not again:
                    raise
        raise AssertionError

    def _connection(self) -> http.client.HTTPConnection:
        found: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        now = time.monotonic()
        if found is not None and now - self._local.used > _IDLE:
            # A server may close what was not used for a while, just when it is used again.
            found.close()
            found = None
        self._local.used = now
        if found is None:
            kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
            found = self._local.connection = kind(self._address, timeout=_TIMEOUT)
            with self._lock:
                self._connections.append(found)
        return found

    def _drop(self) -> None:
        self._connection().close()
        self._local.connection = None


def _value(text: bytes) -> Json:
    try:
        value = json.loads(text or b"{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
