"""Every statement of a request goes through an index that begins with the tenant, and looks at few rows in vain, whoever
asks. sec-2 (3.5.2)

In a tenant where one patient's record is one in forty, the statements of many requests are explained as they are run, in
the role and with the settings of the server.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from fhir_server.rest import dispatch
from fhir_server.security.access import Access
from fhir_server.settings import settings
from fhir_server.storage import tenants
from fhir_server.storage.session import Row, Session, Statement
from fhir_server.supervisor import layout, postgres
from tests.client import Client
from tests.conftest import TestTenant
from tests.isolation.attackers import person, put_all
from tests.isolation.scripts import CATEGORY, CODES, IDENTIFIERS, TAGS, TYPES, resource

PATIENTS, OF_EACH = 40, 20
_TABLES = frozenset({"resource", "resource_history", "token", "reference", "date", "string", "quantity", "change"})
_READING = re.compile(r"\s*(SELECT|WITH)\b")
_NO_PLAN = re.compile(r"pg_advisory|app_enter|nextval")


@dataclass(slots=True)
class Seen:
    """What the statements of a request did. `removed`: rows that were read and then thrown away; `values`: those of
    them that are rows of `quantity`; `worst`: the node that threw away most."""

    removed: int = 0
    values: int = 0
    worst: tuple[int, str] = (0, "")
    faults: list[str] = field(default_factory=list)
    statements: int = 0


class Explaining(Session):
    """A session that explains every statement that reads, before it runs it."""

    seen: Seen

    def run(
        self, statements: Sequence[Statement], *, final: bool = False, custom: bool = False, kept: bool = True
    ) -> list[list[Row]]:
        for sql, params in statements:
            if _READING.match(sql) and not _NO_PLAN.search(sql):
                # What a statement writes along (the audit row of a page) is undone again.
                explain = f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {sql}", params
                answers = super().run(
                    [("SAVEPOINT here", ()), explain, ("ROLLBACK TO SAVEPOINT here", ())], custom=custom
                )
                self.seen.statements += 1
                _judge(json.loads(answers[1][0][0] or b"[]")[0]["Plan"], self.seen, sql)
        return super().run(statements, final=final, custom=custom, kept=kept)


def _judge(node: dict[str, Any], seen: Seen, sql: str) -> None:
    loops = int(node["Actual Loops"])
    for kind in ("Rows Removed by Filter", "Rows Removed by Index Recheck", "Rows Removed by Join Filter"):
        vain = round(node.get(kind, 0) * loops)
        seen.removed += vain
        seen.values += vain if node.get("Relation Name") == "quantity" else 0
        seen.worst = max(seen.worst, (vain, f"{kind} of {node['Node Type']}, {loops} loops: {sql}"))
    table, condition = node.get("Relation Name"), node.get("Index Cond", "")
    if node["Node Type"] == "Seq Scan" and table in _TABLES:
        seen.faults.append(f"Seq Scan on {table}: {sql[:300]}")
    index = str(node.get("Index Name", "pg_"))
    if not index.startswith("pg_") and "tenant_id" not in condition:
        seen.faults.append(f"{node['Node Type']} of {index} without the tenant: {sql[:300]}")
    for child in node.get("Plans", ()):
        _judge(child, seen, sql)


@pytest.fixture(scope="module")
def crowd(tenant: TestTenant, client: Client) -> TestTenant:
    """Forty patients with the same kinds of resources."""
    resources = []
    for who in range(PATIENTS):
        patient = f"p{who}"
        resources.append(resource("Patient", patient, patient, who, (), "", "W"))
        for number in range(OF_EACH):
            for kind in TYPES[1:]:
                others = [f"{patient}-{(number + 1) % OF_EACH}"]
                category = ("vital-signs", "laboratory")[number % 2]
                resources.append(resource(kind, f"{patient}-{number}", patient, who + number, others, category, "W"))
    put_all(client, resources)
    with postgres.connect(layout.prepare(Path(settings.data_dir)), "fhir") as db:
        db.execute("VACUUM ANALYZE")
    return tenant


@pytest.fixture
def explaining(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Client, str], Seen]]:
    """Sends a GET and tells what its statements did."""
    made = Explaining(settings.app_conninfo())
    made.seen = Seen()
    dispatch.session()
    monkeypatch.setattr(dispatch._local, "session", made)
    tenants.take_node(made)

    def ask(client: Client, path: str) -> Seen:
        made.seen = Seen()
        answer = client.get(path)
        assert answer.status == 200, answer.text
        return made.seen

    yield ask
    made.close()


CALLERS: dict[str, Callable[[TestTenant], Client]] = {
    "system": lambda t: t.client("system/*.rs"),
    "patient": lambda t: t.client("patient/*.rs", patient="p7"),
    "granular": lambda t: t.client(f"patient/Observation.rs?category={CATEGORY}|laboratory patient/*.r", patient="p7"),
    "practitioner": lambda t: person(t, "practitioner", "user/*.rs").client,
    "proxy": lambda t: person(t, "proxy", "user/*.rs", patients=["p7", "p8"]).client,
}
_OBSERVATIONS = (
    "", "code={code}", "code={system}|{code}", "code={code},c9", "identifier={identifier}", "date=ge2020", "date=2023-04-11", "status=final",
    "value-quantity=gt3", "code-value-quantity={system}|{code}$gt2", "patient=p7", "subject=Patient/p7", "patient=p7&code={code}",
    "patient=p7&date=gt2021&status=final", "has-member=p7-3", "encounter=p7-3", "_id=p7-3", "_tag={tag}", "category=laboratory", "_list=p7-3",
    "_lastUpdated=gt2020", "_content=W", "encounter:missing=false", "has-member.code={code}&patient=p7", "_has:Observation:has-member:_id=p7-2",
    "_filter=patient eq Patient/p7 and code eq {code}",
)  # fmt: skip
_RESULTS = (
    "",
    "_sort=-date",
    "_sort=_id",
    "_sort=code",
    "_count=5",
    "_summary=count",
    "_total=accurate",
    "_include=*",
    "_revinclude=*",
)
_OTHERS = (
    "Patient?name=W1", "Patient?identifier={identifier}", "Patient?_id=p7", "Patient?birthdate=2020-01-11", "Patient?_has:Observation:patient:_id=p7-1",
    "Condition?encounter=p7-3", "Condition?patient=p7", "Encounter?date=gt2021", "List?item=p7-3", "Provenance?target=Observation/p7-3",
    "?_type=Patient,Observation&_tag={tag}", "?_id=p7", "Patient/p7/Observation", "Patient/p7/*", "Patient/p7/$everything", "Patient/p7",
    "Patient/p7/_history", "Observation/p7-3/_history/1", "Observation/$lastn?patient=p7",
    "Encounter/p7-3/$everything", "Patient/p7/$everything?_since=2020-01-01&_type=Observation",
)  # fmt: skip
_VALUES = {"code": "c1", "system": CODES, "identifier": f"{IDENTIFIERS}|i1", "tag": f"{TAGS}|t1"}
# A record has 121 resources. Who sees one or two reads at most these in vain, whatever else the tenant holds.
RECORD = 2 * (OF_EACH * len(TYPES) + 1)
# Who sees all walks at most some pages' worth of rows for each that is shown.
WHOLE = 1500
# Rows of `quantity`. In a tenant this small the planner may take either index of it, by what other tests have stored: one
# statement then reads its 1,600 values, and a page with its total has two.
VALUES = 3200


def _paths() -> Iterator[str]:
    for condition in _OBSERVATIONS:
        for result in (
            _RESULTS if condition in ("", "code={code}", "patient=p7", "date=ge2020") else ("", "_summary=count")
        ):
            query = "&".join(part for part in (condition, result) if part)
            yield f"Observation?{query}".format(**_VALUES)
    for path in _OTHERS:
        yield path.format(**_VALUES)


def _allowed(name: str, path: str) -> bool:
    """Whether the caller may ask that at all: the granular token searches observations only."""
    if name != "granular":
        return True
    foreign = (
        "_list",
        "_has:",
        "List?",
        "Patient?",
        "Condition",
        "Encounter?",
        "Provenance",
        "?_type",
        "?_id",
        "/*",
        "_filter",
    )
    return not any(part in path for part in foreign) and (path.startswith("Observation") or "$everything" in path)


@pytest.mark.parametrize("name", CALLERS)
def test_statements_are_index_walks(name: str, crowd: TestTenant, explaining: Callable[[Client, str], Seen]) -> None:
    client, limit, found = CALLERS[name](crowd), RECORD if name in ("patient", "granular", "proxy") else WHOLE, []
    for path in _paths():
        if _allowed(name, path):
            seen = explaining(client, path)
            found += [f"{path}: {each}" for each in seen.faults]
            spared = min(seen.values, VALUES) if limit == WHOLE else 0
            if seen.removed - spared > limit:
                found.append(f"{path}: {seen.removed} rows read in vain, most of them: {seen.worst}")
    assert found == []


@pytest.mark.parametrize("path", ["Observation/_history?_count=5", "_history?_count=5"])
def test_history_of_one_record(path: str, crowd: TestTenant, explaining: Callable[[Client, str], Seen]) -> None:
    """It begins with the record, not with the changes of the whole tenant."""
    assert explaining(CALLERS["patient"](crowd), path).removed <= RECORD


def test_the_plans_tell(
    crowd: TestTenant, explaining: Callable[[Client, str], Seen], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Known bad: with the compartment as a check on each row, instead of a key to begin with, all rows are read."""

    def checks(self: Access, resource_type: str, letter: str) -> Any:
        return self.filters_of([resource_type], letter)

    monkeypatch.setattr(Access, "limits", checks)
    seen = explaining(CALLERS["patient"](crowd), "Observation?_summary=count")
    assert seen.statements > 0
    assert seen.removed > RECORD
