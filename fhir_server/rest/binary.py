"""Binary in its own media type. https://hl7.org/fhir/R4/binary.html#rest"""

import re
from base64 import b64encode
from typing import Any

from fhir_server.core.binaries import data_of
from fhir_server.core.messages import FHIR_JSON, FHIR_XML, FhirRequest, FhirResponse
from fhir_server.core.resource_json import decode
from fhir_server.rest import negotiate
from fhir_server.storage.versions import Version

_FHIR = (FHIR_JSON, FHIR_XML, "application/json", "application/xml", "text/json", "text/xml")
_MEDIA_TYPE = re.compile(r"[\w!#$&^.+-]{1,100}/[\w!#$&^.+-]{1,100}(?: *; *[\w!#$&^.+=\"-]{1,200}){0,5}\Z", re.ASCII)
# What a browser may show in its window; it saves the rest. Nothing runs: wsgi.py sends a sandbox with every answer.
_SHOWN = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "text/plain"})


def raw(request: FhirRequest, version: Version) -> FhirResponse | None:
    """The content itself, when the client's Accept asks for its type rather than for FHIR."""
    if dict(request.query).get("_format") or not request.header("accept"):
        return None
    resource = decode(version.body)
    content_type = resource.get("contentType")
    if not isinstance(content_type, str) or not _MEDIA_TYPE.match(content_type):
        content_type = "application/octet-stream"
    if not negotiate.accepts(request.header("accept"), content_type.partition(";")[0].strip().lower()):
        return None
    shown = content_type.partition(";")[0].strip().lower() in _SHOWN
    headers = {} if shown else {"Content-Disposition": "attachment"}
    return FhirResponse(200, data_of(resource), headers, content_type)


def is_raw(request: FhirRequest, resource_type: str | None) -> bool:
    """Whether the body is the content of a Binary rather than a resource."""
    name = (request.header("content-type") or "").partition(";")[0].strip().lower()
    return resource_type == "Binary" and bool(name) and name not in _FHIR and request.resource is None


def resource_of(request: FhirRequest, resource_id: str | None) -> dict[str, Any]:
    """The Binary resource that holds a raw body. `X-Security-Context` becomes its securityContext."""
    resource: dict[str, Any] = {"resourceType": "Binary"}
    if resource_id:
        resource["id"] = resource_id
    resource["contentType"] = request.header("content-type")
    context = request.header("x-security-context")
    if context:
        resource["securityContext"] = {"reference": context}
    if request.body:
        resource["data"] = b64encode(request.body).decode()
    return resource
