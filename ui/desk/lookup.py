"""Finding a patient while somebody types: names, phone numbers, identifiers, dates of birth."""

from collections.abc import Sequence
from dataclasses import dataclass

from flask import request
from flask.typing import ResponseReturnValue

from ui import birth_dates, fhir
from ui.desk.day import Visit, visit_of
from ui.desk.entry import bp
from ui.desk.fields import Resource
from ui.desk.tickets_of_day import Ticket, ticket_of
from ui.fhir import Found
from ui.page import is_htmx, of_today, page, part
from ui.patient_search import conditions

SHOWN = 8
ELEMENTS = "name,birthDate,gender,telecom,identifier,active,deceased"
_LONGEST = 100
_OPEN = "requested,accepted,ready,on-hold,in-progress"


@dataclass(frozen=True, slots=True)
class Hit:
    """A patient who was found, with today's booking and ticket."""

    patient: Resource
    visit: Visit | None
    ticket: Ticket | None

    @property
    def born(self) -> str:
        """The date of birth in digits: `24/11/1980`."""
        return birth_dates.shown(self.patient.get("birthDate"))


@bp.post("/search")
def search(slug: str) -> ResponseReturnValue:
    """Who is meant. By POST: names do not belong into addresses."""
    text = request.form.get("q", "")[:_LONGEST].strip()
    found, more = find(text)
    values: Resource = {"hits": found, "more": more, "text": text, "asked": bool(list(conditions(text)))}
    return part("desk/_hits.html", **values) if is_htmx() else page("desk/search.html", **values)


def find(text: str) -> tuple[list[Hit], bool]:
    """The patients, and whether there are more than are shown."""
    asked = list(conditions(text))
    if not asked:
        return [], False
    found = fhir.search("Patient", [*asked, ("_count", str(SHOWN)), ("_elements", ELEMENTS)])
    return with_today(found.resources), bool(found.next)


def with_today(patients: Sequence[Resource]) -> list[Hit]:
    """Patients with what they have today."""
    if not patients:
        return []
    who = ",".join(f"Patient/{each['id']}" for each in patients)
    visits, tickets = fhir.gather([
        ("Appointment", {"patient": who, "date": of_today(), "_count": 40,
                         "status": "pending,booked,arrived,checked-in", "_elements": "status,start,participant"}),
        ("Task", {"patient": who, "authored-on": of_today(), "status": _OPEN, "_count": 40,
                  "_elements": "status,businessStatus,identifier,for,focus,extension"}),
    ])  # fmt: skip
    booked = [visit_of(each, {}) for each in visits.resources] if isinstance(visits, Found) else []
    given = [ticket_of(each, {}) for each in tickets.resources] if isinstance(tickets, Found) else []
    return [
        Hit(
            each,
            next((v for v in sorted(booked, key=lambda v: v.start) if v.patient_id == each["id"]), None),
            next((t for t in given if t.patient_id == each["id"]), None),
        )
        for each in patients
    ]
