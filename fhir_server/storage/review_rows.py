"""The statement of $needs-review: which rules are broken by data that was kept, and how often."""

from collections.abc import Sequence
from dataclasses import dataclass

from fhir_server.storage import wire
from fhir_server.storage.session import Session
from fhir_server.storage.writer import Rule, Writer


@dataclass(frozen=True, slots=True)
class Broken:
    """`resources` of a type break a rule; `rule` is "" in the row that counts the type's resources."""

    type_id: int
    rule: str
    text: str
    resources: int


def broken(
    db: Session,
    tenant_id: int,
    code_keys: Sequence[int],
    tag_keys: Sequence[int],
    extension: str,
    rule: Rule | None,
    most: int,
) -> tuple[int, list[Broken]]:
    """How many resources were looked at (counted to `most` + 1), and per type and rule how many break it, the most
    broken first. `code_keys`, `tag_keys`: index keys by type of the tag's code, and of system and code; `extension`:
    url of an issue in `meta`; `rule`: which rows may be seen."""
    w = Writer(tenant_id, wire.bigints(code_keys), wire.bigints(tag_keys), extension, most + 1)
    check = f" AND {rule(w, 'z')}" if rule else ""
    part = "(SELECT p ->> 'valueString' FROM json_array_elements(e -> 'extension') p WHERE p ->> 'url' = '{}')"
    sql = (
        "WITH m AS MATERIALIZED (SELECT DISTINCT rid FROM token WHERE tenant_id = $1 AND key = ANY($2::bigint[])"
        " LIMIT $5::int),"
        " x AS MATERIALIZED (SELECT r.* FROM m CROSS JOIN LATERAL"
        " (SELECT z.rid, z.type_id, z.body::json -> 'meta' AS meta FROM resource z WHERE z.tenant_id = $1"
        f" AND z.rid = m.rid AND NOT z.deleted AND z.keys && $3::bigint[]{check} OFFSET 0) r),"
        f" i AS (SELECT x.rid, x.type_id, {part.format('rule')} AS rule, {part.format('text')} AS text"
        " FROM x, json_array_elements(x.meta -> 'extension') e WHERE e ->> 'url' = $4)"
        " SELECT type_id, '', '', count(*) FROM x GROUP BY type_id"
        " UNION ALL SELECT 0, '', '', count(*) FROM m"
        " UNION ALL SELECT type_id, rule, min(text), count(DISTINCT rid) FROM i WHERE rule IS NOT NULL"
        " GROUP BY type_id, rule ORDER BY 4 DESC, 1, 2"
    )
    rows = db.run([(sql, w.params)], final=True)[0]
    found = []
    for row in rows:
        type_id, key, text, count = ((value or b"").decode() for value in row)
        found.append(Broken(int(type_id), key, text, int(count)))
    number = next((each.resources for each in found if not each.type_id), 0)
    return number, [each for each in found if each.type_id]
