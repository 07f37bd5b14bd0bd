"""The wiring table: which handler answers which interaction."""

from collections.abc import Callable

from fhir_server.core.context import Context
from fhir_server.core.messages import FhirRequest, FhirResponse
from fhir_server.operations.dispatch import invoke
from fhir_server.rest import instance, type_level
from fhir_server.rest.body import parse_body
from fhir_server.rest.metadata import capabilities
from fhir_server.rest.operation_table import OPERATIONS
from fhir_server.rest.routes import Route

Handler = Callable[[Context, FhirRequest, Route], FhirResponse]


def _operation(ctx: Context, request: FhirRequest, route: Route) -> FhirResponse:
    if request.body:
        parse_body(request, ctx.registry)
    return invoke(ctx, OPERATIONS, request, route.type, route.id, route.extra or "")


HANDLERS: dict[str, Handler] = {
    "read": instance.read,
    "vread": instance.vread,
    "update": instance.update,
    "patch": instance.patch_instance,
    "delete": instance.delete,
    "history-instance": instance.history_of,
    "history-type": instance.history_of,
    "history-system": instance.history_of,
    "create": type_level.create,
    "conditional-update": type_level.conditional_update,
    "conditional-patch": type_level.patch_by_condition,
    "conditional-delete": type_level.delete_by_condition,
    "search-type": type_level.search_rows,
    "search-system": type_level.search_rows,
    "search-compartment": type_level.search_rows,
    "operation": _operation,
    "capabilities": capabilities,
}
