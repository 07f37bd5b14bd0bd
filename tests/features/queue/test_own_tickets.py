"""What people do with their own tickets and apps: from where they are, in the queues that are theirs, and not without
end."""

from datetime import timedelta

import pytest

from fhir_server.core import clock
from fhir_server.interactions.acting import server_context
from fhir_server.interactions.worlds import world
from fhir_server.rest.dispatch import session
from fhir_server.storage import tickets
from tests.client import Client
from tests.conftest import TestTenant
from tests.features.queue.counter import Counter, extension, later, number, refusal, state


@pytest.fixture
def counter(tenant: TestTenant, client: Client) -> Counter:
    return Counter(client, tenant.id)


def app(tenant: TestTenant, who: str, scopes: str = "patient/*.cruds") -> Client:
    """The app of a patient without an account."""
    return tenant.client(scopes, patient=who.partition("/")[2])


# -- where they are ----------------------------------------------------------------------------------------------------


def test_who_takes_his_own_ticket_is_on_the_way(counter: Counter, tenant: TestTenant) -> None:
    who = counter.patient()
    booked = counter.appointment(who, clock.now())
    for given in ({}, {"appointment": f"Appointment/{booked['id']}"}):
        answer = counter.ask(f"HealthcareService/{counter.id}/$take-ticket", by=app(tenant, who), remote=False, **given)
        assert refusal(answer) == (422, "business-rule")
        assert answer.issues[0]["expression"] == ["http.remote"]
    task = counter.take(by=app(tenant, who), remote=True)
    assert (task["status"], extension(task, "arrived-at")) == ("requested", None) and "encounter" not in task


def test_a_queue_on_site_gives_no_ticket_to_somebody_at_home(tenant: TestTenant, client: Client) -> None:
    counter = Counter(client, tenant.id, rules={"remoteTickets": False})
    who = counter.patient()
    booked = counter.appointment(who, clock.now())
    take, mine = f"HealthcareService/{counter.id}/$take-ticket", app(tenant, who)
    for answer in (counter.ask(take, by=mine), counter.ask(take, by=mine, remote=False),
                   counter.ask(take, by=mine, appointment=f"Appointment/{booked['id']}"),
                   counter.ask(take, appointment=f"Appointment/{booked['id']}", remote=True),
                   counter.ask(f"Appointment/{booked['id']}/$check-in", by=mine)):  # fmt: skip
        assert refusal(answer) == (422, "business-rule")
    assert not counter.events() and counter.read(booked)["status"] == "booked"
    assert counter.ask(f"Appointment/{booked['id']}/$check-in").json["status"] == "accepted"


def test_to_check_oneself_in_proves_no_presence(counter: Counter, tenant: TestTenant) -> None:
    who = counter.patient()
    booked, mine = counter.appointment(who, clock.now() + timedelta(minutes=50)), app(tenant, who)
    path = f"Appointment/{booked['id']}/$check-in"
    task = counter.ask(path, by=mine).json
    assert (task["status"], state(task), extension(task, "arrived-at")) == ("requested", "waiting", None)
    assert "encounter" not in task and counter.read(booked)["status"] == "booked"
    assert counter.ask(path, by=mine).json == task
    answer = counter.ask(f"Task/{task['id']}/$check-in", by=mine)
    assert refusal(answer) == (422, "business-rule") and "reception" in answer.text
    with later(minutes=30):
        here = counter.ask(path).json
    assert (here["id"], here["status"]) == (task["id"], "accepted")
    assert counter.read(booked)["status"] == "checked-in" and counter.read(here["encounter"])["status"] == "arrived"
    assert counter.ask(path, by=mine).json == here


def test_a_queue_may_believe_who_says_that_he_has_come(tenant: TestTenant, client: Client) -> None:
    counter = Counter(client, tenant.id, rules={"selfCheckIn": True, "remoteTickets": False})
    who = counter.patient()
    booked = counter.appointment(who, clock.now())
    task = counter.ask(f"Appointment/{booked['id']}/$check-in", by=app(tenant, who)).json
    assert task["status"] == "accepted" and counter.read(booked)["status"] == "checked-in"
    far = Counter(client, tenant.id, rules={"selfCheckIn": True})
    task = far.take(by=app(tenant, who))
    assert task["status"] == "requested"
    assert far.ask(f"Task/{task['id']}/$check-in", by=app(tenant, who)).json["status"] == "accepted"


# -- in which queue ----------------------------------------------------------------------------------------------------


def test_a_booking_opens_the_queue_of_its_service_only(counter: Counter, tenant: TestTenant) -> None:
    full = Counter(counter.client, tenant.id, rules={"maxWaiting": 1})
    full.take()
    who = counter.patient()
    booked, mine = counter.appointment(who, clock.now()), app(tenant, who)
    name = f"Appointment/{booked['id']}"
    for answer in (counter.ask(f"{name}/$check-in", by=mine, queue=f"HealthcareService/{full.id}"),
                   counter.ask(f"HealthcareService/{full.id}/$take-ticket", by=mine, appointment=name)):  # fmt: skip
        assert refusal(answer) == (422, "business-rule")
        assert answer.issues[0]["expression"] == ["http.queue"]
    assert len(full.events()) == 1
    assert counter.ask(f"{name}/$check-in", by=mine, queue=f"HealthcareService/{counter.id}").status == 200
    other = counter.appointment(counter.patient(), clock.now())
    assert counter.ask(f"Appointment/{other['id']}/$check-in", queue=f"HealthcareService/{full.id}").status == 200


