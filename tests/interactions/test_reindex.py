"""The check finds every kind of damage to the index, reindexing repairs it, and a backfill can stop and go on."""

from collections.abc import Callable
from typing import Any

import pytest

from fhir_server.interactions import reindex as engine
from fhir_server.interactions.worlds import World, refresh
from fhir_server.rest.dispatch import session
from fhir_server.settings import settings
from fhir_server.storage import reindex as stored
from fhir_server.storage.session import Session
from tests.conftest import TestTenant

PARAMETER = {
    "resourceType": "SearchParameter", "url": "http://example.org/fhir/SearchParameter/nickname", "name": "nickname",
    "status": "active", "description": "Part of a name that is a nickname", "code": "nickname", "base": ["Patient"],
    "type": "string", "expression": "Patient.name.where(use = 'nickname').given",
}  # fmt: skip


def enter(tenant: TestTenant) -> tuple[Session, World, str]:
    db = session()
    place = refresh(db, tenant.slug)
    db.enter(tenant.id, None, place.version)
    return db, place, settings.fhir_base(tenant.slug)


def checked(tenant: TestTenant, **how: Any) -> dict[str, Any]:
    db, place, base = enter(tenant)
    return engine.check(db, tenant.id, place.registry, base=base, **how)


def repaired(tenant: TestTenant) -> tuple[int, int]:
    db, place, base = enter(tenant)
    count, after = 0, 0
    while True:
        progress = engine.reindex(db, place.tenant, place.registry, base=base, after=after, limit=3)
        count += progress.repaired
        if progress.after is None:
            break
        after = progress.after
    strays, _ = engine.sweep(db, tenant.id)
    return count, strays


@pytest.fixture
def filled(new_tenant: Callable[[], TestTenant]) -> TestTenant:
    tenant = new_tenant()
    client = tenant.client()
    for number in range(7):
        patient = client.create({
            "resourceType": "Patient", "birthDate": f"199{number}-01-01", "name": [
                {"family": f"Family{number}"}, {"use": "nickname", "given": [f"Nick{number}"]}],
        })  # fmt: skip
        client.create({
            "resourceType": "Observation", "status": "final", "effectiveDateTime": f"202{number}-05-01",
            "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
            "subject": {"reference": f"Patient/{patient['id']}"},
            "valueQuantity": {"value": 70 + number, "system": "http://unitsofmeasure.org", "code": "kg"},
        })  # fmt: skip
    return tenant


def test_an_untouched_index_is_right(filled: TestTenant) -> None:
    found = checked(filled)
    assert found["ok"] and found["checked"] == 14
    assert checked(filled, sample=5, seed=3)["checked"] == 5
    assert repaired(filled) == (0, 0)


DAMAGE = {
    "missing token": "DELETE FROM token WHERE tenant_id = $1 AND rid = (SELECT max(rid) FROM resource WHERE tenant_id = $1)",
    "missing reference": "DELETE FROM reference WHERE tenant_id = $1",
    "missing date": "DELETE FROM date WHERE tenant_id = $1",
    "missing string": "DELETE FROM string WHERE tenant_id = $1 AND val = 'family3'",
    "missing quantity": "DELETE FROM quantity WHERE tenant_id = $1",
    "extra string": "INSERT INTO string (tenant_id, param, val, rid) SELECT $1, 5, 'x', max(rid) FROM resource"
                    " WHERE tenant_id = $1",
    "row of nothing": "INSERT INTO string (tenant_id, param, val, rid) SELECT $1, 5, 'x', max(rid) + 7 FROM resource"
                      " WHERE tenant_id = $1",
    "wrong keys": "UPDATE resource SET keys = keys[2:] || 99::bigint WHERE tenant_id = $1",
    "wrong time": "UPDATE resource SET ts = ts + interval '1 day' WHERE tenant_id = $1",
    "stray token": "INSERT INTO token (tenant_id, key, ts, rid) SELECT $1, 12345, ts, rid FROM resource"
                   " WHERE tenant_id = $1",
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_found_and_repaired(filled: TestTenant, damage: str) -> None:
    db, _, _ = enter(filled)
    db.run([(DAMAGE[damage], (filled.id,))], final=True)
    assert not checked(filled)["ok"]
    count, strays = repaired(filled)
    assert count + strays > 0
    assert checked(filled)["ok"]
    assert len(filled.client().search("Observation?value-quantity=70000|http://unitsofmeasure.org|g")) == 1


def test_a_backfill_goes_on_where_it_stopped(filled: TestTenant) -> None:
    client = filled.client()
    client.create(PARAMETER)
    steps = []
    while True:
        db, place, base = enter(filled)
        (job,) = stored.jobs(db, filled.id)
        if job.status == "done":
            break
        after = engine.run_backfill(db, filled.id, place.registry, job, base=base, limit=3)
        steps.append((after.status, after.done_rows, after.total_rows))
    assert steps == [("running", 3, 7), ("running", 6, 7), ("done", 7, 7)]
    assert len(client.search("Patient?nickname=NICK4")) == 1
    assert len(client.search("Patient?nickname:missing=false")) == 7
    assert checked(filled)["ok"]


def test_a_job_that_somebody_else_advanced_is_left_alone(filled: TestTenant) -> None:
    filled.client().create(PARAMETER)
    db, place, base = enter(filled)
    (old,) = stored.jobs(db, filled.id)
    ahead = engine.run_backfill(db, filled.id, place.registry, old, base=base, limit=3)
    db, place, base = enter(filled)
    assert engine.run_backfill(db, filled.id, place.registry, old, base=base, limit=3) == ahead


def test_a_changed_expression_leaves_no_old_rows(filled: TestTenant) -> None:
    client = filled.client()
    own = client.create(PARAMETER)
    finish(filled)
    changed = {**own, "expression": "Patient.name.where(use = 'old').given"}
    assert client.put(f"SearchParameter/{own['id']}", changed).status == 200
    finish(filled)
    assert client.search("Patient?nickname=nick4") == []
    assert checked(filled)["ok"]


def finish(tenant: TestTenant) -> None:
    while True:
        db, place, base = enter(tenant)
        job = next((job for job in stored.jobs(db, tenant.id) if job.status in ("waiting", "running")), None)
        if job is None:
            return
        engine.run_backfill(db, tenant.id, place.registry, job, base=base)
