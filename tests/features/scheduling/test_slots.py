"""Whose a Slot is: naming it in an Appointment takes nobody's time and nobody's Slot."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.client import Answer, Client
from tests.features.scheduling.clinic_day import Practice, body, detail, given, in_days, iso, matched, named, slots_of

if TYPE_CHECKING:
    from tests.conftest import TestTenant

Json = dict[str, Any]
PATCH = {"content_type": "application/json-patch+json"}
SLOT = "Appointment.slot"


@pytest.fixture
def practice(client: Client) -> Practice:
    return Practice(client, {"bufferAfter": 10})


@pytest.fixture
def mine(tenant: "TestTenant", practice: Practice) -> tuple[str, Client]:
    """A patient, and his own client."""
    me = practice.patient()
    return me, tenant.client("patient/*.cruds", patient=me.split("/")[1])


def slot(client: Client, practice: Practice, status: str, hour: int = 9, minutes: int = 30) -> Json:
    start = in_days(hour=hour)
    return client.create(
        {
            "resourceType": "Slot",
            "schedule": {"reference": practice.schedule[0]},
            "status": status,
            "start": iso(start),
            "end": iso(start + timedelta(minutes=minutes)),
        }
    )


def naming(*slots: Json) -> Json:
    return {"slot": [{"reference": f"Slot/{each['id']}"} for each in slots]}


def refused(answer: Answer, expression: str) -> bool:
    return answer.status == 422 and answer.issues[0]["expression"] == [expression]


@pytest.mark.parametrize("status", ["proposed", "waitlist", "pending", "booked"])
def test_a_patient_names_no_slot_of_others(
    client: Client, practice: Practice, mine: tuple[str, Client], status: str
) -> None:
    me, own = mine
    victim = practice.booked(practice.patient(), in_days())
    block = slot(client, practice, "busy-unavailable", hour=15)
    for taken, hour in (({"slot": victim["slot"]}, 9), ({"slot": victim["slot"]}, 12), (naming(block), 15)):
        asked = practice.appointment(me, in_days(hour=hour), **taken, status=status)
        if status == "waitlist":
            asked["requestedPeriod"] = [{"start": asked.pop("start"), "end": asked.pop("end")}]
        assert refused(own.post("Appointment", asked), SLOT)


def test_nor_later_nor_a_free_one_of_another_time(client: Client, practice: Practice, mine: tuple[str, Client]) -> None:
    me, own = mine
    victim = practice.booked(practice.patient(), in_days())
    asked = own.create(practice.appointment(me, in_days(hour=12)))
    add = [{"op": "add", "path": "/slot", "value": victim["slot"]}]
    assert refused(own.patch(f"Appointment/{asked['id']}", add, **PATCH), SLOT)
    free, other = slot(client, practice, "free", hour=12), slot(client, practice, "free", hour=13)
    assert refused(own.post("Appointment", practice.appointment(me, in_days(hour=12), **naming(other))), SLOT)
    assert refused(own.post("Appointment", practice.appointment(me, in_days(hour=12), **naming(free, other))), SLOT)
    assert refused(own.post("Appointment", practice.appointment(me, in_days(hour=12), slot=[{"display": "x"}])), SLOT)
    assert own.put(f"Appointment/{asked['id']}", asked | naming(free)).status == 200


def test_a_free_slot_that_a_patient_names_stays_until_it_is_booked(
    client: Client, practice: Practice, mine: tuple[str, Client]
) -> None:
    me, own = mine
    free = slot(client, practice, "free")
    asked = own.create(practice.appointment(me, in_days(), **naming(free)))
    assert own.post(f"Appointment/{asked['id']}/$cancel").status == 200
    assert client.get(f"Slot/{free['id']}").json["status"] == "free"
    again = own.create(practice.appointment(me, in_days(), **naming(free)))
    booked = matched(own.post("Appointment/$book", named(again["id"])))
    assert booked["slot"] == again["slot"]
    assert client.get(f"Slot/{free['id']}").json["status"] == "busy"
    assert own.post(f"Appointment/{booked['id']}/$cancel").status == 200
    assert client.get(f"Slot/{free['id']}").status == 410


@pytest.mark.parametrize("status", ["busy", "busy-unavailable"])
def test_what_was_free_when_it_was_named_and_is_not_now(
    client: Client, practice: Practice, mine: tuple[str, Client], status: str
) -> None:
    me, own = mine
    free = slot(client, practice, "free")
    asked = own.create(practice.appointment(me, in_days(), **naming(free)))
    assert client.put(f"Slot/{free['id']}", free | {"status": status}).status == 200
    assert own.post("Appointment/$book", named(asked["id"])).status == 409
    assert own.post(f"Appointment/{asked['id']}/$cancel").status == 200
    assert client.get(f"Slot/{free['id']}").json["status"] == status
    assert practice.book(practice.patient(), in_days()).status == 409


@pytest.mark.parametrize("end", ["$cancel", "patch", "$decline", "$book", "$hold"])
def test_staff_who_names_a_slot_of_others_takes_it_from_nobody(client: Client, practice: Practice, end: str) -> None:
    victim = practice.booked(practice.patient(), in_days())
    before = slots_of(client, victim)
    asked = practice.appointment(practice.patient(), in_days(hour=12), slot=victim["slot"])
    id_ = client.create(asked)["id"]
    if end == "patch":
        op = [{"op": "replace", "path": "/status", "value": "cancelled"}]
        assert client.patch(f"Appointment/{id_}", op, **PATCH).status == 200
    elif end in ("$book", "$hold"):
        answer = client.post(f"Appointment/{end}", named(id_))
        assert answer.status == 200, answer.text
        assert not {each["reference"] for each in matched(answer)["slot"]} & {f"Slot/{each['id']}" for each in before}
        assert client.post(f"Appointment/{id_}/$cancel").status == 200
    else:
        assert client.post(f"Appointment/{id_}/{end}").status == 200
    assert slots_of(client, victim) == before
    assert practice.book(practice.patient(), in_days()).status == 409


def test_a_block_becomes_no_visit_s(client: Client, practice: Practice) -> None:
    block = slot(client, practice, "busy-unavailable", minutes=120)
    inside = practice.appointment(practice.patient(), in_days(), status="booked", **naming(block))
    beside = practice.appointment(practice.patient(), in_days(hour=14), status="booked", **naming(block))
    for each in (inside, beside):
        answer = client.post("Appointment", each)
        assert (answer.status, detail(answer)) == (409, "slot-taken")
    assert client.get(f"Slot/{block['id']}").json["status"] == "busy-unavailable"
    assert practice.book(practice.patient(), in_days(hour=10)).status == 409


def test_a_visit_brings_its_buffer_along(client: Client, practice: Practice) -> None:
    """In one transaction, as other systems book: both Slots are the visit's, and go with it."""
    start = in_days()
    ids = ("urn:uuid:1a7b3f3c-2f1e-4a55-9d0c-0d3f5a4a1b2c", "urn:uuid:2a7b3f3c-2f1e-4a55-9d0c-0d3f5a4a1b2c")
    entries: list[Json] = []
    for id_, status, lo, hi in ((ids[0], "busy", 0, 30), (ids[1], "busy-unavailable", 30, 45)):
        resource = {
            "resourceType": "Slot",
            "schedule": {"reference": practice.schedule[0]},
            "status": status,
            "start": iso(start + timedelta(minutes=lo)),
            "end": iso(start + timedelta(minutes=hi)),
        }
        entries.append({"fullUrl": id_, "resource": resource, "request": {"method": "POST", "url": "Slot"}})
    visit = practice.appointment(practice.patient(), start, status="booked", slot=[{"reference": id_} for id_ in ids])
    entries.append({"resource": visit, "request": {"method": "POST", "url": "Appointment"}})
    answer = client.post("", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert answer.status == 200, answer.text
    made = [entry["response"]["location"].split("/_history")[0] for entry in answer.json["entry"]]
    assert practice.book(practice.patient(), start + timedelta(minutes=30)).status == 409
    assert client.post(f"{'/'.join(made[2].split('/')[-2:])}/$cancel").status == 200
    assert [client.get("/".join(each.split("/")[-2:])).status for each in made[:2]] == [410, 410]
    assert practice.book(practice.patient(), start + timedelta(minutes=30)).status == 200


# -- moves by plain writes ---------------------------------------------------------------------------------------------


def moves(start: Any, *more: Json) -> list[Json]:
    times = {"start": start, "end": start + timedelta(minutes=30)}
    return [{"op": "replace", "path": f"/{name}", "value": iso(at)} for name, at in times.items()] + list(more)


def test_a_visit_with_slots_moves_by_reschedule(client: Client, practice: Practice) -> None:
    visit = practice.booked(practice.patient(), in_days())
    answer = client.patch(f"Appointment/{visit['id']}", moves(in_days(hour=13)), **PATCH)
    assert refused(answer, "Appointment.start") and "$reschedule" in answer.text
    longer = visit | {"end": iso(in_days() + timedelta(minutes=40)), "minutesDuration": 40}
    assert refused(client.put(f"Appointment/{visit['id']}", longer), "Appointment.start")
    same = visit | {"start": visit["start"].replace("Z", "+00:00"), "comment": "By taxi."}
    assert client.put(f"Appointment/{visit['id']}", same).status == 200
    start = body(start=iso(in_days(hour=13)))
    assert client.post(f"Appointment/{visit['id']}/$reschedule", start).status == 200


# -- the right of the caller -------------------------------------------------------------------------------------------


def test_who_may_only_read_is_told_nothing_else(tenant: "TestTenant", client: Client, practice: Practice) -> None:
    who = practice.patient()
    visit = practice.booked(who, in_days())
    reader = tenant.client("user/*.rs")
    resource = practice.appointment(who, in_days())
    for code, sent in (
        ("$hold", named(visit["id"])),
        ("$book", named(visit["id"])),
        ("$book", given(resource)),
        ("$book", given(visit)),
        ("$hold", named("proposal-nothing")),
        ("$join-waitlist", given(resource)),
    ):
        assert reader.post(f"Appointment/{code}", sent).status == 403, code


def test_who_may_only_change_books_what_is_held(tenant: "TestTenant", client: Client, practice: Practice) -> None:
    asked = client.create(practice.appointment(practice.patient(), in_days()))
    changer = tenant.client("system/*.rs system/Appointment.u")
    assert changer.post("Appointment/$book", given(asked)).status == 200


@pytest.mark.parametrize("status", ["booked", "cancelled"])
def test_a_patient_cancels_instead_of_deleting(
    client: Client, practice: Practice, mine: tuple[str, Client], status: str
) -> None:
    me, own = mine
    visit = practice.booked(me, in_days())
    if status == "cancelled":
        assert own.post(f"Appointment/{visit['id']}/$cancel").status == 200
    answer = own.delete(f"Appointment/{visit['id']}")
    assert answer.status == 422 and "$cancel" in answer.text
    assert client.delete(f"Appointment/{visit['id']}").status == 204


# -- odd times ---------------------------------------------------------------------------------------------------------


def test_leap_seconds_asked_of_operations(client: Client, practice: Practice) -> None:
    who = practice.patient()
    times = {"start": "2026-12-31T23:59:60Z", "end": "2027-01-01T00:30:00Z"}
    assert client.post("Appointment/$book", given(practice.appointment(who, in_days()) | times)).status in (200, 422)
    waiting = practice.appointment(who, in_days(), status="waitlist", requestedPeriod=[{"start": times["start"]}])
    assert client.post("Appointment/$join-waitlist", given(waiting)).status == 200
    raw = {name: value for name, value in waiting.items() if name not in times}
    id_ = client.create(raw)["id"]
    assert client.post(f"Appointment/{id_}/$waitlist-offer").status == 200
