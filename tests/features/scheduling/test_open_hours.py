"""Schedule/$open-hours: when agendas are open, for those who draw them."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.client import Client
from tests.conftest import TestTenant
from tests.features.scheduling.town import agenda, closed, doctor, extra, hours, make, rules, service

Hours = dict[str, list[Any]]


@pytest.fixture(scope="module")
def staff(new_tenant: Callable[[], TestTenant]) -> Client:
    return new_tenant().client()


def asked(staff: Client, *schedules: str, start: str = "2027-03-01", end: str = "2027-03-01") -> dict[str, Hours]:
    query = "&".join(f"schedule={each}" for each in schedules)
    answer = staff.get(f"Schedule/$open-hours?{query}&start={start}&end={end}")
    assert answer.status == 200, answer.text
    found: dict[str, Hours] = {}
    for each in answer.json.get("parameter", ()):
        said: Hours = {}
        for part in each["part"]:
            said.setdefault(part["name"], []).append(next(value for name, value in part.items() if name != "name"))
        found[said["reference"][0]["reference"]] = said
    return found


def spans(said: Hours, name: str = "open") -> list[tuple[str, str]]:
    return [(each["start"], each["end"]) for each in said.get(name, ())]


def test_weekly_hours_with_closures_and_what_is_open_besides(staff: Client) -> None:
    what = service(staff, timezone="Africa/Casablanca")
    who = doctor(staff)
    parts = [hours("09:00", "12:00"), hours("14:00", "17:00"), closed("2027-02-28T10:00:00Z", "2027-03-01T10:00:00Z"),
             extra("2027-03-01T19:00:00Z", "2027-03-01T20:00:00Z")]  # fmt: skip
    schedule = agenda(staff, who, rules(*parts, timezone="Africa/Casablanca"), rules(of=what, duration=20))
    found = asked(staff, schedule)[schedule]
    assert spans(found) == [("2027-03-01T10:00:00Z", "2027-03-01T12:00:00Z"), ("2027-03-01T14:00:00Z", "2027-03-01T17:00:00Z"),
                            ("2027-03-01T19:00:00Z", "2027-03-01T20:00:00Z")]  # fmt: skip
    assert spans(found, "closed") == [("2027-03-01T00:00:00Z", "2027-03-01T10:00:00Z")]


def test_what_is_booked_does_not_close(staff: Client) -> None:
    schedule = agenda(staff, doctor(staff), rules(hours("09:00", "12:00"), timezone="UTC"))
    make(staff, "Slot", schedule={"reference": schedule}, status="busy", start="2027-03-01T09:00:00Z", end="2027-03-01T12:00:00Z")
    assert spans(asked(staff, schedule)[schedule]) == [("2027-03-01T09:00:00Z", "2027-03-01T12:00:00Z")]


def test_hours_of_any_service_count_and_holidays_are_named(staff: Client) -> None:
    one, other = service(staff, timezone="UTC"), service(staff, timezone="UTC")
    schedule = agenda(staff, doctor(staff), rules(holidays="MA", timezone="UTC"), rules(hours("08:00", "10:00"), of=one),
                      rules(hours("09:00", "11:00"), of=other))  # fmt: skip
    found = asked(staff, schedule, start="2027-04-30", end="2027-05-01")[schedule]
    assert spans(found) == [("2027-04-30T08:00:00Z", "2027-04-30T11:00:00Z")]
    assert found["holiday"] == ["2027-05-01"]


def test_a_room_is_open_unless_it_says_when_and_a_person_is_not(staff: Client) -> None:
    room = agenda(staff, make(staff, "Location", name="Room", status="active"))
    person = agenda(staff, doctor(staff))
    found = asked(staff, room, person)
    assert len(spans(found[room])) == 1 and spans(found[person]) == []


def test_the_clock_of_the_clinic_counts_on_the_day_it_changes(staff: Client) -> None:
    schedule = agenda(staff, doctor(staff), rules(hours("08:00", "18:00"), timezone="Africa/Casablanca"))
    for day, offset in (("2027-02-06", "+01:00"), ("2027-02-07", "Z"), ("2027-03-14", "+01:00")):
        found = asked(staff, schedule, start=day, end=day)[schedule]
        assert spans(found) == [(f"{day}T08:00:00{offset}", f"{day}T18:00:00{offset}")]


@pytest.mark.parametrize(
    ("query", "status"),
    [("start=2027-03-01&end=2027-03-02", 400), ("schedule=Schedule/none&start=2027-03-01&end=2027-03-02", 404),
     ("schedule=Patient/x&start=2027-03-01&end=2027-03-02", 400), ("schedule={0}&start=2027-03-02&end=2027-03-01", 400),
     ("schedule={0}&start=2027-03-01&end=2027-12-01", 422), ("schedule={0}&start=x&end=2027-03-01", 400),
     ("schedule={0}&start=2027-03-01", 400)],
)  # fmt: skip
def test_what_cannot_be_asked_is_refused(staff: Client, query: str, status: int) -> None:
    schedule = agenda(staff, doctor(staff))
    assert staff.get(f"Schedule/$open-hours?{query.format(schedule)}").status == status


def test_an_inactive_agenda_is_never_open(staff: Client) -> None:
    schedule = agenda(staff, doctor(staff), rules(hours("08:00", "18:00"), timezone="UTC"), active=False)
    assert asked(staff, schedule) == {schedule: {"reference": [{"reference": schedule}]}}


def test_who_may_not_see_the_agenda_is_not_told(new_tenant: Callable[[], TestTenant]) -> None:
    tenant = new_tenant()
    schedule = agenda(tenant.client(), doctor(tenant.client()))
    query = f"schedule={schedule}&start=2027-03-01&end=2027-03-02"
    assert tenant.client("user/Schedule.rs").get(f"Schedule/$open-hours?{query}").status == 200
    assert tenant.client("user/Patient.rs").get(f"Schedule/$open-hours?{query}").status in (403, 404)
    assert new_tenant().client().get(f"Schedule/$open-hours?{query}").status == 404
