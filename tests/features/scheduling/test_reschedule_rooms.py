"""$reschedule with another room: the parameter `resource`."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.client import Answer, Client
from tests.conftest import TestTenant
from tests.features.scheduling.clinic_day import given, matched
from tests.features.scheduling.town import agenda, doctor, hours, make, needs, rules, service
from tests.features.scheduling.two_doctors import DAY, at


class Rooms:
    """A doctor whose service needs one of two rooms."""

    def __init__(self, tenant: TestTenant) -> None:
        self.tenant, self.staff = tenant, tenant.client()
        self.rooms = [make(self.staff, "Location", name=f"Room {number}", status="active") for number in (1, 2)]
        self.schedules = [agenda(self.staff, each) for each in self.rooms]
        self.service = service(self.staff, needs(*self.schedules))
        self.doctor = doctor(self.staff)
        self.main = agenda(self.staff, self.doctor, rules(hours("09:00", "17:00"), of=self.service))

    def book(self, time: str, client: Client | None = None, patient: str = "") -> dict[str, Any]:
        patient = patient or make(self.staff, "Patient", name=[{"family": "X"}])
        people = [{"actor": {"reference": each}, "status": "needs-action"} for each in (self.doctor, self.service, patient)]
        resource = {"resourceType": "Appointment", "status": "proposed", "start": at(time), "end": at(f"{time[:3]}30"),
                    "participant": people}  # fmt: skip
        return matched((client or self.staff).post("Appointment/$book", given(resource)))

    def move(self, visit: dict[str, Any], *resources: str, client: Client | None = None) -> Answer:
        parameters: list[dict[str, Any]] = [{"name": "start", "valueDateTime": visit["start"]}]
        parameters += [{"name": "resource", "valueReference": {"reference": each}} for each in resources]
        body = {"resourceType": "Parameters", "parameter": parameters}
        return (client or self.staff).post(f"Appointment/{visit['id']}/$reschedule", body)

    def room_of(self, visit: dict[str, Any]) -> str:
        text = str(self.staff.get(f"Appointment/{visit['id']}").json["participant"])
        return next(each for each in self.rooms if each in text)


@pytest.fixture
def clinic(new_tenant: Callable[[], TestTenant]) -> Rooms:
    return Rooms(new_tenant())


def test_the_visit_takes_the_other_room_and_gives_its_own_free(clinic: Rooms) -> None:
    visit = clinic.book("09:00")
    before = clinic.rooms.index(clinic.room_of(visit))
    assert clinic.move(visit, clinic.schedules[1 - before]).status == 200
    assert clinic.room_of(visit) == clinic.rooms[1 - before]
    slots = clinic.staff.search(f"Slot?schedule={clinic.schedules[before]}&start=ge{DAY}")
    assert slots == []
    assert clinic.move(visit, clinic.schedules[before]).status == 200


def test_a_room_that_is_taken_is_refused_and_nothing_changes(clinic: Rooms) -> None:
    visit = clinic.book("10:00")
    other = clinic.schedules[1 - clinic.rooms.index(clinic.room_of(visit))]
    make(clinic.staff, "Slot", schedule={"reference": other}, status="busy", start=at("10:00"), end=at("10:30"))
    refused = clinic.move(visit, other)
    assert refused.status == 409 and refused.issues[0]["details"]["coding"][0]["code"] == "slot-taken"
    assert clinic.staff.get(f"Appointment/{visit['id']}").json["meta"]["versionId"] == "1"


def test_what_is_no_schedule_is_refused(clinic: Rooms) -> None:
    visit = clinic.book("11:00")
    assert clinic.move(visit, clinic.rooms[0]).status == 400
    assert clinic.move(visit, "Schedule/none").status == 404


def test_patients_do_not_choose_rooms(clinic: Rooms) -> None:
    patient = make(clinic.staff, "Patient", name=[{"family": "Y"}])
    visit = clinic.book("12:00", patient=patient)
    own = clinic.tenant.client("patient/*.cruds", patient=patient.partition("/")[2])
    assert clinic.move(visit, clinic.schedules[0], client=own).status == 403
