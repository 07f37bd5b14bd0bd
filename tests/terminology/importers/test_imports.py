"""Imports as jobs: interrupted, gone on with, cancelled, refused; versions; who sees and writes what."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fhir_server.core.errors import Conflict, NotFound
from fhir_server.rest.dispatch import session
from fhir_server.settings import settings
from fhir_server.storage import concept_imports as rows
from fhir_server.storage import terminology_jobs
from fhir_server.storage.concepts import SITE
from fhir_server.storage.errors import StatementError
from fhir_server.storage.session import Row, Session
from fhir_server.terminology.importers import importing, jobs
from fhir_server.terminology.stored import stored_system
from tests.terminology.importers.generated import begin, do, enter, generate

if TYPE_CHECKING:
    from tests.conftest import TestTenant


class Killed(BaseException):
    """What a kill is to Python."""


def killed_at(wanted: str, batches: int) -> importing.Tell:
    """Ends the process, so to say, when so many batches of a phase are stored or on their way."""

    def tell(phase: str, done: int, total: int) -> None:
        if phase == wanted and done >= batches * 100:
            raise Killed

    return tell


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "_BATCH", 100)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return generate(700).write(tmp_path / "own.csv")


def system_of(tenant_id: int, url: str, version: str | None = None) -> Any:
    enter(tenant_id)
    return stored_system(session(), tenant_id, url, version)


def everything(tenant_id: int, system_id: int) -> list[list[Row]]:
    """All rows of a system."""
    at = (tenant_id, system_id)
    sql = [
        "SELECT number, code, display, flags, parents, below, detail FROM concept WHERE tenant_id = $1 AND system_id = $2"
        " ORDER BY number",
        "SELECT kind, key, numbers FROM concept_posting WHERE tenant_id = $1 AND system_id = $2 ORDER BY kind, key",
    ]
    return rows.run_as(session(), tenant_id, [(each, at) for each in sql])


@pytest.mark.parametrize(("phase", "batches"), [("read", 3), ("number", 0), ("concepts", 3), ("postings", 2)])
def test_an_interrupted_import_goes_on_where_it_was(
    new_tenant: Callable[[], "TestTenant"], small_batches: None, table: Path, phase: str, batches: int
) -> None:
    tenant = new_tenant()
    whole = do(begin(tenant.id, table, "urn:whole"))
    job = begin(tenant.id, table, "urn:broken")
    with pytest.raises(Killed):
        do(job, killed_at(phase, batches))
    assert system_of(tenant.id, "urn:broken") is None
    known = terminology_jobs.find(partial(rows.run_as, session(), tenant.id), tenant.id, job.id)
    assert known is not None
    assert known.status == "running"
    stored_before = rows.stored(partial(rows.run_as, session(), tenant.id), (tenant.id, known.system_id or 0))
    told: list[tuple[str, int]] = []
    ended = do(job, lambda phase, done, total: told.append((phase, done)))
    assert ended.status == "done"
    assert ended.system_id is not None
    assert whole.system_id is not None
    assert everything(tenant.id, ended.system_id) == everything(tenant.id, whole.system_id)
    if phase == "postings":
        assert min(done for phase, done in told if phase == "postings") >= 100, "what is stored counts"
    if phase == "concepts":
        assert stored_before[0] >= 300
        assert min(done for phase, done in told if phase == "concepts") == stored_before[0]


def test_what_is_being_done_is_not_done_twice(tenant: "TestTenant", small_batches: None, table: Path) -> None:
    job = begin(tenant.id, table, "urn:twice")
    other = Session(settings.app_conninfo())
    seen: list[object] = []

    def tell(phase: str, done: int, total: int) -> None:
        if phase == "concepts" and not seen:
            seen.append(importing.run(other, job, table))

    assert do(job, tell).status == "done"
    assert seen == [None]
    other.close()


def test_two_imports_of_the_same_files_at_once(tenant: "TestTenant", small_batches: None, table: Path) -> None:
    """Known bad: both store the same rows, and the one that fails gives up the other's."""
    whole, first, second = (begin(tenant.id, table, url) for url in ("urn:whole", "urn:both", "urn:both"))
    other = Session(settings.app_conninfo())
    seen: list[terminology_jobs.Job | None] = []

    def tell(phase: str, done: int, total: int) -> None:
        if phase == "concepts" and done == 300:
            seen.append(importing.run(other, second, table))

    one, all_of_it = do(first, tell), do(whole)
    other.close()
    (two,) = seen
    assert two is not None
    assert (one.status, two.status) == ("done", "failed")
    assert "is being imported just now" in two.message
    assert one.system_id is not None and all_of_it.system_id is not None
    assert everything(tenant.id, one.system_id) == everything(tenant.id, all_of_it.system_id)
    assert system_of(tenant.id, "urn:both").total == 700


