"""The statements of searches by terminology go through indexes, begin with the smaller side, and do not grow with the
codes that a tenant uses of a large system. Counted in a database of their own."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from fhir_server.core.keys import param_id, token_key
from fhir_server.core.spans import Spans
from fhir_server.search.leaves import Keys
from fhir_server.storage import operator, used_codes
from fhir_server.storage.session import Session, Statement
from fhir_server.storage.writer import Writer
from tests.search.conftest import analyse
from tests.search.imported import import_system

URL = "urn:plans"
CONCEPTS, USED = 2000, 500
PARAM = param_id("Observation", "code")


@dataclass(frozen=True)
class Large:
    """A tenant with a system of its own (by number), a quarter of whose codes it uses."""

    db: Session
    tenant_id: int
    system: int

    def nodes(self, statement: Statement) -> list[dict[str, Any]]:
        """The nodes of the plan that a statement was run by."""
        sql, params = statement
        self.db.enter(self.tenant_id, None, 1)
        rows = self.db.run([(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", params)], final=True)[0]
        return list(_nodes(json.loads(rows[0][0] or b"[]")[0]["Plan"]))


@pytest.fixture
def large(apart: Session) -> Large:
    tenant_id = int(operator.create_tenant(apart, "plans", "plans", {})["id"])
    system = import_system(tenant_id, URL, {f"c{n}": [f"c{n // 3}"] if n else [] for n in range(CONCEPTS)}, db=apart)
    apart.enter(tenant_id, None, 1)
    used_codes.add(apart, tenant_id, [
        (PARAM, URL, f"c{n}", token_key("Observation", "code", f"{URL}|c{n}")) for n in range(0, CONCEPTS, CONCEPTS // USED)
    ])  # fmt: skip
    apart.commit()
    analyse("concept", "used_code")
    return Large(apart, tenant_id, system)


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


def reads(found: list[dict[str, Any]]) -> dict[str, int]:
    """How many rows of each table were read; every read begins with the tenant, by an index."""
    read: dict[str, int] = {}
    for node in found:
        table = node.get("Relation Name")
        if table in ("used_code", "concept"):
            assert node["Node Type"] in ("Index Scan", "Index Only Scan"), node
            assert "tenant_id" in node["Index Cond"] and "Rows Removed by Filter" not in node, node
            read[table] = read.get(table, 0) + round(node["Actual Rows"] * node["Actual Loops"])
    return read


def test_the_smaller_side_comes_first(large: Large) -> None:
    few, many = Spans([(100, 140)]), Spans([(1, CONCEPTS + 1)])
    for numbers, concepts in ((few, 40), (many, USED)):
        asked = used_codes.of_concepts(large.tenant_id, PARAM, [URL], (large.tenant_id, large.system), numbers)
        assert reads(large.nodes(asked))["concept"] == concepts


def test_codes_and_systems_are_looked_up(large: Large) -> None:
    def read(statement: Statement) -> dict[str, int]:
        return reads(large.nodes(statement))

    assert read(used_codes.of_codes(large.tenant_id, PARAM, [URL, ""], ["c0", "c4", "x"])) == {"used_code": 2}
    assert read(used_codes.of_systems(large.tenant_id, PARAM, [URL])) == {"used_code": USED}
    assert read(used_codes.of_systems(large.tenant_id, PARAM, ["urn:other"])) == {"used_code": 0}


ROWS, WANTED = 50, 20_000
MADE = (
    "(SELECT ARRAY(SELECT generate_series(n * 100000 + 1000000, n * 100000 + 1000040)::bigint) AS keys"
    f" FROM generate_series(1, {ROWS}) n WHERE $1::integer > 0) r"
)


def keys_read(large: Large, condition: str, writer: Writer) -> int:
    """How many keys are unnested while 50 rows of 41 keys each are compared with those that are wanted."""
    found = large.nodes((f"SELECT count(*) FROM {MADE} WHERE {condition}", writer.params))
    assert found[0]["Actual Rows"] == 1
    return sum(round(node["Actual Rows"] * node["Actual Loops"]) for node in found if node["Node Type"] == "ProjectSet")


def test_the_keys_are_hashed_once(large: Large) -> None:
    writer = Writer(large.tenant_id)
    assert keys_read(large, Keys(tuple(range(WANTED))).where(writer, "r"), writer) < 2 * WANTED


def test_the_count_sees_keys_that_are_hashed_for_every_row(large: Large) -> None:
    """Known bad: the inner query as a join."""
    writer = Writer(large.tenant_id)
    condition = Keys(tuple(range(WANTED))).where(writer, "r").replace(" IS TRUE", "")
    assert keys_read(large, condition, writer) >= ROWS * WANTED
