"""How many index entries searches read in a tenant that the database's statistics do not know yet.

The statistics are of a small tenant; another one came since. Counted in the statement's own transaction, so that nothing
depends on the machine or on other tests.
"""

import random
from collections.abc import Sequence

import pytest

from fhir_server.core.context import Context
from fhir_server.search import drive, links, plans
from fhir_server.storage.session import Row, Session, Statement
from tests.search import query_oracle as oracle
from tests.search import test_query_oracle as queries
from tests.search.conftest import analyse
from tests.search.query_walk import bundle, fill, new_context

PATIENTS, QUERIES = 200, 80
# Of 900 resources with some 7,000 entries.
MOST = 3_000
_TABLES = "'resource', 'token', 'reference', 'date', 'string', 'quantity'"
_READ = (
    "SELECT sum(pg_stat_get_xact_tuples_returned(indexrelid))::bigint FROM pg_index"
    f" WHERE indrelid::regclass::text IN ({_TABLES})"
)


class Reader:
    """Runs searches, and knows how many index entries the last one read."""

    def __init__(self, ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ctx, self.read = ctx, 0
        self._real = plans.run
        monkeypatch.setattr(plans, "run", self._run)

    def _run(self, db: Session, statements: Sequence[Statement], *, final: bool = False) -> list[list[Row]]:
        before, *rows, after = self._real(db, [(_READ, ()), *statements, (_READ, ())], final=final)
        self.read += int(after[0][0] or 0) - int(before[0][0] or 0)
        return rows

    def __call__(self, resource_type: str, query: str) -> int:
        """The entries read for the first page."""
        self.read = 0
        bundle(self.ctx, resource_type, f"{query}&_count=10")
        return self.read


def new_reader(monkeypatch: pytest.MonkeyPatch, patients: int) -> Reader:
    """Of a tenant with so many patients and four and a half times as many resources, which came after the statistics."""
    monkeypatch.setattr(queries, "PATIENTS", patients)
    fill(new_context(), oracle.make(random.Random(1), 30))
    analyse()
    ctx = new_context()
    fill(ctx, oracle.make(random.Random(2), patients))
    drive.forget()
    return Reader(ctx, monkeypatch)


@pytest.fixture(params=["small", "large"])
def size(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Whether the plans of searches are kept, as they are where the tables are large."""
    monkeypatch.setattr(plans, "_settled", request.param == "large")
    monkeypatch.setattr(plans, "_next_look", float("inf"))
    return str(request.param)


def random_queries(count: int) -> list[tuple[str, str]]:
    rng = random.Random(5)
    made = []
    for _ in range(count):
        resource_type = rng.choice(queries.TYPES)
        terms = [queries.any_term(rng, resource_type, {}) for _ in range(rng.choice([1, 1, 2, 3]))]
        made.append((resource_type, "&".join(text for text, _ in terms)))
    return made


LINKED = [
    ("Patient", "_has:RiskAssessment:patient:patient.active=false&given:contains=ann"),
    ("Patient", "_has:RiskAssessment:patient:patient.given:exact=ann"),
    ("Patient", "_has:Encounter:patient:subject:Patient.organization=o3"),
    ("Encounter", "subject:Patient._has:Observation:patient:code:missing=false&subject:Patient.identifier:missing=false"),
    ("Observation", "combo-code=2-2&subject:Patient._has:RiskAssessment:patient:patient:missing=true"),
]  # fmt: skip


def test_a_page_reads_little_more_than_there_is(apart: Session, size: str, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = new_reader(monkeypatch, PATIENTS)
    for resource_type, query in [*LINKED, *random_queries(QUERIES)]:
        assert reader(resource_type, query) < MOST, f"{resource_type}?{query}"


def test_the_count_sees_plans_that_are_made_for_the_values(apart: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """Known bad: PostgreSQL knows the tenant's number, and takes it for one of a tenant without rows."""
    monkeypatch.setattr(plans, "run", lambda db, sent, *, final=False: db.run(sent, final=final, custom=True))
    reader = new_reader(monkeypatch, PATIENTS)
    assert max(reader(*each) for each in random_queries(QUERIES)) > 3 * MOST


def test_the_count_sees_an_order_that_is_left_to_the_planner(apart: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """Known bad: chains as plain joins, and plans for the values: of a sixth of the patients already too much."""
    monkeypatch.setattr(links, "_linked", lambda x, where, y, met: (
        f"EXISTS (SELECT 1 FROM reference {x} JOIN resource {y} ON {y}.tenant_id = $1 AND {met}"
        f" WHERE {x}.tenant_id = $1 AND {where})"
    ))  # fmt: skip
    monkeypatch.setattr(plans, "run", lambda db, sent, *, final=False: db.run(sent, final=final, custom=True))
    reader = new_reader(monkeypatch, PATIENTS // 6)
    assert max(reader(*each) for each in LINKED) > 3 * MOST
