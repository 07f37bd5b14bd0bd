"""Who works a queue and who waits in it: accounts with their roles."""

from collections.abc import Callable

import pytest

from fhir_server.core import clock
from tests.client import Client
from tests.conftest import TestTenant
from tests.consent.people import user
from tests.features.queue.counter import Counter, parameters, state


@pytest.fixture
def counter(tenant: TestTenant, client: Client) -> Counter:
    return Counter(client, tenant.id)


def test_reception_and_doctor_share_a_day(counter: Counter, tenant: TestTenant) -> None:
    doctor = counter.client.create({"resourceType": "Practitioner", "name": [{"family": "Diop"}]})
    me = f"Practitioner/{doctor['id']}"
    desk, room = user(tenant, "receptionist"), user(tenant, "practitioner", me)
    who = counter.patient()
    booked = counter.appointment(who, clock.now())
    task = counter.ask(f"Appointment/{booked['id']}/$check-in", by=desk).json
    counter.ask(f"HealthcareService/{counter.id}/$pause", by=desk)
    assert counter.ask(f"HealthcareService/{counter.id}/$resume", by=desk).status == 200
    called = room.post(f"HealthcareService/{counter.id}/$call-next", parameters(desk="Room 1")).json
    assert called["id"] == task["id"] and called["owner"] == {"reference": me}
    assert state(counter.ask(f"Task/{task['id']}/$start", by=room).json) == "serving"
    assert counter.read(task["encounter"])["participant"][0]["individual"]["reference"] == me
    assert counter.ask(f"Task/{task['id']}/$undo", by=desk).status == 409
    assert state(counter.ask(f"Task/{task['id']}/$undo", by=room).json) == "called"
    agents = {event.agent.partition(":")[0] for event in counter.events()}
    assert agents == {"user"} and len({event.agent for event in counter.events()}) == 2


def test_a_skip_names_the_nurse(counter: Counter, tenant: TestTenant) -> None:
    nurse = counter.client.create({"resourceType": "Practitioner", "name": [{"family": "Ba"}]})
    task = counter.take()
    answer = counter.ask(
        f"Task/{task['id']}/$skip", by=user(tenant, "nurse", f"Practitioner/{nurse['id']}"), reason="Pale"
    )
    assert answer.status == 200, answer.text
    (note,) = counter.client.search(f"Provenance?target=Task/{task['id']}")
    assert note["agent"][0]["who"] == {"reference": f"Practitioner/{nurse['id']}"}


def test_a_patient_with_an_account(counter: Counter, tenant: TestTenant) -> None:
    me = counter.patient().partition("/")[2]
    mine = user(tenant, "patient", f"Patient/{me}", patient=me)
    task = counter.take(by=mine)
    assert task["for"]["reference"] == f"Patient/{me}"
    assert [each["id"] for each in mine.search("Task")] == [task["id"]]
    assert counter.ask(f"HealthcareService/{counter.id}/$call-next", by=mine).status == 403
    assert state(counter.ask(f"Task/{task['id']}/$cancel", by=mine).json) == "cancelled"
    assert state(counter.ask(f"Task/{task['id']}/$undo", by=mine).json) == "waiting"


def test_who_may_only_read_takes_nothing(counter: Counter, tenant: TestTenant) -> None:
    reader = tenant.client("system/*.rs")
    task = counter.take()
    for path in (f"HealthcareService/{counter.id}/$take-ticket", f"HealthcareService/{counter.id}/$close",
                 f"Task/{task['id']}/$cancel", f"Task/{task['id']}/$undo", f"Task/{task['id']}/$check-in",
                 f"Task/{task['id']}/$recall"):  # fmt: skip
        assert counter.ask(path, by=reader).status == 403, path
    assert len(counter.events()) == 1


def test_another_clinic_sees_nothing_of_it(counter: Counter, new_tenant: Callable[[], TestTenant]) -> None:
    task = counter.take()
    other = new_tenant().client()
    for path in (f"HealthcareService/{counter.id}/$take-ticket", f"HealthcareService/{counter.id}/$call-next",
                 f"Task/{task['id']}/$start", f"Task/{task['id']}/$cancel"):  # fmt: skip
        assert counter.ask(path, by=other).status == 404, path
