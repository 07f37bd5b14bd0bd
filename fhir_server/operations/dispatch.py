"""$-operations: which there are, and how a request becomes a call of one. https://hl7.org/fhir/R4/operations.html"""

from collections.abc import Collection
from difflib import get_close_matches
from typing import Any
from urllib.parse import urlencode

from fhir_server.conformance.operations import Operation
from fhir_server.conformance.registry import Registry
from fhir_server.core.context import Context
from fhir_server.core.errors import Invalid, MethodNotAllowed, NotFound, NotSupported
from fhir_server.core.messages import FhirRequest, FhirResponse
from fhir_server.core.resource_json import decode, encode
from fhir_server.operations import (
    accounts_changes,
    app_changes,
    break_glass,
    idempotency,
    packages,
    parameters,
    terminologies,
    validation_policy,
)
from fhir_server.operations.accounts_list import accounts
from fhir_server.operations.app_launch import launch_app
from fhir_server.operations.apps import apps
from fhir_server.operations.call import OperationCall, Table, Wired
from fhir_server.operations.closure import closure
from fhir_server.operations.convert_quantity import convert_quantity
from fhir_server.operations.disclosures import disclosures
from fhir_server.operations.event_ticket import event_ticket
from fhir_server.operations.everything import everything
from fhir_server.operations.expand import expand
from fhir_server.operations.explain_access import explain_access
from fhir_server.operations.fhirpath import fhirpath
from fhir_server.operations.lastn import lastn
from fhir_server.operations.lookup import lookup
from fhir_server.operations.meta import meta, meta_add, meta_delete
from fhir_server.operations.needs_review import needs_review
from fhir_server.operations.snapshot import snapshot
from fhir_server.operations.subsumes import subsumes
from fhir_server.operations.translate import translate
from fhir_server.operations.validate import validate
from fhir_server.operations.validate_code import code_system_validate_code, value_set_validate_code
from fhir_server.security import audit
from fhir_server.validation import run

_EDGE = frozenset({"_format", "_pretty"})
_ANY = frozenset({"*"})
_PAGED = frozenset({"_cursor"})


GENERIC: Table = {
    ("Resource", "validate"): Wired(validate, takes_invalid=True),
    ("Resource", "fhirpath"): Wired(fhirpath),
    (None, "fhirpath"): Wired(fhirpath),
    ("Resource", "meta"): Wired(meta),
    (None, "meta"): Wired(meta),
    (None, "needs-review"): Wired(needs_review),
    (None, "validation-policy"): Wired(validation_policy.show),
    (None, "change-validation-policy"): Wired(validation_policy.change),
    ("Resource", "meta-add"): Wired(meta_add),
    ("Resource", "meta-delete"): Wired(meta_delete),
    ("Patient", "everything"): Wired(
        everything, _PAGED, not_at=("type", "Call it on one patient; for all patients, search or export."), logs=True
    ),
    ("Patient", "disclosures"): Wired(disclosures, _PAGED, logs=True),
    ("Patient", "break-glass"): Wired(break_glass.open_record, logs=True),
    ("Patient", "end-break-glass"): Wired(break_glass.end_record, logs=True),
    ("Resource", "explain-access"): Wired(explain_access),
    (None, "event-ticket"): Wired(event_ticket),
    (None, "accounts"): Wired(accounts),
    (None, "invite"): Wired(accounts_changes.invite),
    (None, "change-account"): Wired(accounts_changes.change),
    (None, "disable-account"): Wired(accounts_changes.disable),
    (None, "enable-account"): Wired(accounts_changes.enable),
    (None, "reset-account"): Wired(accounts_changes.reset),
    (None, "apps"): Wired(apps),
    (None, "register-app"): Wired(app_changes.register),
    (None, "change-app"): Wired(app_changes.change),
    (None, "launch-app"): Wired(launch_app),
    (None, "packages"): Wired(packages.packages),
    (None, "install-package"): Wired(packages.install),
    (None, "remove-package"): Wired(packages.remove),
    ("Encounter", "everything"): Wired(everything, _PAGED, logs=True),
    ("Observation", "lastn"): Wired(lastn, _ANY, logs=True),
    ("StructureDefinition", "snapshot"): Wired(snapshot),
    (None, "terminologies"): Wired(terminologies.terminologies),
    (None, "import-terminology"): Wired(terminologies.import_terminology),
    (None, "remove-terminology"): Wired(terminologies.remove_terminology),
    ("ValueSet", "expand"): Wired(expand),
    ("ValueSet", "validate-code"): Wired(value_set_validate_code),
    ("CodeSystem", "validate-code"): Wired(code_system_validate_code),
    ("CodeSystem", "lookup"): Wired(lookup),
    ("CodeSystem", "subsumes"): Wired(subsumes),
    ("ConceptMap", "translate"): Wired(translate),
    (None, "closure"): Wired(closure),
    (None, "convert-quantity"): Wired(convert_quantity),
}


