"""$cancel: the time is free again, by whom and until when."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.client import Client
from tests.features.scheduling.clinic_day import (
    BOOKING,
    Practice,
    body,
    detail,
    in_days,
    later,
    matched,
)

if TYPE_CHECKING:
    from tests.conftest import TestTenant

EMPTY = {"resourceType": "Parameters"}
PATIENT_SCOPE = "patient/*.rs patient/Appointment.cru"


@pytest.fixture(scope="module")
def practice(client: Client) -> Practice:
    return Practice(client, {"cancelCutoff": 120})


def client_of(tenant: "TestTenant", patient: str) -> Client:
    return tenant.client(PATIENT_SCOPE, patient=patient.removeprefix("Patient/"))


def test_the_time_is_free_again(client: Client, practice: Practice) -> None:
    booked = practice.booked(practice.patient(), in_days(2))
    answer = client.post(f"Appointment/{booked['id']}/$cancel", body(reason={"text": "Ill"}, comment="Called at 8"))
    cancelled = matched(answer)
    assert (cancelled["status"], cancelled["cancelationReason"]["text"], cancelled["comment"]) == (
        "cancelled",
        "Ill",
        "Called at 8",
    )
    assert cancelled["start"] == booked["start"]
    assert "slot" not in cancelled and "tag" not in cancelled["meta"]
    assert answer.headers["ETag"] == 'W/"2"'
    assert [client.get(each["reference"]).status for each in booked["slot"]] == [410]
    practice.booked(practice.patient(), in_days(2))


def test_twice_is_once(client: Client, practice: Practice) -> None:
    booked = practice.booked(practice.patient(), in_days(3))
    first = matched(client.post(f"Appointment/{booked['id']}/$cancel", EMPTY))
    second = matched(client.post(f"Appointment/{booked['id']}/$cancel", EMPTY))
    assert first == second


def test_a_patient_cancels_his_own_in_time(tenant: "TestTenant", client: Client, practice: Practice) -> None:
    who = practice.patient()
    me, stranger = client_of(tenant, who), client_of(tenant, practice.patient())
    booked = practice.booked(who, in_days(4))
    assert stranger.post(f"Appointment/{booked['id']}/$cancel", EMPTY).status == 404
    cancelled = matched(me.post(f"Appointment/{booked['id']}/$cancel", EMPTY))
    assert cancelled["status"] == "cancelled"
    assert cancelled["cancelationReason"]["coding"][0]["code"] == "pat"
    soon = practice.booked(who, later(3600))
    for answer in (
        me.post(f"Appointment/{soon['id']}/$cancel", EMPTY),
        me.put(f"Appointment/{soon['id']}", {**soon, "status": "cancelled"}),
    ):
        assert (answer.status, detail(answer)) == (422, "too-late"), answer.text
    late = matched(client.post(f"Appointment/{soon['id']}/$cancel", body(reason={"text": "Accident"})))
    assert {"system": BOOKING, "code": "late-cancel"} in late["meta"]["tag"]
    (record,) = client.search(f"Provenance?target=Appointment/{soon['id']}")
    assert record["reason"] == [{"text": "Accident"}]


@pytest.mark.parametrize("status", ["fulfilled", "noshow", "entered-in-error"])
def test_what_is_over_is_not_cancelled(client: Client, practice: Practice, status: str) -> None:
    past = client.create({**practice.appointment(practice.patient(), in_days(-2, 6 + len(status))), "status": status})
    answer = client.post(f"Appointment/{past['id']}/$cancel", EMPTY)
    assert (answer.status, detail(answer)) == (409, "wrong-state")


def test_one_without_time_or_agenda(client: Client, practice: Practice) -> None:
    waiting: dict[str, Any] = practice.appointment(practice.patient(), in_days())
    del waiting["start"], waiting["end"]
    stored = client.create({**waiting, "status": "waitlist"})
    assert matched(client.post(f"Appointment/{stored['id']}/$cancel", EMPTY))["status"] == "cancelled"
    elsewhere = {
        "resourceType": "Appointment", "status": "booked", "start": "2031-01-01T09:00:00Z", "end": "2031-01-01T09:30:00Z",
        "participant": [{"actor": {"display": "Dr. Elsewhere"}, "status": "accepted"}],
    }  # fmt: skip
    stored = client.create(elsewhere)
    assert matched(client.post(f"Appointment/{stored['id']}/$cancel", EMPTY))["status"] == "cancelled"


def test_a_waiting_visit_may_be_cancelled_late(tenant: "TestTenant", client: Client, practice: Practice) -> None:
    who = practice.patient()
    asked = client.create({**practice.appointment(who, later(1800) + timedelta(days=0)), "status": "waitlist"})
    assert client_of(tenant, who).post(f"Appointment/{asked['id']}/$cancel", EMPTY).status == 200
