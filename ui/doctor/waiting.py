"""What a doctor's day looks like: the queue with its tickets, today's appointments, what is done."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import request

from ui import fhir, formats, page
from ui.doctor.concepts import Resource, codes_of, target
from ui.doctor.entry import professional
from ui.fhir import Found, Refused

_CONFIGURATION = "urn:salam:StructureDefinition:queue-configuration"
_ARRIVED = "urn:salam:StructureDefinition:arrived-at"
_KIND = "urn:salam:StructureDefinition:ticket-kind"
COOKIE = "salam-doctor"
_LONGEST_DESK = 64


@dataclass(frozen=True, slots=True)
class Choices:
    """What the person has chosen for this device: the room they call to, and the queue they call from."""

    desk: str
    queue: str


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket as the day shows it. `position`: 0 when it does not wait; `wait`: the estimated minutes, as a range;
    `doctor`: whom the booking is with."""

    id: str
    number: str
    kind: str
    state: str
    mine: bool
    patient: Resource | None
    patient_id: str
    encounter_id: str
    arrived: str
    since: str
    desk: str
    position: int
    wait: tuple[int, int] | None
    booked: str
    doctor: str
    for_me: bool
    absent_until: str


@dataclass(frozen=True, slots=True)
class Day:
    """Everything of the page. `now`: my tickets that are called or served; `elsewhere`: what others have called."""

    queues: Sequence[Resource]
    queue: Resource | None
    state: str
    message: str
    now: Sequence[Ticket]
    waiting: Sequence[Ticket]
    elsewhere: Sequence[Ticket]
    appointments: Sequence[Mapping[str, Any]]
    done: Sequence[Mapping[str, Any]]
    unsigned: Sequence[Mapping[str, Any]]
    open_visits: Sequence[Mapping[str, Any]]


def choices() -> Choices:
    """What this device remembers."""
    desk, _, queue = request.cookies.get(COOKIE, "").partition("|")
    return Choices(desk[:_LONGEST_DESK], queue[:64])


def queues() -> list[Resource]:
    """The clinic's queues that are in use."""
    services = fhir.search("HealthcareService", {"active": "true", "_count": 200}).resources
    found = [each for each in services if formats.extension(each, _CONFIGURATION)]
    return sorted(found, key=lambda each: (_prefix(each), str(each.get("name", ""))))


def _prefix(queue: Resource) -> str:
    parts = formats.extension(queue, _CONFIGURATION).get("extension", ())
    return next((str(each.get("valueString", "")) for each in parts if each.get("url") == "prefix"), "")


def read_day() -> Day:
    """The day as it is now; two rounds: which queues there are, then everything at once."""
    known = queues()
    chosen = choices().queue
    queue = next((each for each in known if each["id"] == chosen), known[0] if known else None)
    today = [("date", each) for each in page.of_today()]
    me = professional()
    whose = [("actor", me)] if page.me().user.role == "practitioner" else []
    asked: list[Any] = [
        ("Appointment", [*whose, *today, ("_include", "Appointment:patient"), ("_count", 200)]),
        (
            "Encounter",
            [("participant", me), *today, ("_include", "Encounter:patient"), ("_sort", "-date"), ("_count", 100)],
        ),
        ("Composition", {"author": me, "status": "preliminary", "_include": "Composition:patient", "_count": 50}),
    ]
    if queue is not None:
        name = f"HealthcareService/{queue['id']}"
        asked += [
            ("Task", {"queue": name, "ticket-state": "waiting,called,serving", "_count": 200,
                      "_include": ["Task:patient", "Task:focus"]}),
            f"{name}/$queue",
        ]  # fmt: skip
    answers = fhir.gather(asked)
    for each in answers:
        if isinstance(each, Refused):
            raise each
    return _day(known, queue, answers)


def _day(known: list[Resource], queue: Resource | None, answers: list[Any]) -> Day:
    booked, visits, notes = answers[:3]
    tickets, shown = _tickets(answers[3], answers[4]) if queue is not None else ([], {})
    waiting = sorted((each for each in tickets if each.position), key=lambda each: each.position)
    at_work = [each for each in tickets if not each.position and each.state in ("called", "serving")]
    by_appointment = (
        {} if queue is None else {target(t.get("focus")): t for t in answers[3].resources if t.get("focus")}
    )
    in_ticket = {each.encounter_id for each in tickets}
    encounters = visits.by_reference
    return Day(
        queues=known,
        queue=queue,
        state=str(shown.get("state", "")),
        message=str(shown.get("message", "")),
        now=[each for each in at_work if each.mine],
        waiting=[*waiting, *(each for each in tickets if not each.position and each.state == "waiting")],
        elsewhere=[each for each in at_work if not each.mine],
        appointments=_appointments(booked, by_appointment),
        done=[_visit(each, encounters) for each in visits.resources if each["status"] == "finished"],
        unsigned=[_note(each, notes.by_reference) for each in notes.resources],
        open_visits=[_visit(each, encounters) for each in visits.resources
                     if each["status"] == "in-progress" and each["id"] not in in_ticket],
    )  # fmt: skip


