"""Break-glass: who may, for whom, for how long, for what; and that it is known. sec-49"""

import json
import time
from typing import Any

import pytest

from fhir_server.rest.dispatch import session
from fhir_server.security.audit_events import kinds
from fhir_server.security.break_glass import SEALED_FOR
from fhir_server.security.sealing import unseal
from fhir_server.storage import break_glass
from fhir_server.storage.session import Session
from fhir_server.storage.tenants import find
from tests.client import Answer, Client
from tests.conftest import TestTenant
from tests.consent.people import user
from tests.consent.words import consent, observation

REASON = "Unconscious after an accident, allergies needed."


def entered(tenant: TestTenant) -> Session:
    """A session of the tenant."""
    db = session()
    db.enter(tenant.id, None, find(db, tenant.slug).registry_version)
    return db


def opening(who: Client, patient: str, **values: Any) -> Answer:
    """Call $break-glass."""
    given = {"reason": REASON, **values}
    kinds_of = {str: "valueString", int: "valueInteger"}
    parameters = [{"name": name, kinds_of[type(value)]: value} for name, value in given.items() if value is not None]
    return who.post(f"{patient}/$break-glass", {"resourceType": "Parameters", "parameter": parameters})


def events(tenant: TestTenant, name: str) -> list[dict[str, Any]]:
    """The details of the events of a name in the log, with their agents and purposes."""
    db = entered(tenant)
    sql = (
        "SELECT agent, purpose, cardinality(rids), encode(sealed, 'hex') FROM audit"
        " WHERE tenant_id = $1 AND event = $2 ORDER BY seq"
    )
    rows = db.run([(sql, (tenant.id, kinds()[name].number))], final=True)[0]
    found = []
    for agent, purpose, number, sealed in rows:
        detail = json.loads(unseal(db, tenant.id, bytes.fromhex((sealed or b"").decode()), "audit"))
        found.append({"agent": agent, "purpose": purpose, "rids": number, **detail})
    return found


@pytest.fixture
def world(tenant: TestTenant, client: Client) -> dict[str, str]:
    """A patient who denies everything to everybody, with a record; ids."""
    card = {"system": "urn:cin", "value": str(time.time_ns())}
    patient = client.create({"resourceType": "Patient", "identifier": [card]})
    ids = {"patient": patient["id"], "identifier": f"urn:cin|{card['value']}"}
    for codes in ("", "R", "HIV", "V"):
        ids[codes or "plain"] = client.create(observation(patient["id"], "718-7", *codes.split()))["id"]
    client.create(consent(patient["id"], {"type": "deny"}))
    return ids


def readable(who: Client, world: dict[str, str]) -> set[str]:
    """Which of the patient's resources are read."""
    paths = {name: f"Observation/{world[name]}" for name in ("plain", "R", "HIV", "V")}
    return {name for name, path in paths.items() if who.get(path).status == 200}


def test_it_opens_one_record_for_one_user(tenant: TestTenant, client: Client, world: dict[str, str]) -> None:
    nurse, other = user(tenant, "nurse", "Practitioner/n"), user(tenant, "nurse", "Practitioner/m")
    second = client.create({"resourceType": "Patient"})["id"]
    hers = client.create(observation(second))["id"]
    client.create(consent(second, {"type": "deny"}))
    assert readable(nurse, world) == set()
    answer = opening(nurse, f"Patient/{world['patient']}", minutes=20)
    assert answer.status == 200, answer.text
    values = {each["name"]: each for each in answer.json["parameter"]}
    assert values["patient"]["valueReference"] == {"reference": f"Patient/{world['patient']}"}
    assert values["purpose"]["valueCode"] == "BTG"
    # Labels too, but for V; with the very next request.
    assert readable(nurse, world) == {"plain", "R", "HIV"}
    assert len(nurse.search(f"Observation?patient={world['patient']}")) == 3
    assert len(nurse.search(f"Patient/{world['patient']}/$everything")) == 5
    assert nurse.get(f"Observation/{hers}").status == 404
    assert readable(other, world) == set()


def test_it_never_lifts_anything_for_writes(tenant: TestTenant, world: dict[str, str]) -> None:
    nurse = user(tenant, "nurse", "Practitioner/n")
    assert opening(nurse, f"Patient/{world['patient']}").status == 200
    for name in ("plain", "R"):
        path = f"Observation/{world[name]}"
        seen = nurse.get(path).json
        assert nurse.put(path, {**seen, "status": "amended"}).status in (403, 404), name
        patch = [{"op": "replace", "path": "/status", "value": "amended"}]
        assert nurse.patch(path, patch, content_type="application/json-patch+json").status in (403, 404)


