"""Checking in for an appointment: booking, visit and ticket go together."""

from datetime import timedelta

import pytest

from fhir_server.core import clock
from tests.client import Client
from tests.conftest import TestTenant
from tests.features.queue.counter import Counter, extension, later, refusal, state


@pytest.fixture
def counter(tenant: TestTenant, client: Client) -> Counter:
    return Counter(client, tenant.id)


def test_check_in_moves_booking_and_visit_and_gives_a_ticket(counter: Counter) -> None:
    who = counter.patient()
    booked = counter.appointment(who, clock.now() + timedelta(minutes=10))
    answer = counter.ask(f"Appointment/{booked['id']}/$check-in")
    assert answer.status == 200, answer.text
    task = answer.json
    assert (state(task), task["status"], extension(task, "ticket-kind")) == ("waiting", "accepted", "appointment")
    assert task["focus"]["reference"] == f"Appointment/{booked['id']}" and task["for"]["reference"] == who
    visit = counter.read(task["encounter"])
    assert (visit["status"], visit["appointment"]) == ("arrived", [task["focus"]])
    assert counter.read(booked)["status"] == "checked-in"


def test_a_second_check_in_answers_the_same_ticket(counter: Counter) -> None:
    booked = counter.appointment(counter.patient(), clock.now())
    path = f"Appointment/{booked['id']}/$check-in"
    first, second = counter.ask(path).json, counter.ask(path).json
    assert first == second
    other = Counter(counter.client, counter.tenant_id)
    assert counter.ask(path, queue=f"HealthcareService/{other.id}").json == first
    assert len(counter.events()) == 1 and not other.events()
    called = counter.call()
    assert counter.ask(path).json == called
    counter.do(called, "no-show")
    assert refusal(counter.ask(path)) == (409, "wrong-state")


def test_who_gave_the_ticket_up_can_check_in_again(counter: Counter) -> None:
    booked = counter.appointment(counter.patient(), clock.now())
    path = f"Appointment/{booked['id']}/$check-in"
    first = counter.ask(path).json
    counter.do(first, "cancel", keepAppointment=True)
    assert counter.read(booked)["status"] == "checked-in"
    second = counter.ask(path).json
    assert second["id"] != first["id"] and state(second) == "waiting"
    counter.do(second, "cancel")
    assert counter.read(booked)["status"] == "cancelled"
    assert refusal(counter.ask(path)) == (409, "wrong-state")


def test_early_arrival_waits_for_its_hour_and_late_one_keeps_no_privilege(tenant: TestTenant, client: Client) -> None:
    counter = Counter(client, tenant.id, rules={"earlyTolerance": 30, "lateTolerance": 10})
    now = clock.now()
    early = counter.appointment(counter.patient(), now + timedelta(minutes=20))
    in_time = counter.appointment(counter.patient(), now - timedelta(minutes=5))
    late = counter.appointment(counter.patient(), now - timedelta(minutes=40))
    walk_in = counter.take()
    tasks = {each: counter.ask(f"Appointment/{booking['id']}/$check-in").json
             for each, booking in (("early", early), ("late", late), ("in time", in_time))}  # fmt: skip
    order = [counter.call()["id"] for _ in range(4)]
    assert order == [tasks["in time"]["id"], walk_in["id"], tasks["late"]["id"], tasks["early"]["id"]]


def test_too_early_and_another_day_are_refused(counter: Counter) -> None:
    for minutes in (90, 24 * 60, -24 * 60):
        booked = counter.appointment(counter.patient(), clock.now() + timedelta(minutes=minutes))
        assert refusal(counter.ask(f"Appointment/{booked['id']}/$check-in")) == (422, "business-rule")
        assert counter.read(booked)["status"] == "booked"
    assert not counter.events()


