"""The clinic's day as the desk sees it: who is booked, who waits in which queue, who is served. Two rounds of reading,
each of them bounded by the day."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from ui import fhir, formats
from ui.desk import fields, tickets_of_day
from ui.desk.fields import Resource
from ui.desk.tickets_of_day import Queue, Ticket, is_queue, queue_of, ticket_of
from ui.fhir import Found, Refused
from ui.page import now, of_today, today

MOST = 400
_TICKET = "urn:salam:CodeSystem:task-kind|queue-ticket"
_GROUPS = {
    "proposed": "expected", "pending": "expected", "booked": "expected", "arrived": "here", "checked-in": "here",
    "fulfilled": "done", "noshow": "missed", "cancelled": "missed",
}  # fmt: skip
# What is over is not shown: a queue of a long day has hundreds of those.
_OPEN = "requested,accepted,ready,on-hold,in-progress"
_LATE = timedelta(minutes=10)
_SOON = timedelta(minutes=15)
_VISIT = "status,start,participant,Practitioner.name,Location.name"
_TASK = "status,businessStatus,identifier,for,focus,extension,priority,reasonCode,authoredOn,restriction,Patient.name"


@dataclass(frozen=True, slots=True)
class Visit:
    """An appointment of the day. `group`: expected, here, done or missed; `ticket`: the newest one it has."""

    id: str
    status: str
    group: str
    start: datetime
    patient_id: str
    patient: Resource | None
    name: str
    practitioner_id: str
    practitioner: str
    service_id: str
    service: str
    site_id: str
    site: str
    ticket: Ticket | None = None

    def late(self) -> int:
        """Minutes after the start that who is expected has not come; 0 while that is nothing to speak of."""
        over = now() - self.start
        return int(over.total_seconds() // 60) if self.status == "booked" and over > _LATE else 0

    def is_today(self) -> bool:
        """Whether it is on this day of the clinic."""
        return formats.moment_of(self.start).date() == today()

    def soon(self) -> bool:
        """Whether who is expected may be at the door: about a quarter of an hour before and after the start."""
        return self.status == "booked" and abs(self.start - now()) <= _SOON


# Which of the day's visits are shown.
Choose = Callable[[Sequence[Visit]], Sequence[Visit]]


@dataclass(frozen=True, slots=True)
class Day:
    """The day. `visits` by time; `shown`: those of them that were chosen, with their patients; `cut`: there are more
    than one search answers; `troubles`: what could not be read."""

    visits: Sequence[Visit]
    shown: Sequence[Visit]
    queues: Sequence[Queue]
    cut: bool
    troubles: Sequence[Refused] = ()

    def queue(self, queue_id: str) -> Queue | None:
        """A queue."""
        return next((each for each in self.queues if each.id == queue_id), None)


def read_day(choose: Choose) -> Day:
    """Today, as the person may see it: what is chosen of it in full. Raises `Refused` when not even the appointments
    may be seen."""
    date = of_today()
    visits, services, tasks = fhir.gather([
        ("Appointment", {"date": date, "_sort": "date", "_count": MOST, "_elements": _VISIT,
                         "_include": ["Appointment:practitioner", "Appointment:location"]}),
        ("HealthcareService", {"active": "true", "_count": 200, "_elements": "name,extension,location"}),
        ("Task", {"code": _TICKET, "authored-on": date, "status": _OPEN, "_count": MOST, "_elements": _TASK,
                  "_include": ["Task:patient"]}),
    ])  # fmt: skip
    if isinstance(visits, Refused):
        raise visits
    troubles = [each for each in (services, tasks) if isinstance(each, Refused)]
    known: dict[str, Resource] = {}
    for each in (visits, services, tasks):
        known |= each.by_reference if isinstance(each, Found) else {}
    every = sorted(
        (visit_of(each, known) for each in visits.resources if each.get("status") in _GROUPS),
        key=lambda each: (each.start, each.practitioner),
    )
    shown = choose(every)
    queues = sort_queues([queue_of(each) for each in _of(services) if is_queue(each)])
    people = ",".join(dict.fromkeys(each.patient_id for each in shown if each.patient_id))
    names = ("Patient", {"_id": people or "-", "_count": MOST, "_elements": "name,birthDate"})
    found, *standing = fhir.gather([names, *(f"HealthcareService/{each.id}/$queue" for each in queues)])
    known |= found.by_reference if isinstance(found, Found) else {}
    queues = [_with_tickets(*each, _of(tasks), known) for each in zip(queues, standing, strict=True)]
    newest = _newest([ticket for queue in queues for ticket in queue.tickets])
    return Day(every, [_in_full(each, known, newest) for each in shown], queues, bool(visits.next), troubles)


def read_queues() -> list[Queue]:
    """The queues without their tickets, the first one the clinic's main one."""
    found = fhir.search("HealthcareService", {"active": "true", "_count": 200, "_elements": "name,extension,location"})
    return sort_queues([queue_of(each) for each in found.resources if is_queue(each)])


def sort_queues(queues: Sequence[Queue]) -> list[Queue]:
    """Queues by the letter of their tickets."""
    return sorted(queues, key=lambda each: (each.prefix, each.name))


def _of(found: Any) -> list[Resource]:
    return found.resources if isinstance(found, Found) else []


def _with_tickets(queue: Queue, answer: Any, tasks: Sequence[Resource], known: Mapping[str, Resource]) -> Queue:
    """A queue with its tickets of the day. `answer`: of `$queue`."""
    entries = tickets_of_day.entries(answer)
    own = [task for task in tasks if tickets_of_day.queue_id(task) == queue.id]
    found = [ticket_of(each, known, entries.get(each["id"], (0, {}))[1]) for each in own]
    return replace(queue, tickets=tickets_of_day.in_order(found, {id_: place for id_, (place, _) in entries.items()}))


def _newest(tickets: Sequence[Ticket]) -> dict[str, Ticket]:
    """The ticket of each Appointment: an open one before those that are over."""
    by_time = sorted(tickets, key=lambda each: (each.is_open, each.taken or now()))
    return {each.appointment_id: each for each in by_time if each.appointment_id and each.place != "cancelled"}


def _in_full(visit: Visit, known: Mapping[str, Resource], newest: Mapping[str, Ticket]) -> Visit:
    """A visit with its patient, as the name is now, and its ticket."""
    patient = known.get(f"Patient/{visit.patient_id}")
    name = formats.person(patient.get("name")) if patient else ""
    return replace(visit, patient=patient, name=name or visit.name, ticket=newest.get(visit.id))


def visit_of(appointment: Resource, known: Mapping[str, Resource], ticket: Ticket | None = None) -> Visit:
    """An appointment as the desk shows it."""
    patient, professional, service, site = (
        fields.actor(appointment, kind) for kind in ("Patient", "Practitioner", "HealthcareService", "Location")
    )
    return Visit(
        id=appointment["id"], status=appointment["status"], group=_GROUPS.get(appointment["status"], "missed"),
        start=fields.instant(appointment.get("start")) or now(), ticket=ticket,
        patient_id=fields.id_in(patient), patient=known.get(str(patient.get("reference", ""))),
        name=fields.name_of(patient, known),
        practitioner_id=fields.id_in(professional), practitioner=fields.name_of(professional, known),
        service_id=fields.id_in(service), service=fields.name_of(service, known),
        site_id=fields.id_in(site), site=fields.name_of(site, known),
    )  # fmt: skip
