"""What patients may book by themselves, by every way of writing."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from tests.client import Client
from tests.features.scheduling.clinic_day import (
    BOOKING,
    Practice,
    body,
    detail,
    extension_of,
    given,
    in_days,
    iso,
    matched,
    named,
)
from tests.rest.bodies import bundle, entry, mark, patient

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


def test_only_what_is_bookable_online_by_every_way(
    tenant: "TestTenant", client: Client, someone: Callable[[], tuple[Client, str]]
) -> None:
    practice = Practice(client, {"onlineBooking": False})
    me, who = someone()
    proposal = practice.proposal(in_days(2))["id"]
    resource = practice.appointment(who, in_days(2))
    stored = {**resource, "status": "booked"}
    id_ = mark()
    tries = {
        "hold": me.post("Appointment/$hold", named(proposal)),
        "book by reference": me.post("Appointment/$book", named(proposal)),
        "book by resource": me.post("Appointment/$book", given(resource)),
        "create": me.post("Appointment", stored),
        "pending": me.post("Appointment", {**resource, "status": "pending"}),
        "update": me.put(f"Appointment/{id_}", {**stored, "id": id_}),
        "without service": me.post(
            "Appointment",
            {
                **stored,
                "participant": [
                    each for each in stored["participant"] if each["actor"]["reference"] != practice.service
                ],
            },
        ),
        "transaction": me.post("", bundle("transaction", entry("POST", "Appointment", stored))),
    }
    for way, answer in tries.items():
        assert answer.status in (404, 422) or (way == "update" and answer.status == 403), (
            way,
            answer.status,
            answer.text,
        )
        if answer.status == 422:
            assert detail(answer) == "not-bookable-online", way
    batch = me.post("", bundle("batch", entry("POST", "Appointment", stored)))
    assert batch.json["entry"][0]["response"]["status"].startswith("422")
    assert matched(client.post("Appointment/$book", given(resource)))["status"] == "booked"
    assert (
        client.search(f"Appointment?patient={who}&status=booked,pending&_summary=false")[0]["start"]
        == resource["start"]
    )


def test_a_plain_write_of_a_patient_is_bound_by_the_same_rules(
    practice: Practice, someone: Callable[[], tuple[Client, str]], client: Client
) -> None:
    me, who = someone()
    outside = {**practice.appointment(who, in_days(2, 23)), "status": "booked"}
    assert detail(me.post("Appointment", outside)) == "outside-hours"
    fine = {**practice.appointment(who, in_days(20, 11)), "status": "booked"}
    created = me.post("Appointment", fine)
    assert created.status == 201, created.text
    moved = {**created.json, "start": iso(in_days(20, 12)), "end": iso(in_days(20, 12, 30))}
    refused = me.put(f"Appointment/{created.id}", moved)
    assert refused.status == 422 and "$reschedule" in refused.text
    assert detail(me.put(f"Appointment/{created.id}", {**created.json, "status": "fulfilled"})) == "wrong-state"
    tagged = {**created.json, "meta": {"tag": [{"system": BOOKING, "code": "overbooked"}]}}
    assert me.put(f"Appointment/{created.id}", tagged).status == 422
    commented = me.put(f"Appointment/{created.id}", {**created.json, "comment": "I come by bus"})
    assert commented.status == 200, commented.text
    _, stranger = someone()
    shared = {**fine, "start": iso(in_days(21, 11)), "end": iso(in_days(21, 11, 30))}
    shared["participant"] = [*fine["participant"], {"actor": {"reference": stranger}, "status": "accepted"}]
    assert me.post("Appointment", shared).status in (403, 422)
    assert me.put(f"Appointment/{created.id}", {**commented.json, "status": "cancelled"}).status == 200
    urgent = {**practice.appointment(who, in_days(22)), "status": "waitlist", "priority": 1}
    assert me.post("Appointment", urgent).issues[0]["expression"] == ["Appointment.priority"]
    asked = me.post("Appointment", {**practice.appointment(who, in_days(22)), "status": "proposed"})
    assert asked.status == 201, asked.text


def test_booking_for_another_patient_is_refused(practice: Practice, someone: Callable[[], tuple[Client, str]]) -> None:
    me, _ = someone()
    _, stranger = someone()
    proposal = practice.proposal(in_days(11), me)["id"]
    by_id = {"resourceType": "Patient", "id": stranger.removeprefix("Patient/")}
    assert me.post("Appointment/$book", named(proposal, patient_resource=by_id)).status in (403, 422)
    assert me.post("Appointment/$book", given(practice.appointment(stranger, in_days(11)))).status in (403, 404)
    assert me.post("Appointment/$book", named(proposal, patient_resource=patient(mark()))).status == 403


def test_what_a_patient_sends_besides_counts_for_nothing(
    client: Client, practice: Practice, someone: Callable[[], tuple[Client, str]]
) -> None:
    me, who = someone()
    priced = Practice(client, {"also": [{"url": "price", "valueMoney": {"value": 300, "currency": "MAD"}}]})
    proposal = priced.proposal(in_days(11), me)
    cheap = {"url": "urn:salam:StructureDefinition:price", "valueMoney": {"value": 1, "currency": "MAD"}}
    proposal["extension"] = [each for each in proposal["extension"] if "price" not in each["url"]] + [cheap]
    proposal["participant"] = [{"actor": {"reference": who}, "status": "accepted"}]
    proposal["identifier"] = [{"system": "urn:salam:series", "value": "of-somebody-else"}]
    booked = matched(me.post("Appointment/$book", given(proposal)))
    price = extension_of(booked, "price")
    assert price is not None and price["valueMoney"]["value"] == 300
    assert people(booked) == {who, priced.practitioner[0], priced.service}
    assert "identifier" not in booked
    proposal = practice.proposal(in_days(12), me)
    proposal["participant"].append({"actor": {"reference": priced.practitioner[0]}, "status": "accepted"})
    assert me.post("Appointment/$book", given(proposal)).status == 403
    urgent = {**practice.proposal(in_days(12), me), "priority": 1}
    refused = me.post("Appointment/$book", given(urgent))
    assert (refused.status, refused.issues[0]["expression"]) == (403, ["Appointment.priority"])


def test_a_service_with_somebody_who_does_not_offer_it(
    client: Client, practice: Practice, someone: Callable[[], tuple[Client, str]]
) -> None:
    other = Practice(client, {"onlineBooking": False})
    me, who = someone()
    mixed = practice.appointment(who, in_days(17))
    mixed["participant"][0]["actor"]["reference"] = other.practitioner[0]
    for answer in (
        me.post("Appointment/$book", given(mixed)),
        me.post("Appointment", {**mixed, "status": "booked"}),
        me.post("Appointment", {**mixed, "status": "pending"}),
    ):
        assert answer.status == 422, answer.text
    mine = matched(me.post("Appointment/$book", given(practice.appointment(who, in_days(17)))))
    moved = body(start=iso(in_days(17, 11)), schedule={"reference": other.schedule[0]})
    assert me.post(f"Appointment/{mine['id']}/$reschedule", moved).status == 422
    assert client.search(f"Appointment?actor={other.practitioner[0]}") == []


def test_a_second_doctor_is_not_taken_along(
    client: Client, practice: Practice, someone: Callable[[], tuple[Client, str]]
) -> None:
    other = Practice(client)
    me, who = someone()
    both = practice.appointment(who, in_days(18))
    both["participant"].append({"actor": {"reference": other.practitioner[0]}, "status": "needs-action"})
    for answer in (
        me.post("Appointment/$book", given(both)),
        me.post("Appointment", {**both, "status": "booked"}),
    ):
        assert answer.status in (403, 422), answer.text
    assert matched(client.post("Appointment/$book", given(both)))["status"] == "booked"
