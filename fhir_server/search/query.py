"""A search as asked: conditions, order, paging, includes and what the answer shall hold.

https://hl7.org/fhir/R4/search.html#all
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from fhir_server.conformance.registry import Registry
from fhir_server.core.errors import Forbidden, Invalid, Issue, NotSupported
from fhir_server.core.keys import compartment_key, type_key
from fhir_server.search import bounds
from fhir_server.search import filter as filter_expression
from fhir_server.search.asked import UNSTORED, Asker, UnsupportedParameter
from fhir_server.search.include import Include, parse_include
from fhir_server.search.leaves import Keys, Self, Updated, either
from fhir_server.search.merge import merged
from fhir_server.search.order import parse_sort
from fhir_server.search.sort import SortKey
from fhir_server.search.terms import condition, unknown
from fhir_server.search.tree import PROBE, SURE, And, Node, Nothing, TypeIs, any_of, conjuncts
from fhir_server.search.types.reference import personal_types

# Parameters of the edge, and of clients that send more than they need (fhirpy's count()).
_IGNORED = frozenset({"_format", "_pretty", "_totalMethod"})
_TOTALS = ("none", "estimate", "accurate")
_SUMMARIES = ("true", "text", "data", "count", "false")
_RESULT_NAMES = (
    "_sort", "_count", "_include", "_revinclude", "_summary", "_elements", "_total", "_contained", "_type",
)  # fmt: skip


@dataclass(slots=True)
class Query:
    """A parsed search. `nodes` must all hold; `base` is every resource of the types; `kept`: the parameters that
    were processed, for the self link; `dropped`: what was ignored under lenient handling."""

    types: tuple[str, ...]
    nodes: list[Node]
    base: Keys
    keys: tuple[SortKey, ...] = ()
    count: int = 0
    total: str | None = None
    count_only: bool = False
    summary: str | None = None
    elements: tuple[str, ...] = ()
    includes: list[Include] = field(default_factory=list)
    cursor: str | None = None
    kept: list[tuple[str, str]] = field(default_factory=list)
    dropped: list[Issue] = field(default_factory=list)
    sort: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """Page sizes of the server."""

    page_size: int
    max_page_size: int


def parse(
    asker: Asker,
    types: Sequence[str],
    pairs: Sequence[tuple[str, str]],
    *,
    limits: Limits,
    compartment: tuple[str, str] | None = None,
    lenient: bool = False,
) -> Query:
    """The query of these parameters on resources of `types` (all readable). Raises `Invalid` or `NotSupported`."""
    chosen = _chosen_types(asker, types, pairs)
    query = Query(chosen, [], Keys(tuple([type_key(name) for name in chosen])), count=limits.page_size)
    for name, value in pairs:
        try:
            if _parameter(asker, query, name, value, limits):
                query.kept.append((name, value))
        except UnsupportedParameter as error:
            if not lenient:
                raise
            _drop(query, error)
    bounds.check(len(query.nodes), bounds.MOST_CONDITIONS, "conditions", "http.query")
    bounds.check(len(query.includes), bounds.MOST_INCLUDES, "includes", "http._include")
    if compartment is not None:
        rank = SURE if compartment[0] in personal_types(asker.registry) else PROBE
        query.nodes.append(Keys(tuple([compartment_key(*compartment, name) for name in chosen]), True, rank))
    query.nodes = [*merged(query.nodes), *_visible(asker, chosen)]
    if not chosen:
        query.nodes.append(Nothing())
    _order(asker, query, lenient)
    return query


def _order(asker: Asker, query: Query, lenient: bool) -> None:
    try:
        query.keys = parse_sort(asker.registry, query.types, query.sort)
    except UnsupportedParameter as error:
        if not lenient:
            raise
        _drop(query, error)
        query.kept = [(name, value) for name, value in query.kept if name != "_sort"]
        query.keys = parse_sort(asker.registry, query.types, "")


def _drop(query: Query, error: UnsupportedParameter) -> None:
    issue = error.issues[0]
    query.dropped.append(Issue("warning", issue.code, issue.text, issue.expression))


def conditions(asker: Asker, resource_type: str, pairs: Sequence[tuple[str, str]]) -> list[Node]:
    """The conditions alone, for conditional interactions: result parameters are not allowed, and there must be one."""
    nodes: list[Node] = []
    for name, value in pairs:
        if name not in _IGNORED:
            nodes.extend(_condition(asker, (resource_type,), name, value))
    bounds.check(len(nodes), bounds.MOST_CONDITIONS, "conditions", "http.query")
    if not nodes:
        raise Invalid("A condition needs at least one search parameter.", expression="http.query")
    return [*merged(nodes), *_visible(asker, (resource_type,))]


def _chosen_types(asker: Asker, types: Sequence[str], pairs: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """The types to search: those that `_type` names, if it is there."""
    chosen = set(types)
    named = [name for key, value in pairs if key == "_type" for name in value.split(",") if name]
    for name in named:
        if name not in asker.registry.type_ids:
            raise Invalid("_type takes names of resource types.", expression="http._type", code="value")
        if name in UNSTORED:
            raise NotSupported(f"{name} can only be searched by itself: GET {name}.", expression="http._type")
        if not asker.sees(name):
            raise Forbidden(f"The token's scopes do not allow to search {name}.", expression="http._type")
    for key, value in pairs:
        if key == "_type":
            chosen &= set(value.split(","))
    return tuple(sorted(chosen)) if named else tuple(types)


def _parameter(asker: Asker, query: Query, name: str, value: str, limits: Limits) -> bool:
    """Take one parameter into the query; whether it belongs in the self link."""
    control = _CONTROLS.get(name) if name[:1] == "_" else None
    if control is not None:
        control(query, value, limits)
        return name != "_cursor"
    if name in _IGNORED:
        return True
    if name[:8] == "_include" or name[:11] == "_revinclude":
        query.includes.extend(parse_include(asker.registry, query.types, name, value))
        return True
    query.nodes.extend(_condition(asker, query.types, name, value))
    return True


def _condition(asker: Asker, types: Sequence[str], name: str, value: str) -> list[Node]:
    if value == "":
        raise Invalid(f"{name} has no value.", expression=f"http.{name}", code="value")
    if "\x00" in value:
        raise Invalid(f"{name} contains U+0000, which no value can.", expression=f"http.{name}", code="value")
    if name == "_filter":
        parts = [filter_expression.parse(asker, resource_type, value) for resource_type in types]
    else:
        if name in _RESULT_NAMES:
            raise UnsupportedParameter(f"{name} cannot be used here.", expression=f"http.{name}")
        parts = _of_types(asker, types, name, value)
    if len(types) == 1:
        return conjuncts(parts[0])
    return [_merged(asker.registry, types, parts)]


def _of_types(asker: Asker, types: Sequence[str], name: str, value: str) -> list[Node]:
    try:
        return [condition(asker.registry, resource_type, name)(value, asker) for resource_type in types]
    except UnsupportedParameter as error:
        if len(types) == 1 and name.partition(":")[0] in _RESULT_NAMES:
            raise unknown(types[0], name, name, _RESULT_NAMES) from None
        raise error


def _merged(registry: Registry, types: Sequence[str], parts: Sequence[Node]) -> Node:
    """One condition on resources of several types, from the condition of each."""
    if all(isinstance(part, Keys) for part in parts):
        return either(parts)
    if all(isinstance(part, Self) for part in parts):
        return Self(tuple(key for part in parts if isinstance(part, Self) for key in part.keys))
    ids = tuple(registry.type_ids[name] for name in types)
    first = parts[0] if parts else Nothing()
    if isinstance(first, Updated):
        return Updated(ids, first.lo, first.hi)
    return any_of([And((TypeIs((id_,)), part)) for id_, part in zip(ids, parts, strict=True)])


def _visible(asker: Asker, types: Sequence[str]) -> list[Node]:
    return list(asker.limits(types[0]) if len(types) == 1 else asker.limits_of(types))


def _count(query: Query, value: str, limits: Limits) -> None:
    if not (value.isascii() and value.isdigit()):
        raise Invalid("_count takes a whole number from 0.", expression="http._count", code="value")
    wanted = int(value[:9])
    query.count = min(wanted, limits.max_page_size)
    query.count_only = query.count_only or wanted == 0


def _total(query: Query, value: str, limits: Limits) -> None:
    if value not in _TOTALS:
        raise Invalid(f"_total takes one of {', '.join(_TOTALS)}.", expression="http._total", code="value")
    query.total = value


def _summary(query: Query, value: str, limits: Limits) -> None:
    if value not in _SUMMARIES:
        raise Invalid(f"_summary takes one of {', '.join(_SUMMARIES)}.", expression="http._summary", code="value")
    query.count_only = query.count_only or value == "count"
    query.summary = value if value in ("true", "text", "data") else None


def _elements(query: Query, value: str, limits: Limits) -> None:
    query.elements += tuple(part.strip() for part in value.split(",") if part.strip())


def _sort(query: Query, value: str, limits: Limits) -> None:
    query.sort = f"{query.sort},{value}" if query.sort else value


def _cursor(query: Query, value: str, limits: Limits) -> None:
    query.cursor = value


def _contained(query: Query, value: str, limits: Limits) -> None:
    if value != "false":
        raise NotSupported(
            "Contained resources are not found by search (_contained=false).", expression="http._contained"
        )


def _nothing(query: Query, value: str, limits: Limits) -> None:
    return None


_CONTROLS: dict[str, Callable[[Query, str, Limits], None]] = {
    "_count": _count,
    "_total": _total,
    "_summary": _summary,
    "_elements": _elements,
    "_sort": _sort,
    "_cursor": _cursor,
    "_contained": _contained,
    "_type": _nothing,
}
