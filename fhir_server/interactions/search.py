"""search on a type, a compartment or the system. https://hl7.org/fhir/R4/search.html, https://hl7.org/fhir/R4/http.html#search"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from fhir_server.conformance import base_definitions
from fhir_server.core.context import Context
from fhir_server.core.errors import Issue, outcome
from fhir_server.core.keys import param_id, type_key
from fhir_server.core.resource_json import decode, encode
from fhir_server.interactions.bundle import bundle, link
from fhir_server.interactions.summary import subset
from fhir_server.interactions.terminologies import of_caller, stored
from fhir_server.search import cursor, fetch, include, plans
from fhir_server.search.asked import Asker
from fhir_server.search.concepts import Concepts
from fhir_server.search.elements import single_valued
from fhir_server.search.extract import primary_date
from fhir_server.search.fetch import Search
from fhir_server.search.leaves import Keys
from fhir_server.search.page import Position
from fhir_server.search.query import Limits, Query, conditions, parse
from fhir_server.search.sort import Column
from fhir_server.security import audit, policy
from fhir_server.security.labels import bundle_label
from fhir_server.settings import settings
from fhir_server.storage import clock, resources
from fhir_server.storage.session import Row
from fhir_server.terminology.resources import Held

Pairs = Sequence[tuple[str, str]]
_NEWEST_FIRST = (Column("ts", True),)
_SAFE = "/:,|$-._~*@!()'"


@dataclass(frozen=True, slots=True)
class SearchResult:
    """A searchset Bundle as JSON text, with the number of its matches and the total when it was counted."""

    body: bytes
    count: int
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Match:
    """A resource that meets a condition, with its JSON text."""

    rid: int
    id: str
    version: int
    body: bytes


def search(
    ctx: Context,
    resource_type: str | None,
    pairs: Pairs,
    *,
    compartment: tuple[str, str] | None = None,
    lenient: bool = False,
    url: str = "",
    explain: bool = False,
) -> SearchResult:
    """One page of a search as a Bundle. `resource_type` None: all types, those of the compartment if there is one.

    `url`: the address searched, for the links. `explain`: answer with the plan instead (JSON, for operators).
    Raises `Invalid` or `NotSupported` for parameters that cannot be used; lenient handling drops unknown ones.
    """
    asker = asker_of(ctx)
    types = _types(ctx, asker, resource_type, compartment)
    limits = Limits(settings.page_size, settings.max_page_size)
    query = parse(asker, types, pairs, limits=limits, compartment=compartment, lenient=lenient)
    what = _search(ctx, query)
    if explain:
        return _explain(ctx, what, query)
    log = _disclosure(ctx, resource_type, pairs, compartment, query, url)
    if query.count_only:
        return _counted(ctx, what, query, url, log)
    return _page(ctx, asker, what, query, url, log)


def _disclosure(
    ctx: Context,
    resource_type: str | None,
    pairs: Pairs,
    compartment: tuple[str, str] | None,
    query: Query,
    url: str,
) -> audit.Disclosure:
    event = "search-compartment" if compartment else "search-type" if resource_type else "search-system"
    detail = {"query": _url("", pairs)[1:], "what": url.removeprefix(ctx.base).lstrip("/")}
    return audit.Disclosure(ctx, event, resource_type, shown=query.count, detail=detail)


def matches(ctx: Context, resource_type: str, pairs: Pairs, limit: int = 2) -> list[Match]:
    """The resources that meet a condition, newest first, at most `limit`, inside the open transaction."""
    asker = asker_of(ctx)
    nodes = conditions(asker, resource_type, pairs)
    what = _search_of(ctx, (resource_type,), nodes)
    plan = fetch.make_plan(ctx.db, what)
    rows, _ = fetch.read_page(ctx.db, what, plan, limit)
    return [
        Match(
            int(row[fetch.RID] or 0),
            (row[fetch.ID] or b"").decode(),
            int(row[fetch.VERSION] or 0),
            row[fetch.BODY] or b"",
        )
        for row in rows
    ]


def asker_of(ctx: Context, letter: str = "s") -> Asker:
    """Who asks, as search needs it: definitions, time zone, and what may be seen."""
    return Asker(
        registry=ctx.registry,
        base=ctx.base,
        # Dates without a time zone are indexed in UTC, so they are asked in UTC.
        zone=UTC,
        now_us=clock.micros(clock.tick()),
        readable=policy.readable_types(ctx, letter),
        limits=lambda name: policy.limits(ctx, name, letter),
        limits_of=lambda names: policy.limits_of(ctx, names, letter),
        rule=lambda names: policy.rule(ctx, names, letter),
        concepts=Concepts(ctx.db, ctx.tenant.id, ctx.base, lambda: of_caller(ctx), lambda each: _value_set(ctx, each)),
    )


def _value_set(ctx: Context, resource_id: str) -> Held | None:
    if not asker_sees(ctx, "ValueSet"):
        return None
    type_id, rule = ctx.registry.type_ids["ValueSet"], policy.rule(ctx, ("ValueSet",), "s")
    found = resources.read(ctx.db, ctx.tenant.id, type_id, "ValueSet", resource_id, rule)
    if found is None and rule is None:
        shared = base_definitions.by_id("ValueSet", resource_id)
        return None if shared is None else Held(shared, ("base", shared["url"]))
    if found is None or found.deleted:
        return None
    return stored(ctx, found)


def asker_sees(ctx: Context, resource_type: str) -> bool:
    """Whether the caller may search rows of the type."""
    readable = policy.readable_types(ctx)
    return readable is None or resource_type in readable


def _types(
    ctx: Context, asker: Asker, resource_type: str | None, compartment: tuple[str, str] | None
) -> tuple[str, ...]:
    if resource_type is not None:
        return (resource_type,)
    members = ctx.registry.compartments[compartment[0]] if compartment else ctx.registry.resource_types
    return tuple(sorted(name for name in members if asker.sees(name)))


def _search(ctx: Context, query: Query) -> Search:
    what = _search_of(ctx, query.types, query.nodes)
    return Search(what.tenant_id, what.nodes, query.base, query.keys, what.primary)


def _search_of(ctx: Context, types: tuple[str, ...], nodes: Sequence[Any]) -> Search:
    base = Keys(tuple([type_key(name) for name in types]))
    return Search(ctx.tenant.id, nodes, base, _NEWEST_FIRST, _primary(ctx, types))


def _primary(ctx: Context, types: tuple[str, ...]) -> int | None:
    """Id of the parameter that gives the type's time, when a resource has at most one value of it."""
    code = primary_date(types[0]) if len(types) == 1 else None
    param = None if code is None else ctx.registry.search_params(types[0]).get(code)
    if param is None or not single_valued(ctx.registry, param):
        return None
    return param_id(types[0], param.code)


