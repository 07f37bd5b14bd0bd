"""batch and transaction. https://hl7.org/fhir/R4/http.html#transaction"""

from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import parse_qsl, unquote

from fhir_server.core.context import Context
from fhir_server.core.errors import FhirError, Invalid, TooLarge, Unavailable
from fhir_server.core.messages import FHIR_JSON, FhirRequest, FhirResponse
from fhir_server.core.resource_json import encode
from fhir_server.interactions.bundle import bundle
from fhir_server.interactions.worlds import refresh
from fhir_server.rest.body import parse_resource
from fhir_server.rest.entries import METHODS, Entry
from fhir_server.rest.routes import meant
from fhir_server.rest.transaction import transact
from fhir_server.security import audit, throttle
from fhir_server.security.authenticate import forget, principal_of
from fhir_server.settings import settings
from fhir_server.storage.errors import DefinitionsChanged, RightsChanged, UniqueViolation

Perform = Callable[[FhirRequest], FhirResponse]
T = TypeVar("T")
# How often what others disturb is tried.
ATTEMPTS = 5


def process(ctx: Context, request: FhirRequest, perform: Perform) -> FhirResponse:
    """POST [base]: run the entries of a batch or transaction Bundle; one response per entry, in request order."""
    resource = parse_resource(request, ctx.registry)
    entries = _entries(ctx, resource, request)
    who = ctx.principal
    if who.token_hash is not None and len(entries) > 1:
        # A Bundle costs what its entries would.
        throttle.fhir(ctx.tenant.id, who.client_id, who.user.id if who.user else "", len(entries) - 1)
    if resource["type"] == "transaction":
        responses = transact(ctx, entries, perform)
    else:
        # Entries are refused one by one, so what this process remembers of the definitions is checked first.
        ctx.db.verify()
        responses = [_alone(ctx, entry, perform) for entry in entries]
    return FhirResponse(200, bundle(f"{resource['type']}-response", responses))


def _entries(ctx: Context, resource: dict[str, Any], request: FhirRequest) -> list[Entry]:
    if resource.get("resourceType") != "Bundle" or resource.get("type") not in ("batch", "transaction"):
        raise Invalid("POST to the base takes a Bundle of type batch or transaction.", expression="Bundle.type")
    entries = resource.get("entry", [])
    if not isinstance(entries, list):
        raise Invalid("Bundle.entry must be a list.", expression="Bundle.entry", code="structure")
    if len(entries) > settings.max_bundle_entries:
        raise TooLarge(f"A Bundle may have at most {settings.max_bundle_entries} entries.", expression="Bundle.entry")
    return [_entry(ctx, index, entry, request) for index, entry in enumerate(entries)]


def _entry(ctx: Context, index: int, entry: Any, request: FhirRequest) -> Entry:
    path = f"Bundle.entry[{index}]"
    asked = entry.get("request") if isinstance(entry, dict) else None
    if not isinstance(asked, dict):
        raise Invalid("Every entry needs a request with method and url.", expression=f"{path}.request", code="required")
    method, url = asked.get("method"), asked.get("url")
    if method not in METHODS:
        raise Invalid(f"method is one of {', '.join(METHODS)}.", expression=f"{path}.request.method", code="value")
    if not isinstance(url, str):
        raise Invalid("The request needs a url.", expression=f"{path}.request.url", code="required")
    resource, full_url = entry.get("resource"), entry.get("fullUrl")
    if method in ("POST", "PUT", "PATCH") and not isinstance(resource, dict) and "$" not in url:
        raise Invalid(f"{method} needs a resource.", expression=f"{path}.resource", code="required")
    target, _, query = url.removeprefix(ctx.base).lstrip("/").partition("?")
    headers = {
        name: value
        for name, value in (
            ("if-match", asked.get("ifMatch")),
            ("if-none-match", asked.get("ifNoneMatch")),
            ("if-none-exist", asked.get("ifNoneExist")),
            ("if-modified-since", asked.get("ifModifiedSince")),
            ("prefer", request.header("prefer") or "return=minimal"),
        )
        if isinstance(value, str)
    }
    headers["content-type"] = FHIR_JSON
    pairs = parse_qsl(query, keep_blank_values=True)
    inner = FhirRequest(method, unquote(target), pairs, headers, b"", ctx.base, resource)
    return Entry(index, inner, full_url if isinstance(full_url, str) else None)


def _alone(ctx: Context, entry: Entry, perform: Perform) -> bytes:
    """One entry of a batch, in a transaction of its own."""

    def performed() -> FhirResponse:
        response = perform(entry.request)
        ctx.db.commit()
        return response

    try:
        return entry.answer(_again(ctx, performed))
    except FhirError as error:
        ctx.db.rollback()
        failure = error
    try:
        _again(ctx, lambda: _log_refused(ctx, entry, failure.status))
    except FhirError as error:
        ctx.db.rollback()
        failure = error
    failure = entry.blame(failure)
    return entry.answer(FhirResponse(failure.status, encode(failure.outcome())))


def _again(ctx: Context, do: Callable[[], T]) -> T:
    """Do it, and as for a request alone, again when an earlier entry or another request changed definitions or rights,
    or wrote the same. The entries before it are done: they are never repeated."""
    failure: FhirError = Unavailable("The definitions of this tenant change too fast. Try again.")
    for attempt in range(ATTEMPTS):
        try:
            if attempt:
                _renew(ctx)
            return do()
        except (DefinitionsChanged, RightsChanged):
            continue
        except UniqueViolation as error:
            failure = error
    raise failure


def _log_refused(ctx: Context, entry: Entry, status: int) -> None:
    event = audit.refused(
        ctx.db,
        ctx.tenant.id,
        meant(ctx.registry, entry.request.method, entry.request.path)[0],
        status,
        who=ctx.principal,
        request_id=ctx.request_id,
        detail={"what": entry.request.path},
    )
    ctx.db.run([event], final=True)


def _renew(ctx: Context) -> None:
    """The next entry runs under the definitions, and what the token allows, as they are now."""
    ctx.db.rollback()
    place = refresh(ctx.db, ctx.tenant.slug)
    forget(ctx.tenant.id, ctx.principal.token_hash)
    if ctx.principal.token_hash is not None:
        ctx.principal = principal_of(ctx.db, ctx.tenant.id, place.version, ctx.principal.token_hash)
    ctx.registry, ctx.tenant = place.registry, place.tenant
    who = ctx.principal
    ctx.db.enter(ctx.tenant.id, who.token_hash, place.version, stamp=who.stamp, writing=True)