def test_it_is_known(tenant: TestTenant, world: dict[str, str]) -> None:
    manager = user(tenant, "manager")
    doctor = user(tenant, "practitioner", "Practitioner/d")
    db = entered(tenant)
    mails = "SELECT count(*) FROM mail WHERE tenant_id = $1"
    before = int(db.run([(mails, (tenant.id,))], final=True)[0][0][0] or b"0")
    assert opening(doctor, f"Patient/{world['patient']}", purpose="ETREAT").status == 200
    # No read follows: the event and the notice are there.
    last = events(tenant, "break-glass")[-1]
    assert (last["purpose"], last["patient"], last["reason"], last["rids"]) == (b"ETREAT", world["patient"], REASON, b"1")
    assert last["agent"].startswith(b"user:")
    assert int(entered(tenant).run([(mails, (tenant.id,))], final=True)[0][0][0] or b"0") > before
    assert manager.get("metadata").status == 200
    waiting = break_glass.every(entered(tenant), tenant.id, reviewed=False)
    mine = next(each for each in waiting if each.id == last["break"])
    db = entered(tenant)
    assert unseal(db, tenant.id, mine.reason_sealed, SEALED_FOR).decode() == REASON
    assert REASON.encode() not in mine.reason_sealed
    assert len(db.run([break_glass.review(tenant.id, mine.id, "dpo")], final=True)[0]) == 1
    db = entered(tenant)
    assert db.run([break_glass.review(tenant.id, mine.id, "dpo")], final=True)[0] == []
    assert mine.id not in {each.id for each in break_glass.every(entered(tenant), tenant.id, reviewed=False)}
    assert mine.id in {each.id for each in break_glass.every(entered(tenant), tenant.id, reviewed=True)}


def test_it_expires(tenant: TestTenant, world: dict[str, str]) -> None:
    doctor = user(tenant, "practitioner", "Practitioner/d")
    assert opening(doctor, f"Patient/{world['patient']}", minutes=1).status == 200
    assert readable(doctor, world) == {"plain", "R", "HIV"}
    db = entered(tenant)
    sql = (
        "UPDATE break_glass SET expires_at = now() - interval '1 second' WHERE tenant_id = $1 AND patient_id = $2"
        " RETURNING user_id"
    )
    rows = db.run([(sql, (tenant.id, world["patient"]))])[0]
    raise_stamps = "UPDATE access_token SET stamp = stamp + 1 WHERE tenant_id = $1 AND user_id = $2"
    db.run([(raise_stamps, (tenant.id, (rows[0][0] or b"").decode()))], final=True)
    assert readable(doctor, world) == set()


