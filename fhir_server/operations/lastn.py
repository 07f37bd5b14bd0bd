"""Observation/$lastn. https://hl7.org/fhir/R4/observation-operation-lastn.html"""

from urllib.parse import urlencode

from fhir_server.core.context import Context
from fhir_server.core.errors import Invalid, TooCostly
from fhir_server.core.keys import type_key
from fhir_server.core.messages import FhirResponse
from fhir_server.interactions.bundle import bundle, link
from fhir_server.interactions.search import asker_of
from fhir_server.operations.call import OperationCall
from fhir_server.operations.searchset import entry
from fhir_server.search.leaves import Keys
from fhir_server.search.query import conditions
from fhir_server.search.tree import found
from fhir_server.security import audit, policy
from fhir_server.storage.lastn_rows import newest_per_code
from fhir_server.storage.writer import Writer

MOST_FOUND = 20_000
MOST = 1000


def lastn(ctx: Context, call: OperationCall) -> FhirResponse:
    """The `max` (1) newest resources of each code among those that the search parameters find.

    Raises `TooCostly` when they find more than 20,000, or when more than 1,000 would be answered.
    """
    resource_type = call.type or ""
    policy.allow(ctx, "search", resource_type)
    each = call.parameters.get("max", 1)
    if each < 1:
        raise Invalid("max takes a whole number from 1.", expression="http.max", code="value")
    asker = asker_of(ctx)
    asked = conditions(asker, resource_type, call.extra) if call.extra else list(asker.limits(resource_type))
    nodes = [*asked, Keys((type_key(resource_type),))]
    w = Writer(ctx.tenant.id)
    sql = found(w, nodes, "rid")
    detail = {"what": call.path, "query": urlencode(call.extra)}
    log = audit.Disclosure(ctx, "operation", resource_type, detail=detail)
    number, rows = newest_per_code(
        ctx.db, sql, w.params, each=min(each, MOST + 1), most_found=MOST_FOUND, limit=MOST + 1, log=log
    )
    if number > MOST_FOUND or len(rows) > MOST:
        raise TooCostly(
            f"$lastn looks at {MOST_FOUND} resources and answers with {MOST} at most. Narrow it, for example with"
            " patient and category.",
            expression="http.query",
        )
    own = [("max", str(each))] if "max" in call.parameters else []
    query = urlencode([*own, *call.extra], safe="/:,|")
    links = [link("self", f"{ctx.base}/{call.path}" + (f"?{query}" if query else ""))]
    base, names = ctx.base.encode(), ctx.registry.type_names
    entries = [entry(base, names, row, b"match") for row in rows]
    return FhirResponse(200, bundle("searchset", entries, links=links, total=len(rows)))
