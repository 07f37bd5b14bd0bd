"""The one way to say an error: a `FhirError`, rendered as an OperationOutcome at the edge.

https://hl7.org/fhir/R4/operationoutcome.html, issue codes https://hl7.org/fhir/R4/valueset-issue-type.html
Messages name elements, parameters and formats. They never quote patient data.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

ISSUE_SYSTEM = "urn:salam:CodeSystem:issue"
RULE_SYSTEM = "urn:salam:CodeSystem:validation-rule"


@dataclass(frozen=True, slots=True)
class Issue:
    """One OperationOutcome.issue. `expression`: FHIRPath of the element or `http.<header or parameter>`; `detail`: code
    of the code system `urn:salam:CodeSystem:issue` for what programs tell apart; `rule`: the key of the rule that was
    broken (`pat-1`, or `profile-url#Patient.name:official` for what a profile says)."""

    severity: str
    code: str
    text: str
    expression: str | None = None
    detail: str | None = None
    rule: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The issue as it stands in an OperationOutcome."""
        details: dict[str, Any] = {"text": self.text}
        named = ((ISSUE_SYSTEM, self.detail), (RULE_SYSTEM, self.rule))
        codings = [{"system": system, "code": code} for system, code in named if code]
        if codings:
            details = {"coding": codings, **details}
        issue: dict[str, Any] = {"severity": self.severity, "code": self.code, "details": details}
        if self.expression:
            issue["expression"] = [self.expression]
        return issue


def outcome(issues: Sequence[Issue]) -> dict[str, Any]:
    """An OperationOutcome resource of these issues, in order."""
    return {"resourceType": "OperationOutcome", "issue": [issue.as_json() for issue in issues]}


class FhirError(Exception):
    """A request that cannot be answered as asked. Subclasses fix the HTTP status and the default issue code."""

    status = 400
    default_code = "invalid"
    default_headers: Mapping[str, str] = MappingProxyType({})

    def __init__(
        self,
        text: str = "",
        *,
        expression: str | None = None,
        code: str | None = None,
        issues: Sequence[Issue] | None = None,
        headers: dict[str, str] | None = None,
        detail: str | None = None,
    ) -> None:
        super().__init__(text or (issues[0].text if issues else ""))
        issue = Issue("error", code or self.default_code, text, expression, detail)
        self.issues: list[Issue] = list(issues or [issue])
        self.headers = headers or dict(self.default_headers)
        # Resources that help, such as other times to book; and what finds them once the transaction is undone.
        self.contained: list[dict[str, Any]] = []
        self.after_rollback: Callable[[Any], list[dict[str, Any]]] | None = None

    def within(self, path: str) -> "FhirError":
        """The same error as seen from a Bundle entry: every expression is put under `path`."""
        self.issues = [
            Issue(i.severity, i.code, i.text, _under(path, i.expression), i.detail, i.rule) for i in self.issues
        ]
        return self

    def outcome(self) -> dict[str, Any]:
        """The OperationOutcome to send."""
        body = outcome(self.issues)
        if self.contained:
            body = {"resourceType": body["resourceType"], "contained": self.contained, "issue": body["issue"]}
        return body


def _under(path: str, expression: str | None) -> str:
    if not expression:
        return path
    return expression if expression.startswith("Bundle.") else f"{path}.{expression}"


class Invalid(FhirError):
    """400: the request cannot be understood."""


class NotSupported(FhirError):
    """400: understood, but this server does not do it (unknown parameter, modifier, operation)."""

    default_code = "not-supported"


class Unauthenticated(FhirError):
    """401: no valid token."""

    status = 401
    default_code = "login"


class Forbidden(FhirError):
    """403: the token's scopes do not cover the interaction. RFC 6750 section 3.1"""

    status = 403
    default_code = "forbidden"
    default_headers = MappingProxyType({"WWW-Authenticate": 'Bearer error="insufficient_scope"'})


class NotFound(FhirError):
    """404: there is no such resource for this caller (which includes: it is another tenant's)."""

    status = 404
    default_code = "not-found"


class MethodNotAllowed(FhirError):
    """405: no such interaction at this URL, or create by PUT is not allowed here."""

    status = 405
    default_code = "not-supported"


class NotAcceptable(FhirError):
    """406: no format in Accept or `_format` that the server writes."""

    status = 406
    default_code = "not-supported"


class Conflict(FhirError):
    """409: the change contradicts the present state."""

    status = 409
    default_code = "conflict"


class Gone(FhirError):
    """410: the resource was deleted."""

    status = 410
    default_code = "deleted"


class PreconditionFailed(FhirError):
    """412: If-Match, If-None-Match or a condition's number of matches does not hold."""

    status = 412
    default_code = "conflict"


class TooLarge(FhirError):
    """413: body, bundle or depth over the limit."""

    status = 413
    default_code = "too-long"


class UnsupportedMediaType(FhirError):
    """415: the body's Content-Type is not one the server reads."""

    status = 415
    default_code = "not-supported"


class Unprocessable(FhirError):
    """422: well-formed, but not valid FHIR R4 or against a business rule."""

    status = 422
    default_code = "processing"


class TooCostly(FhirError):
    """422: the answer would be larger than the server's limits; the text says which and how to narrow it."""

    status = 422
    default_code = "too-costly"


class Throttled(FhirError):
    """429: too many requests now; `Retry-After` says when."""

    status = 429
    default_code = "throttled"


class Unavailable(FhirError):
    """503: the database cannot be reached or the deadline passed; safe to try again."""

    status = 503
    default_code = "transient"
