"""Limits and lock-outs, with Valkey and without (security-reliability.md 5.3.11, smart-checklist 244)."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fhir_server.core.errors import Throttled
from fhir_server.security import throttle, valkey
from fhir_server.settings import settings
from fhir_server.storage.session import Session
from tests.conformance.counted import calls
from tests.conftest import TestTenant

NewTenant = Callable[[], TestTenant]
Place = tuple[Session, int]


@pytest.fixture(autouse=True)
def _fresh(one_window: None) -> Iterator[None]:
    throttle._allowances.clear()
    yield
    throttle._allowances.clear()


@pytest.fixture(params=["valkey", "no valkey"])
def valkey_or_not(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    if request.param == "no valkey":
        monkeypatch.setattr(settings, "redis_url", f"unix://{tmp_path}/nothing.sock")
    return str(request.param)


@pytest.fixture
def place(new_tenant: NewTenant) -> Place:
    tenant = new_tenant()
    db = Session(settings.app_conninfo())
    db.enter(tenant.id, None, 1)
    return db, tenant.id


def refusal(call: Callable[..., None], *arguments: Any) -> Throttled | None:
    try:
        call(*arguments)
    except Throttled as error:
        return error
    return None


def allowed(place: Place, kind: str, *parties: str) -> bool:
    error = refusal(throttle.check, *place, kind, *parties)
    if error is None:
        return True
    assert error.status == 429
    assert 1 <= int(error.headers["Retry-After"]) <= 3600
    assert not any(party in error.issues[0].text for party in parties)
    return False


# smart-244
@pytest.mark.parametrize("kind", ["token", "introspect", "revoke", "register", "picker", "authorize", "code"])
def test_limit_and_limit_plus_one(place: Place, valkey_or_not: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first = throttle.KINDS[kind][0]
    # The same table with smaller numbers, so that the test is short.
    monkeypatch.setitem(throttle.KINDS, kind, (throttle.Rule(5, first.seconds, first.of),))
    assert [allowed(place, kind, "somebody", "192.0.2.1") for _ in range(6)] == [True] * 5 + [False]
    assert allowed(place, kind, "another", "192.0.2.2")


# smart-244
def test_an_address_may_not_try_many_accounts(place: Place, valkey_or_not: str) -> None:
    tried = [allowed(place, "login", f"user{n}", "192.0.2.1") for n in range(121)]
    assert tried == [True] * 120 + [False]
    assert allowed(place, "login", "user1", "192.0.2.2")


# smart-244
def test_failures_lock_the_account_for_that_address_only(place: Place, valkey_or_not: str) -> None:
    for _ in range(10):
        assert allowed(place, "login", "amina", "192.0.2.1")
        throttle.failed(*place, "login", "amina", "192.0.2.1")
    assert not allowed(place, "login", "amina", "192.0.2.1")
    assert allowed(place, "login", "amina", "192.0.2.2"), "the owner can still sign in from elsewhere"
    assert allowed(place, "login", "binta", "192.0.2.1")


# smart-244
def test_a_lock_out_survives_valkey(place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for _ in range(10):
        throttle.failed(*place, "login", "amina", "192.0.2.1")
    assert not allowed(place, "login", "amina", "192.0.2.1")
    monkeypatch.setattr(settings, "redis_url", f"unix://{tmp_path}/nothing.sock")
    assert not allowed(place, "login", "amina", "192.0.2.1")


# smart-244
def test_many_failures_from_anywhere_only_ask_for_more(place: Place) -> None:
    for n in range(50):
        assert not throttle.pressed(*place, "login", "amina", "192.0.2.200")
        throttle.failed(*place, "login", "amina", f"192.0.2.{n}")
    assert throttle.pressed(*place, "login", "amina", "192.0.2.200")
    assert allowed(place, "login", "amina", "192.0.2.200")
    assert not throttle.pressed(*place, "login", "binta", "192.0.2.200")


def test_success_takes_mistyped_passwords_back(place: Place) -> None:
    for _ in range(9):
        throttle.failed(*place, "login", "amina", "192.0.2.1")
    throttle.succeeded(*place, "login", "amina", "192.0.2.1")
    for _ in range(9):
        throttle.failed(*place, "login", "amina", "192.0.2.1")
    assert allowed(place, "login", "amina", "192.0.2.1")


# smart-244
def test_failed_client_authentication_is_limited(place: Place, valkey_or_not: str) -> None:
    for _ in range(120):
        throttle.failed(*place, "token", "app", "192.0.2.1")
    assert not allowed(place, "token", "app", "192.0.2.1")
    assert allowed(place, "token", "app", "192.0.2.2")


def test_tenants_do_not_share_counts(place: Place, new_tenant: NewTenant, valkey_or_not: str) -> None:
    for _ in range(10):
        throttle.failed(*place, "login", "amina", "192.0.2.1")
    other = new_tenant()
    place[0].enter(other.id, None, 1)
    assert allowed((place[0], other.id), "login", "amina", "192.0.2.1")


def test_the_addresses_of_one_ipv6_host_count_as_one(place: Place) -> None:
    tried = [allowed(place, "login", f"user{n}", f"2001:db8::{n:x}") for n in range(121)]
    assert tried == [True] * 120 + [False]
    assert allowed(place, "login", "user1", "2001:db8:0:1::1")


# sec-40: nothing in the table names anybody
def test_the_table_holds_no_names(place: Place) -> None:
    throttle.failed(*place, "login", "amina@example.org", "192.0.2.1")
    db, tenant_id = place
    rows = db.run([("SELECT encode(key, 'escape') FROM throttle WHERE tenant_id = $1", (tenant_id,))], final=True)[0]
    assert len(rows) == 3
    assert not any(b"amina" in (row[0] or b"") or b"192.0" in (row[0] or b"") for row in rows)


def test_a_window_ends(place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(settings, "redis_url", f"unix://{tmp_path}/nothing.sock")
    monkeypatch.setitem(throttle.KINDS, "token", (throttle.Rule(1, 3600),))
    assert [allowed(place, "token", "app"), allowed(place, "token", "app")] == [True, False]
    db, tenant_id = place
    db.run([("UPDATE throttle SET expires_at = now() WHERE tenant_id = $1", (tenant_id,))], final=True)
    assert allowed(place, "token", "app")


# sec-P7
def test_a_dead_valkey_costs_nothing(monkeypatch: pytest.MonkeyPatch, stands_still: None) -> None:
    # An address that never answers.
    monkeypatch.setattr(settings, "redis_url", "redis://203.0.113.1:6379/0")
    asked: list[None] = []
    client = valkey._client

    def counted() -> Any:
        asked.append(None)
        return client()

    monkeypatch.setattr(valkey, "_client", counted)
    for _ in range(1000):
        assert valkey.count([("salam:test", 1, 1)]) is None
    assert len(asked) == 1


@pytest.fixture
def stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is, less than the pause passes after which Valkey is asked again."""
    moment = time.monotonic()
    monkeypatch.setattr(valkey, "time", SimpleNamespace(monotonic=lambda: moment))
    monkeypatch.setattr(valkey, "_TIMEOUT_S", 0.1)


