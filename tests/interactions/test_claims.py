"""No double booking through plain writes: what Slots and Appointments claim, and when they let go."""

from typing import Any

import pytest

from tests.client import Client

OVER = {"system": "urn:salam:CodeSystem:booking", "code": "overbooked"}


def schedule(client: Client, actor: str, capacity: int = 1) -> str:
    """A Schedule of an actor; its reference."""
    parameters = [{"url": "capacity", "valuePositiveInt": capacity}]
    body: dict[str, Any] = {"resourceType": "Schedule", "active": True, "actor": [{"reference": actor}]}
    if capacity > 1:
        body["extension"] = [{"url": "urn:salam:StructureDefinition:scheduling-parameters", "extension": parameters}]
    return f"Schedule/{client.post('Schedule', body).id}"


def appointment(*actors: str, at: str = "09:00", until: str = "09:30", status: str = "booked", **more: Any) -> dict[str, Any]:
    """An Appointment on 1 March 2027."""
    return {
        "resourceType": "Appointment", "status": status, "start": f"2027-03-01T{at}:00Z", "end": f"2027-03-01T{until}:00Z",
        "participant": [{"actor": {"reference": actor}, "status": "accepted"} for actor in actors], **more,
    }  # fmt: skip


def slot(schedule_: str, at: str = "09:00", until: str = "09:30", status: str = "busy") -> dict[str, Any]:
    """A Slot on that day."""
    return {
        "resourceType": "Slot", "schedule": {"reference": schedule_}, "status": status,
        "start": f"2027-03-01T{at}:00Z", "end": f"2027-03-01T{until}:00Z",
    }  # fmt: skip


@pytest.fixture
def doctor(client: Client) -> str:
    """A practitioner with a Schedule."""
    reference = f"Practitioner/{client.post('Practitioner', {'resourceType': 'Practitioner'}).id}"
    schedule(client, reference)
    return reference


def taken(client: Client, body: dict[str, Any], detail: str = "slot-taken") -> bool:
    """Whether a create is refused with 409 and that detail; False when it was stored."""
    answer = client.post(body["resourceType"], body)
    if answer.status == 201:
        return False
    assert answer.status == 409, answer.text
    assert answer.issues[0]["details"]["coding"][0]["code"] == detail
    return True


def test_overlaps_are_refused_and_neighbours_are_not(client: Client, doctor: str) -> None:
    assert not taken(client, appointment(doctor))
    assert taken(client, appointment(doctor, at="09:15", until="09:45"))
    assert taken(client, appointment(doctor, at="08:00", until="12:00", status="pending"))
    assert not taken(client, appointment(doctor, at="09:30", until="10:00"))
    assert not taken(client, appointment(doctor, at="09:15", until="09:20", status="proposed"))
    assert not taken(client, appointment(doctor, at="09:15", until="09:20", status="fulfilled"))


def test_a_cancelled_visit_gives_its_time_back(client: Client, doctor: str) -> None:
    stored = client.post("Appointment", appointment(doctor)).json
    assert client.request("PUT", f"Appointment/{stored['id']}", {**stored, "status": "cancelled"}).status == 200
    other = client.post("Appointment", appointment(doctor)).json
    assert client.request("DELETE", f"Appointment/{other['id']}").status in (200, 204)
    assert not taken(client, appointment(doctor))


def test_slots_and_appointments_see_each_other(client: Client, doctor: str) -> None:
    calendar = f"Schedule/{client.get(f'Schedule?actor={doctor}').json['entry'][0]['resource']['id']}"
    block = client.post("Slot", slot(calendar)).json
    assert taken(client, appointment(doctor))
    assert taken(client, slot(calendar, at="09:10", until="09:20", status="busy-unavailable"))
    own = appointment(doctor, slot=[{"reference": f"Slot/{block['id']}"}])
    assert not taken(client, own)
    assert taken(client, own), "one Slot is not two people's"
    assert client.request("PUT", f"Slot/{block['id']}", {**block, "status": "free"}).status == 200
    assert taken(client, appointment(doctor)), "the visit stands, whatever becomes of its Slot"
    assert client.request("DELETE", f"Slot/{block['id']}").status in (200, 204)
    assert taken(client, appointment(doctor))


def test_an_appointment_first_and_its_slot_later(client: Client, doctor: str) -> None:
    calendar = f"Schedule/{client.get(f'Schedule?actor={doctor}').json['entry'][0]['resource']['id']}"
    free = client.post("Slot", slot(calendar, status="free")).json
    assert not taken(client, appointment(doctor, slot=[{"reference": f"Slot/{free['id']}"}]))
    assert client.request("PUT", f"Slot/{free['id']}", {**free, "status": "busy"}).status == 200


def test_roles_are_their_practitioner(client: Client, doctor: str) -> None:
    role = client.post("PractitionerRole", {"resourceType": "PractitionerRole", "practitioner": {"reference": doctor}}).id
    assert not taken(client, appointment(f"PractitionerRole/{role}"))
    assert taken(client, appointment(doctor))


