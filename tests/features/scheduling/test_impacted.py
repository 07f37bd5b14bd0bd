"""Schedule/$impacted: the visits to come that no longer fit what the rules say now."""

from collections.abc import Callable

import pytest

from tests.conftest import TestTenant
from tests.features.scheduling.clinic_day import matched
from tests.features.scheduling.town import agenda, closed, hours, make, rules
from tests.features.scheduling.two_doctors import DAY, TwoDoctors, at


@pytest.fixture
def clinic(new_tenant: Callable[[], TestTenant]) -> TwoDoctors:
    return TwoDoctors(new_tenant())


def impacted(clinic: TwoDoctors) -> list[str]:
    answer = clinic.staff.get(f"{clinic.schedules[0]}/$impacted")
    assert answer.status == 200, answer.text
    return [entry["resource"]["start"] for entry in answer.json.get("entry", ())]


def test_shorter_hours_and_closures_list_the_visits_that_no_longer_fit(clinic: TwoDoctors) -> None:
    for time in ("09:00", "10:00", "11:30"):
        matched(clinic.book(time))
    matched(clinic.book("09:00", which=1))
    assert impacted(clinic) == []
    schedule = clinic.staff.get(clinic.schedules[0]).json
    schedule["extension"] = [rules(hours("09:00", "11:45"), of=clinic.service)]
    assert clinic.staff.put(clinic.schedules[0], schedule).status == 200
    assert impacted(clinic) == [at("11:30")]
    schedule = clinic.staff.get(clinic.schedules[0]).json
    schedule["extension"] = [rules(hours("09:00", "12:00"), closed(DAY, DAY), of=clinic.service)]
    assert clinic.staff.put(clinic.schedules[0], schedule).status == 200
    assert impacted(clinic) == [at("09:00"), at("10:00"), at("11:30")]


def test_an_absence_impacts_visits_and_a_closed_agenda_all_of_them(clinic: TwoDoctors) -> None:
    matched(clinic.book("09:00"))
    matched(clinic.book("10:00"))
    assert clinic.absence(period={"start": at("09:00"), "end": at("09:30")}).status == 200
    assert impacted(clinic) == [at("09:00")]
    schedule = clinic.staff.get(clinic.schedules[0]).json
    assert clinic.staff.put(clinic.schedules[0], schedule | {"active": False}).status == 200
    assert impacted(clinic) == [at("09:00"), at("10:00")]


def test_visits_in_another_agenda_of_the_same_doctor_are_not_meant(clinic: TwoDoctors) -> None:
    other = agenda(clinic.staff, clinic.doctors[0], rules(hours("14:00", "18:00"), of=clinic.service))
    slot = make(clinic.staff, "Slot", schedule={"reference": other}, status="busy", start=at("14:00"), end=at("14:30"))
    people = [clinic.doctors[0], clinic.service, clinic.patient()]
    clinic.staff.create(
        {
            "resourceType": "Appointment",
            "status": "booked",
            "start": at("14:00"),
            "end": at("14:30"),
            "slot": [{"reference": slot}],
            "participant": [{"actor": {"reference": each}, "status": "accepted"} for each in people],
        }
    )
    assert impacted(clinic) == []


def test_only_staff_asks_what_is_impacted(clinic: TwoDoctors) -> None:
    own = clinic.tenant.client("patient/*.cruds", patient=clinic.patient().removeprefix("Patient/"))
    assert own.get(f"{clinic.schedules[0]}/$impacted").status in (403, 404)
    assert clinic.staff.get("Schedule/none/$impacted").status == 404
