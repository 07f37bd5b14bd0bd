"""The statements of searches by terminology go through indexes, begin with the smaller side, and stay fast when a tenant
uses many codes of a large system."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fhir_server.core.keys import param_id, token_key
from fhir_server.core.spans import Spans
from fhir_server.interactions.worlds import refresh
from fhir_server.rest.dispatch import session
from fhir_server.search.leaves import Keys
from fhir_server.settings import settings
from fhir_server.storage import used_codes
from fhir_server.storage.session import Session, Statement
from fhir_server.storage.writer import Writer
from fhir_server.supervisor import layout, postgres
from tests.conftest import TestTenant
from tests.search.imported import import_system

URL = "urn:plans"
CONCEPTS, USED = 6000, 1500
PARAM = param_id("Observation", "code")


@pytest.fixture(scope="module")
def large(new_tenant: Callable[[], TestTenant]) -> tuple[TestTenant, int]:
    """A tenant with a system of its own, a quarter of whose codes it uses; and the system's number."""
    tenant = new_tenant()
    import_system(tenant.id, URL, {f"c{n}": [f"c{n // 3}"] if n else [] for n in range(CONCEPTS)})
    db = enter(tenant)
    used_codes.add(db, tenant.id, [
        (PARAM, URL, f"c{n}", token_key("Observation", "code", f"{URL}|c{n}")) for n in range(0, CONCEPTS, CONCEPTS // USED)
    ])  # fmt: skip
    db.commit()
    rows = db.run([("SELECT system_id FROM concept_system WHERE tenant_id = $1 AND url = $2", (tenant.id, URL))], final=True)
    with postgres.connect(layout.prepare(Path(settings.data_dir)), "fhir") as owner:
        owner.execute("ANALYZE concept, used_code")
    return tenant, int(rows[0][0][0] or 0)


def enter(tenant: TestTenant) -> Session:
    db = session()
    place = refresh(db, tenant.slug)
    db.enter(tenant.id, None, place.version)
    return db


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


def explained(tenant: TestTenant, statement: Statement) -> list[dict[str, Any]]:
    sql, params = statement
    rows = enter(tenant).run([(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", params)], final=True)[0]
    return list(nodes(json.loads(rows[0][0] or b"[]")[0]["Plan"]))


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


def test_the_smaller_side_comes_first(large: tuple[TestTenant, int]) -> None:
    tenant, system = large
    few, many = Spans([(100, 140)]), Spans([(1, CONCEPTS + 1)])
    for numbers, concepts in ((few, 40), (many, USED)):
        found = explained(tenant, used_codes.of_concepts(tenant.id, PARAM, [URL], (tenant.id, system), numbers))
        assert reads(found)["concept"] == concepts
    assert "Seq Scan" not in {node["Node Type"] for node in found}


def test_codes_and_systems_are_looked_up(large: tuple[TestTenant, int]) -> None:
    tenant, _ = large
    assert reads(explained(tenant, used_codes.of_codes(tenant.id, PARAM, [URL, ""], ["c0", "c4", "x"]))) == {"used_code": 2}
    assert reads(explained(tenant, used_codes.of_systems(tenant.id, PARAM, [URL]))) == {"used_code": USED}
    assert reads(explained(tenant, used_codes.of_systems(tenant.id, PARAM, ["urn:other"]))) == {"used_code": 0}


def test_the_keys_are_hashed_once(large: tuple[TestTenant, int]) -> None:
    """Known bad: comparing every key of a row with every key that is wanted."""
    tenant, _ = large
    db, keys = enter(tenant), Keys(tuple(range(20_000)))
    writer = Writer(tenant.id)
    rows = "(SELECT ARRAY(SELECT generate_series(n * 100000 + 1000000, n * 100000 + 1000040)::bigint) AS keys"
    sql = f"SELECT count(*) FROM {rows} FROM generate_series(1, 2000) n WHERE $1::integer > 0) r WHERE {keys.where(writer, 'r')}"
    db.run([("SELECT 1", ())])
    began = time.perf_counter()
    assert db.run([(sql, writer.params)], final=True)[0][0][0] == b"0"
    assert time.perf_counter() - began < 5, "2,000 rows of 41 keys and 20,000 wanted: 1.6 thousand million comparisons"
