"""What Appointment/$find makes of hours, absences, rooms, seats and limits."""

from datetime import UTC, datetime, timedelta

import pytest

from fhir_server.core import clock
from tests.client import Client
from tests.conftest import TestTenant
from tests.features.scheduling.town import (
    DAY,
    NEXT,
    agenda,
    at,
    busy,
    closed,
    code,
    coming,
    doctor,
    extra,
    find,
    hours,
    make,
    needs,
    notes,
    one,
    proposals,
    rules,
    service,
    starts,
)


def test_hours_of_role_place_and_service_hold_together_when_nothing_else_is_said(client: Client) -> None:
    place = make(client, "Location", name="Branch",
                 hoursOfOperation=[{"daysOfWeek": ["mon"], "openingTime": "08:00:00", "closingTime": "11:00:00"}])  # fmt: skip
    offered = service(client, availableTime=[{"availableStartTime": "10:00:00", "availableEndTime": "13:00:00"}])
    who = doctor(client)
    make(client, "PractitionerRole", practitioner={"reference": who}, healthcareService=[{"reference": offered}],
         location=[{"reference": place}], availableTime=[{"daysOfWeek": ["mon", "tue"], "allDay": True}],
         notAvailable=[{"description": "x", "during": {"start": at("10:00")[0], "end": at("10:15")[0]}}])  # fmt: skip
    agenda(client, who)
    assert starts(find(client, DAY, NEXT, practitioner=who)) == at("10:30")


def test_nobody_is_open_who_says_no_hours(client: Client) -> None:
    offered = service(client)
    who = doctor(client)
    agenda(client, who, rules(of=offered))
    answer = find(client, DAY, DAY, practitioner=who)
    assert starts(answer) == [] and notes(answer) == ["nothing-free"]


def test_closures_extra_hours_and_the_planning_horizon(client: Client) -> None:
    offered = service(client)
    who = doctor(client)
    parts = [closed(DAY, DAY), extra(*at("14:00", "15:00")), hours("09:00", "10:00", "mon", "tue", "wed")]
    agenda(client, who, rules(*parts, of=offered), planningHorizon={"start": "2020-01-01", "end": NEXT})
    after = (coming("mon") + timedelta(days=2)).isoformat()
    assert starts(find(client, DAY, after, practitioner=who)) == [
        *at("14:00", "14:30"), *at("09:00", "09:30", day=NEXT)
    ]  # fmt: skip


def test_an_inactive_schedule_or_service_is_not_offered(client: Client) -> None:
    offered, who, schedule = one(client)
    stored = client.get(schedule).json
    assert client.put(schedule, {**stored, "active": False}).status == 200
    assert starts(find(client, DAY, DAY, practitioner=who)) == []
    assert client.put(schedule, {k: v for k, v in stored.items() if k != "active"}).status == 200
    assert len(starts(find(client, DAY, DAY, practitioner=who))) == 4
    assert client.put(offered, {**client.get(offered).json, "active": False}).status == 200
    answer = find(client, DAY, DAY, practitioner=who)
    assert starts(answer) == [] and notes(answer) == ["nothing-offered"]


def test_buffers_lie_between_visits_and_before_the_first(client: Client) -> None:
    _, who, schedule = one(client, bufferBefore=10, bufferAfter=5, alignmentInterval=15)
    # 09:25 to 10:05 with its buffers; the next may begin at 10:15, the one before must end at 09:20.
    busy(client, schedule, *at("09:25", "10:05"), status="busy-unavailable")
    assert starts(find(client, DAY, DAY, practitioner=who)) == at("10:15", "10:30")
    # What is kept before the first visit may lie before the opening.
    assert starts(find(client, NEXT, NEXT, practitioner=who))[0] == at("09:00", day=NEXT)[0]


def test_seats_and_their_limit(client: Client) -> None:
    offered, who, schedule = one(client)
    stored = client.get(schedule).json
    stored["extension"][0]["extension"].append({"url": "capacity", "valuePositiveInt": 2})
    assert client.put(schedule, stored).status == 200
    busy(client, schedule, *at("09:00", "09:30"))
    assert starts(find(client, DAY, DAY, practitioner=who))[0] == at("09:00")[0]
    busy(client, schedule, *at("09:00", "09:30"))
    assert starts(find(client, DAY, DAY, practitioner=who))[0] == at("09:30")[0]
    busy(client, schedule, *at("10:00", "11:00"), status="busy-unavailable")
    assert starts(find(client, DAY, DAY, practitioner=who)) == at("09:30")


