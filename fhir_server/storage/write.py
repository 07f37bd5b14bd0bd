"""Statements that write new versions: head row, superseded version, index rows, change row."""

from collections.abc import Sequence

from fhir_server.storage import used_codes, wire
from fhir_server.storage.index_rows import index_statements
from fhir_server.storage.session import Session, Statement
from fhir_server.storage.versions import NewVersion

_INSERT = (
    "INSERT INTO resource (tenant_id, rid, self_key, type_id, version, deleted, method, last_updated, ts, seq, id,"
    " body, keys) SELECT $1, rid, self_key, type_id, version, deleted, method::\"char\", last_updated, ts, seq, id,"
    " body, ($13::bigint[])[lo:hi] FROM unnest($2::bigint[], $3::bigint[], $4::smallint[], $5::int[], $6::boolean[],"
    " $7::text[], $8::timestamptz[], $9::timestamptz[], $10::bigint[], $11::text[], $12::text[], $14::int[],"
    " $15::int[]) AS n(rid, self_key, type_id, version, deleted, method, last_updated, ts, seq, id, body, lo, hi)"
)

# For a single resource: a third less work than the arrays, on either side.
_INSERT_ONE = (
    "INSERT INTO resource (tenant_id, rid, self_key, type_id, version, deleted, method, last_updated, ts, seq, id,"
    " body, keys) VALUES ($1, $2, $3, $4, $5, $6, $7::text::\"char\", $8::timestamptz, $9::timestamptz, $10, $11, $12,"
    " $13)"
)

_SUPERSEDE = (
    "INSERT INTO resource_history (tenant_id, rid, version, method, last_updated, seq, body)"
    " SELECT tenant_id, rid, version, method, last_updated, seq, body FROM resource"
    " WHERE tenant_id = $1 AND rid = ANY($2::bigint[])"
)

_UPDATE = (
    "UPDATE resource r SET version = n.version, deleted = n.deleted, method = n.method::\"char\","
    " last_updated = n.last_updated, ts = n.ts, seq = n.seq, body = n.body, keys = ($9::bigint[])[n.lo:n.hi]"
    " FROM unnest($2::bigint[], $3::int[], $4::boolean[], $5::text[], $6::timestamptz[], $7::timestamptz[],"
    " $8::bigint[], $10::text[], $11::int[], $12::int[])"
    " AS n(rid, version, deleted, method, last_updated, ts, seq, body, lo, hi)"
    " WHERE r.tenant_id = $1 AND r.rid = n.rid"
)

_CHANGE = (
    "INSERT INTO change (tenant_id, seq, rid, type_id, version, method)"
    " SELECT $1, seq, rid, type_id, version, method::\"char\""
    " FROM unnest($2::bigint[], $3::bigint[], $4::smallint[], $5::int[], $6::text[])"
    " AS n(seq, rid, type_id, version, method)"
)


def _key_slices(news: Sequence[NewVersion]) -> tuple[wire.Binary, wire.Binary, wire.Binary]:
    flat: list[int] = []
    lows, highs = [], []
    for new in news:
        lows.append(len(flat) + 1)
        flat.extend(new.index.keys)
        highs.append(len(flat))
    return wire.bigints(flat), wire.integers(lows), wire.integers(highs)


def _insert_one(tenant_id: int, n: NewVersion) -> Statement:
    last_updated, ts, keys = wire.timestamp(n.last_updated), wire.timestamp(n.ts), wire.bigints(n.index.keys)
    head = (tenant_id, n.rid, n.self_key, n.type_id, n.version, n.deleted, n.method, last_updated, ts, n.seq)
    return _INSERT_ONE, (*head, n.id, n.body, keys)


def _insert(tenant_id: int, news: Sequence[NewVersion]) -> Statement:
    if len(news) == 1:
        return _insert_one(tenant_id, news[0])
    keys, lows, highs = _key_slices(news)
    return _INSERT, (
        tenant_id,
        wire.bigints([n.rid for n in news]),
        wire.bigints([n.self_key for n in news]),
        wire.smallints([n.type_id for n in news]),
        wire.integers([n.version for n in news]),
        wire.booleans([n.deleted for n in news]),
        wire.texts([n.method for n in news]),
        wire.timestamps([n.last_updated for n in news]),
        wire.timestamps([n.ts for n in news]),
        wire.bigints([n.seq for n in news]),
        wire.texts([n.id for n in news]),
        wire.texts([n.body for n in news]),
        keys,
        lows,
        highs,
    )


def _update(tenant_id: int, news: Sequence[NewVersion]) -> list[Statement]:
    keys, lows, highs = _key_slices(news)
    rids = wire.bigints([n.rid for n in news])
    return [
        (_SUPERSEDE, (tenant_id, rids)),
        (
            _UPDATE,
            (
                tenant_id,
                rids,
                wire.integers([n.version for n in news]),
                wire.booleans([n.deleted for n in news]),
                wire.texts([n.method for n in news]),
                wire.timestamps([n.last_updated for n in news]),
                wire.timestamps([n.ts for n in news]),
                wire.bigints([n.seq for n in news]),
                keys,
                wire.texts([n.body for n in news]),
                lows,
                highs,
            ),
        ),
    ]


def _change(tenant_id: int, news: Sequence[NewVersion]) -> Statement:
    return _CHANGE, (
        tenant_id,
        wire.bigints([n.seq for n in news]),
        wire.bigints([n.rid for n in news]),
        wire.smallints([n.type_id for n in news]),
        wire.integers([n.version for n in news]),
        wire.texts([n.method for n in news]),
    )


def write(
    db: Session, tenant_id: int, news: Sequence[NewVersion], *, final: bool, also: Sequence[Statement] = ()
) -> None:
    """Write new versions, their index rows and their change rows in one round trip, with further statements."""
    created = [n for n in news if n.old is None]
    updated = [n for n in news if n.old is not None]
    statements: list[Statement] = []
    if created:
        statements.append(_insert(tenant_id, created))
    if updated:
        statements.extend(_update(tenant_id, updated))
    statements.extend(index_statements(tenant_id, news))
    statements.append(_change(tenant_id, news))
    statements.extend(used_codes.statements(db, tenant_id, news))
    statements.extend(also)
    db.run(statements, final=final)
