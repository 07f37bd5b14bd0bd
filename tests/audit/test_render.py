"""Every kind of event is a valid AuditEvent, and those of BALP's patterns have what the patterns ask for (sec-50)."""

from base64 import b64decode
from typing import Any

import pytest

from fhir_server.conformance.registry import base_registry
from fhir_server.core.resource_json import decode
from fhir_server.interactions import audit_log
from fhir_server.security import audit
from fhir_server.security.audit_events import kinds
from fhir_server.validation.run import validate
from tests.audit.world import Log, observation, patient, someone

_DCM = "http://dicom.nema.org/resources/ontology/DCM"
# IHE BALP 1.1: codes of the agents client and server in each pattern, and the type of the user.
_BALP = {
    "Create": ("110153", "110152", {"AUT", "INF", "CST"}),
    "Update": ("110153", "110152", {"AUT", "INF", "CST"}),
    "Delete": ("110150", "custodian", {"AUT", "INF", "CST"}),
    "Read": ("110152", "110153", {"IRCP"}),
    "Query": ("110153", "110152", {"IRCP"}),
}


def events_of(log: Log, query: str = "", scope: str = "system/AuditEvent.rs") -> list[dict[str, Any]]:
    pairs = [tuple(pair.split("=", 1)) for pair in query.split("&") if pair]
    ctx = log.context(scope)
    found = decode(audit_log.search(ctx, [(name, value) for name, value in pairs], url=f"{ctx.base}/AuditEvent"))
    return [entry["resource"] for entry in found.get("entry", [])]


def agent_of_type(event: dict[str, Any], code: str) -> list[dict[str, Any]]:
    return [agent for agent in event["agent"] if agent.get("type", {}).get("coding", [{}])[0].get("code") == code]


def check_balp(event: dict[str, Any]) -> None:
    """The rules of the profile that the event claims."""
    (claimed,) = event["meta"]["profile"]
    name = claimed.removeprefix("https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.")
    pattern = name.removeprefix("Patient")
    client, server, users = _BALP[pattern]
    assert event["type"]["code"] == "rest"
    assert event["outcome"] == "0"
    for code in (client, server):
        (agent,) = agent_of_type(event, code)
        assert agent["who"]
        assert agent["network"]
        assert "media" not in agent
    for agent in event["agent"]:
        if agent["type"]["coding"][0]["code"] in users:
            assert agent["requestor"] is True
            assert agent["who"]
            assert "network" not in agent
    types = [entity.get("type", {}).get("code") for entity in event["entity"]]
    assert types.count("2") == 1
    assert types.count("XrequestId") <= 1
    one = next(entity for entity in event["entity"] if entity.get("type", {}).get("code") == "2")
    if pattern == "Query":
        assert one["role"]["code"] == "24"
        assert "what" not in one
        assert b64decode(one["query"])
    else:
        assert one["role"]["code"] in ("4", "3", "20")
        assert one["what"]
    if name.startswith("Patient"):
        (about,) = [entity for entity in event["entity"] if entity.get("type", {}).get("code") == "1"]
        assert about["role"]["code"] == "1"
        assert about["what"]["reference"].startswith("Patient/")


@pytest.mark.parametrize("name", kinds())
@pytest.mark.parametrize("about", ["patient", "other", "several", "nothing", "erased"])
def test_every_event_is_valid(shared: Log, name: str, about: str) -> None:
    rids = {
        "patient": [shared.versions["Observation/o1"].rid],
        "other": [shared.versions["Organization/x"].rid],
        "several": [shared.versions[n].rid for n in ("Observation/o1", "Patient/p2", "Organization/x")],
        "nothing": [],
        "erased": [12345],
    }[about]
    detail = {"query": "code=1", "what": "Observation", "patient": "p1", "address": "192.0.2.7", "reason": "because"}
    user = someone(fhir_user="Practitioner/d1")
    for who in ({"user": user, "token_id": "t-1"}, {"token_id": "t-1"}, {"client_id": ""}):
        ctx = shared.context(**who)
        ctx.request_id = "request-1"
        statement = audit.about(
            ctx, name, resource_type="Observation", rids=rids, outcome=0 if about != "nothing" else 4,
            detail=None if name in ("read", "create") else detail,
        )  # fmt: skip
        ctx.db.run([statement], final=True)
        event = events_of(shared, "_count=1")[0]
        validate(base_registry(), event)
        assert len(event["id"]) <= 64
        if event["meta"].get("profile"):
            check_balp(event)
        elif kinds()[name].pattern and about == "patient" and "client_id" not in who:
            pytest.fail("a success with a client must follow its pattern")


@pytest.fixture(scope="module")
def shared() -> Log:
    """A log with resources to speak of."""
    from tests.audit.world import make_log

    log = make_log()
    for resource in (patient("p1"), patient("p2"), observation("o1"), {"resourceType": "Organization", "id": "x",
                                                                        "name": "Clinic"}):  # fmt: skip
        log.store(resource)
    return log


