"""Handlers of the interactions on a resource type: create, search, the conditional forms."""

from urllib.parse import parse_qsl

from fhir_server.core.context import Context
from fhir_server.core.errors import Invalid, Issue, MethodNotAllowed, outcome
from fhir_server.core.messages import FhirRequest, FhirResponse
from fhir_server.core.resource_json import encode
from fhir_server.interactions import audit_log, conditional, shared_definitions, write
from fhir_server.interactions.patch import conditional_patch
from fhir_server.interactions.search import search
from fhir_server.rest import binary, respond
from fhir_server.rest.body import form_pairs, parse_resource
from fhir_server.rest.instance import change_of
from fhir_server.rest.routes import Route
from fhir_server.security import policy

_SHAPING = ("_format", "_pretty")


def create(ctx: Context, request: FhirRequest, route: Route) -> FhirResponse:
    """POST Type, or a conditional create with If-None-Exist."""
    name = route.type or ""
    resource = (
        binary.resource_of(request, None) if binary.is_raw(request, name) else parse_resource(request, ctx.registry)
    )
    condition = request.header("if-none-exist")
    if condition is None:
        return respond.written(ctx, request, write.create(ctx, name, resource))
    query = parse_qsl(condition.partition("?")[2] or condition, keep_blank_values=True)
    return respond.written(ctx, request, conditional.conditional_create(ctx, name, resource, query))


def conditional_update(ctx: Context, request: FhirRequest, route: Route) -> FhirResponse:
    """PUT Type?condition."""
    resource = parse_resource(request, ctx.registry)
    query = _condition(request)
    result = conditional.conditional_update(
        ctx, route.type or "", resource, query, if_match=request.header("if-match")
    )
    return respond.written(ctx, request, result)


def patch_by_condition(ctx: Context, request: FhirRequest, route: Route) -> FhirResponse:
    """PATCH Type?condition."""
    change = change_of(ctx, request)
    result = conditional_patch(
        ctx, route.type or "", _condition(request), change, if_match=request.header("if-match")
    )
    return respond.written(ctx, request, result)


def delete_by_condition(ctx: Context, request: FhirRequest, route: Route) -> FhirResponse:
    """DELETE Type?condition: every match."""
    count = len(conditional.conditional_delete(ctx, route.type or "", _condition(request)))
    if count == 0:
        return FhirResponse(204)
    note = Issue("information", "informational", f"{count} {route.type} deleted.")
    return FhirResponse(200, encode(outcome([note])))


def _condition(request: FhirRequest) -> list[tuple[str, str]]:
    query = [(name, value) for name, value in request.query if name not in _SHAPING]
    if not query:
        raise MethodNotAllowed(
            f"{request.method} on a type needs a condition in the URL, such as ?identifier=system|value.",
            expression="http.query",
        )
    return query


def search_rows(ctx: Context, request: FhirRequest, route: Route) -> FhirResponse:
    """GET or POST search on a type, a compartment or the whole system."""
    pairs = form_pairs(request) if request.method == "POST" else list(request.query)
    explain = _take_explain(ctx, pairs)
    if route.interaction == "search-compartment":
        member = None if route.extra == "*" else route.extra
        compartment = (route.type or "", route.id or "")
        if compartment[0] not in ctx.registry.compartments:
            known = ", ".join(ctx.registry.compartments)
            raise Invalid(f"{compartment[0]} is no compartment (compartments: {known}).", code="not-supported")
        path = f"{ctx.base}/{route.type}/{route.id}/{route.extra}"
    else:
        member, compartment, path = route.type, None, f"{ctx.base}/{route.type}" if route.type else ctx.base
    if member is not None:
        policy.allow(ctx, "search", member)
    if member == audit_log.TYPE:
        return FhirResponse(200, audit_log.search(ctx, pairs, compartment=compartment, url=path))
    result = search(ctx, member, pairs, compartment=compartment, lenient=ctx.lenient, url=path, explain=explain)
    if compartment is None and not explain:
        result = shared_definitions.search(ctx, member, pairs, result)
    return FhirResponse(200, result.body)


def _take_explain(ctx: Context, pairs: list[tuple[str, str]]) -> bool:
    asked = [value for name, value in pairs if name == "_explain"]
    if not asked:
        return False
    policy.allow_operator(ctx)
    pairs[:] = [(name, value) for name, value in pairs if name != "_explain"]
    return asked[-1] == "true"
