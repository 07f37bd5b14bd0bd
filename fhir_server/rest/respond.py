"""Answers of writing and reading interactions: status, ETag, Location, what `Prefer: return` asks for."""

from email.utils import formatdate
from functools import lru_cache

from fhir_server.core.context import Context
from fhir_server.core.errors import Issue, outcome
from fhir_server.core.messages import FhirRequest, FhirResponse
from fhir_server.core.resource_json import encode
from fhir_server.interactions.result import Written
from fhir_server.security import policy
from fhir_server.storage.versions import NewVersion, Version


def preference(request: FhirRequest, name: str) -> str | None:
    """The value of one preference in the Prefer header (`return`, `handling`). RFC 7240"""
    header = request.header("prefer")
    if not header:
        return None
    for part in header.replace(",", ";").split(";"):
        key, _, value = part.strip().partition("=")
        if key.strip().lower() == name:
            return value.strip().strip('"')
    return None


@lru_cache(maxsize=4096)
def _http_date(seconds: int) -> str:
    return formatdate(seconds, usegmt=True)


def version_headers(version: Version | NewVersion) -> dict[str, str]:
    """ETag and Last-Modified of a version."""
    return {
        "ETag": f'W/"{version.version}"',
        "Last-Modified": _http_date(version.last_updated // 1_000_000),
    }


def _may_show(ctx: Context, request: FhirRequest, result: Written) -> bool:
    """Who sent the whole resource knows it; a patch shows what it left alone, so that needs the right to read."""
    if request.method != "PATCH" or policy.whole(ctx, result.resource_type, "r"):
        return True
    version = result.version
    return isinstance(version, NewVersion) and policy.covers(ctx, result.resource_type, "r", version.index.keys)


def written(ctx: Context, request: FhirRequest, result: Written) -> FhirResponse:
    """The answer to create, update and patch. https://hl7.org/fhir/R4/http.html#ops"""
    version = result.version
    headers = version_headers(version)
    if result.created or request.method == "POST":
        location = f"{ctx.base}/{result.resource_type}/{version.id}/_history/{version.version}"
        headers["Location"] = location
    status = 201 if result.created else 200
    wish = preference(request, "return")
    if wish == "minimal" or (wish != "OperationOutcome" and not _may_show(ctx, request, result)):
        return FhirResponse(status, None, headers)
    if wish == "OperationOutcome":
        said = "created" if result.created else "updated" if result.changed else "left as it was: nothing changed"
        note = Issue("information", "informational", f"{result.resource_type} was {said}.")
        notes = ctx.notes if ctx.notes and result.changed else ()
        return FhirResponse(status, encode(outcome([note, *notes])), headers)
    return FhirResponse(status, version.body, headers)
