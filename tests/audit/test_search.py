"""Reading and searching the log, who may, and the report for a patient."""

from dataclasses import replace
from typing import Any

import pytest

from fhir_server.conformance.operations import load_operation
from fhir_server.conformance.registry import base_registry
from fhir_server.core.context import Context
from fhir_server.core.dates import format_instant
from fhir_server.core.errors import Forbidden, Invalid, NotFound, NotSupported
from fhir_server.core.resource_json import decode
from fhir_server.interactions import audit_log
from fhir_server.interactions.audit_query import SUPPORTED
from fhir_server.operations.call import OperationCall
from fhir_server.operations.disclosures import disclosures
from fhir_server.security import audit, audit_seal
from fhir_server.settings import ROOT
from fhir_server.storage.clock import micros
from fhir_server.validation.run import validate
from tests.audit.world import Log, make_log, observation, patient, someone

EVERYTHING = "system/AuditEvent.rs"


@pytest.fixture(scope="module")
def told() -> Log:
    """Two patients' records, written by a system, seen by two doctors; then sealed, then seen once more."""
    log = make_log()
    db = log.enter()
    for user, resource in (("u-1", "Practitioner/d1"), ("u-2", "Practitioner/d2")):
        sql = (
            "INSERT INTO user_account (tenant_id, user_id, subject, email, name, role, fhir_user)"
            f" VALUES ($1, '{user}', '{user}', '{user}@x.org', 'Dr {user}', 'practitioner', $2)"
        )
        db.run([(sql, (log.tenant_id, resource))], final=True)
    for resource in (patient("p1"), patient("p2"), observation("o1"), observation("o2", "p2")):  # type: ignore[assignment]
        log.store(resource)  # type: ignore[arg-type]
    see(log, "u-1", "read", "Observation/o1")
    see(log, "u-2", "search-type", "Observation/o1", "Observation/o2")
    log.remove("Observation/o2")
    while audit_seal.seal(log.settled(), log.tenant_id):
        pass
    see(log, "u-2", "read", "Patient/p1")
    refused = audit.refused(db, log.tenant_id, "read", 403, who=log.context(user=someone()).principal)
    log.enter().run([refused], final=True)
    return log


def see(log: Log, user: str, event: str, *names: str) -> None:
    ctx = log.context("user/*.rs", user=someone(user_id=user))
    rids = [log.versions[name].rid for name in names]
    detail = {"query": "code=1", "what": "Observation"} if event.startswith("search") else None
    ctx.db.run([audit.about(ctx, event, resource_type=names[0].split("/")[0], rids=rids, detail=detail)], final=True)


def found(ctx: Context, query: str = "", **more: Any) -> list[dict[str, Any]]:
    """All pages."""
    pairs = [(name, value) for name, _, value in (pair.partition("=") for pair in query.split("&") if pair)]
    events: list[dict[str, Any]] = []
    while True:
        page = decode(audit_log.search(ctx, pairs, url=f"{ctx.base}/AuditEvent", **more))
        events += [entry["resource"] for entry in page.get("entry", [])]
        onward = [link["url"] for link in page["link"] if link["relation"] == "next"]
        if not onward:
            return events
        cursor = onward[0].rpartition("_cursor=")[2]
        pairs = [*[pair for pair in pairs if pair[0] != "_cursor"], ("_cursor", cursor)]


def codes(events: list[dict[str, Any]]) -> list[str]:
    """The interactions, without the looks into the log."""
    return [e["subtype"][0]["code"] for e in events if not is_look(e)]


def is_look(event: dict[str, Any]) -> bool:
    entities = event.get("entity", [])
    return event["subtype"][0]["code"] in ("search-type", "search", "read", "operation") and not any(
        "reference" in entity.get("what", {}) for entity in entities
    )


_CASES = {
    "": ["denied", "read", "delete", "search-type", "read", "create", "create", "create", "create"],
    "patient=Patient/p1": ["read", "search-type", "read", "create", "create"],
    "patient=p2": ["delete", "search-type", "create", "create"],
    "patient=p1,p2": ["read", "delete", "search-type", "read", "create", "create", "create", "create"],
    "patient=nobody": [],
    "agent=Practitioner/d1": ["denied", "read"],
    "agent=Practitioner/d2&action=R": ["read"],
    "agent=Practitioner/d9": [],
    "action=D": ["delete"],
    "action=C,D": ["delete", "create", "create", "create", "create"],
    "outcome=4": ["denied"],
    "outcome=1": [],
    "entity=unknown": [],
    "outcome=http://terminology.hl7.org/CodeSystem/audit-event-outcome|4": ["denied"],
    "outcome=0&action=R": ["read", "read"],
    "type=rest&subtype=delete": ["delete"],
    "type=http://dicom.nema.org/resources/ontology/DCM|110114": [],
    "subtype=http://hl7.org/fhir/restful-interaction|create": ["create"] * 4,
    "entity=Observation/o1": ["search-type", "read", "create"],
    "entity=Observation/o2": ["delete", "search-type", "create"],
    "entity=Patient/p1&patient=p1": ["read", "create"],
    "entity=Patient/p9": [],
    "date=ge2020-01-01": ["denied", "read", "delete", "search-type", "read", *["create"] * 4],
    "date=lt2020-01-01": [],
    "date=gt2100": [],
    "_id=a-1-1": [],
    "_id=nonsense": [],
    "action=C&_sort=date&_count=1": ["create"] * 4,
    "_count=2": ["denied", "read", "delete", "search-type", "read", *["create"] * 4],
}


