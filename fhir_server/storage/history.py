"""Statements that list versions, newest first, from the change rows."""

from collections.abc import Sequence
from dataclasses import dataclass

from fhir_server.core.keys import self_key
from fhir_server.storage import wire
from fhir_server.storage.clock import EPOCH_US
from fhir_server.storage.resources import Log, as_it_is, version_of
from fhir_server.storage.session import Session, Statement
from fhir_server.storage.versions import Version
from fhir_server.storage.writer import Rule, Writer

_TIME = f"(({{0}} >> 12) + {EPOCH_US}) / 1000 * 1000"
_COLUMNS = (
    "c.rid, c.version, c.method = 'D', c.method, {time}, 0, c.seq, coalesce(h.body, r.body), c.type_id, r.id"
).format(time=_TIME.format("c.seq"))
_BODIES = (
    " JOIN resource r ON r.tenant_id = $1 AND r.rid = c.rid"
    " LEFT JOIN resource_history h ON h.tenant_id = $1 AND h.rid = c.rid AND h.version = c.version"
    " ORDER BY c.seq DESC"
)
_FIELDS = "rid, version, method, seq, type_id"
_NEXT = (
    " AND NOT EXISTS (SELECT 1 FROM {table} n"
    " WHERE n.tenant_id = $1 AND n.rid = c.rid AND n.version = c.version + 1 AND n.seq <= $4)"
)
# A version was current from its own seq to the next version's; $4 is the instant that must lie before that end.
_WINDOW = (
    " AND c.seq < $2 AND c.seq >= $3"
    + f" AND ($4::bigint = 0 OR (true{_NEXT.format(table='resource')}{_NEXT.format(table='resource_history')}))"
    + " ORDER BY c.seq DESC LIMIT $5"
)
_CHANGES = (
    f"SELECT {_COLUMNS} FROM (SELECT {_FIELDS} FROM change c WHERE c.tenant_id = $1{{types}}{{check}}{_WINDOW})"
    f" c{_BODIES}"
)
_VISIBLE = (
    " AND EXISTS (SELECT 1 FROM resource k WHERE k.tenant_id = $1 AND k.rid = c.rid AND {rule})"
)
_RECORDS = (
    "WITH m AS MATERIALIZED (SELECT DISTINCT rid FROM token WHERE tenant_id = $1 AND key = ANY({keys})),"
    " s AS MATERIALIZED (SELECT r.rid, r.version, r.method, r.seq, r.type_id FROM m CROSS JOIN LATERAL"
    " (SELECT * FROM resource r WHERE r.tenant_id = $1 AND r.rid = m.rid AND {check} OFFSET 0) r),"
    " v AS (SELECT * FROM s UNION ALL SELECT h.rid, h.version, h.method, h.seq, s.type_id FROM s CROSS JOIN LATERAL"
    " (SELECT rid, version, method, seq FROM resource_history WHERE tenant_id = $1 AND rid = s.rid OFFSET 0) h)"
    f" SELECT {_COLUMNS} FROM (SELECT {_FIELDS} FROM v c WHERE true{_WINDOW}) c{_BODIES}"
)
_IDENTITY = "r.tenant_id = $1 AND r.self_key = $6 AND r.type_id = $7 AND r.id = $8"
_INSTANCE = (
    "WITH c AS (SELECT r.rid, r.version, r.method, r.seq, r.type_id, r.id, r.body FROM resource r"
    f" WHERE {_IDENTITY}{{check}} UNION ALL SELECT h.rid, h.version, h.method, h.seq, r.type_id, r.id, h.body"
    f" FROM resource r JOIN resource_history h ON h.tenant_id = $1 AND h.rid = r.rid WHERE {_IDENTITY}{{check}})"
    f" SELECT rid, version, method = 'D', method, {_TIME.format('seq')}, 0, seq, body, type_id, id FROM c"
    f" WHERE true{_WINDOW}"
)


@dataclass(frozen=True, slots=True)
class Window:
    """Which versions: since <= seq < before; with `at`, only those still current after that seq. Newest first."""

    before: int
    since: int
    at: int
    count: int


def instance(
    db: Session,
    tenant_id: int,
    type_id: int,
    type_name: str,
    resource_id: str,
    window: Window,
    rule: Rule | None = None,
    log: Log = as_it_is,
) -> list[Version]:
    """Versions of one resource; none when `rule` hides it as it is now."""
    w = Writer(*_bounds(tenant_id, window), self_key(type_name, resource_id), type_id, resource_id)
    sql = _INSTANCE.format(check=f" AND {rule(w, 'r')}" if rule else "")
    return [version_of(row) for row in db.run([log((sql, w.params))], final=True, custom=True)[0]]


def changes(
    db: Session,
    tenant_id: int,
    type_ids: Sequence[int] | None,
    window: Window,
    rule: Rule | None = None,
    log: Log = as_it_is,
) -> list[Version]:
    """Versions of all resources of these types (None: of every type) that `rule` shows as they are now."""
    w = Writer(*_bounds(tenant_id, window))
    types = ""
    if type_ids is not None and len(type_ids) == 1:
        types = f" AND c.type_id = {w.p(type_ids[0], 'smallint')}"
    elif type_ids is not None:
        types = f" AND c.type_id = ANY({w.p(wire.smallints(type_ids))})"
    check = _VISIBLE.format(rule=rule(w, "k")) if rule else ""
    statement: Statement = (_CHANGES.format(types=types, check=check), w.params)
    return [version_of(row) for row in db.run([log(statement)], final=True, custom=True)[0]]


def of_records(
    db: Session, tenant_id: int, keys: Sequence[int], window: Window, rule: Rule, log: Log = as_it_is
) -> list[Version]:
    """Versions of the resources that have one of these index keys and that `rule` shows as they are now.

    It costs what those resources cost, however much else is written in the tenant.
    """
    w = Writer(*_bounds(tenant_id, window))
    sql = _RECORDS.format(keys=w.p(wire.bigints(keys), "bigint[]"), check=rule(w, "r"))
    return [version_of(row) for row in db.run([log((sql, w.params))], final=True, custom=True)[0]]


def _bounds(tenant_id: int, window: Window) -> tuple[wire.Param, ...]:
    return tenant_id, window.before, window.since, window.at, window.count
