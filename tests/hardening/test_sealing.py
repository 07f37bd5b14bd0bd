"""Envelope encryption of the tenants' secrets (security-reliability.md 4.7)."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from fhir_server.security import key_ring, sealing
from fhir_server.security.sealing import Unsealable, seal, unseal
from fhir_server.settings import settings
from fhir_server.storage import data_keys
from fhir_server.storage.session import Session
from tests.conftest import TestTenant

NewTenant = Callable[[], TestTenant]


@pytest.fixture
def db(tenant: TestTenant) -> Session:
    return entered(tenant)


@pytest.fixture
def own_ring(tmp_path: Path) -> Iterator[None]:
    """A key ring of the test's own, with the run's secret key."""
    before = settings.secret_key_file
    (tmp_path / "secret.key").write_bytes(settings.secret_key())
    settings.secret_key_file = str(tmp_path / "secret.key")
    yield
    settings.secret_key_file = before


_sessions: dict[int, Session] = {}


def entered(tenant: TestTenant) -> Session:
    db = _sessions.setdefault(threading.get_ident(), Session(settings.app_conninfo()))
    db.enter(tenant.id, None, 1)
    return db


def test_what_is_sealed_opens(tenant: TestTenant, db: Session) -> None:
    for plain in (b"", b"x", b"caf\xc3\xa9" * 100, os.urandom(100_000)):
        sealed = seal(db, tenant.id, plain, "test")
        assert unseal(db, tenant.id, sealed, "test") == plain
        assert len(plain) < 4 or plain not in sealed


def test_no_transaction_is_left_open(new_tenant: NewTenant) -> None:
    tenant = new_tenant()
    db = entered(tenant)
    sealed = seal(db, tenant.id, b"x", "test")
    db.rollback()
    sealing.forget(tenant.id)
    db.enter(tenant.id, None, 1)
    assert unseal(db, tenant.id, sealed, "test") == b"x"
    assert not db.open


# sec-42
@pytest.mark.parametrize("place", ["purpose", "tenant"])
def test_a_sealed_value_cannot_be_moved(tenant: TestTenant, new_tenant: NewTenant, place: str) -> None:
    sealed = seal(entered(tenant), tenant.id, b"secret", "test")
    other = new_tenant() if place == "tenant" else tenant
    seal(entered(other), other.id, b"its own", "test")
    with pytest.raises(Unsealable):
        unseal(entered(other), other.id, sealed, "test" if place == "tenant" else "another")


# sec-42
def test_a_changed_value_is_an_alarm(tenant: TestTenant, db: Session, caplog: pytest.LogCaptureFixture) -> None:
    sealed = bytearray(seal(db, tenant.id, b"secret", "test"))
    sealed[-1] ^= 1
    with pytest.raises(Unsealable), caplog.at_level("ERROR"):
        unseal(db, tenant.id, bytes(sealed), "test")
    assert "does not open" in caplog.text
    assert "secret" not in caplog.text


# sec-42
def test_every_flipped_bit_is_seen(tenant: TestTenant, db: Session) -> None:
    sealed = seal(db, tenant.id, b"secret", "test")
    for position in range(len(sealed) * 8):
        changed = bytearray(sealed)
        changed[position // 8] ^= 1 << position % 8
        with pytest.raises(Unsealable):
            unseal(db, tenant.id, bytes(changed), "test")
    for length in range(len(sealed)):
        with pytest.raises(Unsealable):
            unseal(db, tenant.id, sealed[:length], "test")


# sec-4.7.6
def test_nonces_do_not_repeat(tenant: TestTenant, db: Session) -> None:
    nonces = {seal(db, tenant.id, b"", "test")[5:17] for _ in range(100_000)}
    assert len(nonces) == 100_000


def test_sealing_is_cheap_once_the_key_is_known(tenant: TestTenant, db: Session) -> None:
    seal(db, tenant.id, b"x", "test")
    best = min(_seconds_of_1000(db, tenant) for _ in range(10))
    assert best < 0.03, "more than 30 µs for one value"


def _seconds_of_1000(db: Session, tenant: TestTenant) -> float:
    started = time.thread_time()
    for _ in range(1000):
        seal(db, tenant.id, b"some detail of an event", "test")
    return time.thread_time() - started


def test_of_many_first_users_all_use_one_key(new_tenant: NewTenant) -> None:
    tenant = new_tenant()
    sealed: list[bytes] = []
    start = threading.Barrier(8)

    def use() -> None:
        db = entered(tenant)
        start.wait()
        sealed.append(seal(db, tenant.id, b"x", "test"))
        db.close()

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sealing.forget(tenant.id)
    db = entered(tenant)
    assert [unseal(db, tenant.id, value, "test") for value in sealed] == [b"x"] * 8
    assert len(data_keys.listed(db, tenant.id)) == 1


def test_a_key_that_was_rolled_back_is_not_used_again(new_tenant: NewTenant) -> None:
    tenant = new_tenant()
    db = entered(tenant)
    db.run([("SELECT 1", ())])
    seal(db, tenant.id, b"x", "test")
    seal(db, tenant.id, b"x", "test")
    db.rollback()
    sealed = seal(db, tenant.id, b"y", "test")
    sealing.forget(tenant.id)
    assert unseal(db, tenant.id, sealed, "test") == b"y"


# sec-43
def test_rotating_the_tenants_key_keeps_the_past_readable(new_tenant: NewTenant) -> None:
    tenant = new_tenant()
    db = entered(tenant)
    old = seal(db, tenant.id, b"old", "test")
    assert sealing.rotate(db, tenant.id) == 2
    new = seal(db, tenant.id, b"new", "test")
    assert (sealing.key_of(old), sealing.key_of(new)) == (1, 2)
    assert (unseal(db, tenant.id, old, "test"), unseal(db, tenant.id, new, "test")) == (b"old", b"new")
    assert [row["status"] for row in data_keys.listed(db, tenant.id)] == ["retired", "current"]


# sec-43
def test_rotating_the_servers_key_rewraps_and_needs_the_old_one_no_more(
    new_tenant: NewTenant, own_ring: None
) -> None:
    tenant = new_tenant()
    db = entered(tenant)
    sealed = seal(db, tenant.id, b"old", "test")
    first = key_ring.add()
    assert sealing.rewrap(db, tenant.id) == 1
    second = key_ring.add()
    assert sealing.rewrap(db, tenant.id) == 1
    assert sealing.rewrap(db, tenant.id) == 0
    assert key_ring.names() == ["first", first, second]
    (key_ring.folder() / f"{first}.key").unlink()
    sealing.forget(tenant.id)
    assert unseal(db, tenant.id, sealed, "test") == b"old"
    for file in key_ring.folder().iterdir():
        assert file.stat().st_mode & 0o777 == 0o600


def test_a_ring_that_lacks_the_key_says_so(new_tenant: NewTenant, own_ring: None) -> None:
    tenant = new_tenant()
    name = key_ring.add()
    db = entered(tenant)
    sealed = seal(db, tenant.id, b"x", "test")
    (key_ring.folder() / f"{name}.key").unlink()
    sealing.forget(tenant.id)
    with pytest.raises(key_ring.MissingKey, match=name):
        unseal(db, tenant.id, sealed, "test")
    sealing.forget(tenant.id)


# sec-43: with zero failed reads.
def test_rotation_under_load(new_tenant: NewTenant, own_ring: None) -> None:
    tenant = new_tenant()
    seal(entered(tenant), tenant.id, b"first", "test")
    failures: list[BaseException] = []
    counts: list[int] = []
    stop = threading.Event()

    def work() -> None:
        db, kept, count = entered(tenant), [], 0
        try:
            while not stop.is_set():
                kept.append(seal(db, tenant.id, b"x", "test"))
                count += 1
                sealing.forget(tenant.id)
                assert unseal(db, tenant.id, kept[count // 2], "test") == b"x"
        except BaseException as error:
            failures.append(error)
        counts.append(count)
        db.close()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(10):
        db = entered(tenant)
        key_ring.add()
        sealing.rewrap(db, tenant.id)
        sealing.rotate(db, tenant.id)
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert min(counts) > 5


# sec-44
def test_destroyed_keys_open_nothing(new_tenant: NewTenant) -> None:
    tenant, other = new_tenant(), new_tenant()
    kept = seal(entered(other), other.id, b"kept", "test")
    db = entered(tenant)
    sealed = [seal(db, tenant.id, b"gone", "test")]
    sealing.rotate(db, tenant.id)
    sealed.append(seal(db, tenant.id, b"gone", "test"))
    assert sealing.destroy(db, tenant.id) == 2
    for value in sealed:
        with pytest.raises(Unsealable):
            unseal(db, tenant.id, value, "test")
    assert unseal(entered(other), other.id, kept, "test") == b"kept"


# sec-44: also in a process that had the key in mind
def test_a_destroyed_key_is_out_of_mind_within_a_minute(
    new_tenant: NewTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant = new_tenant()
    db = entered(tenant)
    sealed = seal(db, tenant.id, b"gone", "test")
    data_keys.destroy(db, tenant.id)
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 60)
    with pytest.raises(Unsealable):
        unseal(db, tenant.id, sealed, "test")


# sec-41
def test_the_database_alone_opens_nothing(tenant: TestTenant, db: Session) -> None:
    seal(db, tenant.id, b"x", "test")
    with psycopg.connect(settings.owner_conninfo()) as owner:
        owner.execute(f"SET app.tenant = '{tenant.id}'")
        rows = owner.execute("SELECT wrapped FROM data_key WHERE tenant_id = %s", [tenant.id]).fetchall()
    assert rows
    cipher = sealing._sealing[tenant.id].cipher
    nonce = bytes(12)
    for (wrapped,) in rows:
        assert len(wrapped) == 12 + 32 + 16
        for start in range(len(wrapped) - 31):
            other = AESGCM(wrapped[start:start + 32])
            assert other.encrypt(nonce, b"", None) != cipher.encrypt(nonce, b"", None)
