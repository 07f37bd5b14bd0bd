"""Definitions that a tenant writes about itself: they change what its resources are checked against and searched by."""

from collections.abc import Sequence
from typing import Any

from fhir_server.conformance import base_definitions
from fhir_server.conformance.canonicals import Definitions
from fhir_server.core.context import Context
from fhir_server.core.errors import Unprocessable
from fhir_server.core.resource_json import decode
from fhir_server.search.parameter_resource import check_search_parameter
from fhir_server.storage import definitions, tenants
from fhir_server.storage.definitions import DefinitionRow
from fhir_server.storage.versions import NewVersion
from fhir_server.validation.structure_definitions import check_definition

PACKAGE = "urn:salam:CodeSystem:package"


def concerns(ctx: Context, news: Sequence[NewVersion]) -> bool:
    """Whether any of the versions is a definition."""
    return any(new.type_id in ctx.registry.canonical_type_ids for new in news)


def after_write(ctx: Context, news: Sequence[NewVersion]) -> None:
    """Check new definitions, remember where they are, raise the tenant's registry version, and queue the indexing of
    the types concerned.

    Raises `Unprocessable` (and so undoes the write) when an active SearchParameter cannot be indexed, an active
    StructureDefinition cannot be used, or a url is one of this server's own. What a package brings was checked before.
    """
    concerned = [new for new in news if new.type_id in ctx.registry.canonical_type_ids]
    rows = [row for new in concerned if (row := row_of(new)) is not None]
    _refuse_own_urls(ctx, rows)
    _index(ctx, [new for new in concerned if new.type_id == ctx.registry.type_ids["SearchParameter"]])
    _check_structures(ctx, concerned)
    definitions.replace(ctx.db, ctx.tenant.id, [new.rid for new in concerned], rows)
    tenants.raise_registry_version(ctx.db, ctx.tenant.id)
    if not ctx.db.held:
        ctx.db.commit()


def _refuse_own_urls(ctx: Context, rows: Sequence[DefinitionRow]) -> None:
    """What this server writes itself claims its own definitions, and relies on them."""
    for row in rows:
        kind = ctx.registry.type_names[row.type_id]
        if base_definitions.is_own(kind, row.url):
            text = f"The url {row.url} belongs to a definition of this server; yours needs one of your own."
            raise Unprocessable(text, expression=f"{kind}.url", code="duplicate")


def _check_structures(ctx: Context, news: Sequence[NewVersion]) -> None:
    type_id = ctx.registry.type_ids["StructureDefinition"]
    written = [decode(new.body) for new in news if new.type_id == type_id and not new.deleted]
    if not written:
        return
    # The base of one may come along with it.
    fresh = {resource["url"]: resource for resource in written if "url" in resource}
    known = Definitions(ctx.registry.canonicals, ctx.db, ctx.tenant.id)

    def find(resource_type: str, canonical: str) -> dict[str, Any] | None:
        here = fresh.get(canonical.partition("|")[0]) if resource_type == "StructureDefinition" else None
        return here if here is not None else known.find(resource_type, canonical)

    for resource in written:
        if resource["status"] == "active" and not _packages(resource):
            issues = check_definition(resource, find)
            if issues:
                raise Unprocessable(issues=issues)


def _packages(resource: dict[str, Any]) -> list[str]:
    return [tag.get("code", "") for tag in resource["meta"].get("tag", ()) if tag.get("system") == PACKAGE]


def row_of(new: NewVersion) -> DefinitionRow | None:
    """Where a new version can be found by its url; None for a deletion and for what has no url."""
    resource: dict[str, Any] = {} if new.deleted else decode(new.body)
    if "url" not in resource:
        return None
    subject = resource.get("supplements" if resource["resourceType"] == "CodeSystem" else "type", "")
    packages = _packages(resource)
    return DefinitionRow(
        new.type_id, resource["url"], new.rid, resource.get("version", ""), new.version, new.id,
        resource.get("status", ""), resource.get("derivation") or resource.get("content", ""),
        subject if isinstance(subject, str) else "", packages[0] if packages else "",
    )  # fmt: skip


def _index(ctx: Context, news: Sequence[NewVersion]) -> None:
    now = [_active(new.body) for new in news]
    fresh = {definition["url"]: definition.get("type", "") for definition in now if definition}
    for new, definition in zip(news, now, strict=True):
        issues = check_search_parameter(definition, ctx.registry, fresh) if definition else []
        errors = [issue for issue in issues if issue.severity == "error"]
        if errors:
            raise Unprocessable(issues=errors)
        for each in (definition, _active(new.old.body) if new.old else {}):
            if each:
                types = list(dict.fromkeys(each.get("base", [])))
                tenants.queue_backfill(ctx.db, ctx.tenant.id, each["url"], each["code"], types)


def _active(body: bytes) -> dict[str, Any]:
    definition: dict[str, Any] = decode(body) if body else {}
    return definition if definition.get("status") == "active" else {}