@pytest.mark.parametrize("query", _CASES)
def test_search(told: Log, query: str) -> None:
    assert codes(found(told.context(EVERYTHING), query)) == _CASES[query]


def test_order_and_pages(told: Log) -> None:
    ctx = told.context(EVERYTHING)
    whole = found(ctx, "action=C")
    assert [e["recorded"] for e in whole] == sorted((e["recorded"] for e in whole), reverse=True)
    assert found(ctx, "action=C&_sort=date") == whole[::-1]
    assert found(ctx, "action=C&_count=1") == whole
    assert found(ctx, f"_id={whole[0]['id']},{whole[2]['id']}") == [whole[0], whole[2]]
    assert whole[1]["recorded"] == format_instant(micros(told.versions["Observation/o1"].seq))


def test_a_page_link_of_another_query_or_caller_is_refused(told: Log) -> None:
    ctx = told.context(EVERYTHING)
    page = decode(audit_log.search(ctx, [("_count", "1")], url=f"{ctx.base}/AuditEvent"))
    cursor = page["link"][1]["url"].rpartition("_cursor=")[2]
    for other, pairs in ((ctx, [("_count", "2")]), (told.context("system/*.rs"), [("_count", "1")])):
        with pytest.raises(Invalid):
            audit_log.search(other, [*pairs, ("_cursor", cursor)], url=f"{ctx.base}/AuditEvent")


@pytest.mark.parametrize("query", ["policy=x", "agent-name=x", "date=ne2020", "patient:Patient=p1", "_include=x",
                                   "_sort=recorded", "agent=:", "date=yesterday", "_count=0",
                                   "patient=Group/1", "_total=accurate"])  # fmt: skip
def test_everything_else_is_refused_with_what_there_is(told: Log, query: str) -> None:
    name, _, value = query.partition("=")
    with pytest.raises((NotSupported, Invalid)) as refusal:
        audit_log.search(told.context(EVERYTHING), [(name, value)])
    if name not in SUPPORTED:
        assert all(each in str(refusal.value) for each in SUPPORTED)


def test_read(told: Log) -> None:
    ctx = told.context(EVERYTHING)
    event = found(ctx, "subtype=delete")[0]
    assert decode(audit_log.read(ctx, event["id"])) == event
    for id_ in ("a-1-1", "x", "a-1", "a--1", "a-99999999999999999999999-1", "a-1-99999999999999999999"):
        with pytest.raises(NotFound):
            audit_log.read(ctx, id_)


# Who may -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("scope", "role"), [
    ("user/*.rs", "practitioner"), ("user/AuditEvent.rs", "nurse"), ("user/*.rs", "receptionist"),
    ("user/*.rs", "operator"), ("user/*.rs", "service"), ("patient/*.rs", "practitioner"),
    ("system/Patient.rs", ""), ("user/Patient.rs", "owner"), ("system/AuditEvent.r", ""),
])  # fmt: skip
def test_who_has_not_the_right_gets_nothing(told: Log, scope: str, role: str) -> None:
    ctx = told.context(scope, user=someone(role) if role else None, patient="p1")
    with pytest.raises(Forbidden):
        audit_log.search(ctx, [])


def test_the_owner_sees_everything_with_queries(told: Log) -> None:
    ctx = told.context("user/*.rs", user=someone("owner", "u-9"))
    (event,) = [e for e in found(ctx, "entity=Observation/o1") if e["subtype"][0]["code"] == "search-type"]
    assert any("query" in entity for entity in event["entity"])


def test_a_system_with_all_types_sees_no_queries(told: Log) -> None:
    (event,) = found(told.context("system/*.rs"), "entity=Observation/o1&action=E")
    assert not any("query" in entity for entity in event["entity"])


_PERSONS = {
    "a patient's account": ("patient/*.rs", "patient", ("p1",), "p1"),
    "an app that a patient uses": ("patient/AuditEvent.rs", "patient", ("p1",), "p1"),
    "a proxy of two in the record of one": ("patient/*.rs", "proxy", ("p1", "p2"), "p1"),
    "an app with the patient's rights": ("user/*.rs", "patient", ("p1",), None),
}


@pytest.mark.parametrize("person", _PERSONS)
def test_a_patient_sees_only_what_is_about_himself(told: Log, person: str) -> None:
    scope, role, patients, launched = _PERSONS[person]
    ctx = told.context(scope, user=someone(role, "u-5", patients=patients), patient=launched)
    events = found(ctx)
    assert codes(events) == _CASES["patient=Patient/p1"]
    text = str(events)
    assert "p2" not in text
    assert "o2" not in text
    assert "'query'" not in text
    for other in ("patient=p2", "entity=Observation/o2", "entity=Patient/p2", "patient=p1&entity=Observation/o2"):
        assert codes(found(ctx, other)) == []
    assert codes(found(ctx, "entity=Observation/o1")) == ["search-type", "read", "create"]
    assert codes(found(ctx, "patient=p1&action=R")) == ["read", "read"]
    of_another = found(told.context(EVERYTHING), "subtype=delete")[0]["id"]
    with pytest.raises(NotFound):
        audit_log.read(ctx, of_another)
    assert decode(audit_log.read(ctx, events[0]["id"])) == events[0]


