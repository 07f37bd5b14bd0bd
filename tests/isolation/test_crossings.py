"""Attempts to get across a wall by other ways than asking: references, addresses, caches, what the server owns, data that
might give rights. sec-T4, T8, T31 to T33; sec-11, sec-15, sec-19, sec-23, sec-24
"""

from typing import Any

import pytest

from fhir_server.rest.operation_table import OPERATIONS
from fhir_server.security import labels, policy
from tests.client import ORIGIN, Client
from tests.conftest import TestTenant
from tests.isolation.attackers import ids_of, person, put_all, shown
from tests.isolation.two_patients import CONFIDENTIALITY, IDENTIFIER, SECRET, New, observation, patient


def _spellings(tenant: str) -> list[str]:
    base = f"{ORIGIN}/t/{tenant}/fhir"
    host = ORIGIN.removeprefix("http://")
    return [
        f"{base}/Patient/a", f"{base}/Patient/a/_history/1", f"{base}/Patient/a#x", f"{base}/Patient/a?x=y", f"{base}//Patient/a",
        f"HTTP://{host.upper()}/t/{tenant}/fhir/Patient/a", f"http://{host}:80/t/{tenant}/fhir/Patient/a", f"https://{host}/t/{tenant}/fhir/Patient/a",
        f"//{host}/t/{tenant}/fhir/Patient/a", f"/t/{tenant}/fhir/Patient/a", f"../../{tenant}/fhir/Patient/a", f"../{tenant}/fhir/Patient/a",
        f"t/{tenant}/fhir/Patient/a", f"http://user@{host}/t/{tenant}/fhir/Patient/a", f"{ORIGIN}/t/./{tenant}/fhir/Patient/a",
        f"{ORIGIN}/t/x/../{tenant}/fhir/Patient/a", f"{ORIGIN}/t/%2e%2e/t/{tenant}/fhir/Patient/a", f"{base.upper()}/Patient/a",
        "urn:uuid:6a1c0f3e-1111-4222-8333-444455556666", "urn:oid:1.2.3.4", "#a", f"{base}/Patient/%61",
    ]  # fmt: skip


def test_references_into_another_tenant(new_tenant: New) -> None:
    """sec-T8, sec-19: kept as text, or refused as no reference; resolved, included and rewritten never."""
    theirs, mine = new_tenant(), new_tenant()
    put_all(theirs.client(), [patient("a", "only-there", name=[{"family": SECRET}])])
    entry = {
        "resource": patient("a", "only-there", name=[{"family": SECRET}]),
        "request": {"method": "PUT", "url": "Patient/a"},
    }
    full_url = "urn:uuid:6a1c0f3e-1111-4222-8333-444455556666"
    theirs.client().post(
        "", {"resourceType": "Bundle", "type": "transaction", "entry": [{**entry, "fullUrl": full_url}]}
    )
    client = mine.client()
    for number, reference in enumerate(_spellings(theirs.slug)):
        contained = {"contained": [{"resourceType": "Patient", "id": "a"}]} if reference == "#a" else {}
        body = {**observation(f"o{number}", "x"), "subject": {"reference": reference}, **contained}
        asked = {"resource": body, "request": {"method": "PUT", "url": f"Observation/o{number}"}}
        answer = client.post("", {"resourceType": "Bundle", "type": "transaction", "entry": [asked]})
        assert answer.status in (200, 400, 422), answer.text
        if answer.status == 200:
            assert client.get(f"Observation/o{number}").json["subject"] == {"reference": reference}
            for path in (
                f"Observation?_id=o{number}&_include=*&_include:iterate=*",
                f"Observation?_id=o{number}&subject:Patient.name=Z",
            ):
                found = client.get(path)
                assert SECRET not in found.text
                assert ids_of(found) <= {f"Observation/o{number}"}
    assert client.get("Patient?_has:Observation:patient:code=x&_summary=count").json["total"] == 0
    for query in (f"identifier={IDENTIFIER}|only-there", f"name={SECRET}", "_id=a"):
        body = {**observation("c", "x"), "subject": {"reference": f"Patient?{query}"}}
        asked = {"resource": body, "request": {"method": "PUT", "url": "Observation/c"}}
        assert client.post("", {"resourceType": "Bundle", "type": "transaction", "entry": [asked]}).status == 412
    assert theirs.client().get("Patient?_has:Observation:patient:code=x&_summary=count").json["total"] == 0


def test_a_conditional_reference_to_a_hidden_patient(mine: Client) -> None:
    """sec-T8: as to one that does not exist."""
    said = []
    for value in ("theirs", "never"):
        body = {**observation("x", "p"), "performer": [{"reference": f"Patient?identifier={IDENTIFIER}|{value}"}]}
        entry = {"resource": body, "request": {"method": "POST", "url": "Observation"}}
        said.append(shown(mine.post("", {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}), value))
    assert said[0] == said[1]
    assert said[0][0] == 412


