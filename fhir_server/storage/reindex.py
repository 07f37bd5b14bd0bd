"""Statements that compare index rows with resources and repair them, and the jobs that index a new search parameter.

Index rows of a resource are sets of tuples as the tables' key columns have them (`storage.index_rows.TABLES`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fhir_server.core.keys import type_key
from fhir_server.storage import wire
from fhir_server.storage.index_rows import TABLES, Rows
from fhir_server.storage.session import Row, Session, Statement

RowsByTable = dict[str, Rows]

_US = "(extract(epoch FROM {0}) * 1000000)::bigint"
_HEAD = f"rid, type_id, id, deleted, {_US.format('ts')}, keys, CASE WHEN deleted THEN '' ELSE body END"
_LAST = 2**63 - 1
_DEFINITIONS_LOCK = 7


@dataclass(frozen=True, slots=True)
class Job:
    """The indexing of one search parameter on one resource type. status: waiting, running, done or failed."""

    type: str
    code: str
    url: str
    status: str
    done_rows: int
    total_rows: int
    last_rid: int
    message: str


@dataclass(frozen=True, slots=True)
class Head:
    """A resource's current version with what the index is made from and the keys it has now."""

    rid: int
    type_id: int
    id: str
    deleted: bool
    ts: int
    keys: frozenset[int]
    body: bytes


_JOBS = (
    "SELECT type, code, url, status, done_rows, total_rows, last_rid, message FROM search_parameter_job"
    " WHERE tenant_id = $1 ORDER BY type, code"
)


def jobs(db: Session, tenant_id: int) -> list[Job]:
    """Every indexing job of the tenant with its progress, by type and code."""
    return [_job(row) for row in db.run([(_JOBS, (tenant_id,))], final=True)[0]]


def _job(row: Row) -> Job:
    type_, code, url, status, done, total, last, message = ((value or b"").decode() for value in row)
    return Job(type_, code, url, status, int(done), int(total), int(last), message)


def writers_end(tenant_id: int) -> Statement:
    """Waits until what is being written by older definitions, or an older policy, is committed; holds until the
    transaction ends."""
    return "SELECT pg_advisory_xact_lock($1, $2)", (_DEFINITIONS_LOCK, tenant_id)


_COUNT = "SELECT count(*) FROM token WHERE tenant_id = $1 AND key = ANY($2::bigint[])"


def start_job(db: Session, tenant_id: int, job: Job, types: Sequence[str]) -> int:
    """Wait for every writer that still indexes by older definitions, then give the number of resources to do.

    New transactions find the new definitions, because the job was committed together with the raised registry version.
    """
    keys = wire.bigints([type_key(name) for name in types])
    rows = db.run([writers_end(tenant_id), (_COUNT, (tenant_id, keys))], final=True)[1]
    return int(rows[0][0] or b"0")


_SAVE_JOB = (
    "UPDATE search_parameter_job SET status = $4, done_rows = $5, total_rows = $6, last_rid = $7, message = $8,"
    " updated_at = now() WHERE tenant_id = $1 AND type = $2 AND code = $3 AND url = $9 AND last_rid = $10"
    " RETURNING status"
)


def save_job(db: Session, tenant_id: int, before: Job, after: Job, *, final: bool = False) -> bool:
    """Store a job's progress; False when the job was started anew or advanced by somebody else meanwhile."""
    args = (
        tenant_id, after.type, after.code, after.status, after.done_rows, after.total_rows, after.last_rid,
        after.message, before.url, before.last_rid,
    )  # fmt: skip
    return bool(db.run([(_SAVE_JOB, args)], final=final)[0])


_BATCH = (
    f"SELECT {_HEAD} FROM resource WHERE tenant_id = $1 AND rid > $2 AND ($3::smallint IS NULL OR type_id = $3)"
    " ORDER BY rid LIMIT $4"
)
_SAMPLE = (
    f"SELECT {_HEAD} FROM resource WHERE tenant_id = $1 AND self_key >= $2 ORDER BY self_key, type_id, id LIMIT $3"
)
_SOME = f"SELECT {_HEAD} FROM resource WHERE tenant_id = $1 AND rid = ANY($2::bigint[]) ORDER BY rid"
_LOCKED = " FOR NO KEY UPDATE"


def batch(db: Session, tenant_id: int, after: int, limit: int, *, type_id: int | None = None, lock: bool) -> list[Head]:
    """The next resources after a rid, in rid order; locked against writers when they are to be repaired."""
    return _heads(db, _BATCH + _LOCKED if lock else _BATCH, (tenant_id, after, type_id, limit))


def sample(db: Session, tenant_id: int, start: int, limit: int) -> list[Head]:
    """Resources in the order of their identity's hash from `start` on: any start is a fair sample."""
    return _heads(db, _SAMPLE, (tenant_id, start, limit))


def heads_of(db: Session, tenant_id: int, rids: Sequence[int], *, lock: bool) -> list[Head]:
    """These resources, in rid order."""
    return _heads(db, _SOME + _LOCKED if lock else _SOME, (tenant_id, wire.bigints(rids)))


def _heads(db: Session, sql: str, args: Sequence[wire.Param]) -> list[Head]:
    found = []
    for row in db.run([(sql, args)])[0]:
        rid, type_id, id_, deleted, ts, keys, body = (value or b"" for value in row)
        numbers = keys.strip(b"{}")
        present = frozenset(map(int, numbers.split(b","))) if numbers else frozenset[int]()
        found.append(Head(int(rid), int(type_id), id_.decode(), deleted == b"t", int(ts), present, body))
    return found


