"""What 5.5 of the design asks: nobody is booked twice at a time, however many ask at once and by whichever way.

Over HTTP against a web server of several processes. That no time overlaps is asked of the table of claims (SQL) and,
independently, of the stored Appointments.
"""

import random
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

from tests.client import Client
from tests.features.scheduling.agendas import OVERLAPS, check_nothing_overlaps, counted
from tests.features.scheduling.clinic_day import (
    Practice,
    all_matched,
    detail,
    given,
    in_days,
    iso,
    matched,
    named,
)
from tests.reliability.wire import Heard, Http, together
from tests.rest.bodies import bundle, entry, mark

if TYPE_CHECKING:
    from tests.conftest import TestTenant

Ask = Callable[..., Heard]
EMPTY = {"resourceType": "Parameters"}


def test_200_want_one_place(tenant: "TestTenant", client: Client, asks: Callable[[int], list[Ask]]) -> None:
    practice = Practice(client)
    patients = [practice.patient() for _ in range(200)]
    bodies = [given(practice.appointment(who, in_days(2))) for who in patients]
    answers = together(
        [
            lambda ask=ask, sent=sent: ask("POST", "Appointment/$book", sent)
            for ask, sent in zip(asks(200), bodies, strict=True)
        ]
    )
    assert Counter(answer.status for answer in answers) == {200: 1, 409: 199}
    for answer in answers:
        if answer.status == 409:
            assert detail(answer) == "slot-taken"
            assert len(answer.json["contained"]) == 3
    assert check_nothing_overlaps(tenant, client, [practice]) == 1


def test_visits_of_several_lengths(tenant: "TestTenant", client: Client, asks: Callable[[int], list[Ask]]) -> None:
    practice = Practice(client)
    chance = random.Random(5)
    day = in_days(3, 8)
    bodies = [
        given(practice.appointment(practice.patient(), day + timedelta(minutes=5 * chance.randrange(60)), minutes=chance.choice((15, 30, 45))))
        for _ in range(80)
    ]  # fmt: skip
    answers = together(
        [
            lambda ask=ask, sent=sent: ask("POST", "Appointment/$book", sent)
            for ask, sent in zip(asks(80), bodies, strict=True)
        ]
    )
    assert {answer.status for answer in answers} == {200, 409}
    booked = sum(answer.status == 200 for answer in answers)
    assert check_nothing_overlaps(tenant, client, [practice]) == booked >= 8


def test_every_way_of_writing_at_once(tenant: "TestTenant", client: Client, asks: Callable[[int], list[Ask]]) -> None:
    practice = Practice(client)
    who = [practice.patient() for _ in range(40)]
    start = in_days(4)
    slot = {"resourceType": "Slot", "schedule": {"reference": practice.schedule[0]}, "status": "busy", "start": iso(start), "end": iso(start + timedelta(minutes=30))}  # fmt: skip

    def one(ask: Ask, number: int) -> int:
        resource = practice.appointment(who[number], start)
        stored = {**resource, "status": "booked"}
        match number % 5:
            case 0:
                return ask("POST", "Appointment/$book", given(resource)).status
            case 1:
                return ask("POST", "Appointment", stored).status
            case 2:
                return ask("PUT", f"Appointment/{mark()}", {**stored, "id": "x"}).status or 0
            case 3:
                return ask("POST", "", bundle("transaction", entry("POST", "Appointment", stored))).status
            case _:
                return ask("POST", "Slot", slot).status

    statuses = together([lambda ask=ask, n=n: one(ask, n) for n, ask in enumerate(asks(40))])
    assert set(statuses) <= {200, 201, 400, 409}
    assert sum(status in (200, 201) for status in statuses) == 1
    assert counted(OVERLAPS, tenant) == 0


def test_two_confirmed_at_once_of_which_one_had_expired(
    tenant: "TestTenant", client: Client, asks: Callable[[int], list[Ask]]
) -> None:
    practice = Practice(client)
    held = matched(client.post("Appointment/$hold", named(practice.proposal(in_days(5))["id"])))
    held["extension"] = [
        {**each, "valueInstant": iso(in_days(-1))} if each["url"].endswith("hold-expires") else each for each in held["extension"]
    ]  # fmt: skip
    assert client.put(f"Appointment/{held['id']}", held).status == 200
    other = matched(client.post("Appointment/$hold", named(practice.proposal(in_days(5))["id"])))
    assert other["start"] == held["start"]
    answers = together(
        [
            lambda ask=ask, id_=id_: ask("POST", f"Appointment/{id_}/$confirm", EMPTY)
            for ask, id_ in zip(asks(20), [held["id"], other["id"]] * 10, strict=True)
        ]
    )
    assert Counter(answer.status for answer in answers) == {200: 1, 409: 19}
    assert client.get(f"Appointment/{other['id']}").json["status"] == "booked"
    assert counted(OVERLAPS, tenant) == 0


def test_one_key_fifty_times(client: Client, asks: Callable[[int], list[Ask]]) -> None:
    practice = Practice(client)
    sent, key = given(practice.appointment(practice.patient(), in_days(6))), mark()
    answers = together(
        [lambda ask=ask: ask("POST", "Appointment/$book", sent, idempotency_key=key) for ask in asks(50)]
    )
    assert {answer.status for answer in answers} == {200}
    assert len({all_matched(answer)[0]["id"] for answer in answers}) == 1
    assert len(client.search(f"Appointment?actor={practice.practitioner[0]}")) == 1


