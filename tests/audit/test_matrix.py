"""What is audited, over HTTP: the matrix of security-reliability.md 4.4(3), sec-51."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from fhir_server.rest.dispatch import session
from fhir_server.security import audit
from fhir_server.security.audit_events import by_number
from fhir_server.storage import audit_log
from fhir_server.storage.audit import Entry
from fhir_server.storage.audit_log import Logged, Wanted
from tests.audit.world import observation, patient
from tests.client import Answer, Client
from tests.conftest import TestTenant

Case = Callable[["Place"], Answer]


@dataclass(slots=True)
class Place:
    """A tenant with a patient and an observation."""

    tenant: TestTenant
    client: Client
    foreign: str

    def rows(self) -> list[Logged]:
        """The whole log, oldest first."""
        db = session()
        db.enter(self.tenant.id, None, 1)
        statement = audit_log.page(self.tenant.id, Wanted(), after=None, ascending=True, limit=10_000)
        return [audit_log.logged(row) for row in db.run([statement], final=True, custom=True)[0]]

    def events(self, work: Callable[[], Any]) -> list[Logged]:
        """What the log has after `work` that it had not before."""
        before = {(row.xid, row.seq) for row in self.rows()}
        work()
        return [row for row in self.rows() if (row.xid, row.seq) not in before]


@pytest.fixture(scope="module")
def place(tenant: TestTenant, client: Client, new_tenant: Callable[[], TestTenant]) -> Place:
    for resource in (patient("p1"), patient("p2"), observation("o1"), observation("o2")):
        assert client.put(f"{resource['resourceType']}/{resource['id']}", resource).status == 201
    client.put("Observation/o1", {**observation("o1"), "status": "amended"})
    return Place(tenant, client, new_tenant().token())


def batch(kind: str, *entries: tuple[str, str, dict[str, Any] | None]) -> dict[str, Any]:
    return {
        "resourceType": "Bundle",
        "type": kind,
        "entry": [
            {"request": {"method": method, "url": url}, **({"resource": resource} if resource else {})}
            for method, url, resource in entries
        ],
    }


def new(id_: str | None = None) -> dict[str, Any]:
    return observation(id_ or f"n-{uuid.uuid4().hex[:8]}")


def _delete_new(place: Place) -> Answer:
    resource = new()
    place.client.put(f"Observation/{resource['id']}", resource)
    return place.client.delete(f"Observation/{resource['id']}")


def with_scope(place: Place, scope: str) -> Client:
    return place.tenant.client(scope)


_BAD = {**new("x"), "status": "nonsense"}
_PATCH = [{"op": "replace", "path": "/status", "value": "final"}]
_JSON_PATCH = "application/json-patch+json"

# name: what is done, the answer's status, the events (name, outcome, number of resources; None: any number).
_CASES: dict[str, tuple[Case, int, list[tuple[str, int, int | None]]]] = {
    "create": (lambda p: p.client.post("Observation", observation("ignored")), 201, [("create", 0, 1)]),
    "create in vain": (lambda p: p.client.post("Observation", _BAD), 422, [("create", 4, 0)]),
    "conditional create of what is there": (
        lambda p: p.client.post("Observation", new(), if_none_exist="_id=o1"), 200, [("create", 0, 1)]),
    "update as create": (lambda p: p.client.put("Observation/new-1", new("new-1")), 201, [("update", 0, 1)]),
    "update": (lambda p: p.client.put("Observation/o2", {**new("o2"), "status": "amended"}), 200, [("update", 0, 1)]),
    "update that changes nothing": (
        lambda p: p.client.put("Observation/o2", {**new("o2"), "status": "amended"}), 200, [("update", 0, 1)]),
    "update of another version": (
        lambda p: p.client.put("Observation/o2", new("o2"), if_match='W/"77"'), 412, [("update", 4, 0)]),
    "patch": (lambda p: p.client.patch("Observation/o2", _PATCH, content_type=_JSON_PATCH), 200, [("patch", 0, 1)]),
    "delete": (_delete_new, 204, [("update", 0, 1), ("delete", 0, 1)]),
    "read": (lambda p: p.client.get("Observation/o1"), 200, [("read", 0, 1)]),
    "head": (lambda p: p.client.request("HEAD", "Observation/o1"), 200, [("read", 0, 1)]),
    "read that was not modified": (
        lambda p: p.client.get("Observation/o1", if_none_match='W/"2"'), 304, [("read", 0, 1)]),
    "missing read": (lambda p: p.client.get("Observation/missing"), 404, [("read", 4, 0)]),
    "vread": (lambda p: p.client.get("Observation/o1/_history/1"), 200, [("vread", 0, 1)]),
    "missing vread": (lambda p: p.client.get("Observation/o1/_history/9"), 404, [("vread", 4, 0)]),
    "history of an instance": (
        lambda p: p.client.get("Observation/o1/_history"), 200, [("history-instance", 0, 2)]),
    "history of a type": (lambda p: p.client.get("Patient/_history"), 200, [("history-type", 0, 2)]),
    "history of the system": (lambda p: p.client.get("_history?_count=3"), 200, [("history-system", 0, 3)]),
    "search": (lambda p: p.client.get("Observation?_id=o1,o2"), 200, [("search-type", 0, 2)]),
    "search by POST": (
        lambda p: p.client.post("Observation/_search", "_id=o1", content_type="application/x-www-form-urlencoded"),
        200, [("search-type", 0, 1)]),
    "search with includes": (
        lambda p: p.client.get("Observation?_id=o1&_include=Observation:subject"), 200, [("search-type", 0, 2)]),
    "search for nothing": (lambda p: p.client.get("Observation?_id=none"), 200, [("search-type", 0, 0)]),
    "search that counts": (lambda p: p.client.get("Observation?_summary=count"), 200, [("search-type", 0, 0)]),
    "search of one page": (lambda p: p.client.get("Patient?_count=1"), 200, [("search-type", 0, 1)]),
    "search that cannot be": (lambda p: p.client.get("Observation?nonsense=1"), 400, [("search-type", 4, 0)]),
    "search of the system": (lambda p: p.client.get("?_id=p1&_type=Patient,Group"), 200, [("search-system", 0, 1)]),
    "search of a compartment": (
        lambda p: p.client.get("Patient/p1/Observation?_id=o1"), 200, [("search-compartment", 0, 1)]),
    "$everything": (lambda p: p.client.get("Patient/p2/$everything"), 200, [("operation", 0, 1)]),
    "$lastn": (lambda p: p.client.get("Observation/$lastn?subject=Patient/p2"), 200, [("operation", 0, 0)]),
    "$meta": (lambda p: p.client.get("Patient/p1/$meta"), 200, [("read", 0, 1), ("operation", 0, 0)]),
    "$lookup": (
        lambda p: p.client.get("CodeSystem/$lookup?system=http://hl7.org/fhir/administrative-gender&code=male"),
        200, [("operation", 0, 0)]),
    "no token": (lambda p: Client(p.client.slug, None).get("Observation/o1"), 401, [("denied", 4, 0)]),
    "bad token": (lambda p: Client(p.client.slug, "wrong").get("Observation/o1"), 401, [("denied", 4, 0)]),
    "token of another tenant": (
        lambda p: Client(p.client.slug, p.foreign).get("Observation/o1"), 401, [("denied", 4, 0)]),
    "not authorised to read": (
        lambda p: with_scope(p, "system/Patient.rs").get("Observation/o1"), 403, [("denied", 4, 0)]),
    "not authorised to write": (
        lambda p: with_scope(p, "system/*.rs").put("Observation/o1", new("o1")), 403, [("denied", 4, 0)]),
    "batch": (
        lambda p: p.client.post("", batch("batch", ("GET", "Observation/o1", None), ("POST", "Observation", new()),
                                          ("GET", "Observation/missing", None), ("GET", "Patient?_id=p1", None))),
        200, [("read", 0, 1), ("create", 0, 1), ("read", 4, 0), ("search-type", 0, 1)]),
    "transaction": (
        lambda p: p.client.post("", batch("transaction", ("POST", "Observation", new()), ("POST", "Observation", new()),
                                          ("PUT", "Observation/t-1", new("t-1")), ("GET", "Patient/p1", None))),
        200, [("create", 0, 1), ("create", 0, 1), ("update", 0, 1), ("read", 0, 1)]),
    "rolled-back transaction": (
        lambda p: p.client.post("", batch("transaction", ("POST", "Observation", new()), ("POST", "Observation", _BAD))),
        422, [("transaction", 4, 0)]),
    "metadata": (lambda p: p.client.get("metadata"), 200, []),
    "discovery": (lambda p: p.client.get(".well-known/smart-configuration"), 200, []),
}  # fmt: skip


@pytest.mark.parametrize("case", _CASES)
def test_what_is_done_is_logged_once(place: Place, case: str) -> None:
    action, status, expected = _CASES[case]
    answers: list[Answer] = []
    rows = place.events(lambda: answers.append(action(place)))
    assert answers[0].status == status, answers[0].text
    told = [(by_number()[row.event].name, row.outcome, len(set(row.rids))) for row in rows]
    wanted = [(name, outcome, count) for name, outcome, count in expected]
    if any(count is None for _, _, count in wanted):
        assert [each[:2] for each in told] == [each[:2] for each in wanted]
    elif "history" in case or case == "batch" or case == "transaction":
        rids = {"history of an instance": [1], "history of the system": [1, 2, 3], "history of a type": [2]}.get(case)
        assert sorted(each[:2] for each in told) == sorted(each[:2] for each in wanted)
        assert rids is None or told[0][2] in rids
    else:
        assert told == wanted
    for row in rows:
        assert row.request_id == answers[0].headers["X-Request-Id"] or case == "delete"


def test_a_disclosure_that_cannot_be_logged_does_not_happen(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    # sec-53
    made = audit._noted

    def spoiled(*given: Any) -> Entry:
        entry = made(*given)
        entry.outcome = 2**40
        return entry

    monkeypatch.setattr(audit, "_noted", spoiled)
    for path in ("Observation/o1", "Observation/o1/_history/1", "Observation?_id=o1", "Observation/o1/_history"):
        answer = place.client.get(path)
        assert answer.status == 500, path
        assert "Weight" not in answer.text
    before = place.rows()
    assert place.client.put("Observation/unlogged", new("unlogged")).status == 500
    monkeypatch.undo()
    assert place.client.get("Observation/unlogged").status == 404
    assert len(place.rows()) == len(before) + 1


@pytest.mark.parametrize(("method", "path"), [
    ("POST", "AuditEvent"), ("PUT", "AuditEvent/a-1-1"), ("PATCH", "AuditEvent/a-1-1"), ("DELETE", "AuditEvent/a-1-1"),
    ("DELETE", "AuditEvent?action=R"),
])  # fmt: skip
def test_nobody_writes_the_log(place: Place, method: str, path: str) -> None:
    # sec-T32
    body = None if method == "DELETE" else {"resourceType": "AuditEvent", "id": "a-1-1"}
    content = {"content_type": _JSON_PATCH} if method == "PATCH" else {}
    answer = place.client.request(method, path, _PATCH if method == "PATCH" else body, **content)
    assert answer.status == 405
    assert answer.headers["Allow"] == "GET"


def test_the_log_over_http(place: Place) -> None:
    client = place.tenant.client("system/AuditEvent.rs")
    first = client.get("AuditEvent?entity=Observation/o1&_count=1")
    assert first.status == 200
    (event,) = [entry["resource"] for entry in first.json["entry"]]
    assert client.get(f"AuditEvent/{event['id']}").json == event
    assert client.get(f"AuditEvent/{event['id']}", accept="application/fhir+xml").text.startswith("<")
    (onward,) = [link["url"] for link in first.json["link"] if link["relation"] == "next"]
    assert client.get(onward).json["entry"][0]["resource"]["id"] != event["id"]
    posted = client.post("AuditEvent/_search", "action=C&_count=1", content_type="application/x-www-form-urlencoded")
    assert posted.json["entry"][0]["resource"]["action"] == "C"
    assert client.search("Patient/p1/AuditEvent?_count=1")[0]["resourceType"] == "AuditEvent"
    refused = client.get("AuditEvent?nonsense=1")
    assert refused.status == 400
    assert "agent" in refused.text
    assert place.tenant.client("system/Patient.rs").get("AuditEvent").status == 403


def test_the_report_over_http(place: Place) -> None:
    answer = place.client.get("Patient/p1/$disclosures?_count=2")
    assert answer.status == 200, answer.text
    assert len(answer.json["entry"]) == 2
    statement = place.client.get("metadata").json
    (described,) = [each for each in statement["rest"][0]["resource"] if each["type"] == "Patient"]
    assert "disclosures" in [each["name"] for each in described["operation"]]


def test_neither_names_nor_queries_nor_tokens_stand_in_the_log(place: Place) -> None:
    # sec-T25, smart-90
    canary = "Canary5f2e"
    resource = patient("canary", name=[{"family": canary}])
    assert place.client.put("Patient/canary", resource).status == 201
    assert place.client.search(f"Patient?family={canary}")
    place.client.get(f"Patient?nonsense={canary}")
    place.client.get(f"Patient/{canary}")
    Client(place.client.slug, canary).get("Patient/canary")
    db = session()
    db.enter(place.tenant.id, None, 1)
    rows = db.run([("SELECT a::text FROM audit a WHERE tenant_id = $1", (place.tenant.id,))], final=True)[0]
    for secret in (canary, str(place.client.token)):
        assert not any(text in (row[0] or b"") for row in rows for text in (secret.encode(), secret.encode().hex().encode()))
    shown = place.client.get("AuditEvent?_count=200").text
    assert str(place.client.token) not in shown
