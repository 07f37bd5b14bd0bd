"""Definitions that a tenant stores, found by canonical url for the terminology operations."""

from collections.abc import Mapping
from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.errors import NotSupported
from fhir_server.core.resource_json import decode
from fhir_server.interactions.search import matches
from fhir_server.operations.call import OperationCall
from fhir_server.security import policy
from fhir_server.storage import resources
from fhir_server.terminology.definitions import Definitions, Find


def definitions(ctx: Context) -> Definitions:
    """The code systems and value sets that the caller may see: the tenant's own before the package's."""
    return Definitions(ctx.registry, finder(ctx, "CodeSystem"), finder(ctx, "ValueSet"))


def finder(ctx: Context, resource_type: str) -> Find:
    """Looks a resource of the type up by url: the newest one when there are several."""
    readable = policy.readable_types(ctx)
    if readable is not None and resource_type not in readable:
        return lambda url: None

    def find(url: str) -> Mapping[str, Any] | None:
        if not url:
            return None
        found = matches(ctx, resource_type, [("url", _escaped(url))], limit=1)
        if not found:
            return None
        type_id = ctx.registry.type_ids[resource_type]
        version = resources.read(ctx.db, ctx.tenant.id, type_id, resource_type, found[0].id)
        stored: Mapping[str, Any] | None = decode(version.body) if version and not version.deleted else None
        return stored

    return find


def refuse(call: OperationCall, names: Mapping[str, str]) -> None:
    """Raise `NotSupported` for a parameter that this server understands but does not act on; `names` gives the reason.
    To ignore it would be to answer another question."""
    for name, why in names.items():
        if name in call.parameters:
            raise NotSupported(f"${call.operation.code} does not take {name} here: {why}", expression=f"http.{name}")


def _escaped(value: str) -> str:
    for mark in "\\,$|":
        value = value.replace(mark, "\\" + mark)
    return value