def _tickets(found: Found, queue: Resource) -> tuple[list[Ticket], dict[str, Any]]:
    shown = {each["name"]: next((v for k, v in each.items() if k.startswith("value")), "")
             for each in queue.get("parameter", ()) if "part" not in each}  # fmt: skip
    places = {}
    for each in queue.get("parameter", ()):
        parts = {part["name"]: part for part in each.get("part", ())}
        if "ticket" in parts:
            places[target(parts["ticket"].get("valueReference"))] = parts
    known = found.by_reference
    return [_ticket(task, places.get(f"Task/{task['id']}", {}), known) for task in found.resources], shown


def _ticket(task: Resource, place: Mapping[str, Any], known: Mapping[str, Resource]) -> Ticket:
    state = next(iter(codes_of(task.get("businessStatus"))), "")
    appointment = known.get(target(task.get("focus")), {})
    doctors = [
        each["actor"] for each in appointment.get("participant", ()) if "Practitioner" in target(each.get("actor"))
    ]
    minutes = {part["name"]: part.get("valueUnsignedInt") for part in place.get("estimate", {}).get("part", ())}
    patient = target(task.get("for"))
    arrived = formats.extension(task, _ARRIVED).get("valueInstant", "")
    return Ticket(
        id=task["id"],
        number=_number(task),
        kind=str(formats.extension(task, _KIND).get("valueCode", "normal")),
        state=state,
        mine=bool(professional()) and target(task.get("owner")) == professional(),
        patient=known.get(patient),
        patient_id=patient.partition("/")[2],
        encounter_id=target(task.get("encounter")).partition("/")[2],
        arrived=arrived,
        since=str(task.get("executionPeriod", {}).get("start", "")),
        desk=str(place.get("desk", {}).get("valueString", "")),
        position=int(place.get("position", {}).get("valuePositiveInt", 0)),
        wait=(int(minutes["low"]), int(minutes["high"])) if minutes.get("high") is not None else None,
        booked=str(appointment.get("start", "")),
        doctor=", ".join(str(each.get("display", "")) for each in doctors),
        for_me=professional() in [target(each) for each in doctors],
        absent_until=str(task.get("restriction", {}).get("period", {}).get("end", ""))
        if task["status"] == "on-hold"
        else "",
    )


def _number(task: Resource) -> str:
    return next((str(each["value"]) for each in task.get("identifier", ()) if "value" in each), "")


def _appointments(found: Found, tickets: Mapping[str, Resource]) -> list[dict[str, Any]]:
    known = found.by_reference
    rows = []
    for each in sorted(found.resources, key=lambda booked: str(booked.get("start", ""))):
        actors = [target(part.get("actor")) for part in each.get("participant", ())]
        named = {target(part.get("actor")): part["actor"] for part in each.get("participant", ()) if part.get("actor")}
        patient = next((name for name in actors if name.startswith("Patient/")), "")
        doctor = next((named[name].get("display", "") for name in actors if name.startswith("Practitioner")), "")
        ticket = tickets.get(f"Appointment/{each['id']}")
        if each["status"] in ("cancelled", "entered-in-error", "waitlist", "proposed") or "start" not in each:
            continue
        rows.append({
            "appointment": each, "patient": known.get(patient), "patient_id": patient.partition("/")[2],
            "display": named.get(patient, {}).get("display", ""), "doctor": doctor,
            "ticket": ticket["identifier"][0]["value"] if ticket and ticket.get("identifier") else "",
            "arrived": formats.extension(ticket or {}, _ARRIVED).get("valueInstant", ""),
        })  # fmt: skip
    return rows


def _visit(encounter: Resource, known: Mapping[str, Resource]) -> dict[str, Any]:
    patient = target(encounter.get("subject"))
    return {"encounter": encounter, "patient": known.get(patient), "patient_id": patient.partition("/")[2]}


def _note(note: Resource, known: Mapping[str, Resource]) -> dict[str, Any]:
    patient = target(note.get("subject"))
    visit = target(note.get("encounter")).partition("/")[2]
    return {"note": note, "patient": known.get(patient), "patient_id": patient.partition("/")[2], "visit_id": visit}