def test_seats(client: Client) -> None:
    room = f"Location/{client.post('Location', {'resourceType': 'Location', 'status': 'active'}).id}"
    calendar = schedule(client, room, capacity=3)
    assert [taken(client, appointment(room)) for _ in range(4)] == [False, False, False, True]
    assert taken(client, slot(calendar, status="busy-unavailable")), "a block wants the whole room"
    assert not taken(client, slot(calendar, at="10:00", until="11:00", status="busy-unavailable"))
    assert taken(client, appointment(room, at="10:30", until="10:40"))


def test_who_has_no_schedule_is_not_booked(client: Client) -> None:
    place = f"Location/{client.post('Location', {'resourceType': 'Location', 'status': 'active'}).id}"
    assert not taken(client, appointment(place))
    assert not taken(client, appointment(place))


def test_a_schedule_that_comes_later_counts_what_stands(client: Client) -> None:
    nurse = f"Practitioner/{client.post('Practitioner', {'resourceType': 'Practitioner'}).id}"
    assert not taken(client, appointment(nurse))
    assert not taken(client, appointment(nurse, at="09:15", until="09:45"))
    schedule(client, nurse)
    assert taken(client, appointment(nurse, at="09:20", until="09:25"))


def test_holds_run_out(client: Client, doctor: str) -> None:
    def held(until: str) -> dict[str, Any]:
        extension = [{"url": "urn:salam:StructureDefinition:hold-expires", "valueInstant": until}]
        return appointment(doctor, status="pending", extension=extension)

    assert not taken(client, held("2027-01-01T00:00:00Z"))
    assert taken(client, appointment(doctor), "slot-held")
    other = f"Practitioner/{client.post('Practitioner', {'resourceType': 'Practitioner'}).id}"
    schedule(client, other)
    doctor = other
    assert not taken(client, held("2026-01-01T00:00:00Z"))
    assert not taken(client, appointment(other))


