"""What the calendar is filled with: visits, absences and opening hours of some days, by bounded searches."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from ui import fhir
from ui.agenda.clock import midnight, wall_span
from ui.agenda.visits import event
from ui.fhir import Found, Resource
from ui.formats import moment_of

_STANDING = "pending,booked,arrived,checked-in,fulfilled,noshow"
_ELEMENTS = "status,start,end,participant,extension,serviceType,identifier,meta"
_ABSENCE = "urn:salam:absence"
# An absence lasts a year at most.
_LONGEST = timedelta(days=366)
_PAGE, _PAGES = 1000, 5
_PEOPLE = 100
_DAY = timedelta(days=1)
_EVENING = timedelta(hours=8)


def visits(first: date, last: date, actors: Sequence[str], *, cancelled: bool = False) -> list[dict[str, Any]]:
    """Events of the visits that touch the days from `first` to before `last`, of these actors (none: of all)."""
    found = _all(("Appointment", _wanted(first, last, actors, cancelled)))
    known = people(name for each in found for name in _patients(each))
    events = [event(each, known) for each in found if "start" in each and "end" in each]
    return [each for each in events if each["end"] > f"{first}T00:00:00"]


def _wanted(first: date, last: date, actors: Sequence[str], cancelled: bool) -> list[tuple[str, str]]:
    pairs = [
        # A night in the sleep laboratory began the evening before.
        ("date", f"ge{(midnight(first) - _EVENING).isoformat()}"),
        ("date", f"lt{midnight(last).isoformat()}"),
        ("status", f"{_STANDING},cancelled" if cancelled else _STANDING),
        ("_elements", _ELEMENTS),
        ("_count", str(_PAGE)),
    ]
    return [*pairs, ("actor", ",".join(actors))] if actors else pairs


def _all(asked: tuple[str, list[tuple[str, str]]]) -> list[Resource]:
    found = fhir.search(*asked)
    resources = list(found.resources)
    for _ in range(_PAGES):
        if not found.next:
            break
        found = fhir.page_after(found.next)
        resources += found.resources
    return resources


def _patients(appointment: Mapping[str, Any]) -> Iterable[str]:
    for each in appointment.get("participant", ()):
        actor = each.get("actor", {})
        if "/Patient/" in f"/{actor.get('reference', '')}" and not actor.get("display"):
            yield "/".join(actor["reference"].split("/")[-2:])


def people(names: Iterable[str], elements: str = "name") -> dict[str, Resource]:
    """The Patients of these names (`Patient/id`) with what they are called, as far as the person may see them."""
    ids = sorted({name.partition("/")[2] for name in names})
    asked: list[str | tuple[str, fhir.Params]] = [
        ("Patient", {"_id": ",".join(ids[at : at + _PEOPLE]), "_elements": elements, "_count": _PEOPLE})
        for at in range(0, len(ids), _PEOPLE)
    ]
    found = fhir.gather(asked) if asked else []
    return {f"Patient/{each['id']}": each for one in found if isinstance(one, Found) for each in one.resources}


def absences(first: date, last: date, schedules: Sequence[str]) -> list[dict[str, Any]]:
    """Background events of the time that is blocked: absences, and other time that was made unavailable."""
    if not schedules:
        return []
    here = [("schedule", ",".join(schedules)), ("status", "busy-unavailable"), ("_count", str(_PAGE))]
    start, end = midnight(first), midnight(last)
    long = [*here, ("identifier", f"{_ABSENCE}|"), ("start", f"ge{(start - _LONGEST).isoformat()}")]
    near = [*here, ("start", f"ge{(start - _DAY).isoformat()}")]
    found = fhir.gather([("Slot", [*each, ("start", f"lt{end.isoformat()}")]) for each in (long, near)])
    slots = {each["id"]: each for one in found if isinstance(one, Found) for each in one.resources}
    return [_blocked(each) for each in slots.values() if moment_of(each["end"]) > start]


def _blocked(slot: Resource) -> dict[str, Any]:
    start, end = wall_span(slot["start"], slot["end"])
    away = any(each.get("system") == _ABSENCE for each in slot.get("identifier", ()))
    return {
        "start": start,
        "end": end,
        "schedule": "/".join(slot["schedule"]["reference"].split("/")[-2:]),
        "why": "absence" if away else "buffer",
        "text": str(slot.get("comment", "")) if away else "",
    }


def open_hours(first: date, last: date, schedules: Sequence[str]) -> dict[str, dict[str, list[Any]]]:
    """By Schedule: `open`, the spans of wall time in which it is, and `holidays`."""
    if not schedules:
        return {}
    query = [("schedule", each) for each in schedules]
    query += [("start", midnight(first).isoformat()), ("end", midnight(last).isoformat())]
    answer = fhir.call("Schedule/$open-hours", query, method="GET")
    return dict(_hours(each.get("part", ())) for each in answer.get("parameter", ()))


def _hours(parts: Iterable[Mapping[str, Any]]) -> tuple[str, dict[str, list[Any]]]:
    name, found = "", {"open": [], "holidays": []}  # type: tuple[str, dict[str, list[Any]]]
    for each in parts:
        if each["name"] == "reference":
            name = each["valueReference"]["reference"]
        elif each["name"] == "open":
            found["open"].append(wall_span(each["valuePeriod"]["start"], each["valuePeriod"]["end"]))
        elif each["name"] == "holiday":
            found["holidays"].append(each["valueDate"])
    return name, found