def test_terminology_that_is_hidden(new_tenant: New) -> None:
    """sec-T3: a value set that may not be searched, or is another tenant's, is as unknown to `:in` and operations."""
    a = new_tenant()
    compose = {"include": [{"system": "urn:c", "concept": [{"code": "x"}]}]}
    url = "http://example.org/vs-aa"
    put_all(
        a.client(),
        [
            {"resourceType": "ValueSet", "id": "vs-aa", "url": url, "status": "active", "compose": compose},
            observation("o", "p"),
        ],
    )
    assert a.client().get(f"Observation?code:in={url}").json["total"] == 1
    for attacker in (
        a.client("system/Observation.rs"),
        a.client("patient/Observation.rs", patient="p"),
        new_tenant().client(),
    ):
        for path in (
            "Observation?code:in=http://example.org/vs-{}", "Observation?code:not-in=http://example.org/vs-{}",
            "ValueSet/$expand?url=http://example.org/vs-{}", "ValueSet/vs-{}/$expand", "ValueSet/vs-{}/$validate-code?code=x",
            "ValueSet/$validate-code?url=http://example.org/vs-{}&code=x&system=urn:c",
        ):  # fmt: skip
            assert shown(attacker.get(path.format("aa")), "vs-aa") == shown(attacker.get(path.format("bb")), "vs-bb"), (
                path
            )


def test_every_answer_is_for_its_caller_alone(mine: Client) -> None:
    """sec-T31: no shared cache may keep it."""
    for path in (
        "Patient/p",
        "Patient",
        "_history",
        "Patient/p/$everything",
        "Patient/q",
        "Observation?x=y",
        "Patient/p/_history/1",
    ):
        headers = mine.get(path).headers
        assert "no-store" in headers.get("Cache-Control", ""), path
        assert "Authorization" in headers.get("Vary", ""), path


def test_every_operation_on_what_is_hidden(mine: Client, world: TestTenant, new_tenant: New) -> None:
    """sec-T4, sec-15: all that this server does, as asked of an id that never was."""
    empty = {"resourceType": "Parameters"}
    for attacker in (
        mine,
        world.client("system/Basic.cruds"),
        new_tenant().client(),
        person(world, "proxy", "user/*.cruds", patients=["p"]).client,
    ):
        for kind, code in OPERATIONS:
            taken, free = (
                ("Patient/q", "Patient/z")
                if kind in ("Resource", "Patient", None)
                else ("Observation/oq", "Observation/zz")
            )
            for method in ("GET", "POST"):
                for suffix in ("", "?_count=1"):
                    said = [
                        attacker.request(method, f"{each}/${code}{suffix}", empty if method == "POST" else None)
                        for each in (taken, free)
                    ]
                    assert shown(said[0], taken) == shown(said[1], free), (kind, code)
                    assert SECRET not in said[0].text


def test_the_audit_log_is_hidden_alike(world: TestTenant, client: Client, mine: Client, new_tenant: New) -> None:
    """sec-T1, sec-T32: AuditEvents are written by nobody, and read by who may read them."""
    client.get("Patient/q")
    events = client.get("AuditEvent?_count=5").json.get("entry", [])
    assert events
    taken = events[-1]["resource"]["id"]
    free = taken[:-1] + ("0" if taken[-1] != "0" else "1")
    free = next(
        each
        for each in (taken[: -len(str(n))] + str(n) for n in range(999_999, 0, -1))
        if client.get(f"AuditEvent/{each}").status == 404
    )
    for attacker in (
        mine,
        new_tenant().client(),
        world.client("system/Patient.cruds"),
        person(world, "nurse", "user/*.cruds").client,
    ):
        for path in (
            "AuditEvent/{}",
            "AuditEvent/{}/_history",
            "AuditEvent/{}/_history/1",
            "AuditEvent/{}/$meta",
            "AuditEvent?_id={}",
        ):
            assert shown(attacker.get(path.format(taken)), taken) == shown(attacker.get(path.format(free)), free), path
    event = {**events[-1]["resource"], "id": taken}
    for answer in (
        client.post("AuditEvent", event),
        client.put(f"AuditEvent/{taken}", event),
        client.delete(f"AuditEvent/{taken}"),
    ):
        assert answer.status == 405


