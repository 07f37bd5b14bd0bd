"""The secret link of a ticket: made by who may read it, followed by anybody who has it, and telling nothing else."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from fhir_server.core import clock
from fhir_server.core.resource_json import encode
from fhir_server.rest.dispatch import session
from fhir_server.storage import ticket_links
from tests.client import Answer, Client
from tests.conftest import TestTenant
from tests.features.queue.place import Place, plain
from tests.work import Work


@pytest.fixture
def place(tenant: TestTenant, client: Client) -> Place:
    told = [{"url": "message", "valueString": "We are a little late"}]
    return Place.new(tenant, client, {"url": "timezone", "valueCode": "Africa/Casablanca"}, told=told)


@pytest.fixture
def anybody(tenant: TestTenant) -> Client:
    return Client(tenant.slug, None)


def link(client: Client, task: str) -> str:
    answer = client.post(f"Task/{task}/$ticket-link")
    assert answer.status == 200, answer.text
    url: str = plain(answer.json)["url"]
    return url


def follow(anybody: Client, url: str, **headers: str) -> Answer:
    return anybody.get("/t/" + url.partition("/t/")[2], **headers)


def test_a_link_shows_the_ticket_and_nobody(client: Client, anybody: Client, place: Place) -> None:
    patient = client.create({"resourceType": "Patient", "name": [{"family": "Secretname"}]})["id"]
    place.ticket(minutes=9)
    task = place.ticket(patient=patient, minutes=5)
    url = link(client, task)
    assert len(url.rpartition("/")[2]) == 16
    answer = follow(anybody, url)
    assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-store")
    shown = answer.json
    assert (shown["number"], shown["state"], shown["position"]) == ("A-002", "waiting", 2)
    assert shown["range"]["low"] < shown["range"]["high"]
    assert shown["queue"] == {"state": "open", "message": "We are a little late", "waiting": 2}
    assert datetime.fromisoformat(shown["computedAt"]) <= clock.now()
    assert not any(word in answer.text for word in (patient, task, place.id, "Secretname", "Patient", "Task"))


def test_it_expires_with_the_end_of_tomorrow(client: Client, place: Place) -> None:
    answer = client.post(f"Task/{place.ticket()}/$ticket-link")
    expires = datetime.fromisoformat(plain(answer.json)["expires"])
    assert expires == place.config.end_of_day(clock.now() + timedelta(days=1))


def test_the_secret_is_not_stored(tenant: TestTenant, client: Client, place: Place) -> None:
    task = place.ticket()
    secret = link(client, task).rpartition("/")[2]
    assert secret not in client.get(f"Task/{task}").text
    db = session()
    rows = db.run([("SELECT ticket_link::text FROM ticket_link WHERE tenant_id = $1", (tenant.id,))], final=True)[0]
    assert rows and not any(secret.encode() in (row[0] or b"") for row in rows)


def test_an_unchanged_ticket_is_304(client: Client, anybody: Client, place: Place) -> None:
    place.ticket(minutes=1)
    url = link(client, place.ticket())
    first = follow(anybody, url)
    again = follow(anybody, url, if_none_match=first.headers["ETag"])
    assert (again.status, again.body) == (304, b"")
    place.change(1, state="served", called_at=clock.now(), ended_at=clock.now())
    changed = follow(anybody, url, if_none_match=first.headers["ETag"])
    assert (changed.status, changed.json["position"]) == (200, 1)


def test_a_called_ticket_says_where_to_go_and_until_when(client: Client, anybody: Client, place: Place) -> None:
    url = link(client, place.ticket(state="called", called_at=clock.now(), desk="Desk 3"))
    assert follow(anybody, url).json["desk"] == "Desk 3"
    place.change(1, absent_until=clock.now() + timedelta(minutes=15))
    shown = follow(anybody, url).json
    assert (shown["position"], shown["range"]) == (None, None)
    assert datetime.fromisoformat(shown["returnBy"]) > clock.now()


def test_who_may_only_read_gets_no_link_with_which_to_cancel(tenant: TestTenant, client: Client, place: Place) -> None:
    mine = client.create({"resourceType": "Patient"})["id"]
    task = place.ticket(patient=mine)
    for reader in (tenant.client("system/Task.rs"), tenant.client("patient/Task.rs", patient=mine)):
        answer = reader.post(f"Task/{task}/$ticket-link")
        assert (answer.status, answer.issues[0]["code"]) == (403, "forbidden"), answer.text
    assert tenant.client("patient/Task.cru", patient=mine).post(f"Task/{task}/$ticket-link").status == 200
    other = client.create({"resourceType": "Patient"})["id"]
    assert tenant.client("patient/Task.cru", patient=other).post(f"Task/{task}/$ticket-link").status == 404


def test_who_may_make_one(tenant: TestTenant, client: Client, place: Place) -> None:
    task = place.ticket()
    assert client.get(f"Task/{task}/$ticket-link").status == 405
    assert tenant.client("system/Patient.r").post(f"Task/{task}/$ticket-link").status == 403
    assert client.post("Task/nowhere/$ticket-link").status == 404
    other = client.create({"resourceType": "Task", "status": "draft", "intent": "order"})["id"]
    assert client.post(f"Task/{other}/$ticket-link").status == 422
    over = client.post(f"Task/{place.ticket(state='served')}/$ticket-link")
    assert (over.status, over.issues[0]["details"]["coding"][0]["code"]) == (422, "wrong-state")


# -- wrong secrets -----------------------------------------------------------------------------------------------------


def expired(tenant: TestTenant) -> None:
    db = session()
    db.run(
        [("UPDATE ticket_link SET expires_at = now() - interval '1 second' WHERE tenant_id = $1", (tenant.id,))],
        final=True,
    )
    db.commit()


def wrong_ones(
    new_tenant: Callable[[], TestTenant], tenant: TestTenant, client: Client, place: Place
) -> dict[str, str]:
    """URLs by why they lead nowhere."""
    url = link(client, place.ticket())
    expired(tenant)
    alive = link(client, place.ticket()).rpartition("/")[2]
    slug = new_tenant().slug
    return {
        "unknown": f"/t/{tenant.slug}/tickets/{'A' * 16}",
        "expired": "/t/" + url.partition("/t/")[2],
        "another tenant's": f"/t/{slug}/tickets/{alive}",
        "nonsense": f"/t/{tenant.slug}/tickets/{'%C3%A9' * 50}",
        "no such tenant": f"/t/{slug}x/tickets/{alive}",
    }


def test_wrong_secrets_have_one_answer(
    new_tenant: Any, tenant: TestTenant, client: Client, anybody: Client, place: Place
) -> None:
    for method in ("GET", "POST"):
        answers = {
            why: anybody.request(method, url + ("/cancel" if method == "POST" else ""))
            for why, url in wrong_ones(new_tenant, tenant, client, place).items()
        }
        assert {a.status for a in answers.values()} == {404}, answers
        assert len({a.body for a in answers.values()}) == 1
        assert len({encode(dict(a.headers)) for a in answers.values()}) == 1


def test_wrong_secrets_take_the_same_time(
    new_tenant: Any, tenant: TestTenant, client: Client, anybody: Client, place: Place
) -> None:
    wrong = wrong_ones(new_tenant, tenant, client, place)
    kinds = ("unknown", "expired", "another tenant's")
    work = Work()
    for _ in range(60):
        for why in kinds:
            with work.of(why):
                anybody.get(wrong[why])
    assert work.statements["unknown"] == work.statements["expired"] == work.statements["another tenant's"]
    best = [min(times) for times in work.seconds.values()]
    assert max(best) < 1.5 * min(best) + 0.0005, best


def test_the_sweep_forgets_expired_links_only(
    tenant: TestTenant, client: Client, anybody: Client, place: Place
) -> None:
    link(client, place.ticket())
    expired(tenant)
    alive = link(client, place.ticket())
    db = session()
    db.run(ticket_links.sweep(tenant.id), final=True)
    db.commit()
    rows = db.run([("SELECT count(*) FROM ticket_link WHERE tenant_id = $1", (tenant.id,))], final=True)[0]
    assert rows[0][0] == b"1" and follow(anybody, alive).status == 200


# -- giving it back ----------------------------------------------------------------------------------------------------


def test_the_holder_gives_it_back_once_and_for_all(client: Client, anybody: Client, place: Place) -> None:
    task = place.ticket()
    url = "/t/" + link(client, task).partition("/t/")[2]
    for _ in range(2):
        answer = anybody.post(url + "/cancel")
        assert (answer.status, answer.json["state"], answer.json["position"]) == (200, "cancelled", None), answer.text
    stored = client.get(f"Task/{task}").json
    assert (stored["status"], stored["businessStatus"]["coding"][0]["code"]) == ("cancelled", "cancelled")
    assert anybody.get(url + "/cancel").status == 405


def test_a_ticket_that_is_over_cannot_be_given_back(client: Client, anybody: Client, place: Place) -> None:
    url = "/t/" + link(client, place.ticket()).partition("/t/")[2]
    place.change(1, state="served", ended_at=clock.now())
    assert anybody.post(url + "/cancel").status in (409, 422)
    assert anybody.get(url).json["state"] == "served"


def test_a_link_follows_to_the_ticket_that_replaces_it(
    tenant: TestTenant, client: Client, anybody: Client, place: Place
) -> None:
    url = link(client, place.ticket())
    place.ticket()
    db = session()
    db.run([ticket_links.move(tenant.id, place.made[0].rid, place.made[1].rid)], final=True)
    db.commit()
    assert follow(anybody, url).json["number"] == "A-002"
