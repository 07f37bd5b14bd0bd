"""$meta, $meta-add, $meta-delete. https://hl7.org/fhir/R4/resource-operation-meta.html, -meta-add, -meta-delete"""

from collections.abc import Callable, Mapping
from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.errors import TooCostly
from fhir_server.core.keys import present_key, type_key
from fhir_server.core.resource_json import decode
from fhir_server.interactions.patch import patch
from fhir_server.interactions.read import read
from fhir_server.operations.call import OperationCall
from fhir_server.operations.parameters import returned
from fhir_server.security import policy
from fhir_server.storage.meta_rows import in_use

MOST = 20_000
_LISTS = ("profile", "tag", "security")


def meta(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """The meta of a resource; on a type or the system, every profile, tag and security label in use there."""
    if call.type and call.id:
        return returned("Meta", decode(read(ctx, call.type, call.id).body)["meta"])
    if call.type:
        policy.allow(ctx, "search", call.type)
        names = [call.type]
    else:
        readable = policy.readable_types(ctx)
        names = [name for name in ctx.registry.resource_types if readable is None or name in readable]
    rule = policy.rule(ctx, names, "s")
    present = [present_key(name, f"_{kind}") for name in names for kind in _LISTS]
    number, found = in_use(ctx.db, ctx.tenant.id, [type_key(name) for name in names], present, rule, MOST)
    if number > MOST:
        raise TooCostly(f"$meta over more than {MOST} resources is not computed. Ask on a type or a resource.")
    result: dict[str, list[Any]] = {}
    for kind, text in sorted(found):
        value = decode(text)
        if all(_identity(kind, value) != _identity(kind, other) for other in result.get(kind, ())):
            result.setdefault(kind, []).append(value)
    return returned("Meta", {kind: result[kind] for kind in _LISTS if kind in result})


def meta_add(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """Add profiles, tags and labels; those that are there already stay as they are. Makes a version if any is new."""
    return _changed(ctx, call, _added)


def meta_delete(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """Take profiles, tags and labels away; those that are not there are no error. Makes a version if any was there."""
    return _changed(ctx, call, _removed)


def _changed(
    ctx: Context, call: OperationCall, change: Callable[[str, list[Any], list[Any]], list[Any]]
) -> dict[str, Any]:
    policy.allow(ctx, "read", call.type or "")
    given: Mapping[str, Any] = call.parameters["meta"]

    def apply(resource: dict[str, Any]) -> dict[str, Any]:
        present = dict(resource["meta"])
        for kind in _LISTS:
            present[kind] = change(kind, present.get(kind, []), given.get(kind, []))
        return {**resource, "meta": {name: value for name, value in present.items() if value != []}}

    written = patch(ctx, call.type or "", call.id or "", apply)
    return returned("Meta", decode(written.version.body)["meta"])


def _added(kind: str, present: list[Any], given: list[Any]) -> list[Any]:
    result = list(present)
    for value in given:
        if all(_identity(kind, value) != _identity(kind, other) for other in result):
            result.append(value)
    return result


def _removed(kind: str, present: list[Any], given: list[Any]) -> list[Any]:
    gone = [_identity(kind, value) for value in given]
    return [value for value in present if _identity(kind, value) not in gone]


def _identity(kind: str, value: Any) -> Any:
    """What makes two entries the same: the canonical, or system and code."""
    return value if kind == "profile" else (value.get("system"), value.get("code"))

