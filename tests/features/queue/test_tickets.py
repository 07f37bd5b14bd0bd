"""Taking tickets: numbers, what the Task says, who may, and when a queue gives none."""

from datetime import timedelta

import pytest

from fhir_server.core import clock
from tests.client import Client
from tests.conftest import TestTenant
from tests.features.queue.counter import Counter, extension, later, number, refusal, state


@pytest.fixture
def counter(tenant: TestTenant, client: Client) -> Counter:
    return Counter(client, tenant.id)


def test_a_nameless_ticket_has_the_next_number_and_no_visit(counter: Counter) -> None:
    first, second = counter.take(), counter.take(language="ar")
    assert [number(first), number(second)] == ["A-001", "A-002"]
    assert (state(first), first["status"], first["intent"], first["priority"]) == (
        "waiting", "accepted", "order", "routine"
    )  # fmt: skip
    assert first["identifier"][0]["system"].startswith(f"urn:salam:ticket:{counter.id}:20")
    assert extension(first, "ticket-queue") == {"reference": f"HealthcareService/{counter.id}"}
    assert extension(first, "ticket-kind") == "normal"
    assert extension(first, "arrived-at") == first["authoredOn"]
    assert "for" not in first and "encounter" not in first and second["language"] == "ar"
    assert first["groupIdentifier"] != second["groupIdentifier"]
    assert counter.read(first) == first


def test_the_first_estimate_is_kept_in_the_ticket(counter: Counter) -> None:
    counter.take()
    task = counter.take()
    parts = {each["url"]: each for each in extension(task, "wait-estimate")}
    assert parts["ahead"]["valueUnsignedInt"] == 1
    assert parts["low"]["valueUnsignedInt"] <= parts["median"]["valueUnsignedInt"] <= parts["high"]["valueUnsignedInt"]
    called = counter.call()
    assert called["id"] != task["id"]
    assert {each["url"]: each for each in extension(counter.read(task), "wait-estimate")} == parts


def test_a_patient_who_is_there_gets_a_visit(counter: Counter) -> None:
    who = counter.patient()
    task = counter.take(patient=who)
    visit = counter.read(task["encounter"])
    assert task["for"]["reference"] == who == visit["subject"]["reference"]
    assert (visit["status"], visit["class"]["code"]) == ("arrived", "AMB")
    assert visit["period"]["start"] == task["authoredOn"]


def test_somebody_on_the_way_has_no_visit_until_he_comes(counter: Counter) -> None:
    task = counter.take(patient=counter.patient(), remote=True)
    assert (task["status"], state(task)) == ("requested", "waiting")
    assert "encounter" not in task and extension(task, "arrived-at") is None
    here = counter.do(task, "check-in")
    assert (here["status"], state(here)) == ("accepted", "waiting")
    assert counter.read(here["encounter"])["status"] == "arrived"
    assert extension(here, "arrived-at") is not None
    assert counter.refused(task, "check-in") == (409, "wrong-state")


def test_a_patient_has_one_open_ticket_in_a_queue(counter: Counter) -> None:
    who = counter.patient()
    task = counter.take(patient=who)
    answer = counter.ask(f"HealthcareService/{counter.id}/$take-ticket", patient=who)
    assert refusal(answer) == (409, "already-waiting")
    assert [each["id"] for each in answer.json["contained"]] == [task["id"]]
    other = Counter(counter.client, counter.tenant_id)
    assert number(other.take(patient=who)) == "A-001"
    counter.do(task, "cancel")
    assert number(counter.take(patient=who)) == "A-002"


def test_an_emergency_needs_a_reason_and_comes_first(counter: Counter) -> None:
    counter.take()
    assert counter.refuses("take-ticket", kind="emergency") == (422, "required")
    assert counter.refuses("take-ticket", kind="emergency", reason="   ") == (422, "required")
    urgent = counter.take(kind="emergency", reason="Chest pain")
    assert (urgent["priority"], urgent["reasonCode"]["text"]) == ("stat", "Chest pain")
    assert counter.call()["id"] == urgent["id"]


def test_kinds_that_the_queue_does_not_have_are_refused(counter: Counter) -> None:
    assert counter.refuses("take-ticket", kind="vip") == (422, "business-rule")
    assert counter.refuses("take-ticket", kind="express") == (422, "business-rule")
    assert counter.refuses("take-ticket", kind="golden") == (400, "value")
    assert counter.refuses("take-ticket", kind="appointment") == (422, "required")
    paid = Counter(counter.client, counter.tenant_id, rules={"kinds": ["normal", "vip"]})
    assert extension(paid.take(kind="vip"), "ticket-kind") == "vip"


def test_bad_input_is_refused_with_a_sentence(counter: Counter) -> None:
    assert counter.refuses("take-ticket", patient="Patient/nobody")[0] == 404
    assert counter.refuses("take-ticket", patient="Group/1") == (400, "value")
    assert counter.refuses("take-ticket", reason="x" * 501) == (400, "value")
    assert counter.refuses("call-next", desk="x" * 65) == (400, "value")
    assert counter.refuses("call-next", kinds=["golden"]) == (400, "value")
    assert counter.refuses("call-next", owner="Observation/1") == (400, "value")
    plain = counter.client.create({"resourceType": "HealthcareService", "name": "no queue"})
    assert counter.client.post(f"HealthcareService/{plain['id']}/$take-ticket").status == 422
    assert counter.client.post("HealthcareService/nothing/$take-ticket").status == 404
    other = counter.client.create({"resourceType": "Task", "status": "draft", "intent": "order"})
    assert counter.client.post(f"Task/{other['id']}/$start").status == 422
    assert counter.client.post("Task/nothing/$start").status == 404
    assert counter.client.get(f"HealthcareService/{counter.id}/$take-ticket").status == 405


