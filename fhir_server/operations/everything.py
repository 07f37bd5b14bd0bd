"""Patient/$everything and Encounter/$everything: the whole compartment, then what it refers to, in pages.

Order: the resource itself, the members in index order, the resources they refer to (practitioners, organizations,
locations, medications …). Every resource stands on one page only; what did not change during the walk is neither missed
nor repeated. https://hl7.org/fhir/R4/patient-operation-everything.html
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

from fhir_server.conformance.registry import Registry
from fhir_server.core.context import Context
from fhir_server.core.cursor import seal, unseal
from fhir_server.core.dates import MAX_US, MIN_US, parse_range
from fhir_server.core.errors import Gone, Invalid, NotFound, NotSupported
from fhir_server.core.keys import compartment_key, param_id
from fhir_server.core.messages import FhirResponse
from fhir_server.interactions.bundle import bundle, link
from fhir_server.operations.call import OperationCall
from fhir_server.operations.searchset import entry
from fhir_server.search.extract import primary_date
from fhir_server.security import audit, policy
from fhir_server.storage import compartment_rows
from fhir_server.storage.compartment_rows import Focus, Members, Place
from fhir_server.storage.session import Row

MOST = 1000
_PATIENT = "Patient"


@dataclass(frozen=True, slots=True)
class _Wanted:
    """`members`: those to show; `sources`: those whose references are followed, which are more where `_type` or
    `_since` hide some of them; `followed`: types of the referenced resources to show; `both`: the members' keys of
    those types, because a member is not shown again."""

    members: Members
    sources: Members
    followed: Sequence[str]
    both: Sequence[int]

    @property
    def narrowed(self) -> bool:
        """Whether references are followed from more resources than are shown."""
        return self.members is not self.sources


@dataclass(slots=True)
class _Page:
    """A page being filled. `room`: how many resources still fit."""

    entries: list[bytes]
    room: int
    rids: list[int]
    log: audit.Disclosure
    next: list[Any] | None = None


def everything(ctx: Context, call: OperationCall) -> FhirResponse:
    """A page (1,000 resources, or `_count`) of everything that the caller may see. Raises `NotFound`, `Gone`."""
    compartment, resource_id = call.type or "", call.id or ""
    policy.allow(ctx, "read", compartment)
    types = _types(ctx, call)
    wanted = _wanted(ctx, call, compartment, resource_id, types)
    members = wanted.members
    count = _count(call)
    scope = "|".join((str(ctx.tenant.id), call.path, _query(call), policy.visible_text(ctx, "r")))
    at = _position(ctx, call, scope)
    log = audit.Disclosure(ctx, "operation", compartment, detail={"what": call.path, "query": _query(call)})
    page = _Page([], count, [], log)
    focus = (ctx.registry.type_ids[compartment], compartment, resource_id)
    first = at is None
    rows: list[Row] = []
    # One row more than there is room for, and one that may be the compartment's own resource.
    if at is None:
        rule = policy.rule(ctx, [compartment], "r")
        own, rows = compartment_rows.first_page(ctx.db, ctx.tenant.id, focus, rule, members, count + 2)
        head = _present(own, compartment, resource_id)
        at = ["m", head.rid]
        if compartment in types and (members.since is None or head.last_updated >= members.since):
            own_row = (str(head.rid).encode(), str(focus[0]).encode(), resource_id.encode(), head.body)
            _add(ctx, page, [own_row], b"match")
    elif at[0] == "m":
        place = Place(*at[2:]) if len(at) > 2 else None
        rows = compartment_rows.next_page(ctx.db, ctx.tenant.id, members, place, count + 2)
    _fill(ctx, page, wanted, at, rows)
    if not log.done:
        ctx.db.run([log.apart(page.rids)], final=True)
    return FhirResponse(200, _bundle(ctx, call, scope, page, whole=first and page.next is None))


def _present(own: Focus | None, compartment: str, resource_id: str) -> Focus:
    if own is None:
        raise NotFound(f"{compartment}/{resource_id} is not known here.")
    if own.deleted:
        raise Gone(f"{compartment}/{resource_id} was deleted.", headers={"ETag": f'W/"{own.version}"'})
    return own


def _fill(ctx: Context, page: _Page, wanted: _Wanted, at: Sequence[Any], rows: Sequence[Row]) -> None:
    """Members as far as there is room, then what they refer to.

    A cursor is `["m", focus, key, ts, rid]` after that member (`["m", focus]` before the first), or
    `["r", focus, rid]` after that referenced resource.
    """
    kind, focus, after = at[0], at[1], 0
    rids = [focus]
    if kind == "m":
        mine = [row for row in rows if int(row[2] or 0) != focus]
        shown = mine[: page.room]
        _add(ctx, page, shown, b"match")
        if len(mine) > len(shown):
            page.next = ["m", focus, *(int(v or 0) for v in shown[-1][:3])] if shown else list(at)
            return
        rids += [int(row[2] or 0) for row in mine]
    else:
        after = at[2]
    if not wanted.followed:
        return
    types = [ctx.registry.type_ids[name] for name in wanted.followed]
    whole = kind == "m" and len(at) == 2 and not wanted.narrowed
    found = compartment_rows.referenced(
        ctx.db,
        ctx.tenant.id,
        rids,
        None if whole else wanted.sources,
        wanted.members,
        types,
        without=wanted.both,
        after=after,
        limit=page.room + 1,
        log=lambda statement: page.log(statement, page.rids),
    )
    shown = found[: page.room]
    if len(found) > len(shown):
        page.next = ["r", focus, int(shown[-1][2] or 0) if shown else after]
    _add(ctx, page, shown, b"include")


def _add(ctx: Context, page: _Page, rows: Sequence[Row], mode: bytes) -> None:
    base, names = ctx.base.encode(), ctx.registry.type_names
    page.entries += [entry(base, names, row, mode) for row in rows]
    page.rids += [int(row[-4] or 0) for row in rows]
    page.room -= len(rows)


def _types(ctx: Context, call: OperationCall) -> frozenset[str]:
    """The types that are asked for and that the caller may see."""
    asked = [name for value in call.parameters.get("_type", ()) for name in value.split(",")]
    for name in asked:
        if name not in ctx.registry.type_ids:
            raise Invalid("_type takes names of resource types.", expression="http._type", code="value")
    wanted = frozenset(asked or ctx.registry.resource_types)
    readable = policy.readable_types(ctx, "r")
    return wanted if readable is None else wanted & readable


def _wanted(ctx: Context, call: OperationCall, compartment: str, resource_id: str, types: frozenset[str]) -> _Wanted:
    readable = policy.readable_types(ctx, "r")
    names = [n for n in ctx.registry.compartments[compartment] if readable is None or n in readable]
    asked, period = call.parameters, _period(call.parameters)
    followed = sorted(_followed(ctx.registry, compartment) & types)
    sources = Members(
        keys=[compartment_key(compartment, resource_id, name) for name in names],
        period=period,
        dates=[param_id(n, code) for n in names if (code := primary_date(n)) is not None] if period else (),
        rule=policy.rule(ctx, (*names, *followed), "r"),
    )
    members = sources
    if "_type" in asked or "_since" in asked:
        keys = [key for name, key in zip(names, sources.keys, strict=True) if name in types]
        members = replace(sources, keys=keys, since=parse_range(asked["_since"])[0] if "_since" in asked else None)
    both = [key for name, key in zip(names, sources.keys, strict=True) if name in followed]
    return _Wanted(members, sources, followed, both)


def _period(asked: dict[str, Any]) -> tuple[int, int] | None:
    if "start" not in asked and "end" not in asked:
        return None
    lo = parse_range(asked["start"])[0] if "start" in asked else MIN_US
    hi = parse_range(asked["end"])[1] if "end" in asked else MAX_US
    if lo >= hi:
        raise Invalid("start must not be after end.", expression="http.start", code="value")
    return lo, hi


def _count(call: OperationCall) -> int:
    count = call.parameters.get("_count", MOST)
    if count < 1:
        raise Invalid("_count takes a whole number from 1.", expression="http._count", code="value")
    return min(int(count), MOST)


def _position(ctx: Context, call: OperationCall, scope: str) -> list[Any] | None:
    cursors = [value for name, value in call.extra if name == "_cursor"]
    if len(cursors) > 1:
        raise NotSupported("_cursor comes from one page link.", expression="http._cursor")
    at: list[Any] | None = unseal(ctx.cursor_key, scope, cursors[0]) if cursors else None
    return at


def _query(call: OperationCall) -> str:
    """The call's parameters as a query, in the order of the definition."""
    pairs: list[tuple[str, str]] = []
    for name, value in call.parameters.items():
        pairs += [(name, str(each)) for each in (value if isinstance(value, list) else [value])]
    return urlencode(pairs, safe="/:,|")


def _bundle(ctx: Context, call: OperationCall, scope: str, page: _Page, *, whole: bool) -> bytes:
    url, query = f"{ctx.base}/{call.path}", _query(call)
    links = [link("self", f"{url}?{query}" if query else url)]
    if page.next is not None:
        cursor = f"_cursor={seal(ctx.cursor_key, scope, page.next)}"
        links.append(link("next", f"{url}?{query}&{cursor}" if query else f"{url}?{cursor}"))
    return bundle("searchset", page.entries, links=links, total=len(page.entries) if whole else None)


@lru_cache(maxsize=64)
def _followed(registry: Registry, compartment: str) -> frozenset[str]:
    """The types of which referenced resources are added: those that no patient's compartment holds, and those that the
    compartment's own resource refers to. So a reference never leads into another patient's record."""
    shared = set(registry.resource_types) - set(registry.compartments[_PATIENT])
    own = {
        target
        for structure in registry.structures.values()
        if structure.name == compartment or structure.name.startswith(f"{compartment}.")
        for element in structure.elements.values()
        for target in element.targets
    }
    return frozenset((shared | own) - {compartment}) & frozenset(registry.resource_types)
