"""One day of a small clinic, played in this process with its clock moved: who was booked, who walked in, who came too
late, and whose place went to somebody on the wait list."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from fhir_server import worker
from fhir_server.core import clock
from fhir_server.rest.dispatch import session
from fhir_server.storage import operator
from tests.client import Client
from tests.conftest import TestTenant
from tests.features.queue.counter import parameters
from tests.features.queue.counter import part as queue_part
from tests.features.queue.place import service
from tests.features.scheduling.clinic_day import all_matched, given, iso, matched, named
from tests.features.scheduling.town import agenda, doctor, hours, make, rules
from tests.rest.bodies import mark

Json = dict[str, Any]
_OFTEN = 50


@dataclass(slots=True)
class Day:
    """A clinic with one doctor, whose hours have three places: 12:30, 13:00 and 15:30. It is noon there."""

    tenant: TestTenant
    staff: Client
    noon: datetime = field(default_factory=lambda: clock.now() + timedelta(hours=1))
    service: str = ""
    doctor: str = ""
    schedule: str = ""
    _real: datetime = field(default_factory=clock.now)

    def __post_init__(self) -> None:
        self.noon = self.noon.replace(minute=0, second=0, microsecond=0)
        self.at(0)
        zone = f"Etc/GMT{self.noon.hour - 12:+d}"
        told = {
            "country": "MA",
            "language": "fr",
            "zone": zone,
            "notifications": {"quiet_from": "00:00", "quiet_until": "00:00"},
        }
        operator.change_settings(session(), self.tenant.slug, told)
        body = service(*(queue_part(*each) for each in (("prefix", "A"), ("timezone", zone))))
        body["extension"].append(rules(duration=30, onlineBooking=True, timezone=zone))
        self.service = f"HealthcareService/{self.staff.create(body)['id']}"
        self.doctor = doctor(self.staff)
        self.schedule = agenda(
            self.staff, self.doctor, rules(hours("12:30", "13:30"), hours("15:30", "16:00"), of=self.service)
        )
        self.work()

    def at(self, minutes: float) -> None:
        """So many minutes after noon from now on; the clock is not stopped."""
        clock.move(self.noon + timedelta(minutes=minutes) - self._real)

    def work(self) -> None:
        """What the worker does when it is woken."""
        worker.attend(self.tenant.slug)

    def until(self, query: str, number: int) -> list[Json]:
        """What a search finds once it is so much. Open transactions of other tests can hold the worker's feed back."""
        for _ in range(_OFTEN):
            self.work()
            found = self.staff.search(query)
            if len(found) == number:
                return found
        raise AssertionError(f"{query}: {len(found)} instead of {number}")

    def told(self, patient: str, kind: str) -> None:
        """Wait until somebody has been told something: what is told depends on when the worker looks."""
        for _ in range(_OFTEN):
            self.work()
            if self.staff.search(f"Communication?recipient={patient}&category={kind}"):
                return
        raise AssertionError(f"{patient} was not told: {kind}")

    def patient(self) -> str:
        """Somebody with a mobile telephone."""
        telecom = [{"system": "phone", "use": "mobile", "value": "0612 34 56 78"}]
        return make(self.staff, "Patient", name=[{"family": mark().title(), "given": ["Awa"]}], telecom=telecom)

    def of(self, patient: str) -> Client:
        """A patient's own application."""
        return self.tenant.client("patient/*.cruds", patient=patient.removeprefix("Patient/"))

    def proposals(self) -> list[Json]:
        """What $find proposes for the doctor's day, asked with IHE's parameters only."""
        query = f"start={iso(self.noon)}&end={iso(self.noon + timedelta(hours=8))}&practitioner={self.doctor}"
        answer = self.staff.get(f"Appointment/$find?{query}")
        return [each for each in all_matched(answer) if each["resourceType"] == "Appointment"]

    def book(self, proposal: Json, patient: str) -> Json:
        """The Appointment of a proposal, booked for a patient."""
        who = {"resourceType": "Patient", "id": patient.removeprefix("Patient/")}
        return matched(self.staff.post("Appointment/$book", named(proposal["id"], patient_resource=who)))

    def wait_for(self, appointment: Json, patient: str) -> Json:
        """Somebody who would come at the time of another's Appointment."""
        wish = {
            "resourceType": "Appointment",
            "status": "waitlist",
            "requestedPeriod": [{"start": appointment["start"], "end": appointment["end"]}],
            "participant": [{"actor": {"reference": each}, "status": "accepted"} for each in (self.service, patient)],
        }
        return matched(self.staff.post("Appointment/$join-waitlist", given(wish)))

    def act(self, path: str, **more: Any) -> Json:
        """An operation that must succeed."""
        answer = self.staff.post(path, parameters(**more))
        assert answer.status == 200, answer.text
        found: Json = answer.json
        return found

    def check_in(self, appointment: Json) -> Json:
        """The ticket of somebody who is booked and has come."""
        return self.act(f"Appointment/{appointment['id']}/$check-in")

    def call(self) -> Json:
        """The ticket of who is next."""
        return self.act(f"{self.service}/$call-next", desk="1")

    def serve(self, task: Json) -> None:
        """Begin and end the visit of who was called."""
        self.act(f"Task/{task['id']}/$start")
        self.act(f"Task/{task['id']}/$finish")

    def read(self, reference: str) -> Json:
        """A resource by `Type/id`."""
        answer = self.staff.get(reference)
        assert answer.status == 200, answer.text
        found: Json = answer.json
        return found


@contextmanager
def played(tenant: TestTenant) -> Iterator[Day]:
    """A new day; the clock is right again in the end."""
    try:
        yield Day(tenant, Client(tenant.slug, tenant.token(minutes=24 * 60)))
    finally:
        clock.move(timedelta())
