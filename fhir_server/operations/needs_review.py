"""$needs-review (profiles/conformance/operations/needs-review.json): which stored data breaks rules, and which ones."""

from collections.abc import Sequence
from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.errors import Invalid
from fhir_server.core.keys import token_key
from fhir_server.operations.call import OperationCall
from fhir_server.security import policy
from fhir_server.storage.review_rows import Broken, broken
from fhir_server.validation import tagging

MOST = 20_000
_MOST_RULES = 100


def needs_review(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """Parameters with a `count` for each type of which the caller may see tagged resources, by name."""
    names = _types(ctx, call.parameters.get("type", ()))
    codes = [token_key(name, "_tag", tagging.CODE) for name in names]
    tags = [token_key(name, "_tag", tagging.TAG) for name in names]
    rule = policy.rule(ctx, names, "s")
    number, rows = broken(ctx.db, ctx.tenant.id, codes, tags, tagging.ISSUE, rule, MOST)
    by_type: dict[str, list[Broken]] = {}
    for row in rows:
        by_type.setdefault(ctx.registry.type_names[row.type_id], []).append(row)
    parameters = [_count(ctx, name, by_type[name]) for name in sorted(by_type)]
    if number > MOST:
        parameters.append({"name": "partial", "valueBoolean": True})
    return {"resourceType": "Parameters", **({"parameter": parameters} if parameters else {})}


def _types(ctx: Context, asked: Sequence[str]) -> list[str]:
    for name in asked:
        if name not in ctx.registry.type_ids:
            raise Invalid("type takes resource types of FHIR R4.", expression="http.type", code="value")
        policy.allow(ctx, "search", name)
    readable = policy.readable_types(ctx)
    return [name for name in asked or ctx.registry.resource_types if readable is None or name in readable]


def _count(ctx: Context, name: str, rows: Sequence[Broken]) -> dict[str, Any]:
    total = next((row.resources for row in rows if not row.rule), 0)
    parts: list[dict[str, Any]] = [
        {"name": "type", "valueCode": name},
        {"name": "total", "valueInteger": total},
        {"name": "search", "valueUri": f"{ctx.base}/{name}?_tag={tagging.TAG}"},
    ]
    return {"name": "count", "part": [*parts, *map(_rule, [row for row in rows if row.rule][:_MOST_RULES])]}


def _rule(row: Broken) -> dict[str, Any]:
    profile, hash_, _ = row.rule.partition("#")
    parts = [{"name": "key", "valueString": row.rule}]
    if hash_:
        parts.append({"name": "profile", "valueCanonical": profile})
    return {
        "name": "rule",
        "part": [*parts, {"name": "text", "valueString": row.text}, {"name": "total", "valueInteger": row.resources}],
    }
