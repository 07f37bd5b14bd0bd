"""The resource in a request's body."""

from typing import Any
from urllib.parse import parse_qsl

from fhir_server.conformance.registry import Registry
from fhir_server.core.errors import Invalid, TooLarge, UnsupportedMediaType
from fhir_server.core.messages import FhirRequest
from fhir_server.core.resource_json import decode, depth
from fhir_server.rest.negotiate import XML, sent
from fhir_server.rest.xml_format import from_xml
from fhir_server.settings import settings

_FORM = "application/x-www-form-urlencoded"


def parse_body(request: FhirRequest, registry: Registry) -> Any:
    """The body as JSON value. Raises `Invalid` for no or broken JSON/XML, `TooLarge` for too deep nesting."""
    if request.resource is not None:
        return request.resource
    form = sent(request.header("content-type"))
    if not request.body:
        raise Invalid("The request needs a body.", code="required")
    value = from_xml(request.body, registry) if form == XML else decode(request.body)
    if _may_be_deep(request.body, form) and depth(value, settings.max_depth) > settings.max_depth:
        raise TooLarge(f"The body is nested deeper than {settings.max_depth} levels.")
    request.resource = value
    return value


def _may_be_deep(body: bytes, form: str) -> bool:
    # Nesting takes as many opening brackets; counting bytes is a hundredth of a walk over the value.
    return form == XML or body.count(b"{") + body.count(b"[") > settings.max_depth


def parse_resource(request: FhirRequest, registry: Registry) -> dict[str, Any]:
    """The body as a resource. Raises `Invalid` when it is no JSON object."""
    value = parse_body(request, registry)
    if not isinstance(value, dict):
        raise Invalid("The body must be one resource (a JSON object).", code="structure")
    return value


def form_pairs(request: FhirRequest) -> list[tuple[str, str]]:
    """The parameters of a POST _search: those of the URL, then those of the form."""
    content_type = (request.header("content-type") or _FORM).partition(";")[0].strip().lower()
    if content_type != _FORM and request.body:
        raise UnsupportedMediaType(f"POST _search takes {_FORM}.", expression="http.Content-Type")
    try:
        text = request.body.decode()
    except UnicodeDecodeError:
        raise Invalid("The form is not UTF-8.") from None
    return [*request.query, *parse_qsl(text, keep_blank_values=True)]
