"""Streams of the hub as clients see them, on a hub process of its own."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fhir_server.endpoints import event_tails
from fhir_server.rest.dispatch import session
from fhir_server.security.authenticate import token_digest
from fhir_server.settings import settings
from fhir_server.storage import changes, clock, operator
from tests.client import Client
from tests.conftest import TestTenant
from tests.events.feeding import apart, entered, eventually, settle, write
from tests.events.hubs import Hub, Listener, hub_apart
from tests.features.queue.counter import Counter

PATIENT: dict[str, Any] = {"resourceType": "Patient"}
HOUR = (3600 * 1_000_000) << clock.NODE_BITS


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with hub_apart() as running:
        yield running


@pytest.fixture
def listen(hub: Hub, tenant: TestTenant) -> Iterator[Callable[..., Listener]]:
    """Opens streams and closes them in the end."""
    opened: list[Listener] = []

    def make(*topics: str, token: str | None = None, tenant: TestTenant = tenant, **more: Any) -> Listener:
        listener = Listener(hub.port, tenant.slug, list(topics), token or tenant.token(), **more)
        opened.append(listener)
        if listener.status == 200 and "after" not in more and "headers" not in more:
            listener.wait(1, "hello")
        return listener

    yield make
    for each in opened:
        each.close()
    assert eventually(lambda: hub.streams() == 0)


def test_an_event_arrives(client: Client, listen: Callable[..., Listener]) -> None:
    stream = listen("type:Patient")
    made = client.create(PATIENT)
    (event,) = stream.wait()
    assert event.data == {"type": "Patient", "id": made["id"], "version": 1, "method": "POST", "topics": ["type:Patient"]}
    assert event.id
    assert stream.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert stream.headers["x-accel-buffering"] == "no"
    assert stream.headers["cache-control"] == "no-store"


def _observation(patient: str, **more: Any) -> dict[str, Any]:
    about = {"subject": {"reference": f"Patient/{patient}"}, "status": "final", "code": {"text": "pulse"}}
    return {"resourceType": "Observation", **about, **more}


def test_every_kind_of_change_is_told(client: Client, listen: Callable[..., Listener]) -> None:
    stream = listen("type:Patient")
    made = client.create(PATIENT)
    path = f"Patient/{made['id']}"
    client.put(path, {**made, "gender": "male"})
    client.patch(
        path, [{"op": "replace", "path": "/gender", "value": "other"}], content_type="application/json-patch+json"
    )
    client.delete(path)
    heard = stream.wait(4)
    assert [(e.data["version"], e.data["method"]) for e in heard] == [(1, "POST"), (2, "PUT"), (3, "PATCH"), (4, "DELETE")]
    assert len({e.id for e in heard} | {stream.events[0].id}) >= 1


def test_an_event_says_nothing_of_the_content(client: Client, listen: Callable[..., Listener]) -> None:
    stream = listen("type:Patient")
    client.create({**PATIENT, "name": [{"family": "Alaoui"}]})
    (event,) = stream.wait()
    assert set(event.data) == {"type", "id", "version", "method", "topics"}


def test_a_stream_is_about_its_topics(client: Client, listen: Callable[..., Listener]) -> None:
    mine, other = client.create(PATIENT)["id"], client.create(PATIENT)["id"]
    doctor = client.create({"resourceType": "Practitioner"})["id"]
    by_patient = listen(f"patient:{mine}")
    by_doctor = listen(f"practitioner:{doctor}")
    both = listen(f"patient:{mine}", "type:Observation")
    client.create(_observation(other))
    measured = client.create(_observation(mine, performer=[{"reference": f"Practitioner/{doctor}"}]))["id"]
    client.put(f"Practitioner/{doctor}", {"resourceType": "Practitioner", "id": doctor, "active": True})
    changed = [("Practitioner", doctor, 2)]
    assert [e.data["id"] for e in both.wait(2)][1] == measured
    assert both.wait(2)[1].data["topics"] == [f"patient:{mine}", "type:Observation"]
    by_doctor.wait(2)
    by_patient.wait()
    assert by_doctor.changes() == [("Observation", measured, 1), *changed]
    assert by_patient.changes() == [("Observation", measured, 1)]


def test_who_loses_a_resource_is_told(client: Client, listen: Callable[..., Listener]) -> None:
    """It moved to another record: the list that showed it has to be read anew."""
    mine, other = client.create(PATIENT)["id"], client.create(PATIENT)["id"]
    moved = client.create(_observation(mine))
    stream = listen(f"patient:{mine}")
    client.put(f"Observation/{moved['id']}", {**moved, "subject": {"reference": f"Patient/{other}"}})
    client.delete(f"Observation/{moved['id']}")
    client.create(_observation(mine))
    stream.wait(2)
    assert [version for _, _, version in stream.changes()] == [2, 1]


def test_a_queue_is_its_tickets_and_its_state(
    client: Client, tenant: TestTenant, listen: Callable[..., Listener]
) -> None:
    here = Counter(client, tenant.id)
    there = Counter(client, tenant.id)
    streams = [listen(f"queue:{each.id}") for each in (here, there)]
    ticket = here.take()
    here.queue("pause")
    here.queue("resume")
    streams[0].wait(3)
    assert streams[0].changes()[:1] == [("Task", ticket["id"], 1)]
    assert {each[:2] for each in streams[0].changes()[1:]} == {("HealthcareService", here.id)}
    here.do(ticket, "transfer", to=f"HealthcareService/{there.id}", reason="wrong place")
    streams[1].wait()
    streams[0].wait(4)
    assert "Task" in [each[0] for each in streams[0].changes()[3:]]
    assert "Task" in [each[0] for each in streams[1].changes()]


def test_a_bundle_is_told_whole(client: Client, listen: Callable[..., Listener]) -> None:
    stream = listen("type:Patient")
    entries = [{"resource": PATIENT, "request": {"method": "POST", "url": "Patient"}} for _ in range(700)]
    assert client.post("", {"resourceType": "Bundle", "type": "transaction", "entry": entries}).status == 200
    stream.wait(700)
    assert len(set(stream.changes())) == 700


def test_what_is_rolled_back_is_not_told(client: Client, listen: Callable[..., Listener]) -> None:
    stream = listen("type:Patient")
    entries = [{"resource": {**PATIENT, "gender": kind}, "request": {"method": "POST", "url": "Patient"}} for kind in ("male", "none")]
    assert client.post("", {"resourceType": "Bundle", "type": "transaction", "entry": entries}).status >= 400
    made = client.create(PATIENT)
    stream.wait()
    assert stream.changes() == [("Patient", made["id"], 1)]


def test_another_tenant_is_another_world(
    client: Client, listen: Callable[..., Listener], new_tenant: Callable[[], TestTenant]
) -> None:
    other = new_tenant()
    stream = listen("type:Patient", tenant=other)
    client.create(PATIENT)
    made = other.client().create(PATIENT)
    stream.wait()
    assert stream.changes() == [("Patient", made["id"], 1)]
    assert listen("type:Patient", tenant=other, token=client.token).status == 401


def test_a_long_transaction_holds_nobody_up(
    client: Client, tenant: TestTenant, listen: Callable[..., Listener]
) -> None:
    stream = listen("type:Patient")
    slow = apart(tenant)
    write(slow, tenant, clock.tick(), commit=False)
    made = client.create(PATIENT)
    stream.wait()
    assert stream.changes() == [("Patient", made["id"], 1)]
    later = client.create(PATIENT)
    slow.commit()
    stream.wait(2)
    last = client.create(PATIENT)
    stream.wait(3)
    settle(tenant)
    assert [id_ for _, id_, _ in stream.changes()] == [made["id"], later["id"], last["id"]]


# -- rights ------------------------------------------------------------------------------------------------------------


def test_rights_are_those_of_a_search(client: Client, tenant: TestTenant, listen: Callable[..., Listener]) -> None:
    mine, other = client.create(PATIENT)["id"], client.create(PATIENT)["id"]
    app = tenant.token("patient/Observation.rs", patient=mine)
    wide = listen("type:Observation", token=app)
    foreign = listen(f"patient:{other}", token=app)
    narrow = listen(f"patient:{mine}", token=tenant.token("system/Observation.s?status=final"))
    hidden = client.create(_observation(other))["id"]
    client.create({**PATIENT, "link": [{"other": {"reference": f"Patient/{mine}"}, "type": "seealso"}]})
    client.create(_observation(mine, status="preliminary"))
    shown = client.create(_observation(mine))["id"]
    narrow.wait()
    assert narrow.changes() == [("Observation", shown, 1)]
    wide.wait(2)
    assert hidden not in [id_ for _, id_, _ in wide.changes()]
    client.delete(f"Observation/{hidden}")
    client.delete(f"Observation/{shown}")
    wide.wait(3)
    assert wide.changes()[-1] == ("Observation", shown, 2)
    assert foreign.changes() == []


@pytest.mark.parametrize(
    ("topics", "scope", "status"),
    [
        (["type:Patient"], "system/Observation.rs", 403),
        (["type:Observation"], "system/Observation.r", 403),
        (["queue:q1"], "system/Patient.rs", 403),
        (["type:Nothing"], "system/*.rs", 400),
        (["type:AuditEvent"], "system/*.rs", 400),
        (["patient:"], "system/*.rs", 400),
        (["patient:a/b"], "system/*.rs", 400),
        (["nonsense"], "system/*.rs", 400),
        ([], "system/*.rs", 400),
        ([f"patient:{n}" for n in range(51)], "system/*.rs", 400),
    ],
)
def test_what_cannot_be_followed_is_refused(
    hub: Hub, tenant: TestTenant, topics: list[str], scope: str, status: int
) -> None:
    stream = Listener(hub.port, tenant.slug, topics, tenant.token(scope))
    assert stream.status == status
    assert stream.outcome["resourceType"] == "OperationOutcome"
    assert stream.outcome["issue"][0]["details"]["text"]


def test_a_token_is_needed(hub: Hub, tenant: TestTenant) -> None:
    for stream in (
        Listener(hub.port, tenant.slug, ["type:Patient"], None),
        Listener(hub.port, tenant.slug, ["type:Patient"], "wrong"),
        Listener(hub.port, tenant.slug, ["type:Patient"], None, ticket="wrong"),
    ):
        assert stream.status == 401
        assert "Bearer" in stream.headers["www-authenticate"]
    assert Listener(hub.port, tenant.slug, ["type:Patient"], None, access_token=tenant.token()).status == 400
    assert Listener(hub.port, "nobody", ["type:Patient"], tenant.token()).status == 404
    assert Listener(hub.port, tenant.slug, ["type:Patient"], tenant.token(), nonsense="1").status == 400


def test_a_revoked_token_ends_its_streams(
    client: Client, tenant: TestTenant, listen: Callable[..., Listener]
) -> None:
    lost, kept = tenant.token("system/*.rs"), tenant.token("system/*.rs")
    streams = [listen("type:Patient", token=lost), listen("type:Patient", token=kept)]
    sql = "UPDATE access_token SET revoked_at = now() WHERE tenant_id = $1 AND hash = decode($2, 'hex')"
    entered(tenant).run([(sql, (tenant.id, token_digest(lost).hex()))], final=True)
    assert event_tails._RECHECK_S + event_tails._LOOK_S < 5, "it is looked at every few seconds"
    streams[0].wait_end()
    assert streams[0].events[-1].name == "end"
    client.create(PATIENT)
    streams[1].wait()
    assert streams[0].changes() == []


def test_a_suspended_tenant_ends_its_streams(
    listen: Callable[..., Listener], new_tenant: Callable[[], TestTenant]
) -> None:
    tenant = new_tenant()
    stream = listen("type:Patient", tenant=tenant)
    operator.set_status(session(), tenant.slug, "suspended")
    stream.wait_end()
    assert _reason(stream) == "gone"


def _reason(stream: Listener) -> Any:
    return stream.events[-1].data["reason"]


def test_consents_hide_events(
    listen: Callable[..., Listener], new_tenant: Callable[[], TestTenant]
) -> None:
    tenant = new_tenant()
    client = tenant.client()
    mine, other = client.create(PATIENT)["id"], client.create(PATIENT)["id"]
    staff = listen("type:Observation", tenant=tenant, token=tenant.token("system/*.rs"))
    client.create(_observation(mine))
    staff.wait()
    scope = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]}
    category = [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}]
    rule = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "OPTIN"}]}
    client.create({
        "resourceType": "Consent", "status": "active", "scope": scope, "category": category, "policyRule": rule,
        "patient": {"reference": f"Patient/{mine}"}, "provision": {"type": "deny"},
    })  # fmt: skip
    hidden = client.create(_observation(mine))["id"]
    shown = client.create(_observation(other))["id"]
    staff.wait(2)
    assert [id_ for _, id_, _ in staff.changes()][1:] == [shown]
    assert hidden not in [id_ for _, id_, _ in staff.changes()]


# -- coming back -------------------------------------------------------------------------------------------------------


def test_what_was_missed_is_told_at_coming_back(
    client: Client, tenant: TestTenant, listen: Callable[..., Listener]
) -> None:
    first = listen("type:Patient")
    client.create(PATIENT)
    place = first.wait()[0].id
    first.close()
    made = [client.create(PATIENT)["id"] for _ in range(30)]
    again = listen("type:Patient", after=place)
    again.wait(30)
    live = client.create(PATIENT)["id"]
    again.wait(31)
    assert [id_ for _, id_, _ in again.changes()] == [*made, live]
    # The header is what a browser sends when it comes back with the same URL.
    settle(tenant)
    later = listen("type:Patient", after=place, headers={"Last-Event-ID": again.events[-2].id})
    later.wait()
    assert live in [id_ for _, id_, _ in later.changes()]
    assert len(later.changes()) <= 2


def test_more_than_a_page_is_told_at_coming_back(
    client: Client, tenant: TestTenant, listen: Callable[..., Listener]
) -> None:
    place = listen("type:Patient").wait(1, "hello")[0].id
    for _ in range(3):
        entries = [{"resource": PATIENT, "request": {"method": "POST", "url": "Patient"}} for _ in range(700)]
        assert client.post("", {"resourceType": "Bundle", "type": "transaction", "entry": entries}).status == 200
    stream = listen("type:Patient", after=place)
    stream.wait(2100)
    assert len(set(stream.changes())) == len(stream.changes()) == 2100


@pytest.mark.parametrize("kind", ["old", "future", "nonsense"])
def test_what_cannot_be_told_any_more_is_said(
    client: Client, tenant: TestTenant, listen: Callable[..., Listener], kind: str
) -> None:
    (xid, seq), following = changes.end(entered(tenant), tenant.id)
    place = {"old": f"{xid}-{seq - 25 * HOUR}", "future": f"{following + 10**6}-{seq}", "nonsense": "x"}[kind]
    stream = listen("type:Patient", headers={"Last-Event-ID": place})
    stream.wait(1, "reset")
    made = client.create(PATIENT)["id"]
    stream.wait()
    assert [id_ for _, id_, _ in stream.changes()] == [made]
    assert Listener(_port(stream), tenant.slug, ["type:Patient"], tenant.token(), after="x").status == 400


def _port(stream: Listener) -> int:
    return int(stream._socket.getpeername()[1])


# -- limits ------------------------------------------------------------------------------------------------------------


def test_a_token_has_ten_streams(hub: Hub, tenant: TestTenant, listen: Callable[..., Listener]) -> None:
    token = tenant.token()
    streams = [listen("type:Patient", token=token) for _ in range(10)]
    refused = Listener(hub.port, tenant.slug, ["type:Patient"], token)
    assert (refused.status, refused.headers["retry-after"]) == (429, "10")
    streams[0].close()
    assert eventually(lambda: hub.streams() == 9)
    assert listen("type:Patient", token=token).status == 200


def test_who_does_not_read_is_cut_off(
    hub: Hub, client: Client, tenant: TestTenant, listen: Callable[..., Listener]
) -> None:
    watching = listen("type:Patient")
    slow = Listener(hub.port, tenant.slug, ["type:Patient"], tenant.token(), buffer=4096)
    slow.wait(1, "hello")
    # From here on nobody reads its socket.
    threading.Thread(target=slow._file.close, daemon=True).start()
    entries = [{"resource": PATIENT, "request": {"method": "POST", "url": "Patient"}} for _ in range(2000)]
    sent = 0
    while hub.streams() == 2 and sent < 40_000:
        assert client.post("", {"resourceType": "Bundle", "type": "transaction", "entry": entries}).status == 200
        sent += 2000
    assert eventually(lambda: hub.streams() == 1)
    watching.wait(sent, seconds=300)
    slow.close()


# -- browsers ----------------------------------------------------------------------------------------------------------


def test_only_the_own_origin_may_read(hub: Hub, tenant: TestTenant, listen: Callable[..., Listener]) -> None:
    own = f"http://127.0.0.1:{settings.port}"
    assert listen("type:Patient", headers={"Origin": own}).headers["access-control-allow-origin"] == own
    for foreign in ("https://evil.example", f"http://127.0.0.1:{settings.port}.evil.example", "null"):
        stream = listen("type:Patient", headers={"Origin": foreign})
        assert "access-control-allow-origin" not in stream.headers
        assert "origin" in stream.headers["vary"].lower()
