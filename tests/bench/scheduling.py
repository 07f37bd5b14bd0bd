"""What $find costs in a clinic with a full agenda: 20 practitioners, 30 days, two thirds of the time taken.

Each practitioner works from Monday to Friday, 8 to 12 and 14 to 18, with visits of 30 minutes, and is absent on one
day. The Appointments and the Slots that hold their time are stored as a booking stores them: about 4,600 claims.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from tests.bench.data import Site
from tests.bench.exchange import Connection, Target
from tests.bench.measure import Cell, Machine, cell
from tests.bench.workloads import Call, Want, Workload

NAME = "find"
TARGET = 60.0
PEOPLE, DAYS, PAGE = 20, 30, 50
_BATCH = 100
_HOURS = (*range(8 * 60, 12 * 60, 30), *range(14 * 60, 18 * 60, 30))
_PARAMETERS = "urn:salam:StructureDefinition:scheduling-parameters"


def cells(machine: Machine, site: Site) -> Iterator[Cell]:
    """Store the agendas and measure a question about all of them."""
    first = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    free = _load(machine.target, first)
    start, end = (f"{day:%Y-%m-%d}" for day in (first, first + timedelta(days=DAYS - 1)))
    want = Want(entries={"Appointment": PAGE}, texts=(f'"total":{free}',), order="start")

    def calls(_: Site) -> Iterator[Call]:
        query = f"start={start}&end={end}&visit-type=urn:bench%7Cconsultation"
        yield from [Call("GET", f"Appointment/$find?{query}", want)] * 10

    title = f"$find, {PEOPLE} practitioners, {DAYS} days"
    yield cell(machine, Workload(NAME, title, calls, TARGET, connections=2, longer=2), site)


def _load(target: Target, first: datetime) -> int:
    """Store the clinic and what is taken; how many times are free."""
    entries = [_put("HealthcareService", "find-service", **_service())]
    free = 0
    for number in range(PEOPLE):
        entries += _person(number)
        for day in range(DAYS):
            date = first + timedelta(days=day)
            if date.weekday() < 5:
                made, left = _day(number, day, date)
                entries, free = entries + made, free + left
    connection = Connection(target.address)
    try:
        for at in range(0, len(entries), _BATCH):
            body = {"resourceType": "Bundle", "type": "transaction", "entry": entries[at : at + _BATCH]}
            reply = connection.exchange(target.request("POST", "", msgspec.json.encode(body)))
            if reply.status != 200:
                raise RuntimeError(f"loading the agendas: {reply.status} {reply.body[:300]!r}")
    finally:
        connection.close()
    return free


def _day(number: int, day: int, date: datetime) -> tuple[list[dict[str, Any]], int]:
    """What is taken on a working day, and how many times of it are free: every third, none on the day of absence."""
    name = f"find-{number}-{day}"
    if day % PEOPLE == number:
        whole = date + timedelta(hours=24)
        return [_put("Slot", f"{name}-off", **_slot(number, date, whole, "busy-unavailable"))], 0
    taken = [at for place, at in enumerate(_HOURS) if (place + number + day) % 3]
    entries = []
    for at in taken:
        start = date + timedelta(minutes=at)
        end, own = start + timedelta(minutes=30), f"{name}-{at}"
        entries.append(_put("Slot", own, **_slot(number, start, end, "busy")))
        entries.append(_put("Appointment", own, status="booked", start=_text(start), end=_text(end),
                            slot=[{"reference": f"Slot/{own}"}], participant=_participants(number)))  # fmt: skip
    return entries, len(_HOURS) - len(taken)


def _participants(number: int) -> list[dict[str, Any]]:
    actors = (f"Practitioner/find-{number}", "HealthcareService/find-service")
    return [{"actor": {"reference": actor}, "status": "accepted"} for actor in actors]


def _slot(number: int, start: datetime, end: datetime, status: str) -> dict[str, Any]:
    schedule = {"reference": f"Schedule/find-{number}"}
    return {"schedule": schedule, "status": status, "start": _text(start), "end": _text(end)}


def _text(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def _service() -> dict[str, Any]:
    parts = [{"url": "duration", "valuePositiveInt": 30}, {"url": "onlineBooking", "valueBoolean": True}]
    coding = {"system": "urn:bench", "code": "consultation"}
    return {"active": True, "type": [{"coding": [coding]}], "extension": [{"url": _PARAMETERS, "extension": parts}]}


def _person(number: int) -> list[dict[str, Any]]:
    who = {"reference": f"Practitioner/find-{number}"}
    week = ["mon", "tue", "wed", "thu", "fri"]
    hours = [
        {"daysOfWeek": week, "availableStartTime": f"{start}:00:00", "availableEndTime": f"{end}:00:00"}
        for start, end in (("08", "12"), ("14", "18"))
    ]
    return [
        _put("Practitioner", f"find-{number}", name=[{"family": f"Find{number}"}]),
        _put("PractitionerRole", f"find-{number}", practitioner=who, availableTime=hours,
             healthcareService=[{"reference": "HealthcareService/find-service"}]),
        _put("Schedule", f"find-{number}", active=True, actor=[who]),
    ]  # fmt: skip


def _put(kind: str, id_: str, **content: Any) -> dict[str, Any]:
    resource = {"resourceType": kind, "id": id_, **content}
    return {"fullUrl": f"urn:salam:{kind}:{id_}", "resource": resource,
            "request": {"method": "PUT", "url": f"{kind}/{id_}"}}  # fmt: skip
