"""Events without an open connection, and tickets for those who cannot send a header."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest

from fhir_server.rest.dispatch import session
from fhir_server.security.authenticate import token_digest
from fhir_server.settings import settings
from fhir_server.storage import event_tickets, operator
from tests.client import Answer, Client
from tests.conftest import TestTenant
from tests.events.feeding import entered, eventually, settle
from tests.events.hubs import Listener, hub_apart

PATIENT: dict[str, Any] = {"resourceType": "Patient"}


def _poll(client: Client, *topics: str, headers: dict[str, str] | None = None, **parameters: str) -> Answer:
    query = urlencode([*(("topic", topic) for topic in topics), *parameters.items()])
    return client.get(f"/t/{client.slug}/events?{query}", **(headers or {}))


def _ticket(client: Client) -> str:
    answer = client.post("$event-ticket", None)
    assert answer.status == 200, answer.text
    value: str = next(each["valueString"] for each in answer.json["parameter"] if each["name"] == "ticket")
    return value


def test_what_happened_since(client: Client, tenant: TestTenant) -> None:
    first = _poll(client, "type:Patient")
    assert (first.status, first.json["events"], first.json["reset"]) == (200, [], False)
    made = [client.create(PATIENT)["id"] for _ in range(3)]
    client.create({"resourceType": "Organization", "name": "x"})
    settle(tenant)
    second = _poll(client, "type:Patient", after=first.json["next"]).json
    assert [(each["type"], each["id"], each["version"], each["method"]) for each in second["events"]] == [
        ("Patient", id_, 1, "POST") for id_ in made
    ]
    assert _poll(client, "type:Patient", after=second["events"][0]["position"]).json["events"] == second["events"][1:]
    assert _poll(client, "type:Patient", after=second["next"]).json["events"] == []


def test_nothing_new_is_not_modified(client: Client, tenant: TestTenant) -> None:
    place = _poll(client, "type:Patient").json["next"]
    idle = _poll(client, "type:Patient", after=place)
    again = _poll(client, "type:Patient", after=place, headers={"if_none_match": idle.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")
    client.create(PATIENT)
    settle(tenant)
    news = _poll(client, "type:Patient", after=place, headers={"if_none_match": idle.headers["ETag"]})
    assert news.status == 200
    assert news.headers["ETag"] != idle.headers["ETag"]
    assert len(news.json["events"]) == 1


def test_a_busy_tenant_is_walked_to_the_end(client: Client, tenant: TestTenant) -> None:
    place = _poll(client, "type:Organization").json["next"]
    entries = [{"resource": PATIENT, "request": {"method": "POST", "url": "Patient"}} for _ in range(1200)]
    assert client.post("", {"resourceType": "Bundle", "type": "transaction", "entry": entries}).status == 200
    made = client.create({"resourceType": "Organization", "name": "x"})["id"]
    settle(tenant)
    assert [each["id"] for each in _poll(client, "type:Organization", after=place).json["events"]] == [made]
    found: list[str] = []
    for _ in range(20):
        page = _poll(client, "type:Patient", after=place).json
        found += [each["id"] for each in page["events"]]
        place = page["next"]
    assert len(found) == len(set(found)) == 1200


def test_a_stream_that_ends_is_for_an_event_source(client: Client, tenant: TestTenant) -> None:
    as_stream = {"accept": "text/event-stream"}
    first = _poll(client, "type:Patient", headers=as_stream)
    assert first.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert first.headers["X-Accel-Buffering"] == "no"
    assert first.text.startswith("retry: 3000\n\nevent: hello\nid: ")
    place = first.text.rpartition("id: ")[2].strip()
    made = client.create(PATIENT)["id"]
    settle(tenant)
    second = _poll(client, "type:Patient", headers={**as_stream, "last_event_id": place})
    events = [part for part in second.text.split("\n\n") if part.startswith("event:")]
    assert [json.loads(each.partition("data: ")[2])["id"] for each in events] == [made]
    lost = _poll(client, "type:Patient", headers={**as_stream, "last_event_id": "x"})
    assert "event: reset\n" in lost.text


def test_the_same_rights_as_a_search(client: Client, tenant: TestTenant) -> None:
    mine, other = client.create(PATIENT)["id"], client.create(PATIENT)["id"]
    place = _poll(client, "type:Patient").json["next"]
    app = tenant.client("patient/*.rs", patient=mine)
    for id_ in (mine, other):
        client.put(f"Patient/{id_}", {**PATIENT, "id": id_, "active": True})
    settle(tenant)
    assert [each["id"] for each in _poll(app, "type:Patient", after=place).json["events"]] == [mine]
    assert _poll(app, f"patient:{other}", after=place).json["events"] == []


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("topic=type:Patient&after=x", 400),
        ("topic=type:Patient&after=1-1&after=1-1", 400),
        ("topic=type:Patient&since=1", 400),
        ("topic=type:Patient&access_token=x", 400),
        ("topic=none:1", 400),
        ("", 400),
        ("topic=type:Patient&ticket=x", 200),
    ],
)
def test_bad_requests(client: Client, path: str, status: int) -> None:
    answer = client.get(f"/t/{client.slug}/events?{path}")
    assert answer.status == status
    assert status == 200 or answer.json["resourceType"] == "OperationOutcome"


def test_who_may_not(client: Client, tenant: TestTenant) -> None:
    nobody = Client(tenant.slug, None)
    assert _poll(nobody, "type:Patient").status == 401
    assert _poll(nobody, "type:Patient", ticket="x").status == 401
    assert _poll(tenant.client("system/Observation.rs"), "type:Patient").status == 403
    assert client.get("/t/nobody/events?topic=type:Patient").status == 404
    assert _poll(client, "type:Patient", headers={"accept": "text/html"}).status == 406


def test_what_is_followed_and_refused_is_logged(new_tenant: Callable[[], TestTenant]) -> None:
    tenant = new_tenant()
    _poll(tenant.client("system/Observation.rs"), "type:Observation")
    _poll(tenant.client("system/Observation.rs"), "type:Patient")
    sql = "SELECT outcome FROM audit WHERE tenant_id = $1 ORDER BY xid, seq"
    rows = entered(tenant).run([(sql, (tenant.id,))], final=True)[0]
    assert [row[0] for row in rows] == [b"0", b"4"]


def test_only_the_own_origin_may_read(client: Client) -> None:
    own = f"http://testserver:{settings.port}" if not settings.public_url else settings.public_url
    answer = _poll(client, "type:Patient", headers={"origin": own})
    assert answer.headers["Access-Control-Allow-Origin"] == own
    assert "Access-Control-Allow-Origin" not in _poll(client, "type:Patient", headers={"origin": "https://evil.example"}).headers
    preflight = client.request("OPTIONS", f"/t/{client.slug}/events", origin=own)
    assert preflight.status == 204
    assert "Authorization" in preflight.headers["Access-Control-Allow-Headers"]


def test_a_public_url_is_the_own_origin(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "public_url", "https://salam.example/clinic")
    answer = _poll(client, "type:Patient", headers={"origin": "https://salam.example"})
    assert answer.headers["Access-Control-Allow-Origin"] == "https://salam.example"


# -- tickets -----------------------------------------------------------------------------------------------------------


def test_a_ticket_stands_for_its_token(client: Client, tenant: TestTenant) -> None:
    nobody = Client(tenant.slug, None)
    ticket = _ticket(client)
    place = _poll(nobody, "type:Patient", ticket=ticket).json["next"]
    client.create(PATIENT)
    settle(tenant)
    assert len(_poll(nobody, "type:Patient", ticket=ticket, after=place).json["events"]) == 1
    narrow = _ticket(tenant.client("system/Observation.rs"))
    assert _poll(nobody, "type:Patient", ticket=narrow).status == 403


def test_a_ticket_ends_with_its_token(tenant: TestTenant) -> None:
    client = tenant.client("system/*.rs")
    ticket = _ticket(client)
    sql = "UPDATE access_token SET revoked_at = now() WHERE tenant_id = $1 AND hash = decode($2, 'hex')"
    entered(tenant).run([(sql, (tenant.id, token_digest(client.token or "").hex()))], final=True)
    assert _poll(Client(tenant.slug, None), "type:Patient", ticket=ticket).status == 401


def test_a_ticket_lives_a_minute(client: Client, tenant: TestTenant) -> None:
    ticket = _ticket(client)
    sql = "UPDATE event_ticket SET expires_at = expires_at - interval '61 seconds' WHERE tenant_id = $1"
    entered(tenant).run([(sql, (tenant.id,))], final=True)
    assert _poll(Client(tenant.slug, None), "type:Patient", ticket=ticket).status == 401
    db = entered(tenant)
    db.run([event_tickets.sweep(tenant.id)], final=True)
    assert db.run([("SELECT count(*) FROM event_ticket WHERE tenant_id = $1", (tenant.id,))], final=True)[0][0][0] == b"0"


def test_a_ticket_is_of_its_tenant(client: Client, new_tenant: Callable[[], TestTenant]) -> None:
    other = new_tenant()
    assert _poll(Client(other.slug, None), "type:Patient", ticket=_ticket(client)).status == 401


def test_a_ticket_needs_a_token_and_a_post(client: Client, tenant: TestTenant) -> None:
    assert Client(tenant.slug, None).post("$event-ticket", None).status == 401
    assert client.get("$event-ticket").status == 405


def test_a_suspended_tenant_tells_nothing(new_tenant: Callable[[], TestTenant]) -> None:
    tenant = new_tenant()
    client = tenant.client()
    place = _poll(client, "type:Patient").json["next"]
    operator.set_status(session(), tenant.slug, "suspended")
    assert _poll(client, "type:Patient", after=place).status == 404


def test_a_ticket_opens_a_stream_and_lives_with_it(client: Client, tenant: TestTenant) -> None:
    with hub_apart() as hub:
        ticket = _ticket(client)
        stream = Listener(hub.port, tenant.slug, ["type:Patient"], None, ticket=ticket)
        stream.wait(1, "hello")
        sql = "UPDATE event_ticket SET expires_at = now() + interval '1 second' WHERE tenant_id = $1"
        entered(tenant).run([(sql, (tenant.id,))], final=True)
        # The hub prolongs it every few seconds, so a lost connection comes back with the same URL.
        client.create(PATIENT)
        stream.wait()
        asked = "SELECT count(*) FROM event_ticket WHERE tenant_id = $1 AND expires_at > now() + interval '30 seconds'"
        assert eventually(lambda: entered(tenant).run([(asked, (tenant.id,))], final=True)[0][0][0] == b"1")
        stream.close()
