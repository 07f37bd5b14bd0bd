"""The worker finds the indexing that is to be done and does it, tenant by tenant."""

from collections.abc import Callable
from typing import Any

import pytest

from fhir_server import worker
from fhir_server.rest.dispatch import session
from fhir_server.settings import Settings
from fhir_server.storage import operator
from fhir_server.storage.reindex import Job, jobs
from tests.conftest import TestTenant

PARAMETER = {
    "resourceType": "SearchParameter",
    "url": "http://example.org/fhir/SearchParameter/nickname",
    "name": "nickname",
    "status": "active",
    "description": "Part of a name that is a nickname",
    "code": "nickname",
    "base": ["Patient"],
    "type": "string",
    "expression": "Patient.name.where(use = 'nickname').given",
}


def _jobs(tenant: TestTenant) -> list[Job]:
    db = session()
    version = next(t.registry_version for t in worker.tenants.all_tenants(db) if t.tenant.id == tenant.id)
    db.enter(tenant.id, None, version)
    return jobs(db, tenant.id)


@pytest.fixture
def woken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tenants for which the sweep sent a wake-up, in place of the broker."""
    sent: list[str] = []
    monkeypatch.setattr(worker.backfill, "delay", sent.append)
    return sent


def test_a_new_parameter_is_found_and_indexed(new_tenant: Callable[[], TestTenant], woken: list[str]) -> None:
    tenant, other = new_tenant(), new_tenant()
    client = tenant.client()
    for number in range(30):
        name = {"use": "nickname", "given": [f"Nick{number}"]}
        client.create({"resourceType": "Patient", "id": "x", "name": [name]})
    client.create(PARAMETER)
    assert [(job.code, job.status) for job in _jobs(tenant)] == [("nickname", "waiting")]
    worker.sweep()
    assert tenant.slug in woken
    assert other.slug not in woken
    worker.backfill(tenant.slug)
    assert [(job.status, job.done_rows, job.total_rows) for job in _jobs(tenant)] == [("done", 30, 30)]
    assert len(client.search("Patient?nickname=nick7")) == 1
    woken.clear()
    worker.sweep()
    assert tenant.slug not in woken


def test_a_suspended_tenant_is_left_alone(new_tenant: Callable[[], TestTenant], woken: list[str]) -> None:
    tenant = new_tenant()
    tenant.client().create(PARAMETER)
    operator.set_status(session(), tenant.slug, "suspended")
    worker.sweep()
    assert tenant.slug not in woken


def test_one_tenant_is_worked_on_once_at_a_time(tenant: TestTenant, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[Any] = []
    monkeypatch.setattr(worker, "_next_batch", called.append)
    monkeypatch.setattr(worker, "_busy", {tenant.slug})
    worker.backfill(tenant.slug)
    assert called == []


def test_one_import_runs_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other thread has reminders and the like to do."""
    called: list[int] = []

    def run_jobs(db: object, tenant_id: int) -> None:
        called.append(tenant_id)
        if tenant_id == 1:
            worker.terminology(2)

    monkeypatch.setattr(worker.imports, "run_jobs", run_jobs)
    worker.terminology(1)
    worker.terminology(3)
    assert called == [1, 3]


@pytest.mark.parametrize(
    ("url", "broker"),
    [
        ("unix:///data/run/valkey/valkey.sock", "redis+socket:///data/run/valkey/valkey.sock"),
        ("redis://valkey:6379/0", "redis://valkey:6379/0"),
    ],
)
def test_the_broker_is_the_servers_valkey(url: str, broker: str) -> None:
    settings = Settings()
    settings.redis_url = url
    assert worker._celery_url(settings.broker_url()) == broker
