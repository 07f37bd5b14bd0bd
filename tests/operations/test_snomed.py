"""SNOMED CT as imported: value sets and concept maps that are urls alone. The concepts are invented."""

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
from tests.operations.terminology_resources import codes, refusal, said
from tests.terminology.importers.reading import release
from tests.terminology.importers.test_snomed import FILES

SNOMED = "http://snomed.info/sct"
REPLACED, SAME, ALTERNATIVE = "900000000000526001", "900000000000527005", "900000000000530003"


@pytest.fixture(scope="module", autouse=True)
def imported(tenant: TestTenant, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder: Path = release(tmp_path_factory.mktemp("rf2"), FILES)
    job, db = Job(tenant.id, str(uuid4()), "snomed", folder.name, {}), session()
    terminology_jobs.create(lambda statements: concept_imports.run_as(db, tenant.id, statements), job)
    done = importing.run(db, job, folder)
    assert done is not None and done.status == "done", done


def matches(client: Client, refset: str, code: str, more: str = "") -> list[tuple[str, str]]:
    url = quote(f"{SNOMED}?fhir_cm={refset}", safe="")
    answer = client.get(f"ConceptMap/$translate?url={url}&system={SNOMED}&code={code}{more}")
    assert answer.status == 200, answer.text
    found = [{part["name"]: part for part in row["part"]} for row in answer.json["parameter"] if row["name"] == "match"]
    assert said(answer, "result") is bool(found)
    return [(each["equivalence"]["valueCode"], each["concept"]["valueCoding"]["code"]) for each in found]


def test_associations_are_concept_maps(client: Client) -> None:
    assert matches(client, REPLACED, "1003") == [("equivalent", "1001")]
    assert matches(client, SAME, "1003") == [("equal", "1002")]
    assert matches(client, ALTERNATIVE, "1003") == []
    assert matches(client, REPLACED, "1001") == matches(client, REPLACED, "none") == []
    assert matches(client, REPLACED, "1001", "&reverse=true") == [("equivalent", "1003")]
    edition = quote(f"{SNOMED}/77?fhir_cm={SAME}", safe="")
    assert said(client.get(f"ConceptMap/$translate?url={edition}&system={SNOMED}&code=1003"), "result") is True


@pytest.mark.parametrize(("url", "expected"), [
    (f"{SNOMED}?fhir_cm=12", (404, "not-found")), (f"{SNOMED}?fhir_cm=", (404, "not-found")),
    (f"{SNOMED}/99?fhir_cm={SAME}", (422, "not-supported")),
])  # fmt: skip
def test_maps_that_there_are_not(client: Client, url: str, expected: tuple[int, str]) -> None:
    answer = client.get(f"ConceptMap/$translate?url={quote(url, safe='')}&system={SNOMED}&code=1003")
    assert refusal(answer) == expected


def test_groups_over_http(client: Client) -> None:
    url = quote(f"{SNOMED}?fhir_vs=ecl/" + quote("* : { 363698007 = 1002 }"), safe="")
    assert codes(client.get(f"ValueSet/$expand?url={url}").json["expansion"]) == ["1001"]


def test_what_is_out_of_use_is_told(client: Client) -> None:
    answer = client.get(f"ValueSet/$validate-code?url={quote(f'{SNOMED}?fhir_vs', safe='')}&system={SNOMED}&code=1003")
    assert (said(answer, "result"), said(answer, "inactive")) == (True, True)
    listed = client.get(f"ValueSet/$expand?url={quote(f'{SNOMED}?fhir_vs', safe='')}&activeOnly=true").json["expansion"]
    assert sorted(codes(listed)) == ["1001", "1002", "138875005"]
