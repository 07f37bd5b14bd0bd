"""A FHIR client for tests that calls the web application in this process."""

from dataclasses import dataclass
from typing import Any

from werkzeug.datastructures import Headers
from werkzeug.test import create_environ, run_wsgi_app

from fhir_server.app import app
from fhir_server.core.resource_json import decode, encode

ORIGIN = "http://testserver"


@dataclass(slots=True)
class Answer:
    """What came back. `json` decodes decimals to `Decimal`."""

    status: int
    headers: Headers
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON value."""
        return decode(self.body)

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()

    @property
    def id(self) -> str:
        """The id of the resource in the body."""
        return str(self.json["id"])

    @property
    def issues(self) -> list[dict[str, Any]]:
        """The issues of an OperationOutcome."""
        found: list[dict[str, Any]] = self.json["issue"]
        return found


@dataclass(slots=True)
class Client:
    """Requests to one tenant with one token. Paths are relative to the FHIR base unless they begin with a slash."""

    slug: str
    token: str | None

    @property
    def base(self) -> str:
        """The tenant's FHIR base URL."""
        return f"{ORIGIN}/t/{self.slug}/fhir"

    def request(self, method: str, path: str = "", body: Any = None, **headers: str) -> Answer:
        """Send a request. `body`: a JSON value, text or bytes. Header names: `if_match` is If-Match."""
        path = path.removeprefix(self.base).removeprefix(ORIGIN) if "://" in path else path
        url = path if path.startswith(("/t/", "//")) else f"/t/{self.slug}/fhir/{path.lstrip('/')}"
        named = {name.replace("_", "-").title(): value for name, value in headers.items()}
        if self.token is not None:
            named.setdefault("Authorization", f"Bearer {self.token}")
        data = body.encode() if isinstance(body, str) else body
        if data is not None and not isinstance(data, bytes):
            data = encode(data)
        if data is not None:
            named.setdefault("Content-Type", "application/fhir+json")
        location, _, query = url.partition("?")
        environ = create_environ(location, ORIGIN, query_string=query, method=method, data=data, headers=named)
        parts, status, answer_headers = run_wsgi_app(app, environ, buffered=True)
        return Answer(int(status.split()[0]), answer_headers, b"".join(parts))

    def get(self, path: str = "", **headers: str) -> Answer:
        """GET."""
        return self.request("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        """POST."""
        return self.request("POST", path, body, **headers)

    def put(self, path: str, body: Any = None, **headers: str) -> Answer:
        """PUT."""
        return self.request("PUT", path, body, **headers)

    def patch(self, path: str, body: Any = None, **headers: str) -> Answer:
        """PATCH (set content_type)."""
        return self.request("PATCH", path, body, **headers)

    def delete(self, path: str, **headers: str) -> Answer:
        """DELETE."""
        return self.request("DELETE", path, **headers)

    def create(self, resource: dict[str, Any]) -> dict[str, Any]:
        """Create a resource that must be accepted, and give it as stored."""
        answer = self.post(resource["resourceType"], resource)
        assert answer.status == 201, answer.text
        stored: dict[str, Any] = answer.json
        return stored

    def search(self, path: str) -> list[dict[str, Any]]:
        """The resources of a search's first page, matches and includes, in order."""
        answer = self.get(path)
        assert answer.status == 200, answer.text
        return [entry["resource"] for entry in answer.json.get("entry", [])]