_TOKENS = (
    f"SELECT t.key, {_US.format('t.ts')}, t.rid FROM unnest($2::bigint[], $3::timestamptz[], $4::bigint[])"
    " AS n(key, ts, rid) JOIN token t ON t.tenant_id = $1 AND t.key = n.key AND t.ts = n.ts AND t.rid = n.rid"
)
_TYPED = {
    "reference": f"param, target, {_US.format('ts')}, rid",
    "date": f"param, {_US.format('lo')}, {_US.format('hi')}, rid",
    "string": "param, val, rid",
    "quantity": "param, unit_key, lo, hi, rid",
}


def _typed_sql(where: str) -> dict[str, str]:
    return {name: f"SELECT {columns} FROM {name} WHERE tenant_id = $1 AND {where}" for name, columns in _TYPED.items()}


_BY_RID = _typed_sql("rid = ANY($2::bigint[])")
_BY_PARAM = _typed_sql("rid = ANY($2::bigint[]) AND param = ANY($3::int[])")
_BY_RANGE = _typed_sql("rid > $2 AND rid <= $3")


def stored_tokens(db: Session, tenant_id: int, wanted: Rows) -> Rows:
    """Which of these (key, ts, rid) the token table has."""
    if not wanted:
        return set()
    keys, times, rids = zip(*wanted, strict=True)
    args = (tenant_id, wire.bigints(keys), wire.timestamps(times), wire.bigints(rids))
    return {(int(k or b""), int(t or b""), int(r or b"")) for k, t, r in db.run([(_TOKENS, args)])[0]}


def stored_typed(
    db: Session, tenant_id: int, rids: Sequence[int], *, params: Sequence[int] | None = None
) -> RowsByTable:
    """The rows of the other index tables of these resources; of these parameters alone when given."""
    some = (tenant_id, wire.bigints(rids))
    if params is None:
        return _typed(db, [(sql, some) for sql in _BY_RID.values()])
    return _typed(db, [(sql, (*some, wire.integers(params))) for sql in _BY_PARAM.values()])


def stored_typed_between(db: Session, tenant_id: int, after: int, upto: int | None) -> RowsByTable:
    """The rows of the other index tables with `after` < rid <= `upto`, whether or not there is such a resource."""
    args = (tenant_id, after, _LAST if upto is None else upto)
    return _typed(db, [(sql, args) for sql in _BY_RANGE.values()])


def _typed(db: Session, statements: Sequence[Statement]) -> RowsByTable:
    found: RowsByTable = {}
    for name, rows in zip(_TYPED, db.run(statements), strict=True):
        if name == "string":
            found[name] = {(int(p or b""), (v or b"").decode(), int(r or b"")) for p, v, r in rows}
        elif name == "quantity":
            found[name] = {
                (int(p or b""), int(u or b""), float(lo or b""), float(hi or b""), int(r or b""))
                for p, u, lo, hi, r in rows
            }
        else:
            found[name] = {tuple([int(value or b"") for value in row]) for row in rows}
    return found


_HEADS = (
    "UPDATE resource r SET ts = n.ts, keys = ($4::bigint[])[n.lo:n.hi]"
    " FROM unnest($2::bigint[], $3::timestamptz[], $5::int[], $6::int[]) AS n(rid, ts, lo, hi)"
    " WHERE r.tenant_id = $1 AND r.rid = n.rid"
)


def repair(
    db: Session, tenant_id: int, gone: RowsByTable, come: RowsByTable, heads: Mapping[int, tuple[int, Sequence[int]]]
) -> None:
    """Take rows out, put rows in, and set (ts, keys) of these resources, which the caller has locked."""
    statements: list[Statement] = []
    for table in TABLES:
        if gone.get(table.name):
            statements.append((table.delete(), table.pack(tenant_id, gone[table.name])))
        if come.get(table.name):
            statements.append((table.insert(), table.pack(tenant_id, come[table.name])))
    if heads:
        flat: list[int] = []
        lows, highs = [], []
        for _, keys in heads.values():
            lows.append(len(flat) + 1)
            flat.extend(keys)
            highs.append(len(flat))
        times = wire.timestamps([ts for ts, _ in heads.values()])
        slices = (wire.bigints(flat), wire.integers(lows), wire.integers(highs))
        statements.append((_HEADS, (tenant_id, wire.bigints(list(heads)), times, *slices)))
    if statements:
        db.run(statements)


_SWEEP = (
    f"SELECT t.key, {_US.format('t.ts')}, t.rid, EXISTS (SELECT 1 FROM resource r WHERE r.tenant_id = $1"
    " AND r.rid = t.rid AND r.ts = t.ts AND NOT r.deleted AND t.key = ANY(r.keys))"
    " FROM token t WHERE t.tenant_id = $1 AND (t.key, t.ts, t.rid) > ($2, $3, $4) ORDER BY t.key, t.ts, t.rid LIMIT $5"
)
Place = tuple[int, int, int]
FIRST: Place = (-(2**63), 0, 0)


def stray_tokens(db: Session, tenant_id: int, after: Place, limit: int) -> tuple[list[Place], Place | None]:
    """Token rows of no resource's keys among the next `limit`, and where to go on (None at the end).

    Before they are deleted the resources must be locked and asked again: a writer may just be making such a row valid.
    """
    key, ts, rid = after
    rows = db.run([(_SWEEP, (tenant_id, key, wire.timestamp(ts), rid, limit))])[0]
    places = [(int(k or b""), int(t or b""), int(r or b"")) for k, t, r, _ in rows]
    strays = [place for place, row in zip(places, rows, strict=True) if row[3] == b"f"]
    return strays, places[-1] if len(places) == limit else None


def delete_tokens(db: Session, tenant_id: int, places: Sequence[Place]) -> None:
    """Delete these token rows."""
    db.run([(TABLES[0].delete(), TABLES[0].pack(tenant_id, set(places)))])
