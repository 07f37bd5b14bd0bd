"""LOINC as imported: its filters, its implicit value sets and what a code is looked up as. The terms are invented."""

from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import pytest

from fhir_server.rest.dispatch import session
from fhir_server.storage import concept_imports, terminology_jobs
from fhir_server.storage.terminology_jobs import Job
from fhir_server.terminology.importers import importing
from tests.client import Client
from tests.conftest import TestTenant
from tests.operations.terminology_resources import by, codes, expand, said, value_set
from tests.terminology.importers.reading import archive
from tests.terminology.importers.test_loinc import FILES

LOINC = "http://loinc.org"


@pytest.fixture(scope="module", autouse=True)
def imported(tenant: TestTenant, tmp_path_factory: pytest.TempPathFactory) -> None:
    file: Path = archive(tmp_path_factory.mktemp("loinc") / "Loinc_2.99.zip", FILES)
    job, db = Job(tenant.id, str(uuid4()), "loinc", file.name, {}), session()
    terminology_jobs.create(lambda statements: concept_imports.run_as(db, tenant.id, statements), job)
    done = importing.run(db, job, file)
    assert done is not None and done.status == "done", done


FILTERS = [
    ("COMPONENT", "=", "LP1-1", ["1-8"]), ("COMPONENT", "=", "Sugarine", ["1-8"]), ("SYSTEM", "=", "Bld", ["1-8"]),
    ("CLASS", "=", "CHEM", ["1-8"]), ("CLASS", "=", "LP7-7", ["1-8"]), ("SCALE_TYP", "in", "Ord,Qn", ["1-8", "2-6"]),
    ("copyright", "=", "LOINC", ["1-8"]), ("copyright", "=", "3rdParty", ["2-6"]), ("STATUS", "=", "DEPRECATED", ["2-6"]),
    ("parent", "=", "LP1-1", ["1-8"]), ("parent", "=", "LP9-9", ["LP1-1"]), ("ancestor", "=", "LP9-9", ["1-8", "LP1-1"]),
    ("child", "=", "1-8", ["LP1-1"]), ("concept", "is-a", "lp1-1", ["1-8", "LP1-1"]), ("LIST", "=", "LL1-0", ["LA1-1", "LA2-9"]),
    ("answer-list", "=", "LL1-0", ["2-6"]), ("answers-for", "=", "2-6", ["LL1-0"]), ("MAP_TO", "exists", "true", ["2-6"]),
    ("category", "=", "LP8-8", ["1-8"]), ("CLASS", "=", "nothing", []),
]  # fmt: skip


@pytest.mark.parametrize(("name", "operator", "value", "expected"), FILTERS)
def test_filters(client: Client, name: str, operator: str, value: str, expected: list[str]) -> None:
    found = expand(client, value_set("urn:test:loinc", by(name, operator, value, LOINC)))
    assert sorted(codes(found)) == expected


def test_the_table_would_notice_a_wrong_row(client: Client) -> None:
    assert codes(expand(client, value_set("urn:test:loinc", by("CLASS", "=", "CHEM", LOINC)))) != ["2-6"]


@pytest.mark.parametrize(("name", "expected"), [("LL1-0", ["LA1-1", "LA2-9"]), ("LP9-9", ["1-8", "LP1-1"]), ("LP1-1", ["1-8"])])
def test_implicit_value_sets(client: Client, name: str, expected: list[str]) -> None:
    answer = client.get(f"ValueSet/$expand?url={quote(f'{LOINC}/vs/{name}', safe='')}")
    assert sorted(codes(answer.json["expansion"])) == expected


def test_a_code_in_any_case_is_looked_up_with_types(client: Client) -> None:
    answer = client.get(f"CodeSystem/$lookup?system={LOINC}&code=ll1-0")
    assert said(answer, "display") == "Moods"
    answer = client.get(f"CodeSystem/$lookup?system={LOINC}&code=1-8")
    parts = [row["part"] for row in answer.json["parameter"] if row["name"] == "property"]
    values = {part[0]["valueCode"]: part[1] for part in parts}
    assert values["CLASS"]["valueCoding"]["code"] == "LP7-7"
    assert values["SYSTEM"]["valueCoding"] == {"display": "Bld"}
    assert values["STATUS"]["valueString"] == "ACTIVE"


def test_any_case_in_searches(client: Client) -> None:
    for code in ("1-8", "LA1-1", "la2-9"):
        client.create({"resourceType": "Observation", "status": "final", "code": {"coding": [{"system": LOINC, "code": code}]}})
    assert client.get(f"Observation?code:in={quote(f'{LOINC}/vs/LL1-0', safe='')}&_summary=count").json["total"] == 2
    for code, count in (("lp9-9", 1), ("la1-1", 1), ("LA2-9", 1), ("la2-9", 1)):
        assert client.get(f"Observation?code:below={LOINC}%7C{code}&_summary=count").json["total"] == count
        assert client.get(f"Observation?code:above={LOINC}%7C{code}&_summary=count").json["total"] == (code[:2] != "lp")
