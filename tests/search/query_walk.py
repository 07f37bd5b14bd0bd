"""Searching straight through the engine: a tenant filled with resources, and walks over all pages."""

import itertools
import os
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec

from fhir_server.conformance.registry import base_registry
from fhir_server.core.context import Context, Principal, Tenant
from fhir_server.core.resource_json import decode, encode
from fhir_server.interactions.search import search
from fhir_server.interactions.stage import stage
from fhir_server.security.scopes import parse_scopes
from fhir_server.settings import settings
from fhir_server.storage import operator, tenants, write
from fhir_server.storage.session import Session

BASE = "http://localhost/t/test/fhir"


_numbers = itertools.count(1)


def new_context() -> Context:
    """A context in a new, empty tenant."""
    db = Session(settings.app_conninfo())
    tenants.take_node(db)
    slug = f"q{os.getpid()}-{next(_numbers)}"
    return context(int(operator.create_tenant(db, slug, slug, {})["id"]))


def context(tenant_id: int, scope: str = "system/*.cruds", zone: str = "UTC") -> Context:
    """A context on a connection of its own, for the tenant."""
    db = Session(settings.app_conninfo())
    db.enter(tenant_id, None, 1)
    tenant = Tenant(tenant_id, "test", "test", zone)
    return Context(tenant, Principal("tests", parse_scopes(scope), None), base_registry(), db, BASE, b"k" * 32)


def fill(ctx: Context, resources: Sequence[dict[str, Any]]) -> None:
    """Store resources under their ids, in one transaction."""
    # As they would have come over the wire: decimals are Decimal.
    news = [stage(ctx, decode(encode(resource)), resource["id"]) for resource in resources]
    write.write(ctx.db, ctx.tenant.id, news, final=True)


def bundle(ctx: Context, path: str, query: str = "", **options: Any) -> dict[str, Any]:
    """The searchset for `Type` and a query string (percent-encoded where needed)."""
    pairs = parse_qsl(query, keep_blank_values=True)
    result = search(ctx, path or None, pairs, url=f"{BASE}/{path}", **options)
    found: dict[str, Any] = msgspec.json.decode(result.body)
    return found


def ids(found: dict[str, Any], mode: str = "match") -> list[str]:
    """`Type/id` of a Bundle's entries of one mode, in order."""
    return [
        f"{entry['resource']['resourceType']}/{entry['resource'].get('id')}"
        for entry in found.get("entry", ())
        if entry["search"]["mode"] == mode
    ]


def next_query(found: dict[str, Any]) -> str | None:
    """The query string of the next page."""
    for link in found["link"]:
        if link["relation"] == "next":
            return urlsplit(link["url"]).query
    return None


def walk(ctx: Context, path: str, query: str, between: Any = None) -> list[str]:
    """The matches of all pages, in order. `between`: called after each page."""
    found: list[str] = []
    rest: str | None = query
    while rest is not None:
        page = bundle(ctx, path, rest)
        found += ids(page)
        rest = next_query(page)
        if between is not None:
            between()
    return found
