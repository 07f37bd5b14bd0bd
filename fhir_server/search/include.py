"""`_include` and `_revinclude`: what else goes into the page. https://hl7.org/fhir/R4/search.html#revinclude"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from fhir_server.conformance.registry import Registry
from fhir_server.core.errors import Invalid
from fhir_server.core.keys import param_id, self_key
from fhir_server.search.asked import UNSTORED, Asker, UnsupportedParameter
from fhir_server.search.terms import unknown
from fhir_server.search.tree import TypeIs
from fhir_server.storage import wire
from fhir_server.storage.session import Statement
from fhir_server.storage.writer import Writer

_FORM = "[type]:[reference parameter] or [type]:[reference parameter]:[target type], or * for every reference"


@dataclass(frozen=True, slots=True)
class Include:
    """One include. `source`: type that holds the reference, None for any; `params`: its parameter ids, () for any;
    `target`: only targets of the type; `iterate`: apply to included resources too."""

    reverse: bool
    iterate: bool
    source: str | None
    params: tuple[int, ...]
    target: str | None


def parse_include(registry: Registry, types: Sequence[str], name: str, value: str) -> list[Include]:
    """The includes of one parameter, `_include:iterate=Type:param,…`. Raises `Invalid`, `UnsupportedParameter`."""
    head, _, modifier = name.partition(":")
    if head not in ("_include", "_revinclude") or modifier not in ("", "iterate", "recurse"):
        raise UnsupportedParameter(f"{head} takes the modifier :iterate only.", expression=f"http.{name}")
    reverse = head == "_revinclude"
    return [_one(registry, name, part, reverse, modifier != "") for part in value.split(",")]


def _one(registry: Registry, name: str, value: str, reverse: bool, iterate: bool) -> Include:
    if value == "*":
        return Include(reverse, iterate, None, (), None)
    parts = value.split(":")
    if not 2 <= len(parts) <= 3 or parts[0] not in registry.type_ids:
        raise Invalid(f"{name} takes {_FORM}.", expression=f"http.{name}", code="value")
    source, code = parts[0], parts[1]
    if source in UNSTORED:
        raise UnsupportedParameter(f"{source} can only be searched by itself.", expression=f"http.{name}")
    target = parts[2] if len(parts) == 3 else None
    if target is not None and target not in registry.type_ids:
        raise Invalid(f"{name} takes {_FORM}.", expression=f"http.{name}", code="value")
    references = {c: p for c, p in registry.search_params(source).items() if p.type == "reference"}
    if code == "*":
        return Include(reverse, iterate, source, tuple(param_id(source, c) for c in references), target)
    if code not in references:
        raise unknown(source, code, name, list(references))
    return Include(reverse, iterate, source, (param_id(source, code),), target)


@dataclass(frozen=True, slots=True)
class Source:
    """A resource in the page, as far as includes care."""

    rid: int
    type: str
    id: str


def statement(asker: Asker, tenant_id: int, include: Include, rows: Sequence[Source], limit: int) -> Statement | None:
    """The statement that reads what one include adds to these rows; None when it cannot add anything."""
    if include.reverse:
        return _reverse(asker, tenant_id, include, rows, limit)
    sources = [row for row in rows if include.source in (None, row.type)]
    if not sources:
        return None
    types = None if include.target is None else [include.target]
    w = Writer(tenant_id)
    params = f" AND param = ANY({w.p(wire.integers(include.params))}::int[])" if include.params else ""
    rids = w.p(wire.bigints([row.rid for row in sources]))
    where = f"tenant_id = $1 AND rid = ANY({rids}::bigint[]){params}"
    inner = f"SELECT DISTINCT target FROM reference WHERE {where} ORDER BY target"
    return _read(asker, w, inner, "z.self_key = x.target", types, limit)


def _reverse(asker: Asker, tenant_id: int, include: Include, rows: Sequence[Source], limit: int) -> Statement | None:
    targets = [row for row in rows if include.target in (None, row.type)]
    if not targets:
        return None
    types = None if include.source is None else [include.source]
    w = Writer(tenant_id)
    params = f" AND param = ANY({w.p(wire.integers(include.params))}::int[])" if include.params else ""
    keys = w.p(wire.bigints([self_key(row.type, row.id) for row in targets]))
    where = f"tenant_id = $1 AND target = ANY({keys}::bigint[]){params}"
    inner = f"SELECT DISTINCT rid FROM reference WHERE {where} ORDER BY rid"
    return _read(asker, w, inner, "z.rid = x.rid", types, limit)


@lru_cache(maxsize=1024)
def _visible(
    registry: Registry, types: tuple[str, ...] | None, readable: frozenset[str] | None
) -> tuple[str, ...]:
    """Of the types (None: of all), those of which rows may be seen."""
    asked = registry.resource_types if types is None else types
    return tuple([name for name in asked if readable is None or name in readable])


def _read(
    asker: Asker, w: Writer, inner: str, join: str, types: Sequence[str] | None, limit: int
) -> Statement | None:
    """The included rows that the caller may see. `inner` is ordered, so that neither their order nor where the limit
    cuts tells of rows that are hidden."""
    visible = _visible(asker.registry, None if types is None else tuple(types), asker.readable)
    if not visible:
        return None
    checks = ""
    if types is not None or len(visible) < len(asker.registry.resource_types):
        ids = asker.registry.type_ids
        checks = f" AND {TypeIs(tuple([ids[name] for name in visible])).where(w, 'z')}"
    rule = asker.rule(visible)
    if rule is not None:
        checks += f" AND {rule(w, 'z')}"
    where = f"z.tenant_id = $1 AND {join} AND NOT z.deleted{checks}"
    row = f"SELECT rid, type_id, id, version, body FROM resource z WHERE {where} OFFSET 0"
    sql = f"SELECT r.* FROM ({inner} OFFSET 0) x CROSS JOIN LATERAL ({row}) r LIMIT {w.p(limit)}"
    return sql, w.params
