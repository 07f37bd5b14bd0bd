"""Definitions that a tenant writes about itself: a stored SearchParameter changes how its resources are indexed."""

from collections.abc import Sequence
from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.errors import Unprocessable
from fhir_server.core.resource_json import decode
from fhir_server.search.parameter_resource import check_search_parameter
from fhir_server.storage import tenants
from fhir_server.storage.versions import NewVersion

DEFINING_TYPES = ("SearchParameter",)


def concerns(ctx: Context, news: Sequence[NewVersion]) -> bool:
    """Whether any of the versions is a definition."""
    type_ids = {ctx.registry.type_ids[name] for name in DEFINING_TYPES}
    return any(new.type_id in type_ids for new in news)


def after_write(ctx: Context, news: Sequence[NewVersion]) -> None:
    """Check new definitions, raise the tenant's registry version, and queue the indexing of the types concerned.

    Raises `Unprocessable` (and so undoes the write) when an active SearchParameter cannot be indexed.
    """
    type_ids = {ctx.registry.type_ids[name] for name in DEFINING_TYPES}
    for new in news:
        if new.type_id not in type_ids:
            continue
        for body in (new.body, new.old.body if new.old else b""):
            definition = decode(body) if body else {}
            if definition.get("status") == "active":
                if body is new.body:
                    _check(ctx, definition)
                types = list(dict.fromkeys(definition.get("base", [])))
                tenants.queue_backfill(ctx.db, ctx.tenant.id, definition["url"], definition["code"], types)
    tenants.raise_registry_version(ctx.db, ctx.tenant.id)
    if not ctx.db.held:
        ctx.db.commit()


def _check(ctx: Context, definition: dict[str, Any]) -> None:
    errors = [issue for issue in check_search_parameter(definition, ctx.registry) if issue.severity == "error"]
    if errors:
        raise Unprocessable(issues=errors)