def test_numbers_begin_anew_with_the_day_of_the_queue(counter: Counter) -> None:
    counter.take()
    assert number(counter.take()) == "A-002"
    with later(days=1):
        tomorrow = counter.take()
        assert number(tomorrow) == "A-001"
        assert number(counter.take()) == "A-002"
    days = {each["identifier"][0]["system"][-10:] for each in (tomorrow, counter.read(tomorrow))}
    assert days == {(counter.local() + timedelta(days=1)).date().isoformat()}


def test_the_day_is_that_of_the_zone(tenant: TestTenant, client: Client) -> None:
    zone = "Pacific/Kiritimati" if clock.now().hour >= 11 else "Pacific/Pago_Pago"
    counter = Counter(client, tenant.id, rules={"timezone": zone})
    task = counter.take()
    assert task["identifier"][0]["system"][-10:] != clock.now().date().isoformat()


def test_a_full_queue_refuses_but_not_emergencies_and_bookings(tenant: TestTenant, client: Client) -> None:
    counter = Counter(client, tenant.id, rules={"maxWaiting": 2})
    first = counter.take()
    counter.take()
    assert counter.refuses("take-ticket") == (409, "queue-full")
    counter.take(kind="emergency", reason="Fainted")
    booked = counter.appointment(counter.patient(), clock.now())
    assert counter.ask(f"Appointment/{booked['id']}/$check-in").status == 200
    for _ in range(3):
        counter.call()
    assert counter.read(first)["status"] != "draft"
    daily = Counter(client, tenant.id, rules={"maxPerDay": 1})
    daily.take()
    assert daily.refuses("take-ticket") == (409, "queue-full")
    with later(days=1):
        daily.take()


def test_a_refused_ticket_leaves_no_hole(counter: Counter) -> None:
    who = counter.patient()
    counter.take(patient=who)
    for _ in range(3):
        assert counter.refuses("take-ticket", patient=who)[0] == 409
        assert counter.refuses("take-ticket", kind="vip")[0] == 422
    assert number(counter.take()) == "A-002"
    assert [event.seq for event in counter.events()] == [1, 2]


def test_patients_take_and_give_up_their_own_tickets_only(counter: Counter, tenant: TestTenant) -> None:
    me, other = counter.patient().partition("/")[2], counter.patient()
    mine = tenant.client("patient/*.cruds", patient=me)
    task = counter.take(by=mine)
    assert task["for"]["reference"] == f"Patient/{me}" and task["status"] == "requested"
    path = f"HealthcareService/{counter.id}/$take-ticket"
    assert counter.ask(path, by=mine, patient=other).status in (403, 404)
    assert counter.ask(path, by=mine, kind="emergency", reason="please").status == 403
    assert counter.ask(f"HealthcareService/{counter.id}/$call-next", by=mine).status == 403
    assert counter.ask(f"HealthcareService/{counter.id}/$pause", by=mine).status == 403
    theirs = counter.take(patient=other)
    for code in ("cancel", "check-in", "undo", "start", "skip"):
        assert counter.ask(f"Task/{theirs['id']}/${code}", by=mine).status in (403, 404), code
    for code in ("start", "finish", "no-show", "absent", "recall", "return"):
        assert counter.ask(f"Task/{task['id']}/${code}", by=mine).status == 403, code
    assert counter.ask(f"Task/{task['id']}/$check-in", by=mine).status == 422
    assert state(counter.ask(f"Task/{task['id']}/$cancel", by=mine).json) == "cancelled"


def test_a_queue_that_gives_no_tickets_from_home(tenant: TestTenant, client: Client) -> None:
    counter = Counter(client, tenant.id, rules={"remoteTickets": False})
    assert counter.refuses("take-ticket", remote=True) == (422, "business-rule")
    assert number(counter.take()) == "A-001"


def test_a_ticket_says_where_and_at_whose_place(tenant: TestTenant, client: Client) -> None:
    place = client.create({"resourceType": "Location", "name": "Hall"})
    owner = client.create({"resourceType": "Organization", "name": "Clinic"})
    at = {"reference": f"Location/{place['id']}"}
    counter = Counter(
        client, tenant.id, more={"location": [at], "providedBy": {"reference": f"Organization/{owner['id']}"}}
    )
    task = counter.take(patient=counter.patient())
    visit = counter.read(task["encounter"])
    assert task["location"] == at == visit["location"][0]["location"]
    assert visit["serviceProvider"]["reference"] == f"Organization/{owner['id']}"


def test_searches_find_tickets_by_queue_kind_and_state(counter: Counter) -> None:
    task = counter.take()
    urgent = counter.take(kind="emergency", reason="Burn")
    queue = f"Task?queue=HealthcareService/{counter.id}"
    assert {each["id"] for each in counter.client.search(queue)} == {task["id"], urgent["id"]}
    assert [each["id"] for each in counter.client.search(f"{queue}&ticket-kind=emergency")] == [urgent["id"]]
    counter.call()
    assert [each["id"] for each in counter.client.search(f"{queue}&ticket-state=called")] == [urgent["id"]]


def test_plain_writes_do_not_change_a_ticket(counter: Counter) -> None:
    task = counter.take()
    changed = {**task, "status": "completed"}
    assert counter.client.put(f"Task/{task['id']}", changed).status == 422
    assert counter.client.delete(f"Task/{task['id']}").status == 422
    raw = {k: v for k, v in task.items() if k not in ("id", "meta")}
    assert counter.client.post("Task", raw).status == 422
    noted = {**task, "note": [{"text": "Needs a wheelchair."}]}
    assert counter.client.put(f"Task/{task['id']}", noted).status == 200
    assert counter.do(task, "cancel")["note"] == noted["note"]
