"""The statement of $meta on a type or the system: every tag, security label and profile that is in use."""

from collections.abc import Sequence

from fhir_server.storage import wire
from fhir_server.storage.session import Session
from fhir_server.storage.writer import Rule, Writer

_KINDS = ("profile", "tag", "security")


def in_use(
    db: Session, tenant_id: int, type_keys: Sequence[int], present: Sequence[int], rule: Rule | None, most: int
) -> tuple[int, list[tuple[str, bytes]]]:
    """How many resources of the types there are (counted to `most` + 1), and the distinct (element, JSON text) of their
    `meta`. `present`: keys of which a resource with any such element has one; `rule`: which rows may be seen."""
    parts = " UNION ALL ".join(
        f"SELECT DISTINCT '{kind}', e::text FROM x, json_array_elements(x.meta -> '{kind}') e" for kind in _KINDS
    )
    w = Writer(tenant_id, wire.bigints(type_keys), wire.bigints(present), most + 1)
    check = f" AND {rule(w, 'z')}" if rule else ""
    sql = (
        "WITH m AS MATERIALIZED (SELECT rid FROM token WHERE tenant_id = $1 AND key = ANY($2::bigint[]) LIMIT $4::int),"
        " x AS MATERIALIZED (SELECT r.meta FROM m CROSS JOIN LATERAL (SELECT z.body::json -> 'meta' AS meta"
        " FROM resource z WHERE z.tenant_id = $1 AND z.rid = m.rid AND NOT z.deleted AND z.keys && $3::bigint[]"
        f"{check} OFFSET 0) r) SELECT '', count(*)::text FROM m UNION ALL {parts}"
    )
    rows = db.run([(sql, w.params)], final=True)[0]
    found = [((row[0] or b"").decode(), row[1] or b"") for row in rows]
    number = next((int(text) for kind, text in found if not kind), 0)
    return number, [(kind, text) for kind, text in found if kind]