def test_it_expires_by_the_clock_of_who_remembers(
    tenant: TestTenant, world: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    doctor = user(tenant, "practitioner", "Practitioner/d")
    assert opening(doctor, f"Patient/{world['patient']}", minutes=1).status == 200
    assert readable(doctor, world) == {"plain", "R", "HIV"}
    later = time.time() + 61
    monkeypatch.setattr("time.time", lambda: later)
    assert readable(doctor, world) == set()


def test_it_ends_when_the_user_ends_it(tenant: TestTenant, world: dict[str, str]) -> None:
    doctor = user(tenant, "practitioner", "Practitioner/d")
    path = f"Patient/{world['patient']}/$end-break-glass"
    assert doctor.post(path).json["parameter"] == [{"name": "ended", "valueBoolean": False}]
    assert opening(doctor, f"Patient/{world['patient']}").status == 200
    assert doctor.post(path).json["parameter"] == [{"name": "ended", "valueBoolean": True}]
    assert readable(doctor, world) == set()
    assert events(tenant, "break-glass-ended")[-1]["patient"] == world["patient"]


def test_a_second_call_changes_nothing(tenant: TestTenant, world: dict[str, str]) -> None:
    doctor = user(tenant, "practitioner", "Practitioner/d")
    first = opening(doctor, f"Patient/{world['patient']}", minutes=5)
    second = opening(doctor, f"Patient/{world['patient']}", minutes=60)
    assert first.json["parameter"][2] == second.json["parameter"][2]


@pytest.mark.parametrize("role", ["owner", "manager", "receptionist", "billing", "service"])
def test_who_may_not(tenant: TestTenant, world: dict[str, str], role: str) -> None:
    assert opening(user(tenant, role), f"Patient/{world['patient']}").status == 403


def test_systems_and_patients_may_not(tenant: TestTenant, world: dict[str, str]) -> None:
    assert opening(tenant.client("system/*.cruds"), f"Patient/{world['patient']}").status == 403
    own = user(tenant, "patient", f"Patient/{world['patient']}", patient=world["patient"])
    assert opening(own, f"Patient/{world['patient']}").status == 403


@pytest.mark.parametrize("signed_in", [901, 86_400, None])
def test_a_sign_in_of_long_ago(tenant: TestTenant, world: dict[str, str], signed_in: int | None) -> None:
    # RFC 9470
    answer = opening(user(tenant, "nurse", "Practitioner/n", signed_in=signed_in), f"Patient/{world['patient']}")
    assert answer.status == 401
    challenge = answer.headers["WWW-Authenticate"]
    assert 'error="insufficient_user_authentication"' in challenge
    assert 'max_age="900"' in challenge


@pytest.mark.parametrize(
    "values",
    [{"reason": "help"}, {"reason": " " * 20}, {"reason": "x" * 501}, {"purpose": "TREAT"},
     {"minutes": 0}, {"minutes": 61}, {"minutes": -5}, {"identifier": "urn:cin|1"}],
)  # fmt: skip
def test_what_is_not_taken(tenant: TestTenant, world: dict[str, str], values: dict[str, Any]) -> None:
    doctor = user(tenant, "practitioner", "Practitioner/d")
    assert opening(doctor, f"Patient/{world['patient']}", **values).status == 400
    assert readable(doctor, world) == set()


def test_by_identifier(tenant: TestTenant, client: Client, world: dict[str, str]) -> None:
    # A patient who is hidden is found by no search, but has a card.
    doctor = user(tenant, "practitioner", "Practitioner/d")
    assert doctor.search(f"Patient?identifier={world['identifier']}") == []
    answer = opening(doctor, "Patient", identifier=world["identifier"])
    assert answer.status == 200, answer.text
    assert answer.json["parameter"][0]["valueReference"]["reference"] == f"Patient/{world['patient']}"
    assert len(doctor.search(f"Patient?identifier={world['identifier']}")) == 1
    assert opening(doctor, "Patient", identifier="urn:cin|nobody").status == 404
    assert opening(doctor, "Patient").status == 400


def test_it_never_crosses_tenants(
    tenant: TestTenant, new_tenant: Any, world: dict[str, str]
) -> None:
    other = new_tenant()
    doctor = user(other, "practitioner", "Practitioner/d")
    unknown = opening(doctor, "Patient/no-such-patient")
    crossed = opening(doctor, f"Patient/{world['patient']}")
    assert crossed.status == unknown.status == 404
    assert crossed.text == unknown.text.replace("no-such-patient", world["patient"])


def test_get_does_not_open(tenant: TestTenant, world: dict[str, str]) -> None:
    doctor = user(tenant, "practitioner", "Practitioner/d")
    assert doctor.get(f"Patient/{world['patient']}/$break-glass?reason=Because+of+an+accident").status == 405


def test_in_a_batch_it_opens_once(tenant: TestTenant, world: dict[str, str]) -> None:
    doctor = user(tenant, "practitioner", "Practitioner/d")
    parameters = {"resourceType": "Parameters", "parameter": [{"name": "reason", "valueString": REASON}]}
    path = f"Patient/{world['patient']}"
    batch = {
        "resourceType": "Bundle",
        "type": "batch",
        "entry": [
            {"resource": parameters, "request": {"method": "POST", "url": f"{path}/$break-glass"}},
            {"request": {"method": "GET", "url": f"Observation/{world['plain']}"}},
        ],
    }
    before = len(events(tenant, "break-glass"))
    answer = doctor.post("", batch)
    assert answer.status == 200, answer.text
    assert answer.json["entry"][0]["response"]["status"].startswith("200")
    assert len(events(tenant, "break-glass")) == before + 1
    assert readable(doctor, world) == {"plain", "R", "HIV"}


def test_what_is_also_anothers_stays_closed_by_him(tenant: TestTenant, client: Client, world: dict[str, str]) -> None:
    doctor = user(tenant, "practitioner", "Practitioner/d")
    second = client.create({"resourceType": "Patient"})["id"]
    both = client.create({
        "resourceType": "Appointment",
        "status": "proposed",
        "participant": [
            {"actor": {"reference": f"Patient/{each}"}, "status": "accepted"} for each in (world["patient"], second)
        ],
    })["id"]  # fmt: skip
    assert opening(doctor, f"Patient/{world['patient']}").status == 200
    assert doctor.get(f"Appointment/{both}").status == 200
    client.create(consent(second, {"type": "deny"}))
    assert doctor.get(f"Appointment/{both}").status == 404