def test_a_room_is_needed_besides(client: Client) -> None:
    rooms = [make(client, "Location", name=name) for name in ("Room 1", "Room 2")]
    schedules = [agenda(client, room) for room in rooms]
    offered = service(client, needs(*schedules))
    who = doctor(client)
    agenda(client, who, rules(hours("09:00", "11:00", "mon"), of=offered))
    busy(client, schedules[0], *at("09:00", "10:00"))
    busy(client, schedules[1], *at("09:30", "10:30"))
    found = proposals(find(client, DAY, DAY, practitioner=who))
    chosen = {each["start"]: each["participant"][-1]["actor"]["reference"] for each in found}
    assert chosen == dict(zip(at("09:00", "10:00", "10:30"), (rooms[1], rooms[0], rooms[0]), strict=True))


def test_a_place_whose_time_is_booked_must_be_free_too(client: Client) -> None:
    room = make(client, "Location", name="Only room")
    room_agenda = agenda(client, room)
    offered, who = service(client, location=[{"reference": room}]), doctor(client)
    agenda(client, who, rules(hours("09:00", "10:00", "mon"), of=offered))
    busy(client, room_agenda, *at("09:00", "09:30"))
    assert starts(find(client, DAY, DAY, practitioner=who)) == at("09:30")


def test_a_practitioner_role_stands_for_its_practitioner(client: Client) -> None:
    offered, who = service(client), doctor(client)
    role = make(client, "PractitionerRole", practitioner={"reference": who}, healthcareService=[{"reference": offered}],
                availableTime=[{"daysOfWeek": ["mon"], "availableStartTime": "09:00:00", "availableEndTime": "10:00:00"}])  # fmt: skip
    agenda(client, role)
    other = agenda(client, who, rules(hours("09:00", "09:30", "tue"), of=offered))
    busy(client, other, *at("09:00", "09:30"))
    for asked in (who, role):
        found = proposals(find(client, DAY, DAY, practitioner=asked))
        assert [each["start"] for each in found] == at("09:30"), asked
        assert found[0]["participant"][0]["actor"]["reference"] == who


@pytest.mark.parametrize(("limit", "days"), [("limitPerDay", 1), ("limitPerWeek", 0)])
def test_a_full_day_or_week_is_not_offered(client: Client, limit: str, days: int) -> None:
    _, who, schedule = one(client, **{limit: 1})
    assert len(starts(find(client, DAY, NEXT, practitioner=who))) == 8
    # An absence is no visit.
    busy(client, schedule, *at("09:30", "10:00"), status="busy-unavailable")
    assert len(starts(find(client, DAY, NEXT, practitioner=who))) == 7
    make(client, "Appointment", status="booked", start=at("09:00")[0], end=at("09:30")[0],
         participant=[{"actor": {"reference": who}, "status": "accepted"}])  # fmt: skip
    found = starts(find(client, DAY, NEXT, practitioner=who))
    assert found == (at("09:00", "09:30", "10:00", "10:30", day=NEXT) if days else [])
    # The whole day is known, although only its end is asked for.
    assert starts(find(client, *at("10:00", "11:00"), practitioner=who)) == []


def test_one_broken_schedule_does_not_hide_the_others(client: Client, tenant: TestTenant) -> None:
    offered, who, schedule = one(client)
    broken = {"url": "duration", "valuePositiveInt": 100_000}
    answer = client.post(
        "Schedule",
        {"resourceType": "Schedule", "actor": [{"reference": who}], "extension": [rules(broken, of=offered)]},
    )
    if answer.status == 201:
        found = find(client, DAY, DAY, practitioner=who)
        assert len(starts(found)) == 4 and notes(found) == ["business-rule"]
        client.delete(f"Schedule/{answer.id}")
    else:
        assert answer.status == 422


def test_a_schedule_of_the_services_type_offers_it(client: Client) -> None:
    offered = service(client, type=code("by type"))
    who, own = doctor(client), hours("09:00", "10:00", "mon")
    agenda(client, who, rules(own), serviceType=code("by type"))
    found = proposals(find(client, DAY, DAY, visit_type="urn:test|by type"))
    assert [each["participant"][-1]["actor"]["reference"] for each in found] == [offered] * 2


def test_staff_are_offered_an_agenda_without_a_service(client: Client, tenant: TestTenant) -> None:
    who = doctor(client)
    agenda(client, who, rules(hours("09:00", "10:00", "mon"), duration=20))
    found = proposals(find(client, DAY, DAY, practitioner=who))
    assert [each["start"] for each in found] == at("09:00", "09:10", "09:20", "09:30", "09:40")
    assert [each["actor"]["reference"] for each in found[0]["participant"]] == [who]
    assert starts(find(tenant.client("system/Schedule.s"), DAY, DAY, practitioner=who)) == []


