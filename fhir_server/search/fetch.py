"""Running a search: choose a driver, read one page, count."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec

from fhir_server.search import drive, page, plans, timebounds
from fhir_server.search.page import Ask, Position
from fhir_server.search.sort import Column, Ranked, Rest, SortKey
from fhir_server.search.tree import Node, Timed
from fhir_server.storage.session import Row, Session, Statement
from fhir_server.storage.writer import Writer

# Columns of a row before its sort values: rid, type_id, id, version, body.
RID, TYPE_ID, ID, VERSION, BODY, FIXED = range(6)
_COUNTED_EXACTLY = 3000


@dataclass(frozen=True, slots=True)
class Search:
    """What to find. `base`: every resource of the types, in time order, when no condition can drive. `primary`: id of
    the date parameter that a resource's own time is taken from, when it has at most one value."""

    tenant_id: int
    nodes: Sequence[Node]
    base: Timed
    keys: tuple[SortKey, ...]
    primary: int | None = None


@dataclass(frozen=True, slots=True)
class _Absent:
    """The row has no value of a sort key."""

    key: SortKey
    rank: ClassVar[int | None] = None
    once: ClassVar[bool] = False

    def where(self, w: Writer, row: str) -> str:
        return self.key.absent(w, row)

    def rows(self, w: Writer) -> str:
        raise TypeError("absence does not drive")


@dataclass(slots=True)
class Plan:
    """The chosen way. `few`: collect the driver's rows; else walk in order, by time from `timed`."""

    driver: Node | None
    few: bool
    timed: Timed
    densities: dict[Node, drive.Density]


def make_plan(db: Session, search: Search) -> Plan:
    """Choose the driver, counting candidates when that is needed (one round trip, remembered for a minute)."""
    by_time = _by_time(search.keys[0])
    sure = drive.surely(search.nodes, by_time)
    if sure is not None:
        if drive.is_timed(sure):
            return Plan(sure, not by_time, sure, {})
        return Plan(sure, True, search.base, {})
    able = drive.worth_counting(search.nodes)
    if not able:
        return Plan(None, False, search.base, {})
    densities = _densities(db, search.tenant_id, able, drive.DENSE if by_time else drive.DENSE_SORTED)
    choice = drive.choose(densities, by_time)
    timed: Timed = drive.sparsest(densities) or search.base
    if choice.few and by_time and choice.driver is not None and drive.is_timed(choice.driver):
        return Plan(choice.driver, False, choice.driver, densities)
    return Plan(choice.driver, choice.few, timed, densities)


def _by_time(key: SortKey) -> bool:
    return isinstance(key, Rest) or (isinstance(key, Column) and key.column == "ts")


def _densities(db: Session, tenant_id: int, nodes: Sequence[Node], limit: int) -> dict[Node, drive.Density]:
    found, unknown = drive.recall(tenant_id, nodes, limit)
    if unknown:
        results = plans.run(db, [drive.probe(tenant_id, node, limit) for node in unknown])
        for node, rows in zip(unknown, results, strict=True):
            found[node] = drive.density(rows[0], limit)
            drive.remember(tenant_id, node, found[node])
    return found


def read_page(
    db: Session,
    search: Search,
    plan: Plan,
    limit: int,
    *,
    after: Position | None = None,
    newest: int | None = None,
    extra: Sequence[Statement] = (),
    log: Callable[[Statement], Statement] | None = None,
) -> tuple[list[Row], list[list[Row]]]:
    """At most `limit` rows after a position, in order, and the results of `extra` statements sent along.

    `log` adds the audit entry to the page's statement; where one statement reads the whole page it is used, and nothing
    follows in the transaction.

    A row is `rid, type_id, id, version, body` and its sort values, as PostgreSQL's text.
    """
    stages = _stages(search, plan, after)
    found: list[Row] = []
    results: list[list[Row]] = []
    for number, (nulls, keys, start) in enumerate(stages):
        statement = _statement(search, plan, keys, nulls, start, newest, limit - len(found))
        final = log is not None and len(stages) == 1
        if log is not None and final:
            statement = log(statement)
        sent = [statement, *(extra if number == 0 else ())]
        answers = plans.run(db, sent, final=final)
        found += [row[:FIXED] + (None,) * nulls + row[FIXED:] for row in answers[0]] if nulls else answers[0]
        if number == 0:
            results = answers[1:]
        if len(found) >= limit:
            break
    return found, results