def test_rooms_and_doctors_in_any_order(tenant: "TestTenant", client: Client, asks: Callable[[int], list[Ask]]) -> None:
    practice = Practice(client, schedules=4)
    rooms = []
    for _ in range(4):
        room = client.create({"resourceType": "Location", "name": mark()})
        client.create({"resourceType": "Schedule", "active": True, "actor": [{"reference": f"Location/{room['id']}"}]})
        rooms.append(f"Location/{room['id']}")
    chance = random.Random(7)

    def one(ask: Ask, seed: int) -> list[int]:
        mine, statuses = random.Random(seed), []
        for _ in range(6):
            resource = practice.appointment(None, in_days(7, 8 + mine.randrange(4)), mine.randrange(4))
            resource["participant"].append({"actor": {"reference": mine.choice(rooms)}, "status": "needs-action"})
            resource["participant"].append({"actor": {"reference": mine.choice(who)}, "status": "needs-action"})
            mine.shuffle(resource["participant"])
            statuses.append(ask("POST", "Appointment/$book", given(resource)).status)
        return statuses

    who = [practice.patient() for _ in range(120)]
    seeds = [chance.random() for _ in range(20)]
    found = together(
        [lambda ask=ask, seed=seed: one(ask, hash(seed)) for ask, seed in zip(asks(20), seeds, strict=True)]
    )
    statuses = Counter(status for each in found for status in each)
    assert set(statuses) <= {200, 409}, statuses
    assert 4 <= statuses[200] <= 16
    assert counted(OVERLAPS, tenant) == 0


def test_five_seats_for_forty(tenant: "TestTenant", client: Client, asks: Callable[[int], list[Ask]]) -> None:
    practice = Practice(client, schedules=0)
    practice.add_schedule(capacity=5)
    bodies = [given(practice.appointment(practice.patient(), in_days(8))) for _ in range(40)]
    answers = together(
        [
            lambda ask=ask, sent=sent: ask("POST", "Appointment/$book", sent)
            for ask, sent in zip(asks(40), bodies, strict=True)
        ]
    )
    assert Counter(answer.status for answer in answers) == {200: 5, 409: 35}
    assert check_nothing_overlaps(tenant, client, [practice], capacity=5) == 5


def test_a_limit_of_three_a_day(client: Client, asks: Callable[[int], list[Ask]]) -> None:
    practice = Practice(client, {"limitPerDay": 3})
    bodies = [
        given(practice.appointment(practice.patient(), in_days(9, 7) + timedelta(minutes=30 * n))) for n in range(20)
    ]
    answers = together(
        [
            lambda ask=ask, sent=sent: ask("POST", "Appointment/$book", sent)
            for ask, sent in zip(asks(20), bodies, strict=True)
        ]
    )
    assert Counter(answer.status for answer in answers) == {200: 3, 422: 17}


def test_one_patient_asks_for_the_same_hour_everywhere(client: Client, asks: Callable[[int], list[Ask]]) -> None:
    practice = Practice(client, schedules=10)
    who = practice.patient()
    bodies = [given(practice.appointment(who, in_days(10), n)) for n in range(10)]
    answers = together(
        [
            lambda ask=ask, sent=sent: ask("POST", "Appointment/$book", sent)
            for ask, sent in zip(asks(10), bodies, strict=True)
        ]
    )
    assert Counter(answer.status for answer in answers) == {200: 1, 409: 9}
    assert {detail(answer) for answer in answers if answer.status == 409} == {"patient-busy"}


def test_one_person_does_not_hold_three_by_asking_at_once(
    tenant: "TestTenant", live_server: str, client: Client
) -> None:
    practice = Practice(client, schedules=6)
    who = practice.patient().removeprefix("Patient/")
    token = tenant.token("patient/*.rs patient/Appointment.cru", patient=who)
    # Different hours, so that only the number of holds is in the way.
    found = [
        client.get(
            f"Appointment/$find?start={iso(in_days(11, 7 + n))}&end={iso(in_days(11, 9 + n))}&_count=1&practitioner={doctor}"
        ).json
        for n, doctor in enumerate(practice.practitioner)
    ]
    ids = [each["entry"][0]["resource"]["id"] for each in found]
    with_each = [Http(f"{live_server}/t/{tenant.slug}/fhir", token) for _ in ids]
    answers = together(
        [
            lambda http=http, id_=id_: http.request("POST", "Appointment/$hold", named(id_))
            for http, id_ in zip(with_each, ids, strict=True)
        ]
    )
    for http in with_each:
        http.close()
    assert Counter(answer.status for answer in answers) == {200: 2, 422: 4}


def test_the_same_time_and_the_same_ids_in_two_clinics(new_tenant: Callable[[], "TestTenant"]) -> None:
    for place in (new_tenant(), new_tenant()):
        client = place.client()
        id_ = "same-for-both"
        client.put(f"Practitioner/{id_}", {"resourceType": "Practitioner", "id": id_})
        schedule = {
            "resourceType": "Schedule",
            "id": id_,
            "active": True,
            "actor": [{"reference": f"Practitioner/{id_}"}],
        }
        assert client.put(f"Schedule/{id_}", schedule).status == 201
        who = client.create({"resourceType": "Patient"})["id"]
        resource = {
            "resourceType": "Appointment", "status": "proposed", "start": iso(in_days(2)), "end": iso(in_days(2, 9, 30)),
            "participant": [{"actor": {"reference": f"{kind}"}, "status": "needs-action"} for kind in (f"Practitioner/{id_}", f"Patient/{who}")],
        }  # fmt: skip
        matched(client.post("Appointment/$book", given(resource)))
        assert client.post("Appointment/$book", given(resource)).status == 409
