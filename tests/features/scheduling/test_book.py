"""$book: who may book what, for whom, and what is stored."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.client import Client
from tests.features.scheduling.clinic_day import (
    BOOKING,
    Practice,
    all_matched,
    body,
    detail,
    extension_of,
    given,
    in_days,
    iso,
    matched,
    named,
    slots_of,
)
from tests.rest.bodies import mark, patient

if TYPE_CHECKING:
    from tests.conftest import TestTenant

PATIENT_SCOPE = "patient/*.rs patient/Appointment.cru"


@pytest.fixture
def someone(tenant: "TestTenant", practice: Practice) -> Callable[[], tuple[Client, str]]:
    """Makes patients with a client of their own."""

    def make() -> tuple[Client, str]:
        who = practice.patient()
        return tenant.client(PATIENT_SCOPE, patient=who.removeprefix("Patient/")), who

    return make


def people(appointment: dict[str, Any]) -> set[str]:
    return {each["actor"]["reference"] for each in appointment["participant"]}


def test_a_proposal_is_booked_for_the_patient_of_the_token(
    client: Client, practice: Practice, someone: Callable[[], tuple[Client, str]]
) -> None:
    me, who = someone()
    proposal = practice.proposal(in_days(2), me)
    answer = me.post("Appointment/$book", named(proposal["id"]))
    booked = matched(answer)
    assert booked["status"] == "booked"
    assert booked["start"] == proposal["start"] and booked["end"] == proposal["end"]
    assert people(booked) >= {who, practice.practitioner[0], practice.service}
    assert booked["minutesDuration"] == 30
    assert answer.headers["ETag"] == 'W/"1"'
    assert answer.headers["Location"].endswith(f"/Appointment/{booked['id']}/_history/1")
    assert client.get(f"Appointment/{booked['id']}").json == booked
    (slot,) = slots_of(client, booked)
    assert (slot["status"], slot["schedule"]["reference"]) == ("busy", practice.schedule[0])
    outcome = answer.json["entry"][-1]
    assert outcome["search"]["mode"] == "outcome" and outcome["resource"]["issue"][0]["severity"] == "information"


def test_a_proposal_given_back_with_a_patient(client: Client, practice: Practice) -> None:
    who = practice.patient()
    proposal = practice.proposal(in_days(3))
    proposal["participant"].append({"actor": {"reference": who}, "status": "accepted"})
    proposal["description"] = "Second opinion"
    booked = matched(client.post("Appointment/$book", given(proposal)))
    assert who in people(booked)
    assert booked["description"] == "Second opinion"
    assert booked["id"] != proposal["id"]
    assert "contained" not in booked


def test_a_new_patient_is_registered_along_and_found_again(client: Client, practice: Practice) -> None:
    word = mark()
    first = matched(
        client.post("Appointment/$book", named(practice.proposal(in_days(4))["id"], patient_resource=patient(word)))
    )
    second = matched(
        client.post("Appointment/$book", named(practice.proposal(in_days(5))["id"], patient_resource=patient(word)))
    )
    (registered,) = client.search(f"Patient?identifier=urn:test|{word}")
    assert f"Patient/{registered['id']}" in people(first) & people(second)


def test_for_whom_is_said_once(client: Client, practice: Practice) -> None:
    nobody = client.post("Appointment/$book", named(practice.proposal(in_days(6))["id"]))
    assert nobody.status == 422 and "for whom" in nobody.text
    one, other = practice.patient(), practice.patient()
    resource = practice.appointment(one, in_days(6))
    sent = {"resourceType": "Patient", "id": other.removeprefix("Patient/")}
    two = client.post("Appointment/$book", given(resource, patient_resource=sent))
    assert two.status == 422 and "different patients" in two.text
    unknown = client.post(
        "Appointment/$book",
        named(practice.proposal(in_days(6))["id"], patient_resource={"resourceType": "Patient", "id": "nobody"}),
    )
    assert unknown.status == 422 and unknown.issues[0]["expression"] == ["Patient.id"]


def test_either_a_reference_or_a_resource(client: Client, practice: Practice) -> None:
    assert client.post("Appointment/$book", {"resourceType": "Parameters"}).status == 400
    both = body(
        appointment_reference={"reference": "Appointment/1"}, appointment_resource=practice.appointment(None, in_days())
    )
    assert client.post("Appointment/$book", both).status == 400


def test_what_is_taken_is_refused_with_three_other_times(client: Client, practice: Practice) -> None:
    start = in_days(8, 9)
    practice.booked(practice.patient(), start)
    for shift, minutes in ((0, 30), (-15, 30), (15, 15), (-30, 90)):
        refused = practice.book(practice.patient(), start + timedelta(minutes=shift), minutes=minutes)
        assert (refused.status, detail(refused)) == (409, "slot-taken"), (shift, minutes, refused.text)
        assert len(refused.json["contained"]) == 3
        assert refused.issues[0]["expression"] == ["Appointment.start"]
    practice.booked(practice.patient(), start + timedelta(minutes=30))
    practice.booked(practice.patient(), start - timedelta(minutes=30))
    assert (
        len(
            client.search(
                f"Slot?schedule={practice.schedule[0]}&start=ge{iso(in_days(8, 0))}&start=lt{iso(in_days(9, 0))}"
            )
        )
        == 3
    )


def test_a_patient_cannot_be_in_two_places(practice: Practice, client: Client) -> None:
    other = Practice(client)
    who, start = practice.patient(), in_days(9)
    practice.booked(who, start)
    refused = other.book(who, start + timedelta(minutes=15))
    assert (refused.status, detail(refused)) == (409, "patient-busy")
    other.booked(who, start + timedelta(minutes=30))


def test_buffers_hold_the_time_around(client: Client) -> None:
    practice = Practice(client, {"bufferBefore": 10, "bufferAfter": 5})
    booked = practice.booked(practice.patient(), in_days(2))
    found = [(slot["status"], slot["start"][11:16], slot["end"][11:16]) for slot in slots_of(client, booked)]
    assert found == [
        ("busy-unavailable", "08:50", "09:00"), ("busy", "09:00", "09:30"), ("busy-unavailable", "09:30", "09:35"),
    ]  # fmt: skip
    assert (booked["start"][11:16], booked["end"][11:16]) == ("09:00", "09:30")
    assert practice.book(practice.patient(), in_days(2, 9, 30)).status == 409


def test_requires_confirmation(client: Client) -> None:
    practice = Practice(client, {"requiresConfirmation": True})
    answer = practice.book(practice.patient(), in_days(2))
    booked = matched(answer)
    assert booked["status"] == "pending"
    assert extension_of(booked, "hold-expires") is None
    assert [slot["status"] for slot in slots_of(client, booked)] == ["busy-tentative"]
    assert "confirmation-needed" in answer.text
    assert practice.book(practice.patient(), in_days(2)).status == 409


def test_staff_books_beyond_capacity_with_a_reason(
    client: Client, practice: Practice, someone: Callable[[], tuple[Client, str]]
) -> None:
    start = in_days(10)
    practice.booked(practice.patient(), start)
    tag = {"meta": {"tag": [{"system": BOOKING, "code": "overbooked"}]}}
    extra = practice.appointment(practice.patient(), start, **tag)
    without = client.post("Appointment/$book", given(extra))
    assert without.status == 422 and without.issues[0]["expression"] == ["http.comment"]
    booked = matched(client.post("Appointment/$book", given(extra, comment="Child with fever")))
    assert {"system": BOOKING, "code": "overbooked"} in booked["meta"]["tag"]
    assert [slot["overbooked"] for slot in slots_of(client, booked)] == [True]
    elsewhere = body(start=iso(start + timedelta(hours=3)))
    (record,) = client.search(f"Provenance?target=Appointment/{booked['id']}")
    moved = matched(client.post(f"Appointment/{booked['id']}/$reschedule", elsewhere))
    assert "tag" not in moved["meta"] and "overbooked" not in slots_of(client, moved)[0]
    assert record["reason"][0]["text"] == "Child with fever"
    me, who = someone()
    refused = me.post("Appointment/$book", given(practice.appointment(who, start, **tag), comment="please"))
    assert refused.status == 403
    assert client.post("Appointment", {**extra, "status": "booked"}).status == 422


def test_limits_per_day_and_week(client: Client) -> None:
    practice = Practice(client, {"limitPerDay": 2, "limitPerWeek": 3})
    monday = in_days(21) - timedelta(days=in_days(21).weekday())
    practice.booked(practice.patient(), monday)
    last = practice.booked(practice.patient(), monday + timedelta(hours=1))
    third = practice.book(practice.patient(), monday + timedelta(hours=2))
    assert (third.status, detail(third)) == (422, "limit-reached")
    practice.booked(practice.patient(), monday + timedelta(days=1))
    fourth = practice.book(practice.patient(), monday + timedelta(days=2))
    assert (fourth.status, detail(fourth)) == (422, "limit-reached")
    moved = body(start=iso(monday + timedelta(hours=3)))
    assert client.post(f"Appointment/{last['id']}/$reschedule", moved).status == 200
    matched(client.post(f"Appointment/{last['id']}/$cancel", {"resourceType": "Parameters"}))
    practice.booked(practice.patient(), monday + timedelta(hours=2))


def test_rooms_and_professionals_together(client: Client) -> None:
    practice = Practice(client)
    room = client.create({"resourceType": "Location", "name": "Room 1"})
    agenda = client.create(
        {"resourceType": "Schedule", "active": True, "actor": [{"reference": f"Location/{room['id']}"}]}
    )
    service = client.get(practice.service).json
    service["extension"][0]["extension"].append(
        {
            "url": "resource",
            "extension": [
                {"url": "role", "valueCode": "room"},
                {"url": "schedule", "valueReference": {"reference": f"Schedule/{agenda['id']}"}},
            ],
        }
    )
    assert client.put(practice.service, service).status == 200
    proposal = practice.proposal(in_days(2))
    booked = matched(client.post("Appointment/$book", named(proposal["id"], patient_resource=patient(mark()))))
    assert f"Location/{room['id']}" in people(booked)
    assert {slot["schedule"]["reference"] for slot in slots_of(client, booked)} == {
        practice.schedule[0],
        f"Schedule/{agenda['id']}",
    }
    other = Practice(client)
    clash = other.appointment(other.patient(), datetime.fromisoformat(booked["start"]))
    clash["participant"].append({"actor": {"reference": f"Location/{room['id']}"}, "status": "needs-action"})
    assert client.post("Appointment", {**clash, "status": "booked"}).status == 409


def test_a_group_shares_its_time_by_capacity(client: Client) -> None:
    practice = Practice(client, schedules=0)
    practice.add_schedule(capacity=3)
    start = in_days(2)
    for _ in range(3):
        practice.booked(practice.patient(), start)
    assert practice.book(practice.patient(), start).status == 409


def test_moves_of_the_status_by_staff(client: Client, practice: Practice) -> None:
    booked = practice.booked(practice.patient(), in_days(13))
    for status, expected in (
        ("proposed", 422),
        ("arrived", 200),
        ("booked", 422),
        ("fulfilled", 200),
        ("cancelled", 422),
        ("entered-in-error", 200),
    ):
        answer = client.put(f"Appointment/{booked['id']}", {**booked, "status": status})
        assert answer.status == expected, (status, answer.text)


def test_what_a_day_of_an_import_looks_like(client: Client, practice: Practice) -> None:
    for status in ("fulfilled", "noshow", "cancelled", "arrived", "checked-in", "booked", "waitlist"):
        start = in_days(-30, 6 + len(status))
        assert (
            client.post("Appointment", {**practice.appointment(practice.patient(), start), "status": status}).status
            == 201
        )


def test_once_per_key(client: Client, practice: Practice) -> None:
    sent = given(practice.appointment(practice.patient(), in_days(14)))
    key = mark()
    first = client.post("Appointment/$book", sent, idempotency_key=key)
    again = client.post("Appointment/$book", sent, idempotency_key=key)
    assert all_matched(first)[0]["id"] == all_matched(again)[0]["id"]
    other = client.post(
        "Appointment/$book", given(practice.appointment(practice.patient(), in_days(15))), idempotency_key=key
    )
    assert other.status == 422


@pytest.mark.parametrize(
    "broken",
    [
        {"participant": []},
        {"status": "nonsense"},
        {"start": "tomorrow"},
        {"end": "2020-01-01T00:00:00Z"},
        {"slot": [{"reference": "Slot/none"}]},
        {"minutesDuration": -1},
        {"minutesDuration": 45},
        {"end": "9999-12-31T23:59:59Z"},
        {"start": "9999-12-31T23:30:00Z", "end": "9999-12-31T23:59:59Z"},
        {"start": "0001-01-01T00:00:00Z", "end": "0001-01-01T00:30:00Z"},
        {"start": "1969-07-20T20:00:00+14:00", "end": "1969-07-20T20:30:00+14:00"},
        {"start": "2031-01-01T09:00:00Z", "end": "2031-01-01T09:00:00Z"},
        {"start": "2031-01-01T09:00:00Z", "end": "2031-01-02T09:30:00Z"},
        {"participant": [{"actor": {"display": "Somebody"}, "status": "accepted"}]},
        {"participant": [{"actor": {"reference": "Practitioner/none"}, "status": "accepted"}]},
    ],
)
def test_bodies_that_make_no_sense(client: Client, practice: Practice, broken: dict[str, Any]) -> None:
    answer = client.post(
        "Appointment/$book", given({**practice.appointment(practice.patient(), in_days(16)), **broken})
    )
    assert 400 <= answer.status < 500 or answer.status == 200, answer.text
    if answer.status != 200:
        assert answer.issues[0].get("expression"), answer.text
