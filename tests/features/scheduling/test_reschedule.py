"""$reschedule: another time for the same visit, in one step."""

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.client import Client
from tests.features.scheduling.clinic_day import (
    Practice,
    body,
    detail,
    extension_of,
    in_days,
    iso,
    later,
    matched,
    slots_of,
)

if TYPE_CHECKING:
    from tests.conftest import TestTenant

PATIENT_SCOPE = "patient/*.rs patient/Appointment.cru"


@pytest.fixture(scope="module")
def practice(client: Client) -> Practice:
    return Practice(client, {"cancelCutoff": 60, "bufferAfter": 5}, schedules=2)


def test_onto_its_own_overlapping_time(client: Client, practice: Practice) -> None:
    start = in_days(2)
    booked = practice.booked(practice.patient(), start)
    for shift in (15, -10, 5):
        moved = matched(
            client.post(f"Appointment/{booked['id']}/$reschedule", body(start=iso(start + timedelta(minutes=shift))))
        )
        assert moved["id"] == booked["id"]
        found = slots_of(client, moved)
        assert [slot["status"] for slot in found] == ["busy", "busy-unavailable"]
        assert found[0]["start"] == moved["start"]
    assert moved["meta"]["versionId"] == "4"
    wall = extension_of(moved, "wall-time")
    assert wall is not None and "09:05" in str(wall)
    assert {client.get(each["reference"]).status for each in booked["slot"]} == {410}


def test_an_appointment_without_slots_moves_too(client: Client, practice: Practice) -> None:
    start = in_days(3)
    raw = client.create({**practice.appointment(practice.patient(), start), "status": "booked"})
    moved = matched(client.post(f"Appointment/{raw['id']}/$reschedule", body(start=iso(start + timedelta(minutes=15)))))
    assert moved["start"] == iso(start + timedelta(minutes=15))
    practice.booked(practice.patient(), start - timedelta(minutes=20))
    assert practice.book(practice.patient(), start).status == 409


def test_the_old_time_is_free_and_the_new_one_taken(client: Client, practice: Practice) -> None:
    booked = practice.booked(practice.patient(), in_days(4))
    matched(client.post(f"Appointment/{booked['id']}/$reschedule", body(start=iso(in_days(4, 11)))))
    practice.booked(practice.patient(), in_days(4))
    refused = practice.book(practice.patient(), in_days(4, 11))
    assert refused.status == 409


def test_onto_taken_time(client: Client, practice: Practice) -> None:
    booked = practice.booked(practice.patient(), in_days(5))
    practice.booked(practice.patient(), in_days(5, 11))
    refused = client.post(f"Appointment/{booked['id']}/$reschedule", body(start=iso(in_days(5, 11))))
    assert (refused.status, detail(refused)) == (409, "slot-taken")
    assert len(refused.json["contained"]) == 3
    assert client.get(f"Appointment/{booked['id']}").json == booked
    assert practice.book(practice.patient(), in_days(5)).status == 409


def test_to_another_practitioner(client: Client, practice: Practice) -> None:
    booked = practice.booked(practice.patient(), in_days(6))
    both = body(start=iso(in_days(6)), practitioner={"reference": practice.practitioner[1]})
    moved = matched(client.post(f"Appointment/{booked['id']}/$reschedule", both))
    actors = {each["actor"]["reference"] for each in moved["participant"]}
    assert practice.practitioner[1] in actors and practice.practitioner[0] not in actors
    assert {slot["schedule"]["reference"] for slot in slots_of(client, moved)} == {practice.schedule[1]}
    practice.booked(practice.patient(), in_days(6))
    assert practice.book(practice.patient(), in_days(6), 1).status == 409
    back = body(start=iso(in_days(6, 12)), schedule={"reference": practice.schedule[0]}, minutes=45)
    moved = matched(client.post(f"Appointment/{booked['id']}/$reschedule", back))
    assert (moved["minutesDuration"], moved["end"]) == (45, iso(in_days(6, 12, 45)))


def test_a_patient_moves_his_own_in_time_within_the_rules(tenant: "TestTenant", practice: Practice) -> None:
    who = practice.patient()
    me = tenant.client(PATIENT_SCOPE, patient=who.removeprefix("Patient/"))
    booked = practice.booked(who, in_days(7))
    path = f"Appointment/{booked['id']}/$reschedule"
    assert matched(me.post(path, body(start=iso(in_days(7, 10)))))["start"] == iso(in_days(7, 10))
    outside = me.post(path, body(start=iso(in_days(7, 23))))
    assert (outside.status, detail(outside)) == (422, "outside-hours")
    assert me.post(path, body(start=iso(in_days(7, 11)), minutes=60)).status == 403
    soon = practice.booked(who, later(1800))
    late = me.post(f"Appointment/{soon['id']}/$reschedule", body(start=iso(in_days(8))))
    assert (late.status, detail(late)) == (422, "too-late")
    stranger = tenant.client(PATIENT_SCOPE, patient=practice.patient().removeprefix("Patient/"))
    assert stranger.post(path, body(start=iso(in_days(7, 12)))).status == 404


@pytest.mark.parametrize("start", ["2031-03-01", "2031-03-01T09:00:00", "tomorrow", "2031-13-01T09:00:00Z"])
def test_starts_that_say_no_moment(client: Client, practice: Practice, start: str) -> None:
    booked = client.create({**practice.appointment(practice.patient(), in_days(30)), "status": "cancelled"})
    answer = client.post(f"Appointment/{booked['id']}/$reschedule", body(start=start))
    assert answer.status in (400, 409, 422), answer.text
    assert client.get(f"Appointment/{booked['id']}").json["meta"]["versionId"] == "1"


@pytest.mark.parametrize(
    ("start", "minutes"),
    [
        ("9999-12-31T23:59:59Z", 30),
        ("0001-01-01T00:00:00Z", 30),
        ("0001-01-01T00:00:00+14:00", 30),
        ("2031-01-01T09:00:00Z", 2_000_000_000),
        ("2031-01-01T09:00:00Z", 1441),
    ],
)
def test_times_out_of_any_agenda(client: Client, practice: Practice, start: str, minutes: int) -> None:
    booked = practice.booked(practice.patient(), in_days(40, 7 + minutes % 11))
    answer = client.post(f"Appointment/{booked['id']}/$reschedule", body(start=start, minutes=minutes))
    assert answer.status in (400, 422), answer.text
    matched(client.post(f"Appointment/{booked['id']}/$cancel", {"resourceType": "Parameters"}))


def test_what_cannot_be_moved(client: Client, practice: Practice) -> None:
    over = client.create({**practice.appointment(practice.patient(), in_days(-3)), "status": "fulfilled"})
    refused = client.post(f"Appointment/{over['id']}/$reschedule", body(start=iso(in_days(9))))
    assert (refused.status, detail(refused)) == (409, "wrong-state")
    booked = practice.booked(practice.patient(), in_days(9))
    for more, status in (
        ({"schedule": {"reference": "Schedule/none"}}, 404),
        ({"schedule": {"reference": "Patient/1"}}, 400),
        ({"practitioner": {"reference": "Practitioner/none"}}, 422),
    ):
        answer = client.post(f"Appointment/{booked['id']}/$reschedule", body(start=iso(in_days(10)), **more))
        assert answer.status == status, answer.text
    assert client.post(f"Appointment/{booked['id']}/$reschedule", body(minutes=5)).status == 400
    assert client.get(f"Appointment/{booked['id']}").json["meta"]["versionId"] == "1"