def test_compartments(told: Log) -> None:
    ctx = told.context(EVERYTHING)
    assert codes(found(ctx, "", compartment=("Patient", "p1"))) == _CASES["patient=Patient/p1"]
    assert codes(found(ctx, "", compartment=("Practitioner", "d1"))) == ["denied", "read"]
    assert codes(found(ctx, "patient=p2", compartment=("Patient", "p1"))) == []
    with pytest.raises(NotSupported):
        audit_log.search(ctx, [], compartment=("Device", "1"))


def test_a_look_into_the_log_is_in_the_log(told: Log) -> None:
    ctx = told.context("user/*.rs", user=someone("owner", "u-77"), client_id="viewer")
    audit_log.search(ctx, [("patient", "p1")], url=f"{ctx.base}/AuditEvent")
    event = found(told.context(EVERYTHING), "_count=1")[0]
    assert event["agent"][0]["who"]["identifier"]["value"] == "viewer"
    assert event["subtype"][0]["code"] == "search-type"


def test_rows_that_are_not_sealed_are_found_while_an_older_transaction_runs(log: Log) -> None:
    from fhir_server.storage.session import Session

    slow = Session(log.conninfo)
    slow.enter(log.tenant_id, None, 1)
    slow.run([audit.note(slow, log.tenant_id, "login")])
    log.store(patient("p1"))
    log.store(observation("o1"))
    assert codes(found(log.context(EVERYTHING), "patient=p1")) == ["create", "create"]
    slow.rollback()
    slow.close()


# $disclosures ------------------------------------------------------------------------------------------------------


def report(ctx: Context, patient_id: str = "p1", **parameters: Any) -> list[dict[str, Any]]:
    definition = decode((ROOT / "profiles/operations/Patient-disclosures.json").read_bytes())
    operation = load_operation(definition, ["Patient"])
    extra: list[tuple[str, str]] = []
    events: list[dict[str, Any]] = []
    while True:
        answer = disclosures(ctx, OperationCall(operation, "Patient", patient_id, parameters, extra))
        page = decode(answer.body or b"")
        events += [entry["resource"] for entry in page.get("entry", [])]
        onward = [link["url"] for link in page["link"] if link["relation"] == "next"]
        if not onward:
            return events
        extra = [("_cursor", onward[0].rpartition("_cursor=")[2])]


def test_the_report_says_who_saw_what_when_and_why(told: Log) -> None:
    # sec-54
    ctx = told.context("patient/*.rs", user=someone("patient", "u-5", patients=("p1",)), patient="p1")
    events = [event for event in report(ctx) if event["subtype"][0]["code"] != "operation"]
    assert [(e["subtype"][0]["code"], e["agent"][2]["name"]) for e in events] == [
        ("read", "Dr u-2"), ("search-type", "Dr u-2"), ("read", "Dr u-1"),
    ]  # fmt: skip
    for event in events:
        assert event["recorded"]
        assert event["purposeOfEvent"][0]["coding"][0]["code"] == "TREAT"
        assert {"reference": "Patient/p1"} in [entity["what"] for entity in event["entity"]]
        validate(base_registry(), event)
    said = events[0]["text"]["div"]
    assert "Lecture, " in said
    assert "par Dr u-2 (Praticien); motif : soins." in said
    assert "p2" not in str(events)
    assert [e["id"] for e in report(ctx, _count=1)][-3:] == [e["id"] for e in events]
    assert report(ctx, end="2020-01-01") == []
    assert len(report(ctx, start="2020-01-01")) >= 3


def test_the_report_is_told_in_the_tenants_language(told: Log) -> None:
    ctx = told.context("user/*.rs", user=someone("owner"))
    ctx.tenant = replace(ctx.tenant, settings={"language": "en"})
    read = next(event for event in report(ctx) if event["subtype"][0]["code"] == "read")
    assert read["language"] == "en"
    assert "by Dr u-2 (Practitioner); purpose: treatment." in read["text"]["div"]


def test_the_report_is_for_the_patient_and_the_auditor(told: Log) -> None:
    own = told.context("patient/*.rs", user=someone("patient", "u-5", patients=("p1",)), patient="p1")
    for patient_id in ("p2", "p9"):
        with pytest.raises(NotFound):
            report(own, patient_id)
    with pytest.raises(Forbidden):
        report(told.context("user/*.rs", user=someone("practitioner")))
    auditor = told.context("user/*.rs", user=someone("owner"))
    assert {e["subtype"][0]["code"] for e in report(auditor, "p2")} >= {"search-type"}
    assert "p1" not in str(report(auditor, "p2"))
    with pytest.raises(NotFound):
        report(auditor, "p9")
