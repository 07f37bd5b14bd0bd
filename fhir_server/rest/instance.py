"""Handlers of the interactions on one resource. https://hl7.org/fhir/R4/http.html"""

from email.utils import parsedate_to_datetime

from fhir_server.core.binaries import data_of
from fhir_server.core.context import Context
from fhir_server.core.errors import Invalid, NotFound, NotSupported
from fhir_server.core.messages import FhirRequest, FhirResponse
from fhir_server.core.resource_json import decode
from fhir_server.interactions import audit_log, write
from fhir_server.interactions import read as reading
from fhir_server.interactions.history import history
from fhir_server.interactions.patch import Change, patch
from fhir_server.interactions.patch_fhirpath import apply_fhirpath_patch
from fhir_server.interactions.patch_json import apply_json_patch
from fhir_server.interactions.subset import shaped
from fhir_server.rest import binary, respond
from fhir_server.rest.body import parse_body, parse_resource
from fhir_server.rest.negotiate import JSON_PATCH
from fhir_server.rest.routes import Route
from fhir_server.storage.versions import Version


def read(ctx: Context, request: FhirRequest, route: Route) -> FhirResponse:
    """GET Type/id, with If-None-Match and If-Modified-Since."""
    if route.type == audit_log.TYPE:
        return FhirResponse(200, audit_log.read(ctx, route.id or ""), {"ETag": 'W/"1"'})
    version = reading.read(ctx, route.type or "", route.id or "")
    headers = respond.version_headers(version)
    if _not_modified(request, version):
        return FhirResponse(304, None, headers)
    return _shown(ctx, request, route, version, headers)


def vread(ctx: Context, request: FhirRequest, route: Route) -> FhirResponse:
    """GET Type/id/_history/version."""
    if route.type == audit_log.TYPE:
        if route.extra != "1":
            raise NotFound("What is in the audit log has one version.")
        return FhirResponse(200, audit_log.read(ctx, route.id or ""), {"ETag": 'W/"1"'})
    version = reading.vread(ctx, route.type or "", route.id or "", route.extra or "")
    return _shown(ctx, request, route, version, respond.version_headers(version))


def _shown(
    ctx: Context, request: FhirRequest, route: Route, version: Version, headers: dict[str, str]
) -> FhirResponse:
    if route.type == "Binary":
        raw = binary.raw(request, version)
        if raw is not None:
            raw.headers.update(headers)
            return raw
    body = version.body
    if request.query:
        body = shaped(ctx, body, request.query)
    return FhirResponse(200, body, headers)


def _not_modified(request: FhirRequest, version: Version) -> bool:
    tags = request.header("if-none-match")
    if tags is not None:
        wanted = {tag.strip().removeprefix("W/").strip('"') for tag in tags.split(",")}
        return str(version.version) in wanted or "*" in wanted
    since = request.header("if-modified-since")
    if since is None:
        return False
    try:
        moment = parsedate_to_datetime(since)
        return version.last_updated // 1_000_000 <= int(moment.timestamp())
    except (TypeError, ValueError, OverflowError):
        raise Invalid("If-Modified-Since takes an HTTP date.", expression="http.If-Modified-Since") from None


def update(ctx: Context, request: FhirRequest, route: Route) -> FhirResponse:
    """PUT Type/id."""
    resource = binary.resource_of(request, route.id) if binary.is_raw(request, route.type) else None
    result = write.update(
        ctx,
        route.type or "",
        route.id or "",
        resource or parse_resource(request, ctx.registry),
        if_match=request.header("if-match"),
        if_none_match=request.header("if-none-match"),
    )
    return respond.written(ctx, request, result)


def patch_instance(ctx: Context, request: FhirRequest, route: Route) -> FhirResponse:
    """PATCH Type/id."""
    change = change_of(ctx, request)
    result = patch(ctx, route.type or "", route.id or "", change, if_match=request.header("if-match"))
    return respond.written(ctx, request, result)


def change_of(ctx: Context, request: FhirRequest) -> Change:
    """What a PATCH body asks for: a JSON Patch array, a FHIRPath Patch Parameters resource, or a Binary holding the
    former (the form that a transaction uses)."""
    content_type = (request.header("content-type") or "").partition(";")[0].strip().lower()
    body = parse_body(request, ctx.registry)
    if isinstance(body, dict) and body.get("resourceType") == "Binary":
        body = decode(data_of(body))
    if isinstance(body, list):
        steps = body
        return lambda resource: apply_json_patch(resource, steps)
    if content_type == JSON_PATCH or not isinstance(body, dict):
        raise Invalid("A JSON Patch is an array of operations.", code="structure")
    if body.get("resourceType") != "Parameters":
        raise Invalid(
            f"A PATCH body is a JSON Patch array ({JSON_PATCH}) or a FHIRPath Patch Parameters resource.",
            code="structure",
        )
    return lambda resource: apply_fhirpath_patch(resource, body, ctx.registry)


def delete(ctx: Context, request: FhirRequest, route: Route) -> FhirResponse:
    """DELETE Type/id. Deleting what is not there is no error."""
    version = write.delete(ctx, route.type or "", route.id or "", if_match=request.header("if-match"))
    return FhirResponse(204, None, {"ETag": f'W/"{version.version}"'} if version else {})


def history_of(ctx: Context, request: FhirRequest, route: Route) -> FhirResponse:
    """GET [Type[/id]]/_history."""
    if route.type == audit_log.TYPE:
        raise NotSupported("What is in the audit log has no history: it is never changed.")
    return FhirResponse(200, history(ctx, route.type, route.id, request.query))

