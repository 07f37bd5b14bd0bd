"""Free times to choose from, as $find proposes them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from ui import fhir, page
from ui.agenda.calendars import Calendars
from ui.agenda.clock import midnight, wall
from ui.agenda.visits import references
from ui.fhir import Refused, Resource

_AHEAD = 28
_FIRST = 12


@dataclass(frozen=True, slots=True)
class FreeTime:
    """`start`: on the clinic's wall; `instant`: as FHIR has it; `schedule`: by which it is booked; `who`: whose it is;
    `service`: `HealthcareService/id`, "" for none."""

    start: str
    instant: str
    schedule: str
    who: str
    service: str


def free_times(
    known: Calendars,
    service: Mapping[str, Any] | None,
    column: str,
    day: date,
    *,
    days: int = _AHEAD,
    count: int = _FIRST,
) -> list[FreeTime]:
    """The next free times from a day on, of a service and somebody, where they are named; [] when there are none."""
    start = max(midnight(day), page.now())
    query = [("start", _text(start)), ("end", _text(midnight(day + timedelta(days=days)))), ("_count", str(count))]
    if column.startswith("Practitioner/"):
        query.append(("practitioner", column))
    for coding in _codings(service):
        query.append(("visit-type", f"{coding.get('system', '')}|{coding['code']}"))
    if start >= midnight(day + timedelta(days=days)):
        return []
    try:
        bundle = fhir.call("Appointment/$find", query, method="GET")
    except Refused:
        return []
    found = proposals(known, (each["resource"] for each in bundle.get("entry", ())))
    wanted = f"HealthcareService/{service['id']}" if service else ""
    return [each for each in found if not wanted or each.service == wanted]


def proposals(known: Calendars, resources: Iterable[Mapping[str, Any]]) -> list[FreeTime]:
    """The free times that proposed Appointments are."""
    found = []
    for each in resources:
        if each.get("resourceType") != "Appointment" or "start" not in each:
            continue
        people = references(each, "Practitioner")
        service = next(iter(references(each, "HealthcareService")), "")
        column = next((known.column(name) for name in people if known.column(name)), None)
        if column is not None:
            schedule = column.schedule_for(service)
            found.append(FreeTime(wall(each["start"]), each["start"], schedule, column.title, service))
    return found


def _codings(service: Mapping[str, Any] | None) -> list[Resource]:
    concepts = (service or {}).get("type", ())
    return [coding for each in concepts for coding in each.get("coding", ()) if coding.get("code")][:3]


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")
