"""history of an instance, a type or the system. https://hl7.org/fhir/R4/http.html#history"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from fhir_server.core.context import Context
from fhir_server.core.cursor import seal, unseal
from fhir_server.core.dates import format_instant, parse_range
from fhir_server.core.errors import Forbidden, Invalid, NotFound
from fhir_server.core.keys import gone_key
from fhir_server.core.resource_json import encode
from fhir_server.interactions import shared_definitions
from fhir_server.interactions.bundle import bundle, link
from fhir_server.interactions.past import visible_versions
from fhir_server.interactions.subset import shaped
from fhir_server.security import audit, policy
from fhir_server.settings import settings
from fhir_server.storage import history as rows
from fhir_server.storage.clock import END, first_seq
from fhir_server.storage.resources import Log, as_it_is
from fhir_server.storage.versions import Version
from fhir_server.storage.writer import Rule

_METHODS = {"C": "POST", "U": "PUT", "P": "PATCH", "D": "DELETE"}


@dataclass(frozen=True, slots=True)
class Asked:
    """The parameters of a history request. `since` and `at` are µs ranges as written."""

    since: int = 0
    at: tuple[int, int] | None = None
    count: int = 0
    cursor: str | None = None


def history(
    ctx: Context, resource_type: str | None, resource_id: str | None, query: Sequence[tuple[str, str]]
) -> bytes:
    """A history Bundle, newest version first, in pages. Raises `NotFound` for an instance that never was."""
    asked = _parse(query)
    path = "/".join(part for part in (ctx.base, resource_type, resource_id, "_history") if part)
    scope = f"{ctx.tenant.id}|{path}|{asked.since}|{asked.at}|{policy.visible_text(ctx, _letter(resource_id))}"
    before = unseal(ctx.cursor_key, scope, asked.cursor) if asked.cursor else END
    at_start, at_end = asked.at or (0, 0)
    window = rows.Window(
        before=min(before, first_seq(at_end)) if asked.at else before,
        since=first_seq(asked.since),
        at=first_seq(at_start) if asked.at else 0,
        count=asked.count + 1,
    )
    log = _disclosure(ctx, resource_type, resource_id, query, asked.count)
    versions = _fetch(ctx, resource_type, resource_id, window, log)
    if not versions and resource_id and not asked.cursor:
        versions = _otherwise(ctx, resource_type or "", resource_id, asked)
    page = versions[: asked.count]
    rids = list(dict.fromkeys(version.rid for version in page if version.rid))
    if not log.done or not rids:
        ctx.db.run([log.apart(rids)], final=True)
    links = [link("self", _url(path, query))]
    if len(versions) > asked.count and page:
        kept = [(k, v) for k, v in query if k != "_cursor"]
        links.append(link("next", _url(path, [*kept, ("_cursor", seal(ctx.cursor_key, scope, page[-1].seq))])))
    return bundle("history", [_entry(ctx, version, query) for version in page], links=links)


def _disclosure(
    ctx: Context, resource_type: str | None, resource_id: str | None, query: Sequence[tuple[str, str]], count: int
) -> audit.Disclosure:
    level = "instance" if resource_id else "type" if resource_type else "system"
    what = "/".join(part for part in (resource_type, resource_id, "_history") if part)
    detail = {"query": urlencode(query), "what": what}
    return audit.Disclosure(ctx, f"history-{level}", resource_type, shown=count, empty=False, detail=detail)


def _fetch(
    ctx: Context, resource_type: str | None, resource_id: str | None, window: rows.Window, log: Log = as_it_is
) -> list[Version]:
    """The versions of the window that the caller may see. What is thinned out afterwards is not logged along."""
    letter = _letter(resource_id)
    types = _types(ctx, resource_type, letter)
    rule = policy.rule(ctx, types if types is not None else ctx.registry.resource_types, letter)
    found: list[Version] = []
    while True:
        page = _read(ctx, types, resource_id, window, rule, log if rule is None else as_it_is)
        if rule is None:
            return page
        found += visible_versions(ctx, page, letter)
        if len(page) < window.count or len(found) >= window.count:
            return found[: window.count]
        window = replace(window, before=page[-1].seq)


def _letter(resource_id: str | None) -> str:
    """The history of an instance is reading it, that of a type or the system is searching (SMART 2.2)."""
    return "r" if resource_id else "s"


def _types(ctx: Context, resource_type: str | None, letter: str) -> Sequence[str] | None:
    if resource_type:
        policy.allow(ctx, "read" if letter == "r" else "search", resource_type)
        return (resource_type,)
    visible = policy.readable_types(ctx, letter)
    if visible is not None and not visible:
        raise Forbidden("The token's scopes do not allow to search any type (needed: system/*.s).")
    return None if visible is None else sorted(visible)


def _read(
    ctx: Context,
    types: Sequence[str] | None,
    resource_id: str | None,
    window: rows.Window,
    rule: Rule | None,
    log: Log,
) -> list[Version]:
    tenant_id, ids = ctx.tenant.id, ctx.registry.type_ids
    if types and resource_id:
        return rows.instance(ctx.db, tenant_id, ids[types[0]], types[0], resource_id, window, rule, log)
    type_ids = None if types is None else [ids[name] for name in types]
    keys = policy.record_keys(ctx, types or ctx.registry.resource_types, "s") if rule is not None else None
    if rule is not None and keys is not None:
        return rows.of_records(ctx.db, tenant_id, [*keys, *map(gone_key, keys)], window, rule, log)
    return rows.changes(ctx.db, tenant_id, type_ids, window, rule, log)


def _otherwise(ctx: Context, resource_type: str, resource_id: str, asked: Asked) -> list[Version]:
    """The versions of an instance that has none in the window: none, or that of a shared definition."""
    anything = rows.Window(END, 0, 0, settings.max_page_size)
    if _fetch(ctx, resource_type, resource_id, anything):
        return []
    version = shared_definitions.visible(ctx, resource_type, resource_id, "r")
    if version is None:
        raise NotFound(f"{resource_type}/{resource_id} is not known here.")
    there = version.last_updated >= asked.since and (asked.at is None or version.last_updated < asked.at[1])
    return [version] if there else []


def _entry(ctx: Context, version: Version, query: Sequence[tuple[str, str]]) -> bytes:
    local = f"{ctx.registry.type_names[version.type_id]}/{version.id}"
    method = _METHODS[version.method]
    created = version.version == 1 and method != "DELETE"
    status = "201 Created" if created else "204 No Content" if version.deleted else "200 OK"
    request = {"method": method, "url": local.partition("/")[0] if method == "POST" else local}
    response = {
        "status": status,
        "etag": f'W/"{version.version}"',
        "lastModified": format_instant(version.last_updated),
    }
    resource = b"" if version.deleted else b',"resource":' + shaped(ctx, version.body, query)
    return b'{"fullUrl":%s%s,"request":%s,"response":%s}' % (
        encode(f"{ctx.base}/{local}"),
        resource,
        encode(request),
        encode(response),
    )


def _parse(query: Sequence[tuple[str, str]]) -> Asked:
    since, at, count, cursor = 0, None, settings.page_size, None
    for name, value in query:
        if name == "_since":
            since = _range(name, value)[0]
        elif name == "_at":
            at = _range(name, value.removeprefix("eq"))
        elif name == "_count":
            count = _count(value)
        elif name == "_cursor":
            cursor = value
        elif name not in ("_format", "_pretty", "_summary", "_elements"):
            raise Invalid(
                f"History does not know the parameter {name!r}. It knows _since, _at and _count.",
                expression=f"http.{name}",
                code="not-supported",
            )
    return Asked(since, at, count, cursor)


def _range(name: str, value: str) -> tuple[int, int]:
    try:
        return parse_range(value)
    except ValueError:
        raise Invalid(
            f"{name} takes a date or an instant such as 2026-11-21T08:00:00Z.", expression=f"http.{name}", code="value"
        ) from None


def _count(value: str) -> int:
    if not (value.isascii() and value.isdigit()) or int(value[:9]) < 1:
        raise Invalid("_count takes a whole number from 1.", expression="http._count", code="value")
    return min(int(value[:9]), settings.max_page_size)


def _url(path: str, query: Sequence[tuple[str, str]]) -> str:
    return f"{path}?{urlencode(query)}" if query else path
