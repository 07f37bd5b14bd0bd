"""GET metadata: what this tenant's server can do, computed from the live registry and the wiring tables."""

from functools import lru_cache

from fhir_server import __version__
from fhir_server.conformance.registry import Registry
from fhir_server.core.context import Context
from fhir_server.core.errors import Invalid
from fhir_server.core.messages import FhirRequest, FhirResponse
from fhir_server.core.resource_json import encode
from fhir_server.interactions.metadata import capability_statement, terminology_capabilities
from fhir_server.rest.operation_table import OPERATIONS
from fhir_server.rest.routes import Route
from fhir_server.security.oauth.urls import oauth_uris
from fhir_server.storage import oauth_clients


def capabilities(ctx: Context, request: FhirRequest, route: Route) -> FhirResponse:
    """GET metadata, `mode` full (default), normative or terminology."""
    mode = dict(request.query).get("mode", "full")
    if mode not in ("full", "normative", "terminology"):
        raise Invalid("mode is full, normative or terminology.", expression="http.mode", code="value")
    if mode == "terminology":
        return FhirResponse(200, _terminology(ctx.registry, ctx.base))
    return FhirResponse(200, _full(ctx.registry, ctx.base, oauth_clients.dynamic_registration(ctx.db, ctx.tenant.id)))


@lru_cache(maxsize=32)
def _terminology(registry: Registry, base: str) -> bytes:
    codes = frozenset(OPERATIONS)
    return encode(terminology_capabilities(registry, base=base, software_version=__version__, operations=codes))


@lru_cache(maxsize=32)
def _full(registry: Registry, base: str, registration: bool) -> bytes:
    oauth = oauth_uris(base, registration=registration)
    return encode(
        capability_statement(
            registry, base=base, software_version=__version__, operations=frozenset(OPERATIONS), oauth=oauth
        )
    )
