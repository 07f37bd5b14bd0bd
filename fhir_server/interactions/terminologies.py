"""Terminology as a caller may see it: for operations and for search."""

from collections.abc import Sequence

from fhir_server.conformance import canonicals
from fhir_server.core.context import Context
from fhir_server.core.resource_json import decode
from fhir_server.security import policy
from fhir_server.storage import resources
from fhir_server.storage.definitions import DefinitionRow
from fhir_server.storage.versions import Version
from fhir_server.terminology.definitions import Definitions, Versions, imported_by
from fhir_server.terminology.resources import Held, Resources


def of_caller(
    ctx: Context, given: Sequence[Held] = (), versions: Versions | None = None, end: int | None = None
) -> Definitions:
    """The code systems, value sets and concept maps that the caller may see: what the request brings along (`given`),
    then the tenant's own as far as he may search them, then what is imported, then the package's. `end`: as they were
    just before this moment."""
    own = canonicals.Definitions(ctx.registry.canonicals, ctx.db, ctx.tenant.id)
    seen = Resources(own, ctx.tenant.id, _Readable(ctx), given)
    return Definitions(ctx.registry, seen, imported_by(ctx.db, ctx.tenant.id), versions, end)


def stored(ctx: Context, version: Version) -> Held:
    """A definition as it is stored. What a transaction may still undo is told apart from nothing: after it, others may
    have the same number."""
    key = None if ctx.db.held else (ctx.tenant.id, version.rid, version.version)
    return Held(decode(version.body), key)


class _Readable:
    """Whether the caller may see a stored definition; each is asked about once."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._told: dict[int, bool] = {}

    def __call__(self, resource_type: str, row: DefinitionRow) -> bool:
        told = self._told.get(row.rid)
        if told is None:
            told = self._told[row.rid] = self._may_see(resource_type, row)
        return told

    def _may_see(self, resource_type: str, row: DefinitionRow) -> bool:
        ctx = self._ctx
        readable = policy.readable_types(ctx)
        if readable is not None and resource_type not in readable:
            return False
        rule = policy.rule(ctx, (resource_type,), "s")
        if rule is None:
            return True
        return resources.visible(ctx.db, ctx.tenant.id, row.type_id, resource_type, row.id, rule)