@pytest.fixture
def small_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "client_rate", 10)
    monkeypatch.setattr(settings, "tenant_rate", 25)
    monkeypatch.setattr(settings, "web_workers", 1)


def passes(*arguments: Any) -> bool:
    error = refusal(throttle.fhir, *arguments)
    assert error is None or 1 <= int(error.headers["Retry-After"]) <= 60
    return error is None


def test_fhir_requests_of_a_client_are_limited(place: Place, small_rates: None, valkey_or_not: str) -> None:
    tenant_id = place[1]
    assert [passes(tenant_id, "app", "u1") for _ in range(11)] == [True] * 10 + [False]
    assert passes(tenant_id, "app", "u2"), "another user of the app"
    assert passes(tenant_id + 1_000_000, "app", "u1"), "another tenant"


def test_fhir_requests_of_a_tenant_are_limited(place: Place, small_rates: None, valkey_or_not: str) -> None:
    tenant_id = place[1]
    assert sum(passes(tenant_id, f"app{n}") for n in range(40)) == 25


def test_a_bundle_costs_its_entries(place: Place, small_rates: None) -> None:
    assert passes(place[1], "app", "", 8)
    assert not passes(place[1], "app", "", 3)
    assert passes(place[1], "app", "", 2)


# Two processes are two sets of allowances over one Valkey.
def test_processes_share_the_limit(place: Place, small_rates: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "tenant_rate", 0)
    first, second = throttle._allowances.__class__(), throttle._allowances.__class__()
    served = 0
    for n in range(40):
        monkeypatch.setattr(throttle, "_allowances", (first, second)[n % 2])
        served += passes(place[1], "app")
    assert served == 10


def test_no_limit_means_none(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "client_rate", 0)
    monkeypatch.setattr(settings, "tenant_rate", 0)
    assert all(passes(place[1], "app") for _ in range(1000))


def test_a_fhir_request_pays_next_to_nothing(place: Place) -> None:
    throttle.fhir(place[1], "app", "user")
    with calls() as counted:
        for _ in range(1000):
            throttle.fhir(place[1], "app", "user")
    assert counted() < 30_000, "more than 30 calls, or a question to Valkey, for one request"


# sec-F5: a Valkey that takes connections and says nothing.
def test_a_silent_valkey_costs_a_moment_once(monkeypatch: pytest.MonkeyPatch, stands_still: None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(settings, "redis_url", f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
        for _ in range(100):
            assert valkey.count([("salam:test", 1, 1)]) is None
        silent.setblocking(False)
        called = 0
        with suppress(BlockingIOError):
            while True:
                silent.accept()[0].close()
                called += 1
    assert called == 1
    valkey._clients.pop(settings.redis_url).close()
