"""The resource in a request's body."""

from typing import Any
from urllib.parse import parse_qsl

from fhir_server.conformance.registry import Registry
from fhir_server.core.errors import Invalid, TooLarge, UnsupportedMediaType
from fhir_server.core.messages import FhirRequest
from fhir_server.core.resource_json import check_strings, decode_sent, depth
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
    value = _xml(request.body, registry) if form == XML else _json(request.body)
    if _may_be_deep(request.body, form) and depth(value, settings.max_depth) > settings.max_depth:
        raise TooLarge(f"The body is nested deeper than {settings.max_depth} levels.")
    request.resource = value
    return value


def _json(body: bytes) -> Any:
    return decode_sent(body, max_values=settings.max_nodes, max_string=settings.max_string_bytes)


def _xml(body: bytes, registry: Registry) -> Any:
    if body.count(b"<") > settings.max_nodes:
        raise TooLarge(f"The body has more than {settings.max_nodes} elements.")
    value = from_xml(body, registry)
    if len(body) > settings.max_string_bytes:
        check_strings(value, settings.max_string_bytes)
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
