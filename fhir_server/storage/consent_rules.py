"""Statements on consent rules: the provisions of active Consent resources, one row each (0002_security.sql)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from fhir_server.core.keys import param_id, self_key, target_key, token_key
from fhir_server.storage import wire
from fhir_server.storage.session import Session, Statement
from fhir_server.storage.writer import Rule, Writer

Keys = tuple[int, ...]
# What of a version consents are compared with: type id, keys, clinical time (microseconds since 1970), self key.
Row = tuple[int, Sequence[int], int, int]


@dataclass(frozen=True, slots=True)
class ConsentRule:
    """One provision. None in a condition: any. Times are microseconds since 1970, ends excluded.

    `n`: its number in the consent, in the order of the tree; `parent`: the provision that it is an exception to;
    `above`: that one and everything above it; `spared`: type id whose resources it never hides. `actors`: keys of names
    (`target_key`); `keys`, `labels`: the resource has one of them; `ceiling`: or it has none of these labels.
    """

    patient: int
    n: int
    permit: bool
    parent: int | None = None
    above: tuple[int, ...] = ()
    spared: int | None = None
    starts: int | None = None
    ends: int | None = None
    actors: Keys | None = None
    purposes: tuple[str, ...] | None = None
    type_ids: tuple[int, ...] | None = None
    keys: Keys | None = None
    labels: Keys | None = None
    ceiling: Keys | None = None
    instances: Keys | None = None
    data_start: int | None = None
    data_end: int | None = None


_DELETE = "DELETE FROM consent_rule WHERE tenant_id = $1 AND patient = ANY($2::bigint[]) AND rid = ANY($3::bigint[])"
_INSERT = (
    "INSERT INTO consent_rule (tenant_id, rid, patient, n, permit, parent, above, spared, starts, ends, actors,"
    " purposes, type_ids, keys, labels, ceiling, instances, data_start, data_end) VALUES ($1, $2, $3, $4, $5, $6, $7,"
    " $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)"
)
# Every process loads the tenant anew before its next request, and knows then that consents are to be asked.
_FIRST = (
    "UPDATE tenant SET has_consents = true, registry_version = registry_version + 1"
    " WHERE tenant_id = $1 AND NOT has_consents"
)


def replace(db: Session, tenant_id: int, rules: Mapping[int, Sequence[ConsentRule]], patients: Sequence[int]) -> None:
    """Make these the rules of consents, by the consents' rid. No rules: the consent has none any more.

    `patients`: `core.keys.patient_key` of those whom the consents were about until now.
    """
    statements: list[Statement] = []
    if patients:
        statements.append((_DELETE, (tenant_id, wire.bigints(patients), wire.bigints(sorted(rules)))))
    for rid in sorted(rules):
        statements.extend([(_INSERT, _values(tenant_id, rid, rule)) for rule in rules[rid]])
    if any(rules.values()):
        statements.append((_FIRST, (tenant_id,)))
    if statements:
        db.run(statements)


def _values(tenant_id: int, rid: int, r: ConsentRule) -> Sequence[wire.Param]:
    return (
        tenant_id, rid, r.patient, r.n, r.permit, r.parent, wire.integers(r.above), r.spared, _time(r.starts),
        _time(r.ends), _keys(r.actors), None if r.purposes is None else wire.texts(r.purposes),
        None if r.type_ids is None else wire.smallints(r.type_ids), _keys(r.keys), _keys(r.labels), _keys(r.ceiling),
        _keys(r.instances), _time(r.data_start), _time(r.data_end),
    )  # fmt: skip


def _time(us: int | None) -> wire.Param:
    return None if us is None else wire.timestamp(us)


def _keys(keys: Keys | None) -> wire.Param:
    return None if keys is None else wire.bigints(keys)


def visible(
    w: Writer, row: str, actors: Sequence[str], purposes: Sequence[str], opened: Sequence[int] = ()
) -> str:
    """The condition that no consent hides the `resource` row of that alias. True at the price of an index probe for
    rows of patients without consents. `opened`: `patient_key` of those whose consents do not count."""
    c = w.alias()
    asker = _asker(w, actors, purposes, opened)
    return (
        f"(NOT EXISTS (SELECT 1 FROM consent_rule {c} WHERE {c}.tenant_id = $1 AND {c}.patient = ANY({row}.keys))"
        f" OR consents_denying($1, {row}.keys, {row}.type_id, {row}.ts, {row}.self_key, {asker}) IS NULL)"
    )


def hidden(
    db: Session,
    tenant_id: int,
    rows: Sequence[Row],
    actors: Sequence[str],
    purposes: Sequence[str],
    opened: Sequence[int] = (),
) -> list[bool]:
    """Whether consents hide versions that are not rows of `resource` (any more), in their order."""
    if not rows:
        return []
    flat: list[int] = []
    lows, highs = [], []
    for _, own_keys, _, _ in rows:
        lows.append(len(flat) + 1)
        flat.extend(own_keys)
        highs.append(len(flat))
    w = Writer(tenant_id)
    keys, lo, hi = w.p(wire.bigints(flat)), w.p(wire.integers(lows)), w.p(wire.integers(highs))
    types, times = w.p(wire.smallints([row[0] for row in rows])), w.p(wire.timestamps([row[2] for row in rows]))
    own, asker = w.p(wire.bigints([row[3] for row in rows])), _asker(w, actors, purposes, opened)
    sql = (
        f"SELECT consents_denying($1, ({keys}::bigint[])[lo:hi], type_id, ts, self_key, {asker}) IS NOT NULL"
        f" FROM unnest({lo}::int[], {hi}::int[], {types}::smallint[], {times}::timestamptz[], {own}::bigint[])"
        " WITH ORDINALITY AS n(lo, hi, type_id, ts, self_key, number) WHERE $1::integer IS NOT NULL ORDER BY number"
    )
    return [found[0] == b"t" for found in db.run([(sql, w.params)])[0]]


def denying(
    db: Session,
    tenant_id: int,
    name: tuple[str, str, int],
    rule: Rule | None,
    actors: Sequence[str],
    purposes: Sequence[str],
) -> tuple[list[int], list[str]] | None:
    """Of a resource (type, id, type id) its keys and the ids of the consents that hide it from who is asked about; None
    when there is none that meets the rule, which is that of the caller."""
    w = Writer(tenant_id)
    kind, id_, type_id = name
    where = "true" if rule is None else rule(w, "r")
    asker = _asker(w, actors, purposes, ())
    sql = (
        "SELECT to_json(r.keys), (SELECT json_agg(c.id ORDER BY c.rid) FROM resource c WHERE c.tenant_id = $1"
        f" AND c.rid = ANY(consents_denying($1, r.keys, r.type_id, r.ts, r.self_key, {asker}))) FROM resource r"
        f" WHERE r.tenant_id = $1 AND r.self_key = {w.p(self_key(kind, id_), 'bigint')}"
        f" AND r.type_id = {int(type_id)} AND r.id = {w.p(id_, 'text')} AND NOT r.deleted AND {where}"
    )
    rows = db.run([(sql, w.params)])[0]
    if not rows:
        return None
    keys, consents = (msgspec.json.decode(value or b"[]") for value in rows[0])
    return keys, consents


def _asker(w: Writer, actors: Sequence[str], purposes: Sequence[str], opened: Sequence[int]) -> str:
    """The arguments of consents_denying about who asks: names, purposes, opened records."""
    reasons, records = w.p(wire.texts(purposes), "text[]"), w.p(wire.bigints(opened), "bigint[]")
    return f"{_names(w, actors)}, {reasons}, {records}"


def _names(w: Writer, actors: Sequence[str]) -> str:
    """The keys of the names of who asks, as bigint[]; of a practitioner also the roles and organizations of now."""
    names = w.p(wire.bigints([target_key(each) for each in actors]), "bigint[]")
    people = [target_key(each) for each in actors if each.startswith("Practitioner/")]
    if not people:
        return names
    kind = "PractitionerRole"
    ids = [param_id(kind, name) for name in ("practitioner", "organization", "date")]
    # Uncorrelated, so PostgreSQL looks it up once in a statement, and only when a row needs it.
    return (
        f"({names} || (SELECT consent_memberships($1, {w.p(wire.bigints(people), 'bigint[]')},"
        f" {ids[0]}, {ids[1]}, {ids[2]}, {token_key(kind, 'active', 'false')})))"
    )