def test_appointments_that_are_not_booked_cannot_check_in(counter: Counter) -> None:
    for status in ("proposed", "cancelled", "noshow", "fulfilled"):
        booked = counter.appointment(counter.patient(), clock.now(), status=status)
        assert refusal(counter.ask(f"Appointment/{booked['id']}/$check-in")) == (409, "wrong-state"), status
    assert counter.client.post("Appointment/none/$check-in").status == 404


def test_without_a_queue_of_its_service_one_must_be_named(counter: Counter) -> None:
    who = counter.patient()
    booked = counter.client.create({
        "resourceType": "Appointment", "status": "booked", "start": clock.now().isoformat(),
        "end": (clock.now() + timedelta(minutes=10)).isoformat(),
        "participant": [{"actor": {"reference": who}, "status": "accepted"}],
    })  # fmt: skip
    path = f"Appointment/{booked['id']}/$check-in"
    assert refusal(counter.ask(path)) == (422, "required")
    assert counter.ask(path, queue=f"HealthcareService/{counter.id}").status == 200


def test_a_ticket_from_home_for_a_booking_becomes_present(counter: Counter) -> None:
    booked = counter.appointment(counter.patient(), clock.now() + timedelta(minutes=5))
    task = counter.take(appointment=f"Appointment/{booked['id']}", remote=True)
    assert (task["status"], counter.read(booked)["status"]) == ("requested", "booked")
    here = counter.ask(f"Appointment/{booked['id']}/$check-in").json
    assert here["id"] == task["id"] and here["status"] == "accepted"
    assert counter.read(here["encounter"])["status"] == "arrived"
    assert counter.read(booked)["status"] == "checked-in"


def test_who_is_on_the_way_is_not_called_before_his_hour(counter: Counter) -> None:
    booked = counter.appointment(counter.patient(), clock.now() + timedelta(seconds=40))
    task = counter.take(appointment=f"Appointment/{booked['id']}", remote=True)
    assert counter.call()["resourceType"] == "Parameters"
    with later(seconds=41):
        assert counter.call()["id"] == task["id"]


def test_who_waits_without_the_booking_is_told_so(counter: Counter) -> None:
    who = counter.patient()
    walk_in = counter.take(patient=who)
    booked = counter.appointment(who, clock.now())
    answer = counter.ask(f"Appointment/{booked['id']}/$check-in")
    assert refusal(answer) == (409, "already-waiting")
    assert answer.json["contained"][0]["id"] == walk_in["id"]
    assert counter.read(booked)["status"] == "booked"


def test_if_match_is_honoured(counter: Counter) -> None:
    booked = counter.appointment(counter.patient(), clock.now())
    path = f"Appointment/{booked['id']}/$check-in"
    assert counter.ask(path, if_match='W/"7"').status == 412
    task = counter.ask(path, if_match=f'W/"{booked["meta"]["versionId"]}"').json
    counter.call()
    assert counter.ask(f"Task/{task['id']}/$start", if_match='W/"1"').status == 412
    assert counter.ask(f"Task/{task['id']}/$start", if_match='W/"2"').status == 200


def test_patients_check_in_for_their_own_booking_only(counter: Counter, tenant: TestTenant) -> None:
    me, other = counter.patient(), counter.patient()
    mine = tenant.client("patient/*.cruds", patient=me.partition("/")[2])
    booked, theirs = (counter.appointment(who, clock.now()) for who in (me, other))
    assert counter.ask(f"Appointment/{theirs['id']}/$check-in", by=mine).status == 404
    assert counter.ask(f"Appointment/{booked['id']}/$check-in", by=mine).status == 200


def test_a_served_booking_is_fulfilled(counter: Counter) -> None:
    booked = counter.appointment(counter.patient(), clock.now())
    counter.ask(f"Appointment/{booked['id']}/$check-in")
    task = counter.call(desk="3")
    counter.do(task, "start")
    assert counter.read(booked)["status"] == "checked-in"
    counter.do(task, "finish")
    assert counter.read(booked)["status"] == "fulfilled"