def _counted(ctx: Context, what: Search, query: Query, url: str, log: audit.Disclosure) -> SearchResult:
    plan = fetch.make_plan(ctx.db, what)
    rows = plans.run(ctx.db, [fetch.count_statement(what, plan), log.apart(())], final=True)[0]
    total = int(rows[0][0] or 0)
    links = [link("self", _url(url, query.kept))]
    return SearchResult(bundle("searchset", _notes(query), links=links, total=total), 0, total)


def _page(
    ctx: Context, asker: Asker, what: Search, query: Query, url: str, log: audit.Disclosure
) -> SearchResult:
    scope = cursor.scope_text(ctx.tenant.id, url, query.kept, policy.visible_text(ctx, "s"))
    known = None if query.cursor is None else cursor.read(ctx.cursor_key, scope, query.cursor)
    plan = fetch.make_plan(ctx.db, what)
    counting = query.total == "accurate" and known is None
    rows, counted = fetch.read_page(
        ctx.db,
        what,
        plan,
        query.count + 1,
        after=known.after if known else None,
        newest=known.newest if known else None,
        extra=[fetch.count_statement(what, plan)] if counting else [],
        log=None if query.includes else log,
    )
    page, more = rows[: query.count], len(rows) > query.count
    total = known.total if known else _total(ctx, what, plan, query, counted, None if more else len(page))
    here = known or cursor.Progress(None, clock.tick(), total)
    links = _links(ctx, scope, query, url, here, fetch.position(page[-1]) if more else None)
    included, cut = _included(ctx, asker, query, page)
    if not log.done:
        ctx.db.run([log.apart([int(row[fetch.RID] or 0) for row in (*page, *included)])], final=True)
    entries = _entries(ctx, query, page, included)
    if cut:
        query.dropped.append(_cut_note())
    labels = _labels((*page, *included))
    body = bundle("searchset", entries + _notes(query), links=links, total=total, labels=labels)
    return SearchResult(body, len(page), total)


def _labels(rows: Sequence[Row]) -> list[dict[str, str]]:
    """The page is to be handled as its most sensitive resource. Parsed only where there may be a label at all."""
    bodies = [row[fetch.BODY] or b"" for row in rows]
    return bundle_label(map(decode, bodies)) if any(b'"security"' in body for body in bodies) else []