def test_a_cancelled_import_leaves_what_another_one_of_the_same_files_goes_on_with(
    tenant: "TestTenant", small_batches: None, table: Path
) -> None:
    killed, second = (begin(tenant.id, table, "urn:handed-on") for _ in range(2))
    with pytest.raises(Killed):
        do(killed, killed_at("concepts", 3))
    other = Session(settings.app_conninfo())

    def tell(phase: str, done: int, total: int) -> None:
        if phase == "concepts" and done == 500:
            run = partial(rows.run_as, other, tenant.id)
            jobs.cancel(run, tenant.id, killed.id)
            left = terminology_jobs.find(run, tenant.id, killed.id)
            assert left is not None and left.system_id is not None
            jobs.tidy(other, left)

    assert do(second, tell).status == "done"
    other.close()
    assert system_of(tenant.id, "urn:handed-on").total == 700
    assert not jobs.open_jobs(partial(rows.run_as, session(), tenant.id), tenant.id)


def test_an_import_that_is_cancelled_at_the_last_moment(
    tenant: "TestTenant", table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Known bad: it is said to be cancelled, and can be used."""
    job, other, end = begin(tenant.id, table, "urn:late"), Session(settings.app_conninfo()), terminology_jobs.end

    def ended(given: terminology_jobs.Job, status: str, message: str = "") -> Any:
        if status == "done":
            jobs.cancel(partial(rows.run_as, other, tenant.id), tenant.id, job.id)
        return end(given, status, message)

    monkeypatch.setattr(terminology_jobs, "end", ended)
    assert do(job).status == "cancelled"
    other.close()
    assert system_of(tenant.id, "urn:late") is None
    assert not [row for row in rows.listed(partial(rows.run_as, session(), tenant.id), tenant.id) if row.url == "urn:late"]


def test_a_cancelled_import_leaves_nothing(tenant: "TestTenant", small_batches: None, table: Path) -> None:
    job = begin(tenant.id, table, "urn:cancelled")
    as_server = partial(rows.run_as, session(), tenant.id)
    other = Session(settings.app_conninfo())

    def tell(phase: str, done: int, total: int) -> None:
        if phase == "concepts" and done == 300:
            jobs.cancel(partial(rows.run_as, other, tenant.id), tenant.id, job.id)

    ended = do(job, tell)
    other.close()
    assert ended.status == "cancelled"
    assert ended.system_id is not None
    assert everything(tenant.id, ended.system_id) == [[], []]
    assert not [row for row in rows.listed(as_server, tenant.id) if row.url == "urn:cancelled"]
    with pytest.raises(NotFound):
        jobs.cancel(as_server, tenant.id, job.id)


def test_an_interrupted_and_cancelled_import_is_tidied_up(
    tenant: "TestTenant", small_batches: None, table: Path
) -> None:
    job = begin(tenant.id, table, "urn:tidy")
    with pytest.raises(Killed):
        do(job, killed_at("concepts", 3))
    as_server = partial(rows.run_as, session(), tenant.id)
    jobs.cancel(as_server, tenant.id, job.id)
    assert jobs.open_jobs(as_server, tenant.id)
    jobs.run_jobs(session(), tenant.id)
    assert not jobs.open_jobs(as_server, tenant.id)
    assert not [row for row in rows.listed(as_server, tenant.id) if row.url == "urn:tidy"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("code,parent\na,b\nb,c\nc,a\n", "circle: [abc] > "),
        ("code,display\n", "no concept"),
        ("name\n", "no column code"),
        ("code\n\xff\n", "not text"),
    ],
)
def test_bad_files_fail_with_a_sentence_and_leave_nothing(
    tenant: "TestTenant", tmp_path: Path, text: str, said: str
) -> None:
    file = tmp_path / "bad.csv"
    file.write_bytes(text.encode("latin-1"))
    ended = do(begin(tenant.id, file, "urn:bad"))
    assert ended.status == "failed"
    assert re.search(said, ended.message), ended.message
    as_server = partial(rows.run_as, session(), tenant.id)
    assert not [row for row in rows.listed(as_server, tenant.id) if row.url == "urn:bad"]


def test_what_is_left_out_is_told(tenant: "TestTenant", tmp_path: Path) -> None:
    file = tmp_path / "own.csv"
    file.write_text("code,parent\na,\nb,a\nb,\nc,nobody\n")
    ended = do(begin(tenant.id, file, "urn:partly"))
    assert ended.status == "done"
    assert ended.message.startswith("2 left out")
    assert "b: stands there twice" in ended.message
    assert "c: names the parent nobody" in ended.message


def test_versions_stand_side_by_side_and_can_be_replaced(tenant: "TestTenant", tmp_path: Path) -> None:
    def made(version: str, *, replace: bool = False) -> terminology_jobs.Job:
        file = tmp_path / f"{version}.csv"
        file.write_text(f"code,display\na,{version}\n")
        return do(begin(tenant.id, file, "urn:v", version, replace=replace))

    for version in ("2.9", "2.10.1", "1.0"):
        assert made(version).status == "done"
    assert system_of(tenant.id, "urn:v").version == "2.10.1"
    assert system_of(tenant.id, "urn:v", "2.9").find("a").display == "2.9"
    assert system_of(tenant.id, "urn:v", "2.10").version == "2.10.1"
    assert system_of(tenant.id, "urn:v", "3") is None
    again = made("2.9")
    assert again.status == "failed"
    assert "there already" in again.message
    assert made("2.11", replace=True).status == "done"
    assert system_of(tenant.id, "urn:v", "2.9") is None
    assert system_of(tenant.id, "urn:v").version == "2.11"
    as_server = partial(rows.run_as, session(), tenant.id)
    assert [row.version for row in rows.listed(as_server, tenant.id) if row.url == "urn:v"] == ["2.11"]


def test_other_content_under_the_same_version_waits_for_the_first(
    tenant: "TestTenant", small_batches: None, table: Path, tmp_path: Path
) -> None:
    with pytest.raises(Killed):
        do(begin(tenant.id, table, "urn:same"), killed_at("concepts", 3))
    other = tmp_path / "other.csv"
    other.write_text("code\na\n")
    ended = do(begin(tenant.id, other, "urn:same"))
    assert ended.status == "failed"
    assert "not finished" in ended.message
    assert do(begin(tenant.id, table, "urn:same")).status == "done"


def test_removal_deletes_every_row(tenant: "TestTenant", table: Path) -> None:
    ended = do(begin(tenant.id, table, "urn:gone"))
    as_server = partial(rows.run_as, session(), tenant.id)
    assert jobs.remove(as_server, tenant.id, "urn:gone", None) == ["1"]
    assert system_of(tenant.id, "urn:gone") is None
    turns = 0
    while rows.sweep(session(), tenant.id, batch=100):
        turns += 1
    assert turns > 8
    assert ended.system_id is not None
    assert everything(tenant.id, ended.system_id) == [[], []]
    with pytest.raises(NotFound):
        jobs.remove(as_server, tenant.id, "urn:gone", None)


_FIRST = (
    "DELETE FROM concept_posting WHERE tenant_id = $1 AND system_id = $2 AND (kind, key) IN (SELECT kind, key"
    " FROM concept_posting WHERE tenant_id = $1 AND system_id = $2 ORDER BY kind, key LIMIT 100)"
)
_WAITS = "SELECT count(*) FROM pg_locks WHERE pid = $1 AND NOT granted"


def test_two_who_delete_at_once_leave_nothing(tenant: "TestTenant", table: Path) -> None:
    """Known bad: who waits for the rows that another one deletes finds none, and takes it for the end."""
    ended = do(begin(tenant.id, table, "urn:swept"))
    assert ended.system_id is not None
    at = (tenant.id, ended.system_id)
    jobs.remove(partial(rows.run_as, session(), tenant.id), tenant.id, "urn:swept", None)
    rows.run_as(session(), tenant.id, [("DELETE FROM concept WHERE tenant_id = $1 AND system_id = $2", at)])
    one, two = Session(settings.app_conninfo()), Session(settings.app_conninfo())
    pid = int(two.plain([("SELECT pg_backend_pid()", ())])[0][0][0] or 0)
    one.plain([("BEGIN", ()), (f"SET LOCAL app.tenant = '{tenant.id}'", ()), (_FIRST, at)])
    with ThreadPoolExecutor(1) as pool:
        sweeping = pool.submit(rows.sweep, two, tenant.id, 100)
        while session().plain([(_WAITS, (pid,))])[0][0][0] == b"0":
            assert not sweeping.done()
        one.plain([("COMMIT", ())])
        assert sweeping.result(), "there is more to do"
    while rows.sweep(two, tenant.id, 100):
        pass
    assert everything(*at) == [[], []]
    assert not rows.hidden(partial(rows.run_as, two, tenant.id), tenant.id)
    one.close()
    two.close()


def test_tenants_have_their_own_and_what_the_site_shares(new_tenant: Callable[[], "TestTenant"], tmp_path: Path) -> None:
    one, other = new_tenant(), new_tenant()
    url = f"urn:shared:{one.slug}"
    for tenant_id, display in ((SITE, "shared"), (one.id, "own")):
        file = tmp_path / f"{tenant_id}.csv"
        file.write_text(f"code,display\na,{display}\n")
        version = "9" if tenant_id == SITE else "1"
        assert do(begin(tenant_id, file, url, version)).status == "done"
    assert system_of(one.id, url).find("a").display == "own"
    assert system_of(one.id, url, "9").find("a").display == "shared"
    assert system_of(other.id, url).find("a").display == "shared"
    assert system_of(other.id, url, "1") is None
    as_server = partial(rows.run_as, session(), SITE)
    jobs.remove(as_server, SITE, url, None)
    while rows.sweep(session(), SITE):
        pass


WRITES = [
    "INSERT INTO concept_system (tenant_id, url, version, status, described, source, digest)"
    " VALUES ($1, 'urn:x', '', 'active', '{}', '', '')",
    "UPDATE concept_system SET status = 'retired' WHERE tenant_id = $1 RETURNING 1",
    "DELETE FROM concept WHERE tenant_id = $1 RETURNING 1",
    "DELETE FROM concept_posting WHERE tenant_id = $1 RETURNING 1",
    "INSERT INTO concept_posting (tenant_id, system_id, kind, key, numbers) VALUES ($1, 1, 'w', 'x', '')",
]


@pytest.mark.parametrize("sql", WRITES)
def test_row_security_keeps_tenants_from_writing_what_is_not_theirs(
    new_tenant: Callable[[], "TestTenant"], tmp_path: Path, sql: str
) -> None:
    one, other = new_tenant(), new_tenant()
    file = tmp_path / "own.csv"
    file.write_text("code\na\n")
    url = f"urn:guarded:{one.slug}"
    assert do(begin(SITE, file, url)).status == "done"
    assert do(begin(other.id, file, url)).status == "done"
    for owner in (SITE, other.id):
        enter(one.id)
        if sql.startswith("INSERT"):
            with pytest.raises(StatementError, match="42501"):
                session().run([(sql, (owner,))])
        else:
            assert session().run([(sql, (owner,))])[0] == []
        session().rollback()
        there = [row for row in rows.listed(partial(rows.run_as, session(), owner), owner) if row.url == url]
        assert there[0].tenant_id == owner
    enter(one.id)
    seen = "SELECT DISTINCT tenant_id FROM concept UNION SELECT DISTINCT tenant_id FROM concept_system"
    assert {int(row[0] or b"") for row in session().run([(seen, ())])[0]} == {SITE}
    session().rollback()
    jobs.remove(partial(rows.run_as, session(), SITE), SITE, url, None)
    while rows.sweep(session(), SITE):
        pass


def test_another_import_of_what_is_there_is_a_conflict(tenant: "TestTenant") -> None:
    as_server = partial(rows.run_as, session(), tenant.id)
    first = rows.begin(as_server, tenant.id, "urn:held", "1", "f", b"a" * 32)
    assert rows.begin(as_server, tenant.id, "urn:held", "1", "f", b"a" * 32) == first
    with pytest.raises(Conflict, match="not finished"):
        rows.begin(as_server, tenant.id, "urn:held", "1", "f", b"b" * 32)
