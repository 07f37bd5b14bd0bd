"""fhir-server break-glass, and consents made rules anew. sec-49"""

import json
from typing import Any
from zoneinfo import ZoneInfo

from click.testing import CliRunner

from fhir_server.cli import commands
from fhir_server.conformance.registry import base_registry
from fhir_server.rest.dispatch import session
from fhir_server.security.consent import renew
from fhir_server.security.consent_conditions import Reader
from fhir_server.storage.tenants import find
from tests.client import Client
from tests.conftest import TestTenant
from tests.consent.people import user
from tests.consent.words import consent, observation


def call(*arguments: str) -> Any:
    """What a command prints as JSON."""
    result = CliRunner().invoke(commands, [*arguments, "--json"], standalone_mode=False)
    if result.exception:
        raise result.exception
    return json.loads(result.stdout)


def test_listed_and_reviewed(tenant: TestTenant, client: Client) -> None:
    patient = client.create({"resourceType": "Patient"})["id"]
    doctor = user(tenant, "practitioner", "Practitioner/d")
    reason = {"name": "reason", "valueString": "Unconscious after an accident."}
    parameters = {"resourceType": "Parameters", "parameter": [reason]}
    assert doctor.post(f"Patient/{patient}/$break-glass", parameters).status == 200
    (listed,) = call("break-glass", "list", "--tenant", tenant.slug)
    assert listed["patient"] == patient
    assert listed["reason"] == "Unconscious after an accident."
    assert listed["reviewed"] == ""
    assert call("break-glass", "review", listed["id"], "--tenant", tenant.slug, "--by", "dpo")["reviewed_by"] == "dpo"
    assert call("break-glass", "list", "--tenant", tenant.slug) == []
    (listed,) = call("break-glass", "list", "--tenant", tenant.slug, "--all")
    assert listed["reviewed_by"] == "dpo"


def test_rules_are_made_anew(tenant: TestTenant, client: Client) -> None:
    patient = client.create({"resourceType": "Patient"})["id"]
    path = f"Observation/{client.create(observation(patient))['id']}"
    doctor = user(tenant, "practitioner", "Practitioner/d")
    made = client.create(consent(patient, {"type": "deny"}))
    db = session()
    state = find(db, tenant.slug)
    reader = Reader(base_registry(), client.base, ZoneInfo("UTC"))

    def again(stored: dict[str, Any]) -> None:
        db.enter(tenant.id, None, find(db, tenant.slug).registry_version)
        row = db.run([("SELECT rid FROM resource WHERE tenant_id = $1 AND id = $2", (tenant.id, made["id"]))])[0][0]
        renew(db, tenant.id, {int(row[0] or b"0"): stored}, reader)
        db.commit()

    db.enter(tenant.id, None, state.registry_version)
    db.run([("DELETE FROM consent_rule WHERE tenant_id = $1", (tenant.id,))], final=True)
    assert doctor.get(path).status == 200
    call("reindex", "--tenant", tenant.slug)
    assert doctor.get(path).status == 404
    again({**made, "status": "inactive"})
    assert doctor.get(path).status == 200
    # What was stored before there were rules and cannot be enforced denies until somebody corrects it.
    group = {"role": {"coding": [{"code": "IRCP"}]}, "reference": {"reference": "Group/1"}}
    again({**made, "provision": {"type": "permit", "provision": [{"type": "deny", "actor": [group]}]}})
    assert doctor.get(path).status == 404
    assert doctor.get(f"Consent/{made['id']}").status == 200