def test_a_bundle_is_refused_as_a_whole(client: Client, doctor: str) -> None:
    entries = [
        {"resource": appointment(doctor, at=at, until=until), "request": {"method": "POST", "url": "Appointment"}}
        for at, until in (("14:00", "14:30"), ("14:15", "14:45"))
    ]
    answer = client.post("", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert answer.status == 409
    assert not taken(client, appointment(doctor, at="14:00", until="14:30"))


def test_tenants_do_not_meet(client: Client, new_tenant: Any, doctor: str) -> None:
    there = new_tenant().client()
    there.request("PUT", doctor, {"resourceType": "Practitioner", "id": doctor.partition("/")[2]})
    schedule(there, doctor)
    assert not taken(client, appointment(doctor))
    assert not taken(there, appointment(doctor))


def test_the_tag_alone_overbooks_nothing(client: Client, doctor: str) -> None:
    assert not taken(client, appointment(doctor))
    assert client.post("Appointment", appointment(doctor, meta={"tag": [OVER]})).status == 422


def test_a_visit_moves_onto_its_own_time(client: Client, doctor: str) -> None:
    calendar = f"Schedule/{client.get(f'Schedule?actor={doctor}').json['entry'][0]['resource']['id']}"
    stored = client.post("Appointment", appointment(doctor)).json
    moved = {**stored, "start": "2027-03-01T09:15:00Z", "end": "2027-03-01T09:45:00Z"}
    entries = [
        {"fullUrl": "urn:uuid:4a7b3f3c-2f1e-4a55-9d0c-0d3f5a4a1b2c", "resource": slot(calendar, at="09:15", until="09:45"),
         "request": {"method": "POST", "url": "Slot"}},
        {"resource": {**moved, "slot": [{"reference": "urn:uuid:4a7b3f3c-2f1e-4a55-9d0c-0d3f5a4a1b2c"}]},
         "request": {"method": "PUT", "url": f"Appointment/{stored['id']}"}},
    ]  # fmt: skip
    answer = client.post("", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert answer.status == 200, answer.text
    assert not taken(client, appointment(doctor, at="09:00", until="09:15"))
    assert taken(client, appointment(doctor, at="09:40", until="09:50"))


@pytest.fixture
def booked(client: Client, doctor: str) -> tuple[dict[str, Any], dict[str, Any], str]:
    """A visit at nine with its Slot, and the doctor's Schedule."""
    calendar = f"Schedule/{client.get(f'Schedule?actor={doctor}').json['entry'][0]['resource']['id']}"
    own = client.post("Slot", slot(calendar)).json
    visit = client.post("Appointment", appointment(doctor, slot=[{"reference": f"Slot/{own['id']}"}])).json
    return visit, own, calendar


def test_a_visit_keeps_its_time_when_its_slot_goes_elsewhere(
    client: Client, doctor: str, booked: tuple[dict[str, Any], dict[str, Any], str]
) -> None:
    _, own, calendar = booked
    moved = slot(calendar, at="14:00", until="14:30")
    assert client.request("PUT", f"Slot/{own['id']}", {**own, "start": moved["start"], "end": moved["end"]}).status == 200
    assert taken(client, appointment(doctor))
    assert taken(client, appointment(doctor, at="14:10", until="14:20"))
    other = f"Practitioner/{client.post('Practitioner', {'resourceType': 'Practitioner'}).id}"
    elsewhere = {**own, "schedule": {"reference": schedule(client, other)}}
    assert client.request("PUT", f"Slot/{own['id']}", elsewhere).status == 200
    assert taken(client, appointment(doctor)) and taken(client, appointment(other))


def test_a_slot_given_up_in_the_same_bundle_helps_nobody(
    client: Client, doctor: str, booked: tuple[dict[str, Any], dict[str, Any], str]
) -> None:
    _, own, _ = booked
    entries = [
        {"resource": {**own, "status": "free"}, "request": {"method": "PUT", "url": f"Slot/{own['id']}"}},
        {"resource": appointment(doctor), "request": {"method": "POST", "url": "Appointment"}},
    ]
    assert client.post("", {"resourceType": "Bundle", "type": "transaction", "entry": entries}).status == 409


@pytest.mark.parametrize("until", ["08:30", "09:00"])
def test_a_visit_takes_time(client: Client, doctor: str, until: str) -> None:
    answer = client.post("Appointment", appointment(doctor, until=until))
    assert answer.status == 422 and answer.issues[0]["expression"] == ["Appointment.end"]


@pytest.mark.parametrize("status", ["proposed", "booked", "fulfilled", "cancelled"])
def test_leap_seconds_are_in_no_agenda(client: Client, doctor: str, status: str) -> None:
    """R4's expression for instants allows them: https://hl7.org/fhir/R4/datatypes.html#instant"""
    calendar = f"Schedule/{client.get(f'Schedule?actor={doctor}').json['entry'][0]['resource']['id']}"
    kind = {"proposed": "free", "booked": "busy"}.get(status, "busy-unavailable")
    for body in (appointment(doctor, status=status), slot(calendar, status=kind)):
        for name, text in (("start", "2026-12-31T23:59:60Z"), ("end", "2027-03-01T09:59:60.5+01:00")):
            answer = client.post(body["resourceType"], {**body, name: text})
            assert (answer.status, answer.issues[0]["expression"]) == (422, [f"{body['resourceType']}.{name}"])


def test_a_block_covers_the_seats_that_come_later(client: Client) -> None:
    room = f"Location/{client.post('Location', {'resourceType': 'Location', 'status': 'active'}).id}"
    calendar = schedule(client, room, capacity=2)
    assert not taken(client, slot(calendar, status="busy-unavailable", at="09:00", until="11:00"))
    body = client.get(calendar).json
    body["extension"][0]["extension"][0]["valuePositiveInt"] = 4
    assert client.request("PUT", calendar, body).status == 200
    assert taken(client, appointment(room))
    one = client.post("Slot", slot(calendar, at="14:00", until="15:00")).json
    assert client.request("PUT", f"Slot/{one['id']}", {**one, "status": "busy-unavailable"}).status == 200
    assert taken(client, appointment(room, at="14:00", until="14:30"))


def test_one_actor_has_one_capacity(client: Client, doctor: str) -> None:
    parameters = {"url": "urn:salam:StructureDefinition:scheduling-parameters", "extension": [{"url": "capacity", "valuePositiveInt": 5}]}
    body = {"resourceType": "Schedule", "active": True, "actor": [{"reference": doctor}], "extension": [parameters]}
    assert client.post("Schedule", body).status == 422


def test_who_is_taken_stays_guarded(
    client: Client, doctor: str, booked: tuple[dict[str, Any], dict[str, Any], str]
) -> None:
    _, _, calendar = booked
    body = client.get(calendar).json
    assert client.request("PUT", calendar, {**body, "active": False}).status == 200
    assert taken(client, appointment(doctor))
    assert client.request("DELETE", calendar).status in (200, 204)
    assert taken(client, appointment(doctor))


def test_a_role_that_changes_hands(client: Client, doctor: str) -> None:
    role = client.post("PractitionerRole", {"resourceType": "PractitionerRole"}).json
    schedule(client, f"PractitionerRole/{role['id']}")
    other = f"Practitioner/{client.post('Practitioner', {'resourceType': 'Practitioner'}).id}"
    assert client.request("PUT", f"PractitionerRole/{role['id']}", {**role, "practitioner": {"reference": other}}).status == 200
    assert not taken(client, appointment(f"PractitionerRole/{role['id']}"))
    assert taken(client, appointment(other))


def test_a_versioned_reference_guards_too(client: Client) -> None:
    nurse = f"Practitioner/{client.post('Practitioner', {'resourceType': 'Practitioner'}).id}"
    schedule(client, f"{nurse}/_history/1")
    assert not taken(client, appointment(nurse))
    assert taken(client, appointment(nurse))
