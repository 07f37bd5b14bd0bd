"""Absences: the block around visits that stand, substitutes, Tasks for staff, and the end."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from fhir_server.features.scheduling import absence_blocks
from fhir_server.features.scheduling.absence import period_of
from fhir_server.features.scheduling.absence_blocks import gaps
from fhir_server.features.scheduling.availability import Busy
from fhir_server.features.scheduling.free import Agendas
from tests.client import Answer
from tests.conftest import TestTenant
from tests.features.scheduling.clinic_day import matched
from tests.features.scheduling.town import agenda, doctor, find, hours, make, rules, starts
from tests.features.scheduling.two_doctors import DAY, MONDAY, NEXT, Json, TwoDoctors, at
from tests.features.scheduling.worker import elsewhere


@pytest.fixture
def clinic(new_tenant: Callable[[], TestTenant]) -> TwoDoctors:
    return TwoDoctors(new_tenant())


def results(answer: Answer) -> list[str]:
    """What became of each visit."""
    assert answer.status == 200, answer.text
    issues = next(e["resource"]["issue"] for e in answer.json["entry"] if e["search"]["mode"] == "outcome")
    return [issue["details"]["coding"][0]["code"] for issue in issues if "coding" in issue["details"]]


def included(answer: Answer, kind: str) -> list[Json]:
    return [e["resource"] for e in answer.json["entry"] if e["resource"]["resourceType"] == kind]


def test_an_empty_morning_is_blocked(clinic: TwoDoctors) -> None:
    answer = clinic.absence(reason="Congrès")
    assert results(answer) == []
    assert clinic.blocks() == [(at("09:00"), at("12:00"))]
    assert included(answer, "Slot")[0]["comment"] == "Congrès"
    assert starts(find(clinic.staff, DAY, DAY, practitioner=clinic.doctors[0])) == []
    assert clinic.book("09:00").status == 409
    assert clinic.book("09:00", which=1).status == 200


def test_the_block_leaves_visits_their_place(clinic: TwoDoctors) -> None:
    first, second = matched(clinic.book("09:30")), matched(clinic.book("10:00"))
    last = matched(clinic.book("11:30"))
    answer = clinic.absence()
    assert results(answer) == ["to-reschedule"] * 3
    assert [each["id"] for each in included(answer, "Appointment")] == [first["id"], second["id"], last["id"]]
    assert clinic.blocks() == [(at("09:00"), at("09:30")), (at("10:30"), at("11:30"))]
    for visit in (first, second, last):
        assert clinic.staff.get(f"Appointment/{visit['id']}").json["meta"]["versionId"] == "1"
    assert clinic.book("09:30").status == 409


def test_what_is_cancelled_during_an_absence_is_not_offered(clinic: TwoDoctors) -> None:
    visit = matched(clinic.book("09:30"))
    assert clinic.absence().status == 200
    assert clinic.staff.post(f"Appointment/{visit['id']}/$cancel", None).status == 200
    assert starts(find(clinic.staff, DAY, DAY, practitioner=clinic.doctors[0])) == []


def test_staff_gets_a_task_for_each_visit_and_only_one(clinic: TwoDoctors) -> None:
    visit = matched(clinic.book("09:30"))
    (task,) = included(clinic.absence(), "Task")
    assert task["focus"]["reference"] == f"Appointment/{visit['id']}"
    assert task["code"]["coding"][0]["code"] == "reschedule-appointment"
    assert task["for"]["reference"].startswith("Patient/")
    again = clinic.absence(period={"start": at("09:00"), "end": at("13:00")})
    assert again.status == 200, again.text
    assert included(again, "Task") == []
    assert clinic.blocks()[-1] == (at("12:00"), at("13:00"))


def test_a_substitute_takes_over_what_he_can(clinic: TwoDoctors) -> None:
    free, busy, early = (matched(clinic.book(time)) for time in ("09:30", "10:00", "11:00"))
    matched(clinic.book("10:00", which=1))
    answer = clinic.absence(substitute={"reference": clinic.doctors[1]})
    assert results(answer) == ["moved", "substitute-busy", "moved"]
    moved = clinic.staff.get(f"Appointment/{free['id']}").json
    actors = [each["actor"]["reference"] for each in moved["participant"]]
    assert clinic.doctors[1] in actors
    assert clinic.doctors[0] not in actors
    assert any(actor.startswith("Patient/") for actor in actors)
    assert (moved["status"], moved["start"]) == ("booked", free["start"])
    (slot,) = [clinic.staff.get(each["reference"]).json for each in moved["slot"]]
    assert slot["schedule"]["reference"] == clinic.schedules[1]
    assert [task["focus"]["reference"] for task in included(answer, "Task")] == [f"Appointment/{busy['id']}"]
    # The time that was given away is blocked too, and the substitute's is taken.
    assert clinic.blocks() == [(at("09:00"), at("10:00")), (at("10:30"), at("12:00"))]
    assert clinic.book("11:00", which=1).status == 409
    assert clinic.staff.get(f"Appointment/{early['id']}").json["status"] == "booked"


def test_a_substitute_who_does_not_work_then_or_cannot_takes_nothing(clinic: TwoDoctors) -> None:
    matched(clinic.book("09:30"))
    idle, elsewhere = doctor(clinic.staff), doctor(clinic.staff)
    agenda(clinic.staff, elsewhere, rules(hours("14:00", "18:00"), of=clinic.service))
    for who in (idle, elsewhere):
        answer = clinic.absence(substitute={"reference": who}, dry_run=True)
        assert results(answer) == ["substitute-busy"]


def test_a_dry_run_changes_nothing(clinic: TwoDoctors) -> None:
    matched(clinic.book("09:30"))
    answer = clinic.absence(substitute={"reference": clinic.roles[1]}, dry_run=True)
    assert results(answer) == ["would-move"]
    assert clinic.blocks() == []
    assert clinic.staff.search("Task") == []
    assert "notAvailable" not in clinic.staff.get(clinic.roles[0]).json


def test_an_absence_in_a_role_is_the_person_s(clinic: TwoDoctors) -> None:
    period = {"name": "period", "valuePeriod": {"start": DAY, "end": NEXT}}
    answer = clinic.staff.post(f"{clinic.roles[0]}/$absence", {"resourceType": "Parameters", "parameter": [period]})
    assert answer.status == 200, answer.text
    after = (MONDAY + timedelta(days=2)).isoformat()
    assert clinic.blocks() == [(at("00:00"), at("00:00", after))]


def test_several_schedules_of_one_person_are_blocked_together(clinic: TwoDoctors) -> None:
    room = make(clinic.staff, "Location", name="Salle")
    second = make(
        clinic.staff,
        "Schedule",
        active=True,
        actor=[{"reference": clinic.doctors[0]}, {"reference": room}],
        extension=[rules(hours("09:00", "12:00"), of=clinic.service)],
    )
    assert clinic.absence().status == 200
    assert starts(find(clinic.staff, DAY, DAY, practitioner=clinic.doctors[0])) == []
    assert clinic.staff.search(f"Slot?schedule={second}") == [], "the room is not absent"


def test_coming_back_early(clinic: TwoDoctors) -> None:
    assert clinic.absence(period={"start": DAY, "end": DAY}).status == 200
    ended = clinic.absence(operation="end-absence", period={"start": at("10:00"), "end": at("11:00")})
    assert ended.json["parameter"][0]["valueInteger"] == 1
    assert clinic.blocks() == [(at("00:00"), at("10:00")), (at("11:00"), at("00:00", NEXT))]
    assert starts(find(clinic.staff, DAY, DAY, practitioner=clinic.doctors[0])) == [at("10:00"), at("10:30")]
    assert len(clinic.staff.get(clinic.roles[0]).json["notAvailable"]) == 2
    rest = clinic.absence(operation="end-absence", period={"start": DAY, "end": DAY})
    assert rest.json["parameter"][0]["valueInteger"] == 2
    assert clinic.blocks() == []
    assert "notAvailable" not in clinic.staff.get(clinic.roles[0]).json
    nothing = clinic.absence(operation="end-absence", period={"start": DAY, "end": DAY})
    assert nothing.json["parameter"][0]["valueInteger"] == 0


def test_what_is_not_an_absence_stays(clinic: TwoDoctors) -> None:
    make(
        clinic.staff,
        "Slot",
        schedule={"reference": clinic.schedules[0]},
        status="busy-unavailable",
        start=at("09:00"),
        end=at("10:00"),
    )
    assert clinic.absence(operation="end-absence", period={"start": DAY, "end": DAY}).status == 200
    assert len(clinic.blocks()) == 1


@pytest.mark.parametrize(
    ("period", "status"),
    [
        ({"start": DAY}, 400),
        ({"start": at("09:00"), "end": at("09:00")}, 400),
        ({"start": "2020-01-01", "end": "2020-01-02"}, 422),
        ({"start": DAY, "end": "2099-01-01"}, 400),
        ({"start": "0001-01-01T00:00:00+14:00", "end": "2026-12-06T00:00:00Z"}, 422),
        ({"start": "0001-01-01", "end": "9999-12-31"}, 422),
        ({"start": "9999-12-31", "end": "9999-12-31"}, 422),
        ({"start": "9999-12-31T23:59:59-14:00", "end": "9999-12-31T23:59:59.9999999-14:00"}, 422),
    ],
)
def test_periods_that_are_none(clinic: TwoDoctors, period: Json, status: int) -> None:
    answer = clinic.absence(period=period)
    assert (answer.status, answer.issues[0]["expression"]) == (status, ["http.period"])


def test_who_may_not(clinic: TwoDoctors) -> None:
    own = clinic.tenant.client("patient/*.cruds", patient=clinic.patient().removeprefix("Patient/"))
    assert clinic.absence(client=own).status == 403
    assert clinic.absence(substitute={"reference": clinic.doctors[0]}).status == 422
    assert clinic.absence(substitute={"reference": "Practitioner/nobody"}).status == 404
    assert clinic.absence(substitute={"reference": "Location/1"}).status == 400
    assert clinic.staff.post(f"{doctor(clinic.staff)}/$absence", clinic_period()).status == 422


def clinic_period() -> Json:
    return {
        "resourceType": "Parameters",
        "parameter": [{"name": "period", "valuePeriod": {"start": at("09:00"), "end": at("12:00")}}],
    }


def test_gaps_between_what_is_taken() -> None:
    one = Agendas({1: 1}, {1: [Busy(10, 20, 0, 7), Busy(20, 25, 0, 8), Busy(40, 90, 0, 9)]})
    assert list(gaps(one, (0, 60))) == [((0, 10), 0), ((25, 40), 0)]
    group = Agendas({1: 3}, {1: [Busy(10, 20, 0, 7), Busy(10, 20, 1, 8), Busy(30, 40, 0, 9)]})
    assert list(gaps(group, (0, 50))) == [((0, 10), 0), ((10, 20), 1), ((20, 30), 0), ((30, 40), 2), ((40, 50), 0)]
    assert list(gaps(Agendas({1: 1}, {1: []}), (0, 60))) == [((0, 60), 0)]
    assert list(gaps(Agendas({1: 1}, {1: [Busy(0, 60, 0, 7)]}), (0, 60))) == []


def test_the_seats_that_are_left_of_a_group_visit_are_blocked(clinic: TwoDoctors) -> None:
    schedule = clinic.staff.get(clinic.schedules[0]).json
    schedule["extension"] = [rules(hours("09:00", "12:00"), of=clinic.service, capacity=2)]
    assert clinic.staff.put(clinic.schedules[0], schedule).status == 200
    matched(clinic.book("09:30"))
    assert clinic.absence().status == 200
    for time in ("09:00", "09:30", "10:00"):
        assert clinic.book(time).status == 409


@pytest.mark.parametrize(
    ("day", "zone", "hours_of_it"),
    [
        ("2026-03-29", "Europe/Paris", 23),
        ("2026-10-25", "Europe/Paris", 25),
        ("2026-02-15", "Africa/Casablanca", 25),
        ("2026-03-22", "Africa/Casablanca", 23),
        ("2026-03-22", "Africa/Dakar", 24),
    ],
)
def test_a_day_of_absence_is_the_clinic_s_day(day: str, zone: str, hours_of_it: int) -> None:
    start, end = period_of({"start": day, "end": day}, ZoneInfo(zone))
    assert end - start == timedelta(hours=hours_of_it)
    assert start.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M") == f"{day} 00:00"


def test_a_visit_that_is_booked_at_the_same_moment_is_found(
    clinic: TwoDoctors, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = absence_blocks.block
    late: list[int] = []

    def block(*arguments: Any) -> None:
        original(*arguments)
        if not late:
            late.append(elsewhere(lambda: clinic.book("10:00").status))

    monkeypatch.setattr(absence_blocks, "block", block)
    answer = clinic.absence()
    assert late == [200]
    assert results(answer) == ["to-reschedule"]
    assert clinic.blocks() == [(at("09:00"), at("10:00")), (at("10:30"), at("12:00"))]