def _stages(
    search: Search, plan: Plan, after: Position | None
) -> list[tuple[int, tuple[SortKey, ...], Position | None]]:
    """The statements that may be needed: rows with the first key, then rows without it by the next, and so on.

    `(keys that are null, keys to order by, position)`. One statement is enough when a driver's rows are collected.
    """
    keys = search.keys
    nulls = 0
    if after is not None and not plan.few:
        while nulls < len(keys) - 1 and after.values[nulls] is None and _staged(keys[nulls:]):
            nulls += 1
    stages = []
    while True:
        start = Position(after.values[nulls:], after.rid) if after is not None else None
        stages.append((nulls, keys[nulls:], start))
        if plan.few or not keys[nulls].nullable or nulls == len(keys) - 1 or not _staged(keys[nulls:]):
            return stages
        nulls += 1
        after = None


def _staged(keys: Sequence[SortKey]) -> bool:
    """Whether the first key is walked in an index, which does not have the rows without a value."""
    return _is_ranked_walk(keys) or keys[0].walk(Writer(0)) is not None


def _is_ranked_walk(keys: Sequence[SortKey]) -> bool:
    return isinstance(keys[0], Ranked) and len(keys) == 2 and isinstance(keys[1], Column) and keys[1].column == "ts"


def _statement(
    search: Search,
    plan: Plan,
    keys: tuple[SortKey, ...],
    nulls: int,
    after: Position | None,
    newest: int | None,
    limit: int,
) -> Statement:
    filters: list[Node] = [*search.nodes, *[_Absent(key) for key in search.keys[:nulls]]]
    if isinstance(keys[0], Rest):
        keys = (Column("ts", keys[0].desc),)
    ask = Ask(search.tenant_id, filters, keys, after, newest, limit)
    if plan.few and plan.driver is not None:
        sql, w = page.materialized(ask, plan.driver)
        return sql, w.params
    w = Writer(search.tenant_id)
    if _by_time(keys[0]):
        bounds = timebounds.conditions(w, search.nodes, search.primary)
        return page.walked(ask, w, plan.timed.walk(w), bounds, plan.timed), w.params
    if _is_ranked_walk(keys) and isinstance(keys[0], Ranked):
        return page.ranked(ask, w, keys[0].keys, None), w.params
    walk = keys[0].walk(w)
    if walk is not None:
        return page.walked(ask, w, walk, ""), w.params
    sql, w = page.materialized(ask, plan.driver or plan.timed)
    return sql, w.params


def position(row: Row) -> Position:
    """The position after a row of a page."""
    return Position(tuple([None if v is None else v.decode() for v in row[FIXED:]]), int(row[RID] or 0))


def count_statement(search: Search, plan: Plan) -> Statement:
    """The statement that counts every match."""
    driver = plan.driver
    if driver is None:
        by_rows = sorted((d.rows, i) for i, d in enumerate(plan.densities.values()))
        driver = list(plan.densities)[by_rows[0][1]] if by_rows else plan.timed
    sql, w = page.counted(search.tenant_id, driver, search.nodes)
    return sql, w.params


def estimate(db: Session, search: Search, plan: Plan) -> int:
    """How many resources match: exactly up to a few thousand, beyond that as the planner thinks."""
    driver = plan.driver or plan.timed
    sql, w = page.counted(search.tenant_id, driver, search.nodes, _COUNTED_EXACTLY)
    exact = int(plans.run(db, [(sql, w.params)])[0][0][0] or 0)
    if exact < _COUNTED_EXACTLY:
        return exact
    w = Writer(search.tenant_id)
    rows = plans.run(db, [(f"EXPLAIN (FORMAT JSON) {page.every(w, driver, search.nodes)}", w.params)])[0]
    return max(exact, int(msgspec.json.decode(rows[0][0] or b"[]")[0]["Plan"]["Plan Rows"]))


def explain(db: Session, search: Search, plan: Plan, limit: int) -> dict[str, Any]:
    """The statements of the first page with PostgreSQL's plan, run and timed, and the counts behind the choice."""
    report = []
    for nulls, keys, after in _stages(search, plan, None):
        sql, params = _statement(search, plan, keys, nulls, after, None, limit)
        rows = plans.run(db, [(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}", params)])[0]
        report.append({"sql": sql, "plan": msgspec.json.decode(rows[0][0] or b"[]")})
    return {
        "driver": type(plan.driver or plan.timed).__name__,
        "way": "collect and sort" if plan.few else "walk in order",
        "counted": [
            {"condition": type(node).__name__, "rows": density.rows, "dense": density.dense}
            for node, density in plan.densities.items()
        ],
        "statements": report,
    }