def _links(
    ctx: Context, scope: str, query: Query, url: str, here: cursor.Progress, end: Position | None
) -> list[dict[str, str]]:
    """self, and as far as there are such pages first, previous and next. `end`: where the page ends, if more follow."""

    def to(relation: str, place: cursor.Progress) -> dict[str, str]:
        if place.after is None:
            return link(relation, _url(url, query.kept))
        return link(relation, _url(url, [*query.kept, ("_cursor", cursor.write(ctx.cursor_key, scope, place))]))

    links = [to("self", here)]
    if here.after is not None:
        links.append(link("first", _url(url, query.kept)))
    previous = here.back()
    if previous is not None:
        links.append(to("previous", previous))
    if end is not None:
        links.append(to("next", here.onward(end)))
    return links


def _total(
    ctx: Context, what: Search, plan: fetch.Plan, query: Query, counted: Sequence[Any], known: int | None
) -> int | None:
    """The total asked for; unasked, only when the page is the whole answer."""
    if query.total == "accurate":
        return int(counted[0][0][0] or 0)
    if query.total == "none":
        return None
    if known is None and query.total == "estimate":
        if policy.limits_of(ctx, query.types):
            # The planner's guess would also be made of rows that the caller may not see.
            return int(plans.run(ctx.db, [fetch.count_statement(what, plan)])[0][0][0] or 0)
        return fetch.estimate(ctx.db, what, plan)
    return known


def _included(ctx: Context, asker: Asker, query: Query, page: Sequence[Row]) -> tuple[list[Row], bool]:
    """What the includes add, level by level: one round trip for each; and whether the limit cut it."""
    if not query.includes:
        return [], False
    seen = {row[fetch.RID] for row in page}
    found: list[Row] = []
    level, wanted = list(page), query.includes
    while level and wanted:
        limit = settings.max_includes - len(found)
        sources = _sources(ctx, level)
        sent = [include.statement(asker, ctx.tenant.id, each, sources, limit + len(seen) + 1) for each in wanted]
        level = []
        for rows in plans.run(ctx.db, [each for each in sent if each is not None]) if any(sent) else ():
            for row in rows:
                if row[fetch.RID] not in seen:
                    seen.add(row[fetch.RID])
                    level.append(row)
        if len(level) > limit:
            return found + level[:limit], True
        found += level
        wanted = [each for each in query.includes if each.iterate]
    return found, False


def _sources(ctx: Context, rows: Sequence[Row]) -> list[include.Source]:
    names = ctx.registry.type_names
    return [
        include.Source(int(r[fetch.RID] or 0), names[int(r[fetch.TYPE_ID] or 0)], (r[fetch.ID] or b"").decode())
        for r in rows
    ]


def _entries(ctx: Context, query: Query, page: Sequence[Row], included: Sequence[Row]) -> list[bytes]:
    if query.summary or query.elements:
        page, included = _subset(ctx, query, page), _subset(ctx, query, included)
    base, names = ctx.base.encode(), ctx.registry.type_names
    kinds = {row[fetch.TYPE_ID] for row in page} | {row[fetch.TYPE_ID] for row in included}
    heads = {kind: b'{"fullUrl":"%b/%b/' % (base, names[int(kind or 0)].encode()) for kind in kinds}
    matched, brought = b',"search":{"mode":"match"}}', b',"search":{"mode":"include"}}'
    return [
        b'%b%b","resource":%b%b' % (heads[row[1]], row[2] or b"", row[4] or b"", tail)
        for rows, tail in ((page, matched), (included, brought))
        for row in rows
    ]


def _subset(ctx: Context, query: Query, rows: Sequence[Row]) -> list[Row]:
    """The rows with only the asked parts of their resources."""
    out: list[Row] = []
    for row in rows:
        resource = decode(row[fetch.BODY] or b"")
        part = encode(subset(resource, ctx.registry, summary=query.summary, elements=query.elements))
        out.append((*row[: fetch.BODY], part))
    return out


def _notes(query: Query) -> list[bytes]:
    """What the caller should know, as an entry of mode outcome."""
    if not query.dropped:
        return []
    return [b'{"resource":%b,"search":{"mode":"outcome"}}' % encode(outcome(query.dropped))]


def _cut_note() -> Issue:
    text = (
        f"Only the first {settings.max_includes} included resources are in this page. Ask for a smaller page with"
        " _count, or search for the included resources directly."
    )
    return Issue("warning", "too-costly", text, "http._include")


def _url(url: str, pairs: Pairs) -> str:
    if not pairs:
        return url
    return url + "?" + "&".join([f"{_quoted(name)}={_quoted(value)}" for name, value in pairs])


@lru_cache(maxsize=4096)
def _quoted(text: str) -> str:
    return quote(text, _SAFE)


def _explain(ctx: Context, what: Search, query: Query) -> SearchResult:
    plan = fetch.make_plan(ctx.db, what)
    report = fetch.explain(ctx.db, what, plan, query.count + 1)
    return SearchResult(encode(report), 0)
