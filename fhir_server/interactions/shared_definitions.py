"""Definitions that a tenant reads though it does not store them: R4's own, this server's, imported code systems.

A tenant's resource of the same id stands before them, and stays gone once it was deleted. They are found by read,
vread (of version 1), history, and by a search for one `url` or one `_id` that the tenant itself has no resource for.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from fhir_server.conformance import base_definitions
from fhir_server.core.context import Context
from fhir_server.core.dates import format_instant, parse_range
from fhir_server.core.resource_json import decode, encode
from fhir_server.interactions import imported_systems
from fhir_server.interactions.metadata import RELEASED
from fhir_server.interactions.search import SearchResult
from fhir_server.interactions.subset import asked, shaped
from fhir_server.search.extract import extract
from fhir_server.security import audit, policy
from fhir_server.storage import resources
from fhir_server.storage.versions import Version

Pairs = Sequence[tuple[str, str]]

SOURCE = "urn:salam:CodeSystem:definition-source"
_R4_RELEASED = "2019-11-01"
_VERSION = 1
_SHAPING = frozenset({"_format", "_pretty", "_summary", "_elements", "_count", "_total", "_sort"})


def visible(ctx: Context, resource_type: str, resource_id: str, letter: str) -> Version | None:
    """The shared definition of that id, as its one version; None when there is none or the caller may not see it.

    Ask only where the tenant has no resource of that id.
    """
    version = shared(resource_type, resource_id, ctx.registry.type_ids[resource_type])
    version = version or imported_systems.by_id(ctx, resource_type, resource_id)
    return version if version is not None and _covered(ctx, version, letter) else None


def read(ctx: Context, interaction: str, resource_type: str, resource_id: str) -> Version | None:
    """`visible`, with the row of the audit log."""
    version = visible(ctx, resource_type, resource_id, "r")
    if version is not None:
        detail = {"what": f"{resource_type}/{resource_id}"}
        ctx.db.run([audit.about(ctx, interaction, resource_type=resource_type, detail=detail)], final=True)
    return version


def search(ctx: Context, resource_type: str | None, pairs: Pairs, found: SearchResult) -> SearchResult:
    """What a search found; or, when that is nothing and it asked for one `url` or one `_id`, the shared definition."""
    if resource_type not in base_definitions.TYPES or found.count or found.total:
        return found
    version = _asked(ctx, resource_type, pairs)
    if version is None or not _covered(ctx, version, "s") or _is_taken(ctx, resource_type, version):
        return found
    bundle = decode(found.body)
    bundle["total"] = 1
    if asked(pairs)[0] != "count" and ("_count", "0") not in pairs:
        resource = decode(shaped(ctx, version.body, pairs))
        full_url = f"{ctx.base}/{resource_type}/{version.id}"
        entry = {"fullUrl": full_url, "resource": resource, "search": {"mode": "match"}}
        bundle["entry"] = [entry, *bundle.get("entry", ())]
    return SearchResult(encode(bundle), 1, 1)


def _asked(ctx: Context, resource_type: str, pairs: Pairs) -> Version | None:
    """The shared definition that meets the conditions, if they are of the kinds that can name one."""
    wanted = {name: value for name, value in pairs if name not in _SHAPING}
    if len(wanted) < sum(name not in _SHAPING for name, _ in pairs) or not wanted.keys() <= {"url", "_id", "version"}:
        return None
    version = _imported(ctx, resource_type, wanted)
    if version is not None:
        return version
    if "url" in wanted:
        named = base_definitions.find(resource_type, wanted["url"])
    else:
        named = base_definitions.by_id(resource_type, wanted.get("_id", ""))
    if named is None or wanted.get("_id", named["id"]) != named["id"] or "|" in wanted.get("url", ""):
        return None
    if "version" in wanted and wanted["version"] != named.get("version"):
        return None
    return shared(resource_type, named["id"], ctx.registry.type_ids[resource_type])


def _imported(ctx: Context, resource_type: str, wanted: Mapping[str, str]) -> Version | None:
    if "url" in wanted:
        version = imported_systems.by_url(ctx, resource_type, wanted["url"], wanted.get("version"))
        return version if version is None or wanted.get("_id", version.id) == version.id else None
    return imported_systems.by_id(ctx, resource_type, wanted.get("_id", "")) if "version" not in wanted else None


def _is_taken(ctx: Context, resource_type: str, version: Version) -> bool:
    """Whether the tenant has, or had, a resource of that id, so that reading the id would give another answer."""
    found = resources.read(ctx.db, ctx.tenant.id, version.type_id, resource_type, version.id)
    return found is not None


def _covered(ctx: Context, version: Version, letter: str) -> bool:
    """Scopes may be limited to some content; consents are about patients, whom no definition concerns."""
    resource = decode(version.body)
    resource_type = resource["resourceType"]
    if policy.whole(ctx, resource_type, letter):
        return True
    return policy.covers(ctx, resource_type, letter, extract(ctx.registry, resource, ctx.base).keys)


@lru_cache(maxsize=256)
def shared(resource_type: str, resource_id: str, type_id: int) -> Version | None:
    """A shared definition as the one version there is of it."""
    definition = base_definitions.by_id(resource_type, resource_id)
    if definition is None:
        return None
    own = base_definitions.is_own(resource_type, definition["url"])
    time = parse_range(RELEASED if own else _R4_RELEASED)[0]
    body = encode(_with_meta(definition, resource_type, own, time))
    return Version(0, _VERSION, False, "U", time, time, 0, body, type_id, resource_id)


def _with_meta(definition: dict[str, Any], resource_type: str, own: bool, time: int) -> dict[str, Any]:
    code, display = ("server", "Of this server") if own else ("base", "Of FHIR R4")
    meta = {
        "versionId": str(_VERSION),
        "lastUpdated": format_instant(time),
        "tag": [{"system": SOURCE, "code": code, "display": display}],
    }
    head = {"resourceType": resource_type, "id": definition["id"], "meta": meta}
    return {**head, **{name: value for name, value in definition.items() if name not in head}}
