"""Requests and answers, free of any web framework."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

FHIR_JSON = "application/fhir+json"
FHIR_XML = "application/fhir+xml"


@dataclass(slots=True)
class FhirRequest:
    """A FHIR request below a tenant's base.

    `path` has no leading slash (`Patient/123`); `query` keeps order and repeats; header names are lower case; `base` is
    the tenant's FHIR base URL without a closing slash. `resource` is the body already parsed, where the caller had it
    so (an entry of a Bundle).
    """

    method: str
    path: str
    query: Sequence[tuple[str, str]]
    headers: dict[str, str]
    body: bytes
    base: str
    resource: Any = None

    def header(self, name: str) -> str | None:
        """A header's value, by lower-case name."""
        return self.headers.get(name)


@dataclass(slots=True)
class FhirResponse:
    """An answer. `body` is FHIR JSON text unless `content_type` says otherwise; None means an empty body."""

    status: int
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = FHIR_JSON
