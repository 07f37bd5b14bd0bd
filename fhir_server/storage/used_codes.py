"""The codes that a tenant's resources use, by search parameter: kept up by every write, joined with concepts by search.

What a process has seen committed it does not write again, so that a write pays for codes that are new to it alone.
Therefore a code that no resource uses any more stays: were it taken out, a process that remembers it would not put it
back, and a search would miss what is written next. It costs a row and finds nothing.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from fhir_server.core.errors import Unprocessable
from fhir_server.core.spans import Spans
from fhir_server.storage import wire
from fhir_server.storage.session import Row, Session, Statement
from fhir_server.storage.versions import NewVersion

# (param, system, code, key): id of the parameter, '' as the system of a `code` element, token key of the exact form.
UsedCode = tuple[int, str, str, int]
# (code, key)
Found = list[tuple[str, int]]
# How many codes, and the exclusive or of their keys: what tells one state of them from another.
Mark = tuple[int, int]

_MOST_SEEN = 500_000
# A row of this parameter says that the codes of older resources are not gathered yet.
_UNGATHERED = 0

_strings = msgspec.json.Decoder(list[str]).decode
_integers = msgspec.json.Decoder(list[int]).decode
_seen: dict[int, set[UsedCode]] = {}
_NONE: set[UsedCode] = set()
_INSERT = (
    "INSERT INTO used_code (tenant_id, param, system, code, key) SELECT $1, param, system, code, key"
    " FROM unnest($2::int[], $3::text[], $4::text[], $5::bigint[]) AS n(param, system, code, key)"
    " ON CONFLICT DO NOTHING"
)


def statements(db: Session, tenant_id: int, news: Sequence[NewVersion]) -> list[Statement]:
    """What adds the codes of new versions in the transaction that stores them; nothing when all were seen before."""
    fresh = set(news[0].index.codes) if len(news) == 1 else {code for new in news for code in new.index.codes}
    fresh -= _seen.get(tenant_id, _NONE)
    if not fresh:
        return []
    db.when_committed(lambda: _remember(tenant_id, fresh))
    return [_insert(tenant_id, fresh)]


def _remember(tenant_id: int, codes: set[UsedCode]) -> None:
    if sum(map(len, _seen.values())) > _MOST_SEEN:
        _seen.clear()
    _seen.setdefault(tenant_id, set()).update(codes)


def _insert(tenant_id: int, codes: Iterable[UsedCode]) -> Statement:
    # Sorted, so that concurrent writers of the same new codes wait for each other in one order.
    return _INSERT, _packed(tenant_id, sorted(codes))


def _packed(tenant_id: int, codes: Sequence[UsedCode]) -> tuple[wire.Param, ...]:
    params, systems, texts, keys = zip(*codes, strict=True)
    return tenant_id, wire.integers(params), wire.texts(systems), wire.texts(texts), wire.bigints(keys)


def add(db: Session, tenant_id: int, codes: Collection[UsedCode]) -> None:
    """Put in those of the codes that are not there."""
    if codes:
        db.run([_insert(tenant_id, codes)])


_THERE = (
    "SELECT n.place FROM unnest($2::int[], $3::text[], $4::text[], $5::bigint[]) WITH ORDINALITY"
    " AS n(param, system, code, key, place) JOIN used_code u ON u.tenant_id = $1 AND u.param = n.param"
    " AND u.system = n.system AND u.code = n.code AND u.key = n.key"
)


def missing(db: Session, tenant_id: int, codes: Mapping[UsedCode, int]) -> dict[UsedCode, int]:
    """Those of the codes that are not there, with what they are mapped to."""
    if not codes:
        return {}
    wanted = list(codes)
    rows = db.run([(_THERE, _packed(tenant_id, wanted))])[0]
    there = {int(row[0] or b"") for row in rows}
    return {code: codes[code] for place, code in enumerate(wanted, 1) if place not in there}


def gathered(db: Session, tenant_id: int) -> None:
    """Say that every resource's codes are there."""
    db.run([("DELETE FROM used_code WHERE tenant_id = $1 AND param = $2", (tenant_id, _UNGATHERED))])


