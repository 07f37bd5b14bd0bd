"""A full morning for which people wait: one doctor, one service, three visits on one Monday."""

from typing import Any

from tests.client import Client
from tests.conftest import TestTenant
from tests.features.scheduling.clinic_day import given, matched
from tests.features.scheduling.town import agenda, coming, doctor, hours, make, rules, service
from tests.features.scheduling.worker import catch_up

Json = dict[str, Any]
DAY = coming("mon").isoformat()


class FullMorning:
    """A doctor who gives one service on one Monday from 9 to 10:30, three visits, all of them booked."""

    def __init__(self, tenant: TestTenant, **values: Any) -> None:
        self.tenant = tenant
        self.staff = tenant.client()
        self.service = service(self.staff, **values)
        self.doctor = doctor(self.staff)
        self.schedule = agenda(self.staff, self.doctor, rules(hours("09:00", "10:30", "mon"), of=self.service))
        self.visits = [self.book(time) for time in ("09:00", "09:30", "10:00")]
        catch_up(tenant.slug)

    def patient(self) -> str:
        return make(self.staff, "Patient", name=[{"family": "X"}])

    def of(self, patient: str) -> Client:
        return self.tenant.client("patient/*.cruds", patient=patient.removeprefix("Patient/"))

    def book(self, time: str) -> Json:
        end = f"{time[:3]}30" if time.endswith("00") else f"{int(time[:2]) + 1:02}:00"
        participants = [self.doctor, self.service, self.patient()]
        resource = {
            "resourceType": "Appointment",
            "status": "proposed",
            "start": f"{DAY}T{time}:00Z",
            "end": f"{DAY}T{end}:00Z",
            "participant": [{"actor": {"reference": each}, "status": "needs-action"} for each in participants],
        }
        return matched(self.staff.post("Appointment/$book", given(resource)))

    def cancel(self, *which: int) -> None:
        for number in which:
            assert self.staff.post(f"Appointment/{self.visits[number]['id']}/$cancel", None).status == 200

    def wish(self, patient: str, **more: Any) -> Json:
        return {
            "resourceType": "Appointment",
            "status": "waitlist",
            "requestedPeriod": [{"start": DAY, "end": DAY}],
            "participant": [{"actor": {"reference": each}, "status": "accepted"} for each in (self.service, patient)],
        } | more

    def waiting(self, **more: Any) -> Json:
        """Somebody who waits; the stored Appointment."""
        return matched(self.staff.post("Appointment/$join-waitlist", given(self.wish(self.patient(), **more))))

    def offers(self, waiting: Json, *statuses: str) -> list[Json]:
        """The offers to somebody, oldest first."""
        found = self.staff.search(f"Appointment?supporting-info=Appointment/{waiting['id']}&_sort=_lastUpdated")
        return [each for each in found if not statuses or each["status"] in statuses]

    def status(self, appointment: Json) -> str:
        return str(self.staff.get(f"Appointment/{appointment['id']}").json["status"])


def patient_of(appointment: Json) -> str:
    """`Patient/id` of who comes."""
    named = [each["actor"]["reference"] for each in appointment["participant"]]
    return next(str(each) for each in named if each.startswith("Patient/"))
