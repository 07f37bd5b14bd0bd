"""Two doctors who give the same service, and the requests that say that one of them is absent."""

from datetime import timedelta
from typing import Any

from tests.client import Answer, Client
from tests.conftest import TestTenant
from tests.features.scheduling.clinic_day import given
from tests.features.scheduling.town import agenda, coming, doctor, hours, make, rules, service

Json = dict[str, Any]
MONDAY = coming("mon")
DAY, NEXT = MONDAY.isoformat(), (MONDAY + timedelta(days=1)).isoformat()


def at(time: str, day: str = DAY) -> str:
    return f"{day}T{time}:00Z"


class TwoDoctors:
    """Two doctors who give the same service from 9 to 12; each has a role."""

    def __init__(self, tenant: TestTenant) -> None:
        self.tenant, self.staff = tenant, tenant.client()
        self.service = service(self.staff)
        self.doctors = [doctor(self.staff) for _ in range(2)]
        self.schedules = [
            agenda(self.staff, who, rules(hours("09:00", "12:00"), of=self.service)) for who in self.doctors
        ]
        self.roles = [
            make(
                self.staff,
                "PractitionerRole",
                practitioner={"reference": who},
                healthcareService=[{"reference": self.service}],
            )
            for who in self.doctors
        ]

    def patient(self) -> str:
        return make(self.staff, "Patient", name=[{"family": "X"}])

    def book(self, time: str, which: int = 0, day: str = DAY) -> Answer:
        hour, minute = int(time[:2]), int(time[3:])
        end = f"{hour + (minute == 30):02}:{30 - minute:02}"
        actors = [self.doctors[which], self.service, self.patient()]
        resource = {
            "resourceType": "Appointment",
            "status": "proposed",
            "start": at(time, day),
            "end": at(end, day),
            "participant": [{"actor": {"reference": each}, "status": "needs-action"} for each in actors],
        }
        return self.staff.post("Appointment/$book", given(resource))

    def absence(self, which: int = 0, operation: str = "absence", client: Client | None = None, **more: Any) -> Answer:
        period = more.pop("period", {"start": at("09:00"), "end": at("12:00")})
        parameters: list[Json] = [{"name": "period", "valuePeriod": period}]
        kinds = {bool: "valueBoolean", str: "valueString", dict: "valueReference"}
        parameters += [{"name": name.replace("_", "-"), kinds[type(value)]: value} for name, value in more.items()]
        body = {"resourceType": "Parameters", "parameter": parameters}
        return (client or self.staff).post(f"{self.doctors[which]}/${operation}", body)

    def blocks(self, which: int = 0) -> list[tuple[str, str]]:
        found = self.staff.search(f"Slot?schedule={self.schedules[which]}&status=busy-unavailable&_sort=start")
        return [(slot["start"], slot["end"]) for slot in found]