def test_what_the_server_owns_is_not_taken_from_the_client(world: TestTenant, client: Client) -> None:
    """sec-T32, sec-23"""
    user = person(world, "practitioner", "user/*.cruds").client
    label = {"security": [{"system": CONFIDENTIALITY, "code": "R"}]}
    meta = {**label, "versionId": "99", "lastUpdated": "1999-01-01T00:00:00Z"}
    made = user.post("Observation", {**observation("x", "p"), "meta": meta})
    assert made.status == 201
    assert made.json["meta"]["versionId"] == "1"
    assert made.json["meta"]["lastUpdated"] > "2020"
    local = f"Observation/{made.id}"
    bare = observation(made.id, "p")
    lower = {**bare, "meta": {"security": [{"system": CONFIDENTIALITY, "code": "N"}]}}
    change = [{"op": "remove", "path": "/meta/security"}]
    off = {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": label}]}
    for answer in (
        user.put(local, bare), user.put(local, lower), user.patch(local, change, content_type="application/json-patch+json"),
        user.post(f"{local}/$meta-delete", off), user.put(f"Observation?_id={made.id}", bare),
        user.post("", {"resourceType": "Bundle", "type": "transaction", "entry": [{"resource": bare, "request": {"method": "PUT", "url": local}}]}),
    ):  # fmt: skip
        assert answer.status == 403, answer.text
    assert client.get(local).json["meta"]["versionId"] == "1"


def test_data_gives_no_rights(world: TestTenant, mine: Client, client: Client) -> None:
    """sec-T33, sec-24: what a patient writes opens no other record and enters none."""
    before = ids_of(mine.get("Patient/p/$everything"))
    member = {"reference": "Patient/p"}
    for body in (
        {"resourceType": "CareTeam", "subject": {"reference": "Patient/q"}, "participant": [{"member": member}]},
        {
            "resourceType": "Group",
            "type": "person",
            "actual": True,
            "member": [{"entity": member}, {"entity": {"reference": "Patient/q"}}],
        },
        {"resourceType": "RelatedPerson", "patient": {"reference": "Patient/q"}},
        {"resourceType": "Account", "status": "active", "subject": [member, {"reference": "Patient/q"}]},
        {"resourceType": "Person", "link": [{"target": member}, {"target": {"reference": "Patient/q"}}]},
        {**observation("x", "q"), "performer": [member]},
        {
            "resourceType": "Appointment",
            "status": "proposed",
            "participant": [
                {"actor": member, "status": "accepted"},
                {"actor": {"reference": "Patient/q"}, "status": "accepted"},
            ],
        },
        {"resourceType": "Encounter", "status": "finished", "class": {"code": "AMB"}, "subject": member},
    ):
        mine.post(body["resourceType"], body)
    assert mine.get("Patient/q").status == 404
    assert mine.get("Observation/oq").status == 404
    after = {
        each
        for each in ids_of(mine.get("Patient/p/$everything")) - before
        if each.startswith(("Observation", "Patient/"))
    }
    assert after & {"Patient/q", "Observation/oq", "Observation/oq2"} == set()


def test_no_writing_into_another_record(world: TestTenant, mine: Client) -> None:
    """sec-T33: a subject of one patient and a performer of another is not the performer's to write."""
    body = {**observation("x", "q"), "performer": [{"reference": "Patient/p"}]}
    made = mine.post("Observation", body)
    own = mine.post("Observation", observation("x", "p"))
    moved = mine.put(f"Observation/{own.id}", {**body, "id": own.id})
    for answer in (made, own):
        if answer.status == 201:
            world.client().delete(f"Observation/{answer.id}")
    assert (made.status, moved.status) == (403, 403)


@pytest.mark.parametrize(
    "body",
    [
        {"resourceType": "Account", "status": "active", "subject": [{"reference": "Patient/p"}, {"reference": "Patient/q"}]},
        {
            "resourceType": "Coverage", "status": "active", "beneficiary": {"reference": "Patient/q"},
            "payor": [{"reference": "Patient/p"}],
        },
        {
            "resourceType": "Provenance", "recorded": "2024-01-01T00:00:00Z", "agent": [{"who": {"reference": "Patient/p"}}],
            "target": [{"reference": "Patient/p"}, {"reference": "Patient/q"}],
        },
        {
            "resourceType": "Communication", "status": "completed", "subject": {"reference": "Patient/q"},
            "sender": {"reference": "Patient/p"},
        },
        {
            "resourceType": "Consent", "status": "active", "patient": {"reference": "Patient/q"}, "scope": {"text": "x"},
            "category": [{"text": "x"}], "policyRule": {"text": "x"}, "performer": [{"reference": "Patient/p"}],
        },
    ],
    ids=lambda body: body["resourceType"],
)  # fmt: skip
def test_no_entering_another_record(body: dict[str, Any], mine: Client) -> None:
    """sec-T33: that one's own patient stands in it, too, does not make it one's own."""
    assert mine.post(body["resourceType"], body).status == 403
    entry = {"resource": body, "request": {"method": "POST", "url": body["resourceType"]}}
    assert mine.post("", {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}).status == 403


def test_the_refusals_tell(world: TestTenant, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Known bad: without the judgement of what a write makes, a label comes off and the other record is entered."""
    monkeypatch.setattr(policy, "check_result", lambda *_: None)
    monkeypatch.setattr(labels, "check_change", lambda *_: None)
    mine = world.client("patient/*.cruds", patient="p")
    made = mine.post("Observation", {**observation("x", "q"), "performer": [{"reference": "Patient/p"}]})
    assert made.status == 201
    client.delete(f"Observation/{made.id}")
    user = person(world, "practitioner", "user/*.cruds").client
    label = {"security": [{"system": CONFIDENTIALITY, "code": "R"}]}
    made = user.post("Observation", {**observation("x", "p"), "meta": label})
    assert user.put(f"Observation/{made.id}", observation(made.id, "p")).status == 200
    client.delete(f"Observation/{made.id}")