def invoke(
    ctx: Context, table: Table, request: FhirRequest, resource_type: str | None, resource_id: str | None, code: str
) -> FhirResponse:
    """Run `$code` of the table at the level that type and id say. What changes something is one transaction.

    Raises `NotFound` for an operation that is not here, `NotSupported` for a level or parameter that it does not have,
    `MethodNotAllowed` for GET on one that changes state.
    """
    operation, wired = _find(ctx.registry, table, resource_type, code)
    level = "instance" if resource_id else "type" if resource_type else "system"
    _check_level(operation, wired, level)
    if request.method != "POST" and operation.affects_state:
        raise MethodNotAllowed(f"${code} changes what is stored: use POST.", headers={"Allow": "POST"})
    values, extra = _input(ctx, request, operation, wired)
    given = parameters.checked(operation, values)
    headers = (request.header("if-match"), request.header("accept-language"))
    call = OperationCall(operation, resource_type, resource_id, given, extra, *headers)
    if operation.affects_state:
        with ctx.db.hold():
            answer = idempotency.once(ctx, request, lambda: _run(ctx, wired, call))
    else:
        answer = _run(ctx, wired, call)
    if not wired.logs:
        detail = {"what": call.path, "query": urlencode(request.query)}
        ctx.db.run([audit.about(ctx, "operation", resource_type=resource_type, detail=detail)], final=True)
    elif not ctx.db.held:
        ctx.db.commit()
    return answer


def _run(ctx: Context, wired: Wired, call: OperationCall) -> FhirResponse:
    answer = wired.handler(ctx, call)
    return answer if isinstance(answer, FhirResponse) else FhirResponse(200, encode(answer))


def _find(registry: Registry, table: Table, resource_type: str | None, code: str) -> tuple[Operation, Wired]:
    operation = registry.operations.get((resource_type, code))
    wired = table.get((resource_type, code))
    if wired is None and resource_type is not None:
        wired = table.get(("Resource", code))
    if operation is not None and wired is not None:
        return operation, wired
    here = sorted(name for on, name in table if on in (resource_type, "Resource" if resource_type else None))
    near = get_close_matches(code, here, n=1, cutoff=0.5)
    hint = f" Did you mean ${near[0]}?" if near else f" There are: {', '.join('$' + name for name in here)}."
    where = resource_type or "the system"
    raise NotFound(f"There is no operation ${code} on {where} here.{hint}", code="not-supported")


def _check_level(operation: Operation, wired: Wired, level: str) -> None:
    if level == wired.not_at[0]:
        raise NotSupported(f"${operation.code} is not offered at the {level} level. {wired.not_at[1]}")
    levels = [name for name in ("system", "type", "instance") if getattr(operation, name) and name != wired.not_at[0]]
    if level not in levels:
        raise NotSupported(
            f"${operation.code} does not exist at the {level} level (it is called at: {', '.join(levels)})."
        )


def _input(
    ctx: Context, request: FhirRequest, operation: Operation, wired: Wired
) -> tuple[dict[str, list[Any]], list[tuple[str, str]]]:
    known = operation.inputs()
    extra: list[tuple[str, str]] = []
    defined: list[tuple[str, str]] = []
    for name, value in request.query:
        if name in known:
            defined.append((name, value))
        elif wired.extra == _ANY or name in wired.extra:
            extra.append((name, value))
        elif name not in _EDGE:
            raise parameters.unknown(operation, name, f"http.{name}")
    values = parameters.from_query(operation, defined)
    body = _body(request)
    if body is not None:
        if wired.extra == _ANY:
            body, more = _split_extra(body, known)
            extra += more
        for name, found in _from_body(ctx, operation, wired, body).items():
            values.setdefault(name, []).extend(found)
    return values, [pair for pair in extra if pair[0] not in _EDGE]


def _body(request: FhirRequest) -> dict[str, Any] | None:
    if request.method != "POST" or (request.resource is None and not request.body):
        return None
    body = decode(request.body) if request.resource is None else request.resource
    if not isinstance(body, dict):
        raise Invalid("The body must be one resource (a JSON object).", code="structure")
    return body


def _from_body(ctx: Context, operation: Operation, wired: Wired, body: dict[str, Any]) -> dict[str, list[Any]]:
    if not wired.takes_invalid:
        run.validate(ctx.registry, body)
    if body.get("resourceType") == "Parameters":
        return parameters.from_resource(operation, ctx.registry, body)
    return parameters.bare(operation, ctx.registry, body)


def _split_extra(body: dict[str, Any], known: Collection[str]) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Search parameters in a Parameters resource: those with a text value and a name that the definition lacks."""
    kept: list[Any] = []
    extra: list[tuple[str, str]] = []
    entries = body.get("parameter")
    for entry in entries if isinstance(entries, list) else ():
        name, value = (entry.get("name"), entry.get("valueString")) if isinstance(entry, dict) else (None, None)
        if isinstance(name, str) and isinstance(value, str) and name not in known:
            extra.append((name, value))
        else:
            kept.append(entry)
    return {**body, "parameter": kept} if extra else body, extra
