"""$terminologies, $import-terminology and $remove-terminology, and the command."""

import json
import os
from base64 import b64encode
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from fhir_server.cli.terminology import terminology
from fhir_server.core.errors import NotFound
from fhir_server.rest.dispatch import session
from fhir_server.storage import terminology_jobs
from fhir_server.storage.concept_imports import run_as
from fhir_server.terminology.importers import jobs
from fhir_server.terminology.importers import uploads as sent
from fhir_server.terminology.importers.formats import FORMATS
from fhir_server.terminology.stored import stored_system
from tests.reliability.wire import together
from tests.terminology.importers.generated import enter, generate

if TYPE_CHECKING:
    from tests.client import Client
    from tests.conftest import TestTenant


def parameters(**given: Any) -> dict[str, Any]:
    kinds = {"format": "valueCode", "file": "valueString", "system": "valueUri", "version": "valueString",
             "job": "valueId", "replace": "valueBoolean"}  # fmt: skip
    parameter: list[dict[str, Any]] = []
    for name, value in given.items():
        kind = "resource" if name == "content" else kinds[name]
        parameter.append({"name": name, kind: value})
    return {"resourceType": "Parameters", "parameter": parameter}


def parts(answer: Any, name: str) -> list[dict[str, Any]]:
    """The parameters of a name, their parts by name."""
    return [
        {part["name"]: next(v for k, v in part.items() if k != "name") for part in each["part"]}
        for each in answer.json["parameter"]
        if each["name"] == name
    ]


@pytest.fixture
def library() -> Path:
    sent.library().mkdir(exist_ok=True)
    return sent.library()


def own(client: "Client") -> list[dict[str, Any]]:
    """The tenant's own systems: other tests give the site some."""
    return [each for each in parts(client.get("$terminologies"), "terminology") if not each["shared"]]


def uploads(tenant: "TestTenant") -> list[str]:
    """The names of the files that wait."""
    folder = sent.library() / "uploads" / str(tenant.id)
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_a_file_of_the_library(client: "Client", tenant: "TestTenant", library: Path) -> None:
    generate(200).write(library / f"{tenant.slug}.csv")
    asked = client.post(
        "$import-terminology", parameters(format="csv", file=f"{tenant.slug}.csv", system="urn:lib", version="1")
    )
    assert asked.status == 200, asked.text
    (made,) = parts(asked, "import")
    assert made["status"] == "waiting"
    assert not own(client)
    jobs.run_jobs(session(), tenant.id)
    listed = client.get("$terminologies?system=urn:lib")
    (held,) = parts(listed, "terminology")
    assert (held["system"], held["version"], held["concepts"], held["shared"]) == ("urn:lib", "1", 200, False)
    assert (held["language"], held["property"]) == ("fr", "colour")
    (done,) = [each for each in parts(listed, "import") if each["id"] == made["id"]]
    assert done["status"] == "done"
    removed = client.post("$remove-terminology", parameters(system="urn:lib"))
    assert removed.json["parameter"] == [{"name": "removed", "valueString": "urn:lib|1"}]
    assert not own(client)
    jobs.run_jobs(session(), tenant.id)
    assert client.post("$remove-terminology", parameters(system="urn:lib")).status == 404


def test_content_in_the_request(client: "Client", tenant: "TestTenant") -> None:
    text = b"code,display\na,A\n"
    binary = {"resourceType": "Binary", "contentType": "text/csv", "data": b64encode(text).decode()}
    asked = client.post("$import-terminology", parameters(format="csv", content=binary, system="urn:sent"))
    assert asked.status == 200, asked.text
    assert len(uploads(tenant)) == 1
    jobs.run_jobs(session(), tenant.id)
    enter(tenant.id)
    found = stored_system(session(), tenant.id, "urn:sent")
    assert found is not None
    assert found.total == 1
    session().rollback()
    assert not uploads(tenant)


TABLE = {"resourceType": "Binary", "contentType": "text/csv", "data": b64encode(b"code,display\na,A\n").decode()}


def test_what_came_with_an_import_goes_with_it(client: "Client", tenant: "TestTenant") -> None:
    """When it is cancelled before it begins, and some time after a transaction that was undone."""
    asked = parameters(format="csv", content=TABLE, system="urn:sent:cancelled")
    (made,) = parts(client.post("$import-terminology", asked), "import")
    assert uploads(tenant) == [made["id"]]
    assert client.post("$remove-terminology", parameters(job=made["id"])).status == 200
    assert uploads(tenant) == []
    entries = [{"resource": asked, "request": {"method": "POST", "url": "$import-terminology"}},
               {"request": {"method": "GET", "url": "Patient/none"}}]  # fmt: skip
    undone = client.post("", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert undone.status == 404, undone.text
    (left,) = uploads(tenant)
    file = sent.library() / "uploads" / str(tenant.id) / left
    os.utime(file, (0, 0))
    (made,) = parts(client.post("$import-terminology", asked), "import")
    assert uploads(tenant) == [made["id"]]
    assert client.post("$remove-terminology", parameters(job=made["id"])).status == 200


def test_an_import_is_cancelled(client: "Client", tenant: "TestTenant") -> None:
    binary = {"resourceType": "Binary", "contentType": "text/csv", "data": b64encode(b"code\na\n").decode()}
    asked = client.post("$import-terminology", parameters(format="csv", content=binary, system="urn:cancel"))
    (made,) = parts(asked, "import")
    assert client.post("$remove-terminology", parameters(job=made["id"])).status == 200
    jobs.run_jobs(session(), tenant.id)
    (now,) = [each for each in parts(client.get("$terminologies"), "import") if each["id"] == made["id"]]
    assert now["status"] == "cancelled"
    assert client.post("$remove-terminology", parameters(job=made["id"])).status == 404


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"format": "csv", "file": "../secret.key"}, 404),
        ({"format": "csv", "file": "/etc/passwd"}, 404),
        ({"format": "csv", "file": "."}, 404),
        ({"format": "csv", "file": "uploads"}, 404),
        ({"format": "csv", "file": "none.csv"}, 404),
        ({"format": "csv"}, 400),
        ({"format": "word", "content": {"resourceType": "Binary", "contentType": "text/csv", "data": "YQ=="}}, 400),
        ({"format": "csv", "content": {"resourceType": "Binary", "contentType": "text/csv"}}, 400),
    ],
)
def test_what_cannot_be_imported(client: "Client", library: Path, given: dict[str, Any], status: int) -> None:
    answer = client.post("$import-terminology", parameters(**given))
    assert answer.status == status, answer.text
    assert answer.issues[0]["details"]["text"]