_OF_PARAM = "u.tenant_id = $1 AND u.param = $2 AND u.system = ANY($3::text[])"
_OF_SYSTEMS = f"SELECT u.code, u.key FROM used_code u WHERE {_OF_PARAM}"
_OF_CODES = f"{_OF_SYSTEMS} AND u.code = ANY($4::text[])"
# Begins with the used codes or with the concepts, whichever are fewer. The join order is written (LATERAL with
# OFFSET 0): a plan that is kept knows nothing of either.
_OF_CONCEPTS = (
    f"WITH n AS (SELECT count(*) AS used FROM (SELECT 1 FROM used_code u WHERE {_OF_PARAM} LIMIT $7) q)"
    f" SELECT u.code, u.key FROM (SELECT u.code, u.key FROM used_code u WHERE {_OF_PARAM} OFFSET 0) u"
    " CROSS JOIN LATERAL (SELECT c.number FROM concept c WHERE c.tenant_id = $4 AND c.system_id = $5"
    " AND c.code = u.code OFFSET 0) c WHERE (SELECT used FROM n) < $7 AND $6::int4multirange @> c.number"
    " UNION ALL"
    " SELECT u.code, u.key FROM unnest($6::int4multirange) AS s(span) CROSS JOIN LATERAL (SELECT c.code FROM concept c"
    " WHERE c.tenant_id = $4 AND c.system_id = $5 AND c.number >= lower(s.span) AND c.number < upper(s.span) OFFSET 0)"
    f" c CROSS JOIN LATERAL (SELECT u.code, u.key FROM used_code u WHERE {_OF_PARAM} AND u.code = c.code OFFSET 0) u"
    " WHERE (SELECT used FROM n) >= $7"
)
# One statement, so that the mark is that of the codes beside it; one row, since 20,000 would take longer to take apart
# than the codes to be read.
_UNLESS = (
    f"SELECT s.used, s.mark, u.codes, u.keys FROM (SELECT count(*) AS used, coalesce(bit_xor(u.key), 0) AS mark"
    f" FROM used_code u WHERE {_OF_PARAM}) s CROSS JOIN LATERAL (SELECT json_agg(u.code) AS codes,"
    f" json_agg(u.key) AS keys FROM used_code u WHERE {_OF_PARAM} AND (s.used <> $4 OR s.mark <> $5)) u"
)
_ANY_UNGATHERED = "SELECT 1 FROM used_code WHERE tenant_id = $1 AND param = $2 LIMIT 1"


def of_systems(tenant_id: int, param: int, systems: Sequence[str]) -> Statement:
    """The codes of these systems that are used on a parameter."""
    return _OF_SYSTEMS, (tenant_id, param, wire.texts(systems))


def of_codes(tenant_id: int, param: int, systems: Sequence[str], codes: Sequence[str]) -> Statement:
    """Those of the codes of these systems that are used on a parameter."""
    return _OF_CODES, (tenant_id, param, wire.texts(systems), wire.texts(codes))


def of_concepts(tenant_id: int, param: int, systems: Sequence[str], at: tuple[int, int], numbers: Spans) -> Statement:
    """Those of an imported system's concepts that are used on a parameter. `at`: tenant and id of the system."""
    spans = "{" + ",".join(f"[{low},{high})" for low, high in numbers.ranges) + "}"
    return _OF_CONCEPTS, (tenant_id, param, wire.texts(systems), *at, spans, numbers.count)


def unless(tenant_id: int, param: int, systems: Sequence[str], known: Mark) -> Statement:
    """The codes of these systems that are used on a parameter, unless they are those that are known by this mark."""
    return _UNLESS, (tenant_id, param, wire.texts(systems), known[0], wire.bigint(known[1]))


def answers(db: Session, tenant_id: int, sent: Sequence[Statement]) -> list[list[Row]]:
    """What each of the statements gives, in one round trip. Raises `Unprocessable` while older resources' codes are not
    gathered."""
    ungathered, *rows = db.run([(_ANY_UNGATHERED, (tenant_id, _UNGATHERED)), *sent])
    if ungathered:
        raise Unprocessable(
            "Resources from before an upgrade are not prepared yet for searches by value set or by subsumption. The"
            " operator prepares them by running reindex.", code="incomplete"
        )  # fmt: skip
    return rows


def found(rows: Sequence[Row]) -> Found:
    """The answer to `of_systems`, `of_codes` or `of_concepts`."""
    return [((code or b"").decode(), int(key or b"")) for code, key in rows]


def changed(rows: Sequence[Row], known: Mark) -> tuple[Mark, Found] | None:
    """The answer to `unless`: the new mark and all codes; None when they are those that are known."""
    used, mark, codes, keys = rows[0]
    present = int(used or b""), int(mark or b"")
    if present == known:
        return None
    return present, list(zip(_strings(codes or b"[]"), _integers(keys or b"[]"), strict=True))