def test_a_booking_opens_the_queues_to_which_its_service_sends(tenant: TestTenant, client: Client) -> None:
    desk = Counter(client, tenant.id)
    counter = Counter(client, tenant.id, rules={"transferTo": [{"reference": f"HealthcareService/{desk.id}"}]})
    who = counter.patient()
    booked = counter.appointment(who, clock.now())
    path = f"Appointment/{booked['id']}/$check-in"
    task = counter.ask(path, by=app(tenant, who), queue=f"HealthcareService/{desk.id}").json
    assert extension(task, "ticket-queue") == {"reference": f"HealthcareService/{desk.id}"}


# -- how often ---------------------------------------------------------------------------------------------------------


def test_tickets_that_were_given_up_do_not_use_up_the_day(tenant: TestTenant, client: Client) -> None:
    counter = Counter(client, tenant.id, rules={"maxPerDay": 2})
    for _ in range(3):
        counter.do(counter.take(), "cancel")
    counter.take()
    counter.do(counter.call(), "no-show")
    counter.take()
    assert counter.refuses("take-ticket") == (409, "queue-full")
    with later(days=1):
        counter.take()


def test_a_patient_takes_five_tickets_a_day_at_most(counter: Counter, tenant: TestTenant) -> None:
    who = counter.patient()
    mine, take = app(tenant, who), f"HealthcareService/{counter.id}/$take-ticket"
    for _ in range(5):
        task = counter.take(by=mine)
        assert counter.ask(f"Task/{task['id']}/$cancel", by=mine).status == 200
    booked = counter.appointment(who, clock.now())
    for answer in (counter.ask(take, by=mine), counter.ask(f"Appointment/{booked['id']}/$check-in", by=mine)):
        assert refusal(answer) == (422, "limit-reached")
    assert number(counter.take(by=app(tenant, counter.patient()))) == "A-006"
    by_staff = counter.take(patient=who)
    assert number(by_staff) == "A-007"
    counter.do(by_staff, "cancel")
    other = Counter(counter.client, tenant.id)
    assert number(other.take(by=mine)) == "A-001"
    with later(days=1):
        assert number(counter.take(by=mine)) == "A-001"


# -- by which right ----------------------------------------------------------------------------------------------------


def test_who_has_no_right_is_told_so_before_anything_else(counter: Counter, tenant: TestTenant) -> None:
    booked = counter.appointment(counter.patient(), clock.now(), status="cancelled")
    reader = tenant.client("user/*.rs")
    for path, given in (
        (f"Appointment/{booked['id']}/$check-in", {}),
        (f"Appointment/{booked['id']}/$check-in", {"queue": "Group/1"}),
        ("Appointment/nothing/$check-in", {}),
        ("Task/nothing/$check-in", {}), ("Task/nothing/$cancel", {}), ("Task/nothing/$undo", {}),
        (f"HealthcareService/{counter.id}/$take-ticket", {"patient": "Patient/nobody"}),
        (f"HealthcareService/{counter.id}/$take-ticket", {"kind": "golden"}),
        (f"HealthcareService/{counter.id}/$take-ticket", {"appointment": "Appointment/nothing"}),
    ):
        assert counter.ask(path, by=reader, **given).status == 403, (path, given)
    assert not counter.events()


def test_an_app_does_not_undo_what_the_same_app_did_for_somebody_else(counter: Counter, tenant: TestTenant) -> None:
    who = counter.patient()
    mine = app(tenant, who)
    task = counter.take(patient=who)
    assert counter.call()["id"] == task["id"]
    assert refusal(counter.ask(f"Task/{task['id']}/$undo", by=mine)) == (409, "wrong-state")
    assert counter.ask(f"Task/{task['id']}/$cancel", by=mine).status == 200
    assert refusal(counter.ask(f"Task/{task['id']}/$undo")) == (409, "wrong-state")
    assert state(counter.ask(f"Task/{task['id']}/$undo", by=mine).json) == "called"
    assert [event.agent for event in counter.events()][2:] == [f"patient:{who.partition('/')[2]}"] * 2


def test_the_log_forgets_who_an_erased_ticket_was_by(counter: Counter, tenant: TestTenant) -> None:
    who = counter.patient()
    task = counter.take(by=app(tenant, who))
    rid = counter.row(task).rid
    db = session()
    server_context(db, world(db, counter.client.slug))
    db.run(tickets.erase(tenant.id, [rid]), final=True)
    assert [(event.rid, event.agent, event.detail) for event in counter.events()] == [(None, "patient", {})]
