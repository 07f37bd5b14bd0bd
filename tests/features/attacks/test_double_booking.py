"""Attacks on people's time by plain writes: two visits of one person never stand at the same time."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.client import Answer, Client
from tests.features.attacks.tries import at_once, entry, raw, transaction, without
from tests.features.scheduling.clinic_day import Practice, detail, in_days, iso, named, parameters, slots_of

START = in_days()
HALF = timedelta(minutes=30)
JSON_PATCH = "application/json-patch+json"


@pytest.fixture
def practice(client: Client) -> Practice:
    return Practice(client)


def moved(slot: dict[str, Any]) -> dict[str, Any]:
    """The Slot five hours later."""
    start = START + timedelta(hours=5)
    return {**slot, "start": iso(start), "end": iso(start + HALF)}


def check_taken(practice: Practice, start: Any = START) -> None:
    """Neither the operation nor a plain write books the time."""
    answers = [practice.client.post("Appointment", raw(practice, start)), practice.book(practice.patient(), start)]
    assert [answer.status for answer in answers] == [409, 409]
    assert at_once(practice.client, practice.practitioner[0]) == []


@pytest.mark.parametrize("how", ["moved", "free", "other schedule", "deleted"])
def test_a_slot_that_goes_away_from_its_visit(client: Client, how: str) -> None:
    practice = Practice(client, schedules=2)
    slot = slots_of(client, practice.booked(practice.patient(), START))[0]
    changed = {
        "moved": moved(slot),
        "free": {**slot, "status": "free"},
        "other schedule": {**slot, "schedule": {"reference": practice.schedule[1]}},
    }
    if how == "deleted":
        client.delete(f"Slot/{slot['id']}")
    else:
        client.put(f"Slot/{slot['id']}", changed[how])
    check_taken(practice)


@pytest.mark.parametrize("kind", ["transaction", "batch"])
@pytest.mark.parametrize("how", ["deleted", "free", "moved"])
def test_a_bundle_that_takes_the_slot_and_books(client: Client, practice: Practice, how: str, kind: str) -> None:
    slot = slots_of(client, practice.booked(practice.patient(), START))[0]
    changed = {"free": {**slot, "status": "free"}, "moved": moved(slot)}
    first = entry("DELETE" if how == "deleted" else "PUT", f"Slot/{slot['id']}", changed.get(how))
    transaction(client, first, entry("POST", "Appointment", raw(practice, START)), kind=kind)
    assert at_once(client, practice.practitioner[0]) == []


def test_two_visits_that_share_a_slot_in_one_bundle(client: Client, practice: Practice) -> None:
    name = "urn:uuid:5b1c3a0e-0b0b-4b0b-8b0b-0123456789ab"
    slot = {"resourceType": "Slot", "schedule": {"reference": practice.schedule[0]}, "status": "busy",
            "start": iso(START), "end": iso(START + HALF)}  # fmt: skip
    visits = [entry("POST", "Appointment", raw(practice, START, slot=[{"reference": name}])) for _ in range(2)]
    answer = transaction(client, {**entry("POST", "Slot", slot), "fullUrl": name}, *visits)
    assert answer.status == 409
    assert at_once(client, practice.practitioner[0]) == []


def test_the_slot_of_somebody_else_gives_no_place(client: Client, practice: Practice) -> None:
    taken = practice.booked(practice.patient(), START)
    assert client.post("Appointment", raw(practice, START, slot=taken["slot"])).status == 409


@pytest.mark.parametrize("form", ["{base}/Practitioner/{id}", "Practitioner/{id}/_history/1", "role"])
def test_however_the_doctor_is_named(client: Client, practice: Practice, form: str) -> None:
    practice.booked(practice.patient(), START)
    id_ = practice.practitioner[0].split("/")[1]
    visit = raw(practice, START)
    if form == "role":
        role = client.create({"resourceType": "PractitionerRole", "practitioner": {"reference": f"Practitioner/{id_}"}})
        form = f"PractitionerRole/{role['id']}"
    visit["participant"][0]["actor"]["reference"] = form.format(base=client.base, id=id_)
    assert client.post("Appointment", visit).status == 409


def alone(reference: str) -> dict[str, Any]:
    """A visit of a doctor who is named so, and of nobody else."""
    people = [{"actor": {"reference": reference}, "status": "accepted"}]
    return {"resourceType": "Appointment", "status": "booked", "start": iso(START), "end": iso(START + HALF),
            "participant": people}  # fmt: skip


@pytest.mark.parametrize("form", ["{base}/Practitioner/{id}", "Practitioner/{id}/_history/1"])
def test_however_the_schedule_names_the_doctor(client: Client, form: str) -> None:
    doctor = client.create({"resourceType": "Practitioner"})["id"]
    client.create({"resourceType": "Schedule", "actor": [{"reference": form.format(base=client.base, id=doctor)}]})
    visit = alone(f"Practitioner/{doctor}")
    assert [client.post("Appointment", visit).status for _ in range(2)] == [201, 409]


def test_a_role_that_is_given_to_another_doctor(client: Client) -> None:
    first, second = (f"Practitioner/{client.create({'resourceType': 'Practitioner'})['id']}" for _ in range(2))
    role = client.create({"resourceType": "PractitionerRole", "practitioner": {"reference": first}})
    client.create({"resourceType": "Schedule", "actor": [{"reference": f"PractitionerRole/{role['id']}"}]})
    client.put(f"PractitionerRole/{role['id']}", {**role, "practitioner": {"reference": second}})
    visit = alone(f"PractitionerRole/{role['id']}")
    assert [client.post("Appointment", visit).status for _ in range(2)] == [201, 409]


def test_schedule_and_visits_in_one_bundle(client: Client) -> None:
    doctor = f"Practitioner/{client.create({'resourceType': 'Practitioner'})['id']}"
    schedule = entry("POST", "Schedule", {"resourceType": "Schedule", "actor": [{"reference": doctor}]})
    visit = entry("POST", "Appointment", alone(doctor))
    assert transaction(client, visit, visit, schedule).status == 409


@pytest.mark.parametrize("how", ["inactive", "deleted"])
def test_a_schedule_that_goes_and_comes(client: Client, practice: Practice, how: str) -> None:
    practice.booked(practice.patient(), START)
    schedule = client.get(practice.schedule[0]).json
    if how == "inactive":
        client.put(practice.schedule[0], {**schedule, "active": False})
    else:
        client.delete(practice.schedule[0])
    client.post("Appointment", raw(practice, START))
    client.put(practice.schedule[0], without(schedule, "meta"))
    assert at_once(client, practice.practitioner[0]) == []


def seats(schedule: dict[str, Any], number: int) -> dict[str, Any]:
    """The Schedule with a capacity."""
    parts = [part for part in schedule["extension"][0]["extension"] if part["url"] != "capacity"]
    parts.append({"url": "capacity", "valuePositiveInt": number})
    return {**schedule, "extension": [{**schedule["extension"][0], "extension": parts}]}


def block(practice: Practice, status: str = "busy-unavailable") -> dict[str, Any]:
    """Two hours of the Schedule that nobody can have."""
    return {"resourceType": "Slot", "schedule": {"reference": practice.schedule[0]}, "status": status,
            "start": iso(START), "end": iso(START + timedelta(hours=2))}  # fmt: skip


def test_a_block_holds_every_seat_that_comes_later(client: Client, practice: Practice) -> None:
    client.create(block(practice))
    client.put(practice.schedule[0], seats(client.get(practice.schedule[0]).json, 5))
    check_taken(practice)


def test_what_becomes_a_block_holds_every_seat(client: Client) -> None:
    practice = Practice(client, {"capacity": 3})
    client.put(practice.schedule[0], seats(client.get(practice.schedule[0]).json, 3))
    slot = client.create(block(practice, "busy"))
    client.put(f"Slot/{slot['id']}", {**slot, "status": "busy-unavailable"})
    check_taken(practice)


def test_a_second_schedule_brings_no_second_seat(client: Client, practice: Practice) -> None:
    second = {"resourceType": "Schedule", "actor": [{"reference": practice.practitioner[0]}],
              "extension": [parameters(capacity=5)]}  # fmt: skip
    assert client.post("Schedule", second).status == 422
    practice.booked(practice.patient(), START)
    check_taken(practice)


def patched(client: Client, visit: dict[str, Any], **values: str) -> list[Answer]:
    """The answers to a JSON Patch and to a FHIRPath Patch."""
    steps = [{"op": "replace", "path": f"/{name}", "value": value} for name, value in values.items()]
    parts = [
        [{"name": "type", "valueCode": "replace"}, {"name": "path", "valueString": f"Appointment.{name}"},
         {"name": "value", "valueCode" if name == "status" else "valueInstant": value}]
        for name, value in values.items()
    ]  # fmt: skip
    fhirpath = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": part} for part in parts]}
    path = f"Appointment/{visit['id']}"
    return [client.patch(path, steps, content_type=JSON_PATCH), client.patch(path, fhirpath)]


def test_patches_onto_a_taken_time(client: Client, practice: Practice) -> None:
    practice.booked(practice.patient(), START)
    other = client.create(raw(practice, START + timedelta(hours=2)))
    answers = patched(client, other, start=iso(START), end=iso(START + HALF))
    assert [answer.status for answer in answers] == [409, 409]


def test_a_cancelled_visit_does_not_come_back(client: Client, practice: Practice) -> None:
    visit = practice.booked(practice.patient(), START)
    assert client.post(f"Appointment/{visit['id']}/$cancel").status == 200
    practice.booked(practice.patient(), START)
    assert [answer.status for answer in patched(client, visit, status="booked")] == [422, 422]


@pytest.mark.parametrize(
    "write",
    [
        lambda client, visit: client.post("Appointment", visit, if_none_exist="identifier=urn:x|none"),
        lambda client, visit: client.put("Appointment?identifier=urn:x|none", visit),
        lambda client, visit: client.put("Appointment/of-my-own", {**visit, "id": "of-my-own"}),
    ],
)
def test_conditional_writes(client: Client, practice: Practice, write: Callable[..., Answer]) -> None:
    practice.booked(practice.patient(), START)
    assert write(client, raw(practice, START)).status == 409


def test_a_hold_that_ran_out_is_not_confirmed_over_a_visit(client: Client, practice: Practice) -> None:
    gone = {"url": "urn:salam:StructureDefinition:hold-expires", "valueInstant": "2020-01-01T00:00:00Z"}
    held = client.create(raw(practice, START, status="pending", extension=[gone]))
    practice.booked(practice.patient(), START)
    answers = [client.post(f"Appointment/{held['id']}/$confirm"), client.post("Appointment/$book", named(held["id"]))]
    answers += patched(client, held, status="booked")
    answers.append(
        client.patch(f"Appointment/{held['id']}", [{"op": "remove", "path": "/extension"}], content_type=JSON_PATCH)
    )
    assert all(answer.status in (409, 422) for answer in answers)
    assert at_once(client, practice.practitioner[0]) == []


@pytest.mark.parametrize("end", [START - HALF, START])
def test_a_visit_ends_after_it_starts(client: Client, practice: Practice, end: Any) -> None:
    answer = client.post("Appointment", {**raw(practice, START), "end": iso(end)})
    assert answer.status == 422
    assert answer.issues[0]["expression"][0].startswith("Appointment")


def test_nobody_tags_his_way_beyond_capacity(client: Client, practice: Practice) -> None:
    practice.booked(practice.patient(), START)
    tag = {"tag": [{"system": "urn:salam:CodeSystem:booking", "code": "overbooked"}]}
    assert client.post("Appointment", raw(practice, START, meta=tag)).status == 422
    other = client.create(raw(practice, START + timedelta(hours=2)))
    parameter = {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": tag}]}
    assert client.post(f"Appointment/{other['id']}/$meta-add", parameter).status == 422


def test_the_refusal_says_that_the_time_is_taken(client: Client, practice: Practice) -> None:
    practice.booked(practice.patient(), START)
    assert detail(client.post("Appointment", raw(practice, START))) == "slot-taken"
