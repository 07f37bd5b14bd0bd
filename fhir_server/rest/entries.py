"""An entry of a batch or transaction: the request it asks for, the response it gets."""

from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from fhir_server.core.errors import FhirError
from fhir_server.core.messages import FHIR_JSON, FhirRequest, FhirResponse
from fhir_server.core.resource_json import encode

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH")
_OWN = ("Bundle.", "request.", "resource.", "fullUrl")
_HEADERS = {
    "http.If-Match": "request.ifMatch",
    "http.If-None-Match": "request.ifNoneMatch",
    "http.If-Modified-Since": "request.ifModifiedSince",
}


@dataclass(slots=True)
class Entry:
    """`index` is the place in the Bundle; `request` the interaction asked for."""

    index: int
    request: FhirRequest
    full_url: str | None

    @property
    def path(self) -> str:
        """Where the entry stands: `Bundle.entry[3]`."""
        return f"Bundle.entry[{self.index}]"

    def blame(self, error: FhirError) -> FhirError:
        """The same error with expressions that lead to elements of this entry of the Bundle."""
        error.issues = [replace(issue, expression=self._place(issue.expression)) for issue in error.issues]
        return error.within(self.path)

    def _place(self, expression: str | None) -> str | None:
        if expression is None or expression.startswith(_OWN):
            return expression
        if expression.startswith("http."):
            condition = "request.ifNoneExist" if self.request.header("if-none-exist") else "request.url"
            return _HEADERS.get(expression, condition)
        resource = self.request.resource
        if not isinstance(resource, dict):
            return "request.url"
        # What is wrong with the outcome of a patch is no element of the entry.
        name, _, rest = expression.partition(".")
        return f"resource.{rest}" if rest and name == resource.get("resourceType") else "resource"

    def answer(self, response: FhirResponse) -> bytes:
        """The entry of the response Bundle, as JSON text."""
        said: dict[str, object] = {"status": f"{response.status} {HTTPStatus(response.status).phrase}"}
        if "Location" in response.headers:
            said["location"] = response.headers["Location"]
        if "ETag" in response.headers:
            said["etag"] = response.headers["ETag"]
        if "Last-Modified" in response.headers:
            moment = parsedate_to_datetime(response.headers["Last-Modified"])
            said["lastModified"] = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
        text = encode(said)
        body = response.body if response.content_type == FHIR_JSON else None
        if not body:
            return b'{"response":%s}' % text
        if response.status >= 400 or b'"resourceType":"OperationOutcome"' in body[:40]:
            return b'{"response":%s,"outcome":%s}}' % (text[:-1], body)
        return b'{"resource":%s,"response":%s}' % (body, text)
