"""$hold: a time is kept for some minutes, for one caller, and gives way by itself."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.client import Client
from tests.features.scheduling.clinic_day import (
    Practice,
    body,
    detail,
    extension_of,
    given,
    in_days,
    matched,
    named,
    slots_of,
)

if TYPE_CHECKING:
    from tests.conftest import TestTenant

PATIENT_SCOPE = "patient/*.rs patient/Appointment.cru"


@pytest.fixture
def someone(tenant: "TestTenant", practice: Practice) -> Callable[[], Client]:
    """Makes clients of patients of their own."""
    return lambda: tenant.client(PATIENT_SCOPE, patient=practice.patient().removeprefix("Patient/"))


def hold(client: Client, resource_id: str) -> Any:
    return client.post("Appointment/$hold", named(resource_id))


def test_a_hold_is_pending_tentative_and_ends(client: Client, practice: Practice) -> None:
    held = matched(hold(client, practice.proposal(in_days(2))["id"]))
    assert held["status"] == "pending"
    assert not held["id"].startswith("proposal-")
    ends = datetime.fromisoformat(extension_of(held, "hold-expires")["valueInstant"])  # type: ignore[index]
    assert timedelta(minutes=9) < ends - datetime.now(UTC) <= timedelta(minutes=10)
    assert [slot["status"] for slot in slots_of(client, held)] == ["busy-tentative"]
    wall = extension_of(held, "wall-time")
    assert wall is not None and {part["url"] for part in wall["extension"]} == {"start", "timezone"}


def test_what_is_held_is_not_proposed_and_not_booked_by_others(
    client: Client, practice: Practice, someone: Callable[[], Client]
) -> None:
    proposal = practice.proposal(in_days(3))
    held = matched(hold(client, proposal["id"]))
    assert practice.proposal(in_days(3))["start"] != proposal["start"]
    refused = someone().post("Appointment/$book", named(proposal["id"]))
    assert refused.status == 409 and detail(refused) == "slot-held"
    others = refused.json["contained"]
    assert len(others) == 3
    assert {each["status"] for each in others} == {"proposed"}
    assert held["start"] not in {each["start"] for each in others}
    assert len({each["id"] for each in others}) == 3


def test_an_alternative_can_be_booked(client: Client, practice: Practice, someone: Callable[[], Client]) -> None:
    proposal = practice.proposal(in_days(4))
    matched(hold(client, proposal["id"]))
    refused = someone().post("Appointment/$book", named(proposal["id"]))
    booked = matched(someone().post("Appointment/$book", named(refused.json["contained"][1]["id"])))
    assert booked["start"] == refused.json["contained"][1]["start"]
    assert booked["status"] == "booked"


def test_held_then_booked_by_its_holder(client: Client, practice: Practice, someone: Callable[[], Client]) -> None:
    me, other = someone(), someone()
    held = matched(hold(me, practice.proposal(in_days(5), me)["id"]))
    assert other.post("Appointment/$book", named(held["id"])).status == 404
    booked = matched(me.post("Appointment/$book", named(held["id"], comment="Knee hurts")))
    assert booked["id"] == held["id"]
    assert booked["status"] == "booked"
    assert booked["comment"] == "Knee hurts"
    assert extension_of(booked, "hold-expires") is None
    assert "tag" not in booked["meta"]
    assert [slot["status"] for slot in slots_of(client, booked)] == ["busy"]
    again = me.post("Appointment/$book", named(held["id"]))
    assert again.status == 409 and detail(again) == "wrong-state"


def test_the_held_one_given_back_with_its_patient(client: Client, practice: Practice) -> None:
    held = matched(hold(client, practice.proposal(in_days(6))["id"]))
    who = practice.patient()
    filled = {**held, "participant": [*held["participant"], {"actor": {"reference": who}, "status": "accepted"}]}
    booked = matched(client.post("Appointment/$book", given(filled)))
    assert booked["id"] == held["id"]
    assert {each["status"] for each in booked["participant"]} == {"accepted"}
    assert who in [each["actor"]["reference"] for each in booked["participant"]]
    moved = client.post("Appointment/$book", given({**filled, "start": "2031-01-01T09:00:00Z"}))
    assert moved.status in (409, 422)


def test_extended_once(client: Client, practice: Practice) -> None:
    held = matched(hold(client, practice.proposal(in_days(7))["id"]))
    time.sleep(1.1)
    longer = matched(hold(client, held["id"]))
    ends = [extension_of(each, "hold-expires")["valueInstant"] for each in (held, longer)]  # type: ignore[index]
    assert ends[0] < ends[1]
    assert longer["id"] == held["id"]
    third = hold(client, held["id"])
    assert third.status == 409 and detail(third) == "limit-reached"


def test_two_at_a_time(practice: Practice, someone: Callable[[], Client]) -> None:
    me = someone()
    first = matched(hold(me, practice.proposal(in_days(8, 9), me)["id"]))
    matched(hold(me, practice.proposal(in_days(8, 12), me)["id"]))
    third = practice.proposal(in_days(8, 15), me)["id"]
    refused = hold(me, third)
    assert refused.status == 422 and detail(refused) == "limit-reached"
    matched(me.post("Appointment/$cancel", named(first["id"])))
    matched(hold(me, third))


def test_an_expired_hold_gives_way_without_a_sweeper(
    client: Client, practice: Practice, someone: Callable[[], Client]
) -> None:
    held = matched(hold(client, practice.proposal(in_days(9))["id"]))
    soon = (datetime.now(UTC) + timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    held["extension"] = [
        {**each, "valueInstant": soon} if each["url"].endswith("hold-expires") else each for each in held["extension"]
    ]
    assert client.put(f"Appointment/{held['id']}", held).status == 200
    time.sleep(1.2)
    me = someone()
    taken = matched(me.post("Appointment/$book", named(practice.proposal(in_days(9), me)["id"])))
    assert taken["start"] == held["start"]
    for operation in ("$book", "$confirm"):
        late = client.post(f"Appointment/{operation}", named(held["id"], **_patient(practice, operation)))
        assert (late.status, detail(late)) == (409, "hold-expired"), late.text
    assert late.json["contained"]


def _patient(practice: Practice, operation: str) -> dict[str, Any]:
    if operation != "$book":
        return {}
    return {"patient_resource": {"resourceType": "Patient", "id": practice.patient().removeprefix("Patient/")}}


def test_an_expired_hold_whose_time_is_free_can_still_be_booked(client: Client, practice: Practice) -> None:
    held = matched(hold(client, practice.proposal(in_days(10))["id"]))
    past = (datetime.now(UTC) - timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    held["extension"] = [
        {**each, "valueInstant": past} if each["url"].endswith("hold-expires") else each for each in held["extension"]
    ]
    assert client.put(f"Appointment/{held['id']}", held).status == 200
    booked = matched(client.post("Appointment/$book", named(held["id"], **_patient(practice, "$book"))))
    assert booked["status"] == "booked"
    refused = practice.book(practice.patient(), datetime.fromisoformat(booked["start"]))
    assert refused.status == 409


def test_the_sweeper_cancels_what_expired(tenant: "TestTenant", client: Client, practice: Practice) -> None:
    from fhir_server.features.scheduling.hold import tend
    from fhir_server.interactions.acting import server_context
    from fhir_server.interactions.worlds import world
    from fhir_server.rest.dispatch import session

    held = matched(hold(client, practice.proposal(in_days(11))["id"]))
    kept = matched(hold(client, practice.proposal(in_days(12))["id"]))
    db = session()
    ctx = server_context(db, world(db, tenant.slug))
    ctx.now = datetime.now(UTC) + timedelta(minutes=10)
    kept["extension"] = [each for each in kept["extension"] if not each["url"].endswith("hold-expires")]
    assert client.put(f"Appointment/{kept['id']}", kept).status == 200
    tend(ctx)
    db.rollback()
    assert client.get(f"Appointment/{held['id']}").json["status"] == "cancelled"
    assert client.get(f"Appointment/{kept['id']}").json["status"] == "pending"
    assert client.get(held["slot"][0]["reference"]).status == 410
    refused = client.post("Appointment/$book", named(held["id"]))
    assert refused.status == 409 and detail(refused) == "wrong-state"


def test_one_who_waits_is_held_and_waits_again(tenant: "TestTenant", client: Client, practice: Practice) -> None:
    from fhir_server.features.scheduling.hold import tend
    from fhir_server.interactions.acting import server_context
    from fhir_server.interactions.worlds import world
    from fhir_server.rest.dispatch import session

    who = practice.patient()
    waiting = client.create({**practice.appointment(who, in_days(16)), "status": "waitlist"})
    held = matched(hold(client, waiting["id"]))
    assert (held["id"], held["status"]) == (waiting["id"], "pending")
    db = session()
    ctx = server_context(db, world(db, tenant.slug))
    ctx.now = datetime.now(UTC) + timedelta(minutes=11)
    tend(ctx)
    db.rollback()
    after = client.get(f"Appointment/{waiting['id']}").json
    assert after["status"] == "waitlist"
    assert extension_of(after, "hold-expires") is None
    assert "tag" not in after["meta"] and "slot" not in after
    booked = matched(client.post("Appointment/$book", named(waiting["id"])))
    assert (booked["id"], booked["status"]) == (waiting["id"], "booked")


@pytest.mark.parametrize(
    ("reference", "status"),
    [
        ("Appointment/proposal-nonsense", 404),
        ("Patient/1", 400),
        ("Appointment/unknown", 404),
        ("Appointment/", 422),
        ("a/b/c", 422),
        ("Appointment/" + "x" * 4000, 422),
        ("urn:uuid:0d1c9a1e-6b7e-4d53-8a34-6a5a2f5a1b11", 404),
        ("#contained", 422),
    ],
)
def test_odd_references(client: Client, reference: str, status: int) -> None:
    answer = client.post("Appointment/$hold", body(appointment_reference={"reference": reference}))
    assert answer.status == status, answer.text
    assert answer.json["resourceType"] == "OperationOutcome"


def test_a_hold_needs_its_reference_and_a_post(client: Client) -> None:
    assert client.post("Appointment/$hold", {"resourceType": "Parameters"}).status == 400
    assert client.get("Appointment/$hold?appointment-reference=Appointment/1").status == 405
