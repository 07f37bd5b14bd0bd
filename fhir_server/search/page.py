"""The SQL of one page: rows in a total order from a driver or an ordered walk, after a position, with their bodies.

Join order is written, not left to the planner: LATERAL subqueries with OFFSET 0 are not flattened, so an index is read
in its order, each row is checked where it stands, and LIMIT stops the walk. Only leakproof comparisons are index
conditions. Columns of a page: `rid, type_id, id, version, body, k0, k1 …`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from fhir_server.search.sort import SortKey
from fhir_server.search.tree import Node, Walk, resources
from fhir_server.storage import wire
from fhir_server.storage.writer import Writer

_FAR_US = 253_500_000_000_000_000


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page ended: the sort values as PostgreSQL's text, and the rid."""

    values: tuple[str | None, ...]
    rid: int


@dataclass(frozen=True, slots=True)
class Ask:
    """What a page statement answers. `keys`: never empty; `newest`: rows made later than this rid do not count;
    `bounds`: SQL conditions on `ts` of an ordered walk."""

    tenant_id: int
    filters: Sequence[Node]
    keys: Sequence[SortKey]
    after: Position | None
    newest: int | None
    limit: int

    @property
    def desc(self) -> bool:
        """Direction of the tie-break."""
        return self.keys[-1].desc


def materialized(ask: Ask, driver: Node) -> tuple[str, Writer]:
    """Every row of a driver, filtered and sorted; for drivers with few rows."""
    w = Writer(ask.tenant_id)
    source = resources(w, driver)
    checks = _checks(ask, w, "r", [n for n in ask.filters if n is not driver])
    values = "".join([f", {key.value(w, 'r')} AS k{i}" for i, key in enumerate(ask.keys)])
    names = _names("m", ask.keys)
    after = _after(ask, w, names, "m.rid")
    page = (
        f"SELECT m.* FROM {source} d CROSS JOIN LATERAL (SELECT r.rid{values}"
        f" FROM resource r WHERE r.tenant_id = $1 AND r.rid = d.rid AND NOT r.deleted{checks} OFFSET 0) m"
        f"{f' WHERE {after}' if after else ''} ORDER BY {_order(ask, names, 'm.rid')} LIMIT {w.p(ask.limit)}"
    )
    return _with_bodies(ask, page), w


def walked(ask: Ask, w: Writer, walk: Walk, bounds: str, driver: Node | None = None) -> str:
    """An index read in the order of the first key, until the page is full."""
    if walk.branches:
        return _merged(ask, w, walk, bounds, driver)
    inner, names = _walk(ask, w, walk, bounds, driver, "r.rid, r.type_id, r.id, r.version, r.body")
    columns = "".join([f", {name}::text" for name in names])
    return f"SELECT r.rid, r.type_id, r.id, r.version, r.body{columns} FROM {inner}"


def _merged(ask: Ask, w: Writer, walk: Walk, bounds: str, driver: Node | None) -> str:
    """The walk of each branch as far as the page needs, merged; a row of several branches once."""
    inner, names = _walk(ask, w, walk, bounds, driver, "r.rid")
    columns = "".join([f", {name} AS k{i}" for i, name in enumerate(names)])
    merged = _names("m", ask.keys)
    page = (
        f"SELECT DISTINCT m.* FROM {walk.branches} CROSS JOIN LATERAL (SELECT r.rid{columns} FROM {inner}) m"
        f" ORDER BY {_order(ask, merged, 'm.rid')} LIMIT {w.p(ask.limit)}"
    )
    return _with_bodies(ask, page)


def _walk(
    ask: Ask, w: Writer, walk: Walk, bounds: str, driver: Node | None, columns: str
) -> tuple[str, list[str]]:
    first = ask.keys[0]
    way = _way(first.desc)
    start = _start(ask, w, walk.column)
    extra = ", hi" if walk.first and walk.table != "string" else ""
    checks = _checks(ask, w, "r", [n for n in ask.filters if n is not driver])
    if walk.first:
        checks += f" AND {walk.first}"
    values = "".join([f", {key.value(w, 'r')} AS k{i}" for i, key in enumerate(ask.keys) if i])
    names = ["d.k0", *[f"r.k{i}" for i in range(1, len(ask.keys))]]
    after = _after(ask, w, names, "d.rid") if len(ask.keys) > 1 else ""
    return (
        f"(SELECT {walk.column} AS k0, rid{extra} FROM {walk.table} WHERE {walk.where}{bounds}{start}"
        f" ORDER BY {walk.column} {way}, rid {_way(ask.desc)} OFFSET 0) d CROSS JOIN LATERAL (SELECT {columns}{values}"
        f" FROM resource r WHERE r.tenant_id = $1 AND r.rid = d.rid AND NOT r.deleted{checks} OFFSET 0) r"
        f"{f' WHERE {after}' if after else ''} ORDER BY {_order(ask, names, 'd.rid')} LIMIT {w.p(ask.limit)}"
    ), names


def _start(ask: Ask, w: Writer, column: str) -> str:
    """The index condition that begins the walk at the position."""
    if ask.after is None or ask.after.values[0] is None:
        return ""
    cast = ask.keys[0].cast
    value = f"{w.p(ask.after.values[0])}::{cast}"
    sign = "<" if ask.keys[0].desc else ">"
    if len(ask.keys) == 1:
        return f" AND ({column}, rid) {sign} ({value}, {w.p(ask.after.rid)})"
    return f" AND {column} {sign}= {value}"


