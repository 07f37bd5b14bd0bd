"""What $find proposes can be booked, and what is booked is not proposed again: until the day is full."""

from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from tests.client import Answer, Client
from tests.features.scheduling.clinic_day import body, detail, matched
from tests.features.scheduling.town import DAY, agenda, doctor, find, hours, make, needs, proposals, rules, service

if TYPE_CHECKING:
    from tests.conftest import TestTenant


def reference(name: str) -> dict[str, str]:
    return {"reference": name}


def filled(client: Client, people: list[str]) -> list[dict[str, Any]]:
    """Book the last, then the first, in turn, of what is proposed, until there is nothing."""
    booked: list[dict[str, Any]] = []
    for number in count():
        found = proposals(find(client, DAY, DAY, practitioner=people, _count=1000))
        if not found:
            return booked
        chosen = found[-1 if number % 2 else 0]["id"]
        patient = make(client, "Patient").removeprefix("Patient/")
        given = body(
            appointment_reference=reference(f"Appointment/{chosen}"),
            patient_resource={"resourceType": "Patient", "id": patient},
        )
        booked.append(matched(client.post("Appointment/$book", given)))
    raise AssertionError


@pytest.mark.parametrize(
    ("values", "most", "least"),
    [
        ({}, 6, 6),
        ({"bufferBefore": 5, "bufferAfter": 10, "alignmentInterval": 5}, 4, 3),
        ({"duration": 20, "alignmentInterval": 15}, 6, 4),
        ({"duration": 25, "bufferAfter": 5, "alignmentInterval": 30, "limitPerDay": 2}, 4, 4),
    ],
)
def test_until_two_doctors_and_their_one_room_are_full(
    client: Client, values: dict[str, Any], most: int, least: int
) -> None:
    room = agenda(client, make(client, "Location", name="The room"))
    offered = service(client, needs(room), **values)
    people = [doctor(client) for _ in range(2)]
    for who in people:
        agenda(client, who, rules(hours("09:00", "12:00", "mon"), of=offered))
    booked = filled(client, people)
    assert least <= len(booked) <= most
    times = sorted((each["start"], each["end"]) for each in booked)
    assert all(one[1] <= other[0] for one, other in zip(times, times[1:], strict=False))


def test_until_all_seats_are_full(client: Client) -> None:
    offered, who = service(client, alignmentInterval=30), doctor(client)
    seats = {"url": "capacity", "valuePositiveInt": 3}
    agenda(client, who, rules(hours("09:00", "10:00", "mon"), seats, of=offered))
    booked = filled(client, [who])
    assert sorted(each["start"][11:16] for each in booked) == ["09:00"] * 3 + ["09:30"] * 3


# -- find, hold and book, each by the id that $find gave (IHE ITI-115, 116, 117) --------------------------------------


@pytest.fixture
def proposal(client: Client) -> dict[str, Any]:
    offered, who = service(client, bufferAfter=5), doctor(client)
    agenda(client, who, rules(hours("09:00", "12:00", "mon"), of=offered))
    return proposals(find(client, DAY, DAY, practitioner=who))[0]


def held(client: Client, proposal: dict[str, Any]) -> Answer:
    return client.post("Appointment/$hold", body(appointment_reference=reference(f"Appointment/{proposal['id']}")))


def by_reference(client: Client, proposal: dict[str, Any], patient: str) -> Answer:
    person = {"resourceType": "Patient", "id": patient.removeprefix("Patient/")}
    given = body(appointment_reference=reference(f"Appointment/{proposal['id']}"), patient_resource=person)
    return client.post("Appointment/$book", given)


def by_resource(client: Client, proposal: dict[str, Any], patient: str) -> Answer:
    guest = {"actor": reference(patient), "status": "accepted"}
    full = {**proposal, "participant": [*proposal["participant"], guest], "description": "Knee"}
    return client.post("Appointment/$book", body(appointment_resource=full))


@pytest.mark.parametrize("book", [by_reference, by_resource])
def test_who_held_a_proposal_books_it_by_its_id(client: Client, proposal: dict[str, Any], book: Any) -> None:
    kept = matched(held(client, proposal))
    booked = matched(book(client, proposal, patient := make(client, "Patient")))
    assert (booked["id"], booked["status"], booked["slot"]) == (kept["id"], "booked", kept["slot"])
    assert patient in [each["actor"]["reference"] for each in booked["participant"]]
    assert book(client, proposal, make(client, "Patient")).status == 409


@pytest.mark.parametrize("book", [by_reference, by_resource])
def test_others_do_not(client: Client, tenant: "TestTenant", proposal: dict[str, Any], book: Any) -> None:
    matched(held(client, proposal))
    patient = make(client, "Patient")
    other = tenant.client("patient/*.rs patient/Appointment.cru", patient=patient.removeprefix("Patient/"))
    for answer in (book(other, proposal, patient), held(other, proposal), held(client, proposal)):
        assert (answer.status, detail(answer)) == (409, "slot-held")


def test_a_held_wish_is_booked_as_itself(client: Client, proposal: dict[str, Any]) -> None:
    guest = {"actor": reference(make(client, "Patient")), "status": "accepted"}
    wish = {name: value for name, value in proposal.items() if name != "id"}
    wish = client.create({**wish, "participant": [*wish["participant"], guest]})
    kept = matched(held(client, wish))
    assert by_reference(client, proposal, make(client, "Patient")).status == 409
    assert client.get(f"Appointment/{kept['id']}").json["status"] == "pending"
