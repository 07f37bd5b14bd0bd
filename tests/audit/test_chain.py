"""Sealing, and that no change of the log goes unseen."""

import threading
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from fhir_server.core.keys import patient_key
from fhir_server.security import audit, audit_seal
from fhir_server.security.audit_verify import verify
from fhir_server.settings import settings
from fhir_server.storage import audit_chain
from fhir_server.storage.session import Session
from tests.audit.world import Log, observation, patient


@pytest.fixture
def key_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder of the test's own for the signing key and the checkpoints; the database stays where it is."""
    (tmp_path / "secret.key").write_bytes(settings.secret_key())
    monkeypatch.setattr(settings, "data_dir", str(tmp_path))
    return tmp_path


@pytest.fixture
def sealed(log: Log, key_folder: Path) -> Log:
    """A log with two links of three events each, and one event that is not sealed."""
    for link in range(2):
        for event in range(3):
            log.enter().run([audit.note(log.db, log.tenant_id, "login", agent=f"user:{link}-{event}")], final=True)
        assert audit_seal.seal(log.settled(), log.tenant_id) == 3
    log.enter().run([audit.note(log.db, log.tenant_id, "logout")], final=True)
    return log


def kinds_of(log: Log) -> set[str]:
    return {problem["kind"] for problem in verify(log.enter(), log.tenant_id).problems}


def test_an_untouched_log_is_intact(sealed: Log) -> None:
    report = verify(sealed.enter(), sealed.tenant_id)
    assert (report.intact, report.links, report.events, report.unsealed, report.checkpoints) == (True, 2, 6, 1, 2)


# sec-52: change, deletion, insertion, reordering, truncation, each by the superuser.
_FIRST = "(SELECT min(xid) FROM audit WHERE tenant_id = %s)"
_TAMPER: dict[str, tuple[str, int, set[str]]] = {
    "change of a field": ("UPDATE audit SET agent = 'user:other' WHERE tenant_id = %s AND agent = 'user:0-1'", 1,
                          {"changed"}),
    "change of an outcome": ("UPDATE audit SET outcome = 8 WHERE tenant_id = %s AND agent = 'user:1-1'", 1,
                             {"changed"}),
    "change of a time": ("UPDATE audit SET seq = seq + 4096 WHERE tenant_id = %s AND agent = 'user:1-1'", 1,
                         {"changed"}),
    "deletion": ("DELETE FROM audit WHERE tenant_id = %s AND agent = 'user:0-2'", 1, {"deleted"}),
    "insertion": ("INSERT INTO audit (tenant_id, xid, seq, event) SELECT tenant_id, xid, seq + 1, event FROM audit"
                  " WHERE tenant_id = %s AND agent = 'user:0-0'", 1, {"inserted"}),
    "reordering": ("UPDATE audit a SET xid = b.xid FROM audit b WHERE a.tenant_id = %s AND b.tenant_id = a.tenant_id"
                   " AND (a.agent, b.agent) IN (('user:0-0', 'user:0-1'), ('user:0-1', 'user:0-0'))", 1, {"changed"}),
    "moving into another link": ("UPDATE audit a SET xid = b.xid FROM audit b WHERE a.tenant_id = %s AND b.tenant_id ="
                                 " a.tenant_id AND a.agent = 'user:0-2' AND b.agent = 'user:1-0'", 1,
                                 {"deleted", "inserted"}),
    "a changed link": ("UPDATE audit_seal SET events = 2 WHERE tenant_id = %s AND number = 1", 1,
                       {"signature", "inserted"}),
    "a removed first link": ("DELETE FROM audit_seal WHERE tenant_id = %s AND number = 1", 1,
                             {"missing link", "truncated"}),
    "a link of others": ("UPDATE audit_seal SET key_name = 'other' WHERE tenant_id = %s AND number = 1", 1,
                         {"unknown key"}),
    "truncation": ("WITH cut AS (DELETE FROM audit_seal WHERE tenant_id = %s AND number = 2 RETURNING from_xid)"
                   " DELETE FROM audit USING cut WHERE tenant_id = %s AND xid >= from_xid", 2, {"truncated"}),
    "removal of everything": ("WITH cut AS (DELETE FROM audit_seal WHERE tenant_id = %s) DELETE FROM audit"
                              " WHERE tenant_id = %s", 2, {"truncated"}),
}  # fmt: skip


@pytest.mark.parametrize("manipulation", _TAMPER)
def test_every_manipulation_is_found(sealed: Log, manipulation: str) -> None:
    sql, parameters, expected = _TAMPER[manipulation]
    sealed.tamper(sql, *[sealed.tenant_id] * parameters)
    assert kinds_of(sealed) == expected


def test_a_chain_made_anew_with_another_key_is_found(sealed: Log, key_folder: Path) -> None:
    sealed.tamper("DELETE FROM audit_seal WHERE tenant_id = %s", sealed.tenant_id)
    sealed.tamper("DELETE FROM audit WHERE tenant_id = %s AND agent = 'user:0-0'", sealed.tenant_id)
    (key_folder / "audit.key").unlink()
    checkpoints = (key_folder / "audit-checkpoints.jsonl").read_text()
    audit_seal.seal(sealed.settled(), sealed.tenant_id)
    (key_folder / "audit-checkpoints.jsonl").write_text(checkpoints)
    assert kinds_of(sealed) == {"replaced", "truncated"}


