"""Statements that append to the audit log. Rows are never changed; the application has no right to.

A page of resources is logged by the statement that reads it: `WITH page AS (…), logged AS (INSERT …) SELECT * FROM
page`. So what was shown and what the log says come from one snapshot, in the round trip that there is anyway (measured:
20 µs of PostgreSQL's time beside 100 µs for a read; a statement of its own takes twice that).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from fhir_server.storage import wire
from fhir_server.storage.session import Statement

_INTO = (
    "INSERT INTO audit (tenant_id, seq, event, outcome, type_id, rids, agent, client_id, purpose, request_id, key_id,"
    " sealed)"
)
_INSERT = f"{_INTO} VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
_INSERT_MANY = (
    f"{_INTO} SELECT $1, seq, event, $2, type_id, ARRAY[rid], $3, $4, $5, $6, 0, NULL"
    " FROM unnest($7::bigint[], $8::smallint[], $9::smallint[], $10::bigint[]) AS n(seq, event, type_id, rid)"
)
# A read leaves nothing behind but its row in the log. That row need not wait for the disk: after a crash of the whole
# machine up to half a second of reads may be missing from the log, of writes nothing.
_HASTY = "set_config('synchronous_commit', 'off', true) <> ''"
_INSERT_HASTY = (
    f"{_INTO} SELECT $1::integer, $2::bigint, $3::smallint, $4::smallint, $5::smallint, $6::bigint[], $7::text,"
    f" $8::text, $9::text, $10::text, $11::integer, $12::bytea WHERE {_HASTY}"
)


@dataclass(slots=True)
class Entry:
    """A row of the log. `event`: number of profiles/security/audit_events.json; `outcome`: 0, 4, 8 or 12 as in FHIR;
    `rids`: the resources shown or written; `agent`: `user:ID`, `token:ID` or both with a space between."""

    seq: int
    event: int
    outcome: int
    type_id: int | None
    rids: Sequence[int]
    agent: str
    client_id: str
    purpose: str
    request_id: str
    key_id: int
    sealed: bytes | None


def insert(tenant_id: int, e: Entry, *, lasting: bool = True) -> Statement:
    """The statement that appends an entry. `lasting`: the commit waits for the disk."""
    rids = wire.bigints(e.rids) if e.rids else None
    sql = _INSERT if lasting else _INSERT_HASTY
    return sql, (tenant_id, e.seq, e.event, e.outcome, e.type_id, rids, *_who(e), e.key_id, _sealed(e))


def insert_many(tenant_id: int, e: Entry, rows: Sequence[tuple[int, int, int, int]]) -> Statement:
    """The statement that appends an entry for each `(seq, event, type id, rid)`; the rest is as in `e`."""
    seqs, events, types, rids = zip(*rows, strict=True)
    return _INSERT_MANY, (
        tenant_id,
        e.outcome,
        *_who(e),
        wire.bigints(seqs),
        wire.smallints(events),
        wire.smallints(types),
        wire.bigints(rids),
    )


def with_page(
    page: Statement,
    e: Entry,
    *,
    single: bool,
    shown: int | None,
    empty: bool,
    absent: str,
    lasting: bool,
    beside: Sequence[int] = (),
) -> Statement:
    """The statement of a page (its first parameter is the tenant, a column is named `rid`), logging what it gives.

    Rows, columns and order stay as they are. `single`: the page has one row at most; else `shown`: only so many of its
    rows are shown. `empty`: log even when there is no row; `absent`: a condition on a row that says: there is only a
    deletion. `lasting`: wait for the disk; `beside`: resources that are shown with the page.
    """
    sql, given = page
    params: list[wire.Param] = [*given, e.seq, e.event, e.outcome, e.type_id, *_who(e), e.key_id, _sealed(e)]
    if shown is not None:
        params.append(shown)
    if beside:
        params.append(wire.bigints(beside))
    return _paged(sql, len(given), single, shown is not None, empty, absent, lasting, bool(beside)), params


@lru_cache(maxsize=2048)
def _paged(
    sql: str, n: int, single: bool, limited: bool, empty: bool, absent: str, lasting: bool, beside: bool
) -> str:
    """The text of a page's statement with `n` parameters that also logs; what may follow: the limit, rids beside."""
    columns = (
        f"$1, ${n + 1}::bigint, ${n + 2}::smallint, ${n + 3}::smallint, ${n + 4}::smallint, p.rids, ${n + 5}::text,"
        f" ${n + 6}::text, ${n + 7}::text, ${n + 8}::text, ${n + 9}::integer, ${n + 10}::bytea"
    )
    source = f"(SELECT * FROM page LIMIT ${n + 11}::integer) s" if limited else "page"
    rows = f"SELECT {'ARRAY[rid]' if single else 'array_agg(rid)'} AS rids FROM {source}"
    if absent:
        rows += f" WHERE NOT ({absent})"
    if beside:
        rows = f"SELECT ${n + 11 + limited}::bigint[] || q.rids AS rids FROM ({rows}) q"
    conditions = [] if empty else ["p.rids IS NOT NULL"]
    if not lasting:
        conditions.append(_HASTY)
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    log = f"{_INTO} SELECT {columns} FROM ({rows}) p{where}"
    return f"WITH page AS MATERIALIZED ({sql}), logged AS ({log}) SELECT * FROM page"


def _who(e: Entry) -> tuple[wire.Param, ...]:
    return e.agent, e.client_id, e.purpose, e.request_id


def _sealed(e: Entry) -> wire.Param:
    return None if e.sealed is None else wire.Binary(e.sealed)
