"""Which old versions a caller may see: those that he could see as they were, of a resource that he can see as it is.

A resource may have moved from one patient's record to another's, or out of what a granular scope names.
"""

from collections.abc import Sequence

from fhir_server.core.context import Context
from fhir_server.core.keys import self_key
from fhir_server.core.resource_json import decode
from fhir_server.search.extract import extract
from fhir_server.security import policy
from fhir_server.security.consent_filter import denied
from fhir_server.security.consent_node import actors, opened_keys, subject_to_consent
from fhir_server.storage import clock
from fhir_server.storage.versions import Version


def visible_versions(ctx: Context, versions: Sequence[Version], letter: str = "r") -> list[Version]:
    """Of versions of resources that the caller can see as they are now, those that he may see, in order.

    A deletion has no content, so it is as visible as its resource.
    """
    within: list[tuple[Version, Sequence[int], int]] = []
    for version in versions:
        name = ctx.registry.type_names[version.type_id]
        rows = extract(ctx.registry, decode(version.body), ctx.base) if not version.deleted else None
        if rows is None or policy.covers(ctx, name, letter, rows.keys):
            ts = rows.ts if rows is not None and rows.ts is not None else clock.micros(version.rid)
            within.append((version, rows.keys if rows else (), ts))
    if not within or not ctx.tenant.has_consents or not subject_to_consent(ctx.principal):
        return [version for version, _, _ in within]
    names = ctx.registry.type_names
    asked = [(v.type_id, keys, ts, self_key(names[v.type_id], v.id)) for v, keys, ts in within]
    who = ctx.principal
    opened = opened_keys(who)
    hidden = denied(ctx.db, ctx.tenant.id, asked, actors=actors(who), purposes=(who.purpose,), opened=opened)
    return [version for (version, _, _), no in zip(within, hidden, strict=True) if not no]