def test_a_creation_names_the_version_the_patient_the_user_and_the_request(log: Log) -> None:
    log.store(patient("p1"))
    user = someone(fhir_user="Practitioner/d1")
    ctx = log.context("user/*.cruds", user=user, token_id="tok", purpose="TREAT")
    ctx.request_id = "r-77"
    log.store(observation("o1"), ctx)
    event = events_of(log, "_count=1")[0]
    check_balp(event)
    assert event["meta"]["profile"][0].endswith("PatientCreate")
    assert [entity["what"] for entity in event["entity"]] == [
        {"reference": "Observation/o1/_history/1"},
        {"reference": "Patient/p1"},
        {"identifier": {"value": "r-77"}},
    ]
    person = event["agent"][2]
    assert person["who"]["identifier"] == {"system": "urn:salam:user", "value": "u-1"}
    assert person["policy"] == ["urn:ietf:params:oauth:jti:tok"]
    assert person["purposeOfUse"][0]["coding"][0]["code"] == "TREAT"
    assert event["recorded"] == event["meta"]["lastUpdated"]


def test_the_user_is_the_resource_of_his_account(log: Log) -> None:
    db = log.enter()
    sql = (
        "INSERT INTO user_account (tenant_id, user_id, subject, email, name, role, fhir_user)"
        " VALUES ($1, 'u-1', 's', 'dr@example.org', 'Dr Canary', 'practitioner', 'Practitioner/d1')"
    )
    db.run([(sql, (log.tenant_id,))], final=True)
    ctx = log.context("user/*.cruds", user=someone())
    log.store(patient("p1"), ctx)
    event = events_of(log)[0]
    assert event["agent"][2]["who"]["reference"] == "Practitioner/d1"
    assert event["agent"][2]["role"] == [{"text": "practitioner"}]
    assert "Dr Canary" not in str(event)


def test_events_about_accounts_say_where_from_and_what(log: Log) -> None:
    db = log.enter()
    changed = {"account": "u-2", "what": "rights", "role": "nurse", "address": "192.0.2.7"}
    failed = {"address": "192.0.2.8", "reason": "password"}
    db.run([audit.note(db, log.tenant_id, "user-changed", agent="user:u-1", detail=changed)])
    db.run([audit.note(db, log.tenant_id, "login-failed", outcome=8, detail=failed)], final=True)
    failure, change = events_of(log, "_count=2")
    for event in (failure, change):
        validate(base_registry(), event)
    unknown, server = failure["agent"]
    assert (unknown["requestor"], unknown["network"]["address"]) == (True, "192.0.2.8")
    assert server["requestor"] is False
    assert failure["outcomeDesc"] == "password"
    assert change["agent"][1]["network"] == {"address": "192.0.2.7", "type": "2"}
    assert change["entity"][0]["what"]["identifier"]["value"] == "u-2"
    assert change["entity"][1]["detail"] == [
        {"type": "role", "valueString": "nurse"}, {"type": "what", "valueString": "rights"},
    ]  # fmt: skip
    assert "192.0.2" not in str(events_of(log, scope="system/*.rs"))


def test_a_large_page_is_told_in_short(log: Log) -> None:
    ctx = log.context()
    ctx.db.run([audit.about(ctx, "search-type", rids=range(1, 251), detail={"query": "a=b"})], final=True)
    event = events_of(log)[0]
    assert len(event["entity"]) == 102
    assert event["entity"][100]["description"] == "150 more resources were shown."
    validate(base_registry(), event)


def test_what_was_sealed_under_a_destroyed_key_is_left_out(log: Log) -> None:
    from fhir_server.security import sealing

    ctx = log.context()
    ctx.db.run([audit.about(ctx, "search-type", detail={"query": "name=Canary"})], final=True)
    sealing.destroy(log.enter(), log.tenant_id)
    log.enter().commit()
    event = events_of(log, "subtype=search-type&_sort=date")[0]
    assert "entity" not in event
    validate(base_registry(), event)


def test_no_column_of_the_log_names_anybody_in_clear(log: Log) -> None:
    # sec-T25: names, addresses and queries are sealed.
    canary = "CANARY-7f3a"
    log.store(patient("p1", name=[{"family": canary}], telecom=[{"system": "email", "value": f"{canary}@x.org"}]))
    ctx = log.context(user=someone())
    ctx.db.run([audit.about(ctx, "search-type", detail={"query": f"name={canary}", "what": f"Patient/{canary}"})])
    ctx.db.run([audit.note(ctx.db, log.tenant_id, "login-failed", outcome=4, detail={"email": f"{canary}@x.org"})])
    ctx.db.run(
        [audit.refused(ctx.db, log.tenant_id, "read", 404, who=ctx.principal, detail={"what": f"Patient/{canary}"})],
        final=True,
    )
    rows = log.rows("SELECT a::text FROM audit a WHERE tenant_id = %s", log.tenant_id)
    assert len(rows) == 4
    assert canary not in str(rows)
    assert canary.encode().hex() not in str(rows)
    assert canary in b64decode(events_of(log, "subtype=search-type")[0]["entity"][0]["query"]).decode()