def test_links_of_a_former_key_stay_valid(sealed: Log, key_folder: Path) -> None:
    (key_folder / "audit.key").unlink()
    assert audit_seal.seal(sealed.settled(), sealed.tenant_id) == 1
    report = verify(sealed.enter(), sealed.tenant_id)
    assert (report.intact, report.links, len(list((key_folder / "audit-keys").iterdir()))) == (True, 3, 2)


def test_the_key_is_for_its_owner_only(sealed: Log, key_folder: Path) -> None:
    assert (key_folder / "audit.key").stat().st_mode & 0o777 == 0o600
    assert (key_folder / "audit-checkpoints.jsonl").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("table", ["audit", "audit_patient", "audit_seal"])
@pytest.mark.parametrize("change", ["UPDATE {} SET tenant_id = tenant_id", "DELETE FROM {}", "TRUNCATE {}"])
def test_neither_the_application_nor_the_owner_can_change_the_log(log: Log, table: str, change: str) -> None:
    owner = settings.owner_conninfo()
    for conninfo in (log.conninfo, owner):
        with psycopg.connect(conninfo) as db:
            db.execute(f"SET LOCAL app.tenant = '{log.tenant_id}'")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                db.execute(change.format(table))


def test_a_row_of_an_open_transaction_waits_and_is_sealed_later(log: Log, key_folder: Path) -> None:
    slow = Session(log.conninfo)
    slow.enter(log.tenant_id, None, 1)
    slow.run([audit.note(slow, log.tenant_id, "login", agent="user:slow")])
    log.enter().run([audit.note(log.db, log.tenant_id, "login", agent="user:fast")], final=True)
    assert audit_seal.seal(log.enter(), log.tenant_id) == 0
    slow.commit()
    slow.close()
    assert audit_seal.seal(log.settled(), log.tenant_id) == 2
    assert verify(log.enter(), log.tenant_id).intact


def test_batches_never_cut_a_transaction(log: Log, key_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_seal, "BATCH", 4)
    for size in (3, 2, 9, 1):
        log.enter().run([audit.note(log.db, log.tenant_id, "login") for _ in range(size)], final=True)
    counts = []
    while count := audit_seal.seal(log.settled(), log.tenant_id):
        counts.append(count)
    # The transaction of nine rows is more than a batch: the batch grows, and takes the last row along.
    assert counts == [3, 2, 10]
    assert verify(log.enter(), log.tenant_id).intact


def test_sealers_at_once_make_one_chain_while_events_are_written(log: Log, key_folder: Path) -> None:
    events = 120
    failures: list[BaseException] = []

    def work(action: Callable[[Session], None]) -> None:
        db = Session(log.conninfo)
        try:
            for _ in range(events // 4):
                db.enter(log.tenant_id, None, 1)
                action(db)
        except BaseException as error:
            failures.append(error)
        finally:
            db.close()

    def write(db: Session) -> None:
        db.run([audit.note(db, log.tenant_id, "login")], final=True)

    def seal(db: Session) -> None:
        audit_seal.seal(db, log.tenant_id)

    threads = [threading.Thread(target=work, args=[action]) for action in (write, seal, write, seal, write, seal, write)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    while audit_seal.seal(log.settled(), log.tenant_id):
        pass
    report = verify(log.enter(), log.tenant_id)
    assert (failures, report.problems, report.events, report.unsealed) == ([], [], events, 0)


def test_sealing_says_whose_record_it_was(log: Log, key_folder: Path) -> None:
    log.store(patient("p1"))
    log.store(patient("p2"))
    log.store(observation("o1"))
    log.store({"resourceType": "Organization", "id": "x", "name": "Clinic"})
    log.remove("Observation/o1")
    ctx = log.context()
    both = [log.versions[name].rid for name in ("Observation/o1", "Patient/p2", "Organization/x")]
    ctx.db.run([audit.about(ctx, "search-system", rids=both)], final=True)
    opened = audit.note(ctx.db, log.tenant_id, "break-glass", detail={"patient": "p2", "reason": "urgent"})
    log.enter().run([opened], final=True)
    assert audit_chain.waiting(log.enter(), log.tenant_id)
    assert audit_seal.seal(log.settled(), log.tenant_id) == 7
    assert not audit_chain.waiting(log.enter(), log.tenant_id)
    found = log.rows(
        "SELECT p.patient, a.event FROM audit_patient p JOIN audit a USING (tenant_id, xid, seq) WHERE p.tenant_id = %s"
        " ORDER BY a.seq, p.patient",
        log.tenant_id,
    )
    p1, p2 = patient_key("p1"), patient_key("p2")
    # Two creations, the observation's creation and deletion (its index rows are gone by now), the search of both
    # records, and the emergency access that names its patient in the sealed detail.
    assert found == [(p1, 3), (p2, 3), (p1, 3), (p1, 6), *[(key, 11) for key in sorted((p1, p2))], (p2, 54)]
