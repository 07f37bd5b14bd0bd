"""The codes that a tenant uses are kept by every write, survive what is undone, and are gathered anew by reindexing."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from fhir_server.core.keys import param_id, token_key
from fhir_server.interactions import reindex as engine
from fhir_server.interactions.worlds import refresh
from fhir_server.rest.dispatch import session
from fhir_server.search.extract import extract
from fhir_server.settings import settings
from fhir_server.storage import used_codes
from fhir_server.storage.session import Session
from tests.client import Client
from tests.conftest import TestTenant

New = Callable[[], TestTenant]
Json = dict[str, Any]
SYSTEM = "urn:used"
CODE = param_id("Observation", "code")


def observation(*codes: str, **more: Any) -> Json:
    coding = [{"system": SYSTEM, "code": code} for code in codes]
    return {"resourceType": "Observation", "status": "final", "code": {"coding": coding}, **more}


def enter(tenant: TestTenant) -> Session:
    db = session()
    place = refresh(db, tenant.slug)
    db.enter(tenant.id, None, place.version)
    return db


def rows(tenant: TestTenant, param: int = CODE) -> set[tuple[str, str, int]]:
    db = enter(tenant)
    sql = "SELECT system, code, key FROM used_code WHERE tenant_id = $1 AND param = $2"
    found = db.run([(sql, (tenant.id, param))], final=True)[0]
    return {((s or b"").decode(), (c or b"").decode(), int(k or 0)) for s, c, k in found}


def codes(tenant: TestTenant) -> set[str]:
    return {code for _, code, _ in rows(tenant)}


def forgotten(tenant: TestTenant) -> None:
    """As in a process that has written nothing yet."""
    used_codes._seen.pop(tenant.id, None)


def test_a_code_is_kept_with_the_key_of_its_exact_form(new_tenant: New) -> None:
    tenant = new_tenant()
    tenant.client().create(observation("a", valueString="x", identifier=[{"system": SYSTEM, "value": "i"}]))
    assert rows(tenant) == {(SYSTEM, "a", token_key("Observation", "code", f"{SYSTEM}|a"))}
    status = param_id("Observation", "status")
    assert rows(tenant, status) == {("", "final", token_key("Observation", "status", "final"))}
    assert rows(tenant, param_id("Observation", "identifier")) == set(), "an identifier is no code"


def test_what_no_index_can_hold_is_left_out(new_tenant: New) -> None:
    tenant = new_tenant()
    client = tenant.client()
    long = {"system": f"urn:{'x' * 3000}", "code": "a"}
    client.create({"resourceType": "Observation", "status": "final", "code": {"coding": [long, {"code": "bare"}]}})
    assert rows(tenant) == set()


def test_nothing_is_written_twice(new_tenant: New, monkeypatch: pytest.MonkeyPatch) -> None:
    tenant = new_tenant()
    client = tenant.client()
    sent: list[set[Any]] = []
    real = used_codes._insert

    def insert(tenant_id: int, codes: Any) -> Any:
        sent.append(set(codes))
        return real(tenant_id, codes)

    monkeypatch.setattr(used_codes, "_insert", insert)
    client.create(observation("a"))
    client.create(observation("a"))
    stored = client.create(observation("a", "b"))
    client.put(f"Observation/{stored['id']}", {**stored, "status": "amended"})
    assert [len(each) for each in sent] == [2, 1, 1]
    forgotten(tenant)
    client.create(observation("a", "b"))
    assert len(sent) == 4
    assert codes(tenant) == {"a", "b"}


def test_a_write_that_is_undone_hides_no_code(new_tenant: New) -> None:
    tenant = new_tenant()
    client = tenant.client()
    entries = [
        {"resource": observation("a"), "request": {"method": "POST", "url": "Observation"}},
        {"request": {"method": "GET", "url": "Observation/none"}},
    ]
    answer = client.post("", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert answer.status == 404
    assert codes(tenant) == set()
    client.create(observation("a"))
    assert codes(tenant) == {"a"}


def test_a_held_transaction_counts_when_it_is_committed(new_tenant: New) -> None:
    tenant = new_tenant()
    db, undone = enter(tenant), []
    with db.hold():
        db.when_committed(lambda: undone.append(1))
        db.run([("SELECT 1", ())], final=True)
        assert not undone
    db.rollback()
    db.run([("SELECT 1", ())], final=True)
    assert not undone, "what is undone is not followed by what was to come"
    db.when_committed(lambda: undone.append(2))
    db.run([("SELECT 1", ())], final=True)
    assert undone == [2]


def test_writers_of_the_same_new_codes(new_tenant: New) -> None:
    """At once, in different orders, in one transaction each."""
    tenant = new_tenant()
    client = tenant.client()
    names = [f"c{n}" for n in range(12)]

    def write(number: int) -> int:
        forgotten(tenant)
        some = names[number:] + names[:number]
        entries = [{"resource": observation(code), "request": {"method": "POST", "url": "Observation"}} for code in some]
        return client.post("", {"resourceType": "Bundle", "type": "transaction", "entry": entries}).status

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(write, range(12))) == {200}
    assert codes(tenant) == set(names)


def check(tenant: TestTenant) -> Json:
    db, place = enter(tenant), refresh(session(), tenant.slug)
    db.enter(tenant.id, None, place.version)
    return engine.check(db, tenant.id, place.registry, base=settings.fhir_base(tenant.slug))


def reindex(tenant: TestTenant) -> int:
    db, place = enter(tenant), refresh(session(), tenant.slug)
    db.enter(tenant.id, None, place.version)
    repaired, after = 0, 0
    while True:
        done = engine.reindex(
            db, place.tenant, place.registry, base=settings.fhir_base(tenant.slug), after=after, limit=2
        )
        repaired += done.repaired
        if done.after is None:
            return repaired
        after = done.after


def test_missing_codes_are_found_and_gathered_again(new_tenant: New) -> None:
    tenant = new_tenant()
    client = tenant.client()
    for code in ("a", "b", "c"):
        client.create(observation(code))
    assert check(tenant)["ok"]
    db = enter(tenant)
    db.run([("DELETE FROM used_code WHERE tenant_id = $1 AND code <> 'a'", (tenant.id,))], final=True)
    found = check(tenant)
    assert not found["ok"] and found["missing"]["used_code"] == 3, "b, c and the status"
    assert len(found["examples"]) >= 2
    assert reindex(tenant) >= 2
    assert check(tenant)["ok"] and codes(tenant) == {"a", "b", "c"}


def test_a_code_too_many_is_no_damage(new_tenant: New) -> None:
    tenant = new_tenant()
    client = tenant.client()
    stored = client.create(observation("a"))
    client.delete(f"Observation/{stored['id']}")
    assert codes(tenant) == {"a"}
    assert check(tenant)["ok"], "neither are the rows under which a deletion is found"
    assert client.get(f"Observation?code:below={SYSTEM}|a").json.get("entry") is None


def test_older_resources_are_told_until_they_are_gathered(new_tenant: New) -> None:
    """A search by terminology must not look like one that found nothing."""
    tenant = new_tenant()
    client = tenant.client()
    client.create(observation("a"))
    in_use = {"resourceType": "ValueSet", "url": "urn:vs", "status": "active",
              "compose": {"include": [{"system": SYSTEM, "concept": [{"code": "a"}]}]}}  # fmt: skip
    client.create(in_use)
    db = enter(tenant)
    db.run([("DELETE FROM used_code WHERE tenant_id = $1", (tenant.id,))])
    db.run([("INSERT INTO used_code VALUES ($1, 0, '', '', 0)", (tenant.id,))], final=True)
    answer = client.get("Observation?code:in=urn:vs")
    assert answer.status == 422 and "reindex" in answer.text
    reindex(tenant)
    assert client.get("Observation?code:in=urn:vs&_total=accurate").json["total"] == 1


def test_a_new_parameter_gathers_its_codes(new_tenant: New) -> None:
    tenant = new_tenant()
    client = tenant.client()
    client.create(observation("a", method={"coding": [{"system": SYSTEM, "code": "m"}]}))
    client.create({
        "resourceType": "SearchParameter", "url": "urn:how", "name": "how", "status": "active", "description": "d",
        "code": "how", "base": ["Observation"], "type": "token", "expression": "Observation.method",
    })  # fmt: skip
    assert client.get(f"Observation?how:below={SYSTEM}|m").status == 400, "it is being indexed"
    work_off(tenant)
    found = client.get(f"Observation?how:below={SYSTEM}|m&_total=accurate")
    assert found.status == 200 and found.json["total"] == 1
    assert {code for _, code, _ in rows(tenant, param_id("Observation", "how"))} == {"m"}


def work_off(tenant: TestTenant) -> None:
    from fhir_server.storage.reindex import jobs

    for _ in range(20):
        place = refresh(session(), tenant.slug)
        db = session()
        db.enter(tenant.id, None, place.version)
        open_jobs = [job for job in jobs(db, tenant.id) if job.status in ("waiting", "running")]
        if not open_jobs:
            return
        db.enter(tenant.id, None, place.version)
        engine.run_backfill(db, tenant.id, place.registry, open_jobs[0], base=settings.fhir_base(tenant.slug), limit=1)


def test_the_gathering_costs_a_write_little(client: Client, tenant: TestTenant) -> None:
    """Known bad for the bench: the codes come with the extraction, as rows of the same element."""
    place = refresh(session(), tenant.slug)
    found = extract(place.registry, {"id": "o", **observation("a", "b")}, "http://x")
    assert {code[2] for code in found.codes if code[0] == CODE} == {"a", "b"}
    assert {code[3] for code in found.codes} <= set(found.keys)