def test_who_left_is_not_offered(client: Client) -> None:
    offered, who = service(client), doctor(client)
    role = make(client, "PractitionerRole", practitioner={"reference": who}, healthcareService=[{"reference": offered}])
    agenda(client, role, rules(hours("09:00", "10:00", "mon")))
    assert len(starts(find(client, DAY, DAY, practitioner=who))) == 2
    stored = client.get(role).json
    assert client.put(role, {**stored, "period": {"end": "2024-12-31"}}).status == 200
    assert starts(find(client, DAY, DAY, practitioner=who)) == []
    assert client.put(role, {**stored, "active": False}).status == 200
    assert starts(find(client, DAY, DAY, practitioner=who)) == []
    assert starts(find(client, DAY, DAY, practitioner=who)) == []


def test_a_place_that_is_closed_down_is_not_offered(client: Client) -> None:
    place = make(client, "Location", name="Old", status="suspended")
    offered, who = service(client), doctor(client)
    shared = agenda(client, who, rules(hours("09:00", "10:00", "mon"), of=offered))
    stored = client.get(shared).json
    assert client.put(shared, {**stored, "actor": [*stored["actor"], {"reference": place}]}).status == 200
    assert starts(find(client, DAY, DAY, practitioner=who)) == []
    assert client.put(place, {**client.get(place).json, "status": "active"}).status == 200
    assert len(starts(find(client, DAY, DAY, practitioner=who))) == 2


def test_the_limit_counts_the_persons_visits_not_those_of_the_house(client: Client) -> None:
    house = make(client, "Location", name="House")
    people = [doctor(client) for _ in range(2)]
    offered = service(client, limitPerDay=1)
    for who in people:
        own = rules(hours("09:00", "11:00", "mon"), {"url": "capacity", "valuePositiveInt": 5}, of=offered)
        stored = client.get(agenda(client, who, own)).json
        stored["actor"].append({"reference": house})
        assert client.put(f"Schedule/{stored['id']}", stored).status == 200
    make(client, "Appointment", status="booked", start=at("09:00")[0], end=at("09:30")[0],
         participant=[{"actor": {"reference": each}, "status": "accepted"} for each in (people[0], house)])  # fmt: skip
    assert starts(find(client, DAY, DAY, practitioner=people[0])) == []
    assert len(starts(find(client, DAY, DAY, practitioner=people[1]))) == 4


def test_a_held_time_is_not_offered_and_comes_back(client: Client) -> None:
    _, who, _ = one(client)
    expires = datetime.now(UTC) + timedelta(minutes=5)
    held = {
        "resourceType": "Appointment", "status": "pending", "start": at("09:00")[0], "end": at("09:30")[0],
        "participant": [{"actor": {"reference": who}, "status": "needs-action"}],
        "extension": [{"url": "urn:salam:StructureDefinition:hold-expires", "valueInstant": f"{expires:%Y-%m-%dT%H:%M:%SZ}"}],
    }  # fmt: skip
    client.create(held)
    assert starts(find(client, DAY, DAY, practitioner=who)) == at("09:30", "10:00", "10:30")
    clock.move(timedelta(minutes=6))
    try:
        assert starts(find(client, DAY, DAY, practitioner=who))[0] == at("09:00")[0]
    finally:
        clock.move(timedelta())


def test_the_clock_of_the_clinic_is_told(client: Client) -> None:
    _, who, _ = one(client, timezone="Africa/Casablanca")
    assert starts(find(client, "2031-03-17", "2031-03-17", practitioner=who))[0] == "2031-03-17T09:00:00+01:00"
    # In Ramadan, which is in January then.
    assert starts(find(client, "2031-01-06", "2031-01-06", practitioner=who))[0] == "2031-01-06T09:00:00Z"


def test_a_second_professional_works_by_his_own_hours(client: Client) -> None:
    nurse, who = doctor(client), doctor(client)
    role = make(client, "PractitionerRole", practitioner={"reference": nurse},
                availableTime=[{"daysOfWeek": ["mon"], "availableStartTime": "09:30:00", "availableEndTime": "12:00:00"}])  # fmt: skip
    second, own = agenda(client, role), agenda(client, nurse)
    offered = service(client, needs(second, role="nurse"))
    agenda(client, who, rules(hours("09:00", "11:00", "mon"), of=offered))
    # She is one person, whichever of her Schedules says that she is busy.
    busy(client, own, *at("10:00", "10:30"))
    found = proposals(find(client, DAY, DAY, practitioner=who))
    assert [each["start"] for each in found] == at("09:30", "10:30")
    assert [each["actor"]["reference"] for each in found[0]["participant"]] == [who, offered, nurse]
