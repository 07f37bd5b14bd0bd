"""How consents are looked up: by the index of consent_rule, once for a row, and not at all where there are none."""

import re
from typing import Any

import pytest

from fhir_server.core.context import Principal, User
from fhir_server.core.keys import patient_key, self_key
from fhir_server.rest.dispatch import session
from fhir_server.security.consent_node import Consented
from fhir_server.security.scopes import parse_scopes
from fhir_server.storage import consent_rules
from fhir_server.storage.consent_rules import ConsentRule
from fhir_server.storage.session import Session
from fhir_server.storage.tenants import find
from fhir_server.storage.writer import Writer
from tests.client import Client
from tests.conftest import TestTenant
from tests.consent.words import observation

DOCTOR = Principal("app", parse_scopes("user/*.rs"), b"x", user=User("u", "practitioner", "Practitioner/a"))


@pytest.fixture
def db(tenant: TestTenant, client: Client) -> Session:
    """A session with 2,000 patients' rules, which are never committed, and an observation of one of them."""
    client.put("Patient/p7", {"resourceType": "Patient", "id": "p7"})
    client.put("Observation/o", {**observation("p7"), "id": "o"})
    db = session()
    db.enter(tenant.id, None, find(db, tenant.slug).registry_version)
    consent_rules.replace(db, tenant.id, {n: [ConsentRule(patient_key(f"p{n}"), 0, False)] for n in range(2000)}, ())
    return db


def explained(db: Session, w: Writer, sql: str) -> str:
    rows = db.run([(f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF) {sql}", w.params)], custom=True)
    return "\n".join((row[0] or b"").decode() for row in rows[0])


def seen(tenant: TestTenant, who: Principal) -> tuple[Writer, str]:
    w = Writer(tenant.id)
    condition = Consented(who).where(w, "r")
    own = w.p(self_key("Observation", "o"), "bigint")
    return w, f"SELECT rid FROM resource r WHERE r.tenant_id = $1 AND r.self_key = {own} AND {condition}"


def test_the_gate_is_an_index_probe(tenant: TestTenant, db: Session) -> None:
    w, sql = seen(tenant, DOCTOR)
    plan = explained(db, w, sql)
    db.rollback()
    assert re.search(r"Index Only Scan using consent_rule_pkey on consent_rule", plan), plan
    assert re.search(r"Index Cond: \(\(tenant_id = .*\) AND \(patient = ANY \(r\.keys\)\)\)", plan), plan
    assert "Seq Scan" not in plan


def test_the_function_uses_the_index_too(tenant: TestTenant, db: Session) -> None:
    body: Any = db.run([("SELECT prosrc FROM pg_proc WHERE proname = 'consents_denying'", ())])[0][0][0]
    text = body.decode().split("RETURN (", 1)[1].rsplit(");", 1)[0]
    types = {"p_tenant": "integer", "p_keys": "bigint[]", "p_type": "smallint", "p_ts": "timestamptz",
             "p_self": "bigint", "p_actors": "bigint[]", "p_purposes": "text[]",
             "p_opened": "bigint[]"}  # fmt: skip
    for number, (name, kind) in enumerate(types.items(), 1):
        text = re.sub(rf"\b{name}\b", f"${number}::{kind}", text)
    w = Writer(tenant.id, f"{{{patient_key('p7')}}}", 1, "2026-01-01", 1, "{}", "{}", "{}")
    plan = explained(db, w, text)
    db.rollback()
    assert "Index Scan using consent_rule_pkey on consent_rule" in plan, plan
    assert "Seq Scan" not in plan


def test_memberships_are_looked_up_only_for_rows_with_rules(tenant: TestTenant, db: Session) -> None:
    w, sql = seen(tenant, DOCTOR)
    hidden = explained(db, w, sql)
    consent_rules.replace(db, tenant.id, {7: []}, [patient_key("p7")])
    plain = explained(db, w, sql)
    db.rollback()
    assert re.search(r"InitPlan 2\s+-> +Result \(never executed\)", plain), plain
    assert re.search(r"InitPlan 2\s+-> +Result \(actual rows=1", hidden), hidden
    assert "Rows Removed by Filter: 1" in hidden


def test_without_rules_nothing_is_asked(new_tenant: Any) -> None:
    other = new_tenant()
    client = other.client()
    assert not find(session(), other.slug).tenant.has_consents
    client.put("Patient/p", {"resourceType": "Patient", "id": "p"})
    state = find(session(), other.slug)
    made = client.post("Consent", {
        "resourceType": "Consent", "status": "active", "patient": {"reference": "Patient/p"},
        "scope": {"coding": [{"code": "patient-privacy"}]}, "category": [{"text": "privacy"}],
        "policyRule": {"text": "own"}, "provision": {"type": "permit"},
    })  # fmt: skip
    # What denies nothing is no rule.
    assert made.status == 201, made.text
    assert not find(session(), other.slug).tenant.has_consents
    client.put(f"Consent/{made.id}", {**made.json, "provision": {"type": "deny"}})
    raised = find(session(), other.slug)
    assert raised.tenant.has_consents
    assert raised.registry_version == state.registry_version + 1
    client.put(f"Consent/{made.id}", {**made.json, "provision": {"type": "deny", "period": {"end": "2030"}}})
    assert find(session(), other.slug).registry_version == raised.registry_version