@pytest.mark.parametrize("name", ["\0", "x" * 5000, "..", ".", "/etc/passwd", "a\0b", "uploads", "uploads/x", "~", "é" * 200])
def test_names_that_no_file_of_the_library_has(library: Path, name: str) -> None:
    with pytest.raises(NotFound):
        jobs.in_library(name)


def test_only_so_many_wait(new_tenant: "Callable[[], TestTenant]", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "MOST_OPEN", 2)
    client = new_tenant().client()
    given = [parameters(format="csv", system=f"urn:many:{n}", version="1", content=TABLE) for n in range(3)]
    assert [client.post("$import-terminology", each).status for each in given] == [200, 200, 409]
    first = parts(client.get("$terminologies"), "import")[0]["id"]
    assert client.post("$remove-terminology", parameters(job=first)).status == 200
    assert client.post("$import-terminology", given[2]).status == 200


def test_only_so_many_wait_of_those_that_are_asked_for_at_once(
    new_tenant: "Callable[[], TestTenant]", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "MOST_OPEN", 2)
    tenant = new_tenant()
    asked = parameters(format="csv", system="urn:at-once", content=TABLE)
    works = [partial(tenant.client().post, "$import-terminology", asked) for _ in range(8)]
    assert sorted(answer.status for answer in together(works)) == [200, 200, *[409] * 6]


def test_an_import_that_waits_is_not_hidden_by_later_ones(tenant: "TestTenant", client: "Client") -> None:
    """Known bad: the worker looks among the 50 newest jobs."""
    run = partial(run_as, session(), tenant.id)
    (first,) = parts(client.post("$import-terminology", parameters(format="csv", system="urn:first", content=TABLE)), "import")
    for number in range(60):
        job = jobs.new_job(tenant.id, "csv", "none", {"system": f"urn:later:{number}"}, jobs.COMMAND)
        terminology_jobs.create(run, job)
        jobs.cancel(run, tenant.id, job.id)
    assert first["id"] not in {job.id for job in terminology_jobs.jobs(run, tenant.id)}
    assert jobs.open_jobs(run, tenant.id)
    jobs.run_jobs(session(), tenant.id)
    ended = terminology_jobs.find(run, tenant.id, first["id"])
    assert ended is not None and ended.status == "done"


def test_who_may(tenant: "TestTenant") -> None:
    reader = tenant.client("system/*.rs")
    assert reader.get("$terminologies").status == 403 or not parts(reader.get("$terminologies"), "import")
    assert reader.post("$import-terminology", parameters(format="csv", file="x")).status == 403
    assert reader.post("$remove-terminology", parameters(system="urn:x")).status == 403
    narrow = tenant.client("system/Patient.rs")
    assert narrow.get("$terminologies").status == 403


def command(*arguments: str) -> Any:
    done = CliRunner().invoke(terminology, [*arguments, "--json"], standalone_mode=False, catch_exceptions=False)
    return json.loads(done.output)


def test_the_command(tenant: "TestTenant", tmp_path: Path) -> None:
    file = str(generate(150).write(tmp_path / "own.csv"))
    whose = ("--tenant", tenant.slug)
    done = command("import", file, "--format", "csv", "--system", "urn:cmd", "--version", "1", *whose)
    assert (done["status"], done["message"]) == ("done", "")
    again = command("import", file, "--format", "csv", "--system", "urn:cmd", "--version", "1", *whose)
    assert "there already" in again["message"]
    assert [each["system"] for each in command("list", *whose) if each["system"] == "urn:cmd"] == ["urn:cmd"]
    assert [each["status"] for each in command("jobs", *whose)][:2] == ["failed", "done"]
    assert command("remove", "urn:cmd", *whose) == {"system": "urn:cmd", "versions": ["1"]}


def test_the_command_for_everybody(tmp_path: Path) -> None:
    file = tmp_path / "own.csv"
    file.write_text("code\na\n")
    url = f"urn:site:{tmp_path.name}"
    assert command("import", str(file), "--format", "csv", "--system", url)["status"] == "done"
    assert [each["site"] for each in command("list") if each["system"] == url] == [True]
    command("remove", url)
    assert not [each for each in command("list") if each["system"] == url]


def test_sources_name_formats_that_there_are() -> None:
    sources = command("sources")
    assert {each["format"] for each in sources} == set(FORMATS)
    for each in sources:
        assert all(each[name] for name in ("name", "system", "where", "licence", "files"))
