"""The statement of $lastn: the newest resources of each code among those that a condition finds."""

from collections.abc import Sequence

from fhir_server.storage import wire
from fhir_server.storage.resources import Log
from fhir_server.storage.session import Row, Session


def newest_per_code(
    db: Session, found: str, params: Sequence[wire.Param], *, each: int, most_found: int, limit: int, log: Log
) -> tuple[int, list[Row]]:
    """How many resources the condition finds (counted to `most_found` + 1) and rows `rid, type_id, id, body`, at most
    `limit`: by code, `each` newest of one.

    `found`: SQL with the column `rid` whose `$1` is the tenant and whose parameters are `params`. A resource's code is
    the first coding of its `code`, else the text.
    """
    n = len(params)
    sql = (
        f"WITH m AS MATERIALIZED (SELECT s.rid FROM ({found}) s LIMIT ${n + 1}::int),"
        " g AS (SELECT r.rid, r.ts, coalesce(((r.code #> '{coding,0,system}')::text || '|')"
        " || (r.code #> '{coding,0,code}')::text, (r.code #> '{coding,0,code}')::text, (r.code -> 'text')::text) AS c"
        " FROM m CROSS JOIN LATERAL (SELECT z.rid, z.ts, z.body::json -> 'code' AS code FROM resource z"
        " WHERE z.tenant_id = $1 AND z.rid = m.rid AND NOT z.deleted OFFSET 0) r),"
        " o AS (SELECT rid, ts, c, row_number() OVER (PARTITION BY c ORDER BY ts DESC, rid DESC) AS place FROM g)"
        " SELECT (SELECT count(*) FROM m), p.rid, b.type_id, b.id, b.body FROM (SELECT rid, ts, c FROM o"
        f" WHERE place <= ${n + 2}::int ORDER BY c, ts DESC, rid DESC LIMIT ${n + 3}::int) p"
        " CROSS JOIN LATERAL (SELECT type_id, id, body FROM resource WHERE tenant_id = $1 AND rid = p.rid OFFSET 0) b"
        " ORDER BY p.c, p.ts DESC, p.rid DESC"
    )
    rows = db.run([log((sql, (*params, most_found + 1, each, limit)))], custom=True, final=True)[0]
    return (int(rows[0][0] or 0) if rows else 0), [row[1:] for row in rows]