def ranked(ask: Ask, w: Writer, keys: Sequence[int], driver: Node | None) -> str:
    """Rows by the position of their code in a closed list, then by time: one walk of `token` for each code.

    `ask.keys` is the rank and the time. A resource with several of the codes stands at its first.
    """
    rank, time = ask.keys
    order = list(range(1, len(keys) + 1))
    if ask.after is not None and ask.after.values[0] is not None:
        at = int(ask.after.values[0])
        order = [o for o in order if (o <= at if rank.desc else o >= at)]
    at_code = ask.after is not None and ask.after.values[0] is not None
    far = -_FAR_US if not time.desc else _FAR_US
    stamps, rids = [far] * len(order), [2**63 - 1 if time.desc else -1] * len(order)
    branches = (
        f"unnest({w.p(wire.bigints([keys[o - 1] for o in order]))}::bigint[],"
        f" {w.p(wire.bigints(order))}::bigint[], {w.p(wire.timestamps(stamps))}::timestamptz[],"
        f" {w.p(wire.bigints(rids))}::bigint[]) b(v, o, ts, rid)"
    )
    sign, way = ("<", "DESC") if time.desc else (">", "ASC")
    begin = f"({'b.ts'}, b.rid)"
    if at_code and ask.after is not None:
        here = w.p(int(ask.after.values[0] or 0))
        stamp = f"CASE WHEN b.o = {here} THEN {w.p(ask.after.values[1])}::timestamptz ELSE b.ts END"
        rid = f"CASE WHEN b.o = {here} THEN {w.p(ask.after.rid)}::bigint ELSE b.rid END"
        begin = f"({stamp}, {rid})"
    checks = _checks(ask, w, "r", [n for n in ask.filters if n is not driver])
    mine = f"b.o = {rank.value(w, 'r')}"
    page = (
        f"SELECT m.* FROM {branches} CROSS JOIN LATERAL (SELECT d.rid, b.o AS k0, d.ts AS k1 FROM (SELECT ts, rid"
        f" FROM token WHERE tenant_id = $1 AND key = b.v AND (ts, rid) {sign} {begin} ORDER BY ts {way}, rid {way}"
        f" OFFSET 0) d CROSS JOIN LATERAL (SELECT r.rid FROM resource r WHERE r.tenant_id = $1 AND r.rid = d.rid"
        f" AND NOT r.deleted AND {mine}{checks} OFFSET 0) r ORDER BY d.ts {way}, d.rid {way} LIMIT {w.p(ask.limit)}) m"
        f" ORDER BY {_order(ask, _names('m', ask.keys), 'm.rid')} LIMIT {w.p(ask.limit)}"
    )
    return _with_bodies(ask, page)


def counted(tenant_id: int, driver: Node, filters: Sequence[Node], most: int | None = None) -> tuple[str, Writer]:
    """How many resources a driver gives after the filters, counting no further than `most`."""
    w = Writer(tenant_id)
    limit = "" if most is None else f" LIMIT {most}"
    return f"SELECT count(*) FROM ({every(w, driver, filters)}{limit}) q", w


def every(w: Writer, driver: Node, filters: Sequence[Node]) -> str:
    """A SELECT of the rid of every match, each once."""
    source = resources(w, driver)
    rest = [n for n in filters if n is not driver]
    if not rest:
        return f"SELECT d.rid FROM {source} d"
    checks = "".join([f" AND {n.where(w, 'r')}" for n in rest])
    return (
        f"SELECT d.rid FROM {source} d CROSS JOIN LATERAL (SELECT 1 FROM resource r"
        f" WHERE r.tenant_id = $1 AND r.rid = d.rid AND NOT r.deleted{checks} OFFSET 0) r"
    )


def _with_bodies(ask: Ask, page: str) -> str:
    names = _names("p", ask.keys)
    columns = "".join([f", {name}::text" for name in names])
    return (
        f"SELECT p.rid, b.type_id, b.id, b.version, b.body{columns} FROM ({page}) p CROSS JOIN LATERAL"
        f" (SELECT type_id, id, version, body FROM resource WHERE tenant_id = $1 AND rid = p.rid OFFSET 0) b"
        f" ORDER BY {_order(ask, names, 'p.rid')}"
    )


def _checks(ask: Ask, w: Writer, row: str, filters: Sequence[Node]) -> str:
    parts = [f" AND {n.where(w, row)}" for n in filters]
    if ask.newest is not None:
        parts.append(f" AND {row}.rid <= {w.p(ask.newest)}")
    return "".join(parts)


def _names(alias: str, keys: Sequence[SortKey]) -> list[str]:
    return [f"{alias}.k{i}" for i in range(len(keys))]


def _way(desc: bool) -> str:
    return "DESC" if desc else "ASC"


def _order(ask: Ask, names: Sequence[str], rid: str) -> str:
    parts = [
        f"{name} {_way(key.desc)}{' NULLS LAST' if key.nullable and name[0] != 'd' else ''}"
        for name, key in zip(names, ask.keys, strict=True)
    ]
    return ", ".join([*parts, f"{rid} {_way(ask.desc)}"])


def _after(ask: Ask, w: Writer, names: Sequence[str], rid: str) -> str:
    """The condition that a row comes after the position: later in a key, equal in all before it."""
    if ask.after is None:
        return ""
    later, equal = [], []
    for name, key, value in zip(names, ask.keys, ask.after.values, strict=True):
        if value is None:
            equal.append(f"{name} IS NULL")
            continue
        at = f"{w.p(value)}::{key.cast}"
        beyond = f"{name} {'<' if key.desc else '>'} {at}"
        if key.nullable:
            beyond = f"({beyond} OR {name} IS NULL)"
        later.append(" AND ".join([*equal, beyond]))
        equal.append(f"{name} = {at}")
    later.append(" AND ".join([*equal, f"{rid} {'<' if ask.desc else '>'} {w.p(ask.after.rid)}"]))
    return "(" + " OR ".join([f"({each})" for each in later]) + ")"
