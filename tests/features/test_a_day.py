"""A clinic's day as another system sees it, that knows FHIR R4 and nothing of ours: reads, searches, statuses, times."""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from urllib.parse import quote

import pytest

from fhir_server.core import clock
from tests.conftest import TestTenant
from tests.features.clinic_day import Day, Json, played

STORED = (
    "Task", "Appointment", "Slot", "Encounter", "Communication", "CommunicationRequest", "Provenance",
    "HealthcareService", "Schedule", "Patient", "Practitioner",
)  # fmt: skip


@pytest.fixture(scope="module")
def day(new_tenant: Callable[[], TestTenant]) -> Iterator[Day]:
    with played(new_tenant()) as made:
        yield made


def count(day: Day, query: str) -> int:
    """How many a search finds, as its total says."""
    answer = day.staff.get(f"{query}&_summary=count")
    assert answer.status == 200, answer.text
    return int(answer.json["total"])


def seen(day: Day, appointment: Json) -> tuple[str, str | None, str | None]:
    """Statuses of an Appointment, of the Task about it and of the Encounter that came of it."""
    id_ = appointment["id"]
    tasks = day.staff.search(f"Task?focus=Appointment/{id_}")
    visits = day.staff.search(f"Encounter?appointment=Appointment/{id_}")
    assert len(tasks) <= 1 and len(visits) <= 1
    return (
        day.read(f"Appointment/{id_}")["status"],
        tasks[0]["status"] if tasks else None,
        visits[0]["status"] if visits else None,
    )


def moments(visit: Json) -> list[datetime]:
    """When a visit passed from one status to the next, its end included."""
    passed = [each["period"] for each in visit["statusHistory"]]
    ends = [each["end"] for each in passed]
    assert [each["start"] for each in passed] == [visit["period"]["start"], *ends[:-1]]
    return [datetime.fromisoformat(each) for each in (visit["period"]["start"], *ends, visit["period"]["end"])]


def kinds(day: Day, patient: str) -> set[str]:
    """What somebody was told, by the codes of its categories."""
    told = day.staff.search(f"Communication?recipient={patient}&status=in-progress,completed&_count=100")
    assert all(each["subject"]["reference"] == patient and "sent" in each for each in told)
    return {each["category"][0]["coding"][0]["code"] for each in told}


def includes(day: Day, query: str) -> set[str]:
    """`Type/id` of all that a search gives besides its matches."""
    answer = day.staff.get(query).json
    return {
        f"{e['resource']['resourceType']}/{e['resource']['id']}"
        for e in answer["entry"]
        if e["search"]["mode"] == "include"
    }


def test_a_day(day: Day) -> None:
    people = {name: day.patient() for name in ("booked", "late", "cancels", "waits", "walks in")}
    free = day.proposals()
    assert [each["status"] for each in free] == ["proposed"] * 3
    names = ("booked", "late", "cancels")
    visits = {name: day.book(each, people[name]) for name, each in zip(names, free, strict=True)}
    assert [each["status"] for each in visits.values()] == ["booked"] * 3
    assert day.proposals() == []
    # A search's bare date is one of UTC, which may end before the clinic's day does.
    since = quote(visits["booked"]["start"])
    assert count(day, f"Appointment?practitioner={day.doctor}&date=ge{since}&status=booked") == 3
    assert count(day, f"Slot?schedule={day.schedule}&status=busy") == 3

    _refilled(day, people, visits)
    _booked_and_walk_in(day, people, visits["booked"])
    _late(day, visits["late"])

    day.at(205)
    day.check_in(visits["waits"])
    day.serve(day.call())
    _at_night(day, people, visits)


def _refilled(day: Day, people: dict[str, str], visits: dict[str, Json]) -> None:
    """A place that is given back goes to who waits for it."""
    lost, waiting = visits["cancels"], day.wait_for(visits["cancels"], people["waits"])
    day.until(f"CommunicationRequest?subject={people['cancels']}&status=active", 1)
    day.act(f"Appointment/{lost['id']}/$cancel")
    assert day.read(f"Appointment/{lost['id']}")["status"] == "cancelled"
    (offer,) = day.until(f"Appointment?patient={people['waits']}&status=pending", 1)
    assert (offer["start"], offer["end"]) == (lost["start"], lost["end"])
    assert [each["reference"] for each in offer["supportingInformation"]] == [f"Appointment/{waiting['id']}"]
    assert day.of(people["waits"]).post(f"Appointment/{offer['id']}/$accept").status == 200
    visits["waits"] = offer
    assert seen(day, offer) == ("booked", None, None)
    assert day.read(f"Appointment/{waiting['id']}")["status"] == "cancelled"
    day.until(f"CommunicationRequest?subject={people['cancels']}&status=revoked", 1)
    day.until(f"CommunicationRequest?subject={people['waits']}&status=active", 1)


def _booked_and_walk_in(day: Day, people: dict[str, str], booked: Json) -> None:
    """Who is booked comes five minutes early, somebody without a booking just before the hour."""
    assert seen(day, booked) == ("booked", None, None)
    day.at(25)
    day.check_in(booked)
    assert seen(day, booked) == ("checked-in", "accepted", "arrived")
    day.at(32)
    walk_in = day.act(f"{day.service}/$take-ticket", patient=people["walks in"])
    assert walk_in["status"] == "accepted" and "focus" not in walk_in
    called = day.call()
    assert called["focus"]["reference"] == f"Appointment/{booked['id']}"
    assert seen(day, booked) == ("checked-in", "ready", "arrived")
    day.at(34)
    day.act(f"Task/{called['id']}/$start")
    assert seen(day, booked) == ("checked-in", "in-progress", "in-progress")
    day.at(50)
    day.act(f"Task/{called['id']}/$finish")
    assert seen(day, booked) == ("fulfilled", "completed", "finished")
    (visit,) = day.staff.search(f"Encounter?appointment=Appointment/{booked['id']}")
    minutes = [round((each - day.noon).total_seconds() / 60) for each in moments(visit)]
    assert minutes == [25, 34, 50, 50]
    assert visit["subject"]["reference"] == people["booked"]

    nobody = day.call()
    assert nobody["id"] == walk_in["id"]
    day.serve(nobody)
    done = day.read(f"Task/{walk_in['id']}")
    assert (done["status"], day.read(done["encounter"]["reference"])["status"]) == ("completed", "finished")


def _late(day: Day, late: Json) -> None:
    """Checked in, called, not there, given up after a quarter of an hour, and back after all."""
    day.at(59)
    task = day.check_in(late)
    day.at(61)
    assert day.call()["id"] == task["id"]
    absent = day.act(f"Task/{task['id']}/$absent")
    assert seen(day, late) == ("checked-in", "on-hold", "arrived")
    assert datetime.fromisoformat(absent["restriction"]["period"]["end"]) > day.noon
    day.at(77)
    day.until(f"Appointment?_id={late['id']}&status=noshow", 1)
    assert seen(day, late) == ("noshow", "failed", "cancelled")
    day.at(85)
    day.act(f"Task/{task['id']}/$return")
    assert seen(day, late) == ("checked-in", "accepted", "arrived")
    assert day.call()["id"] == task["id"]
    day.serve(task)
    assert seen(day, late) == ("fulfilled", "completed", "finished")


def _at_night(day: Day, people: dict[str, str], visits: dict[str, Json]) -> None:
    """Counts by status, what refers to what, and what people were told."""
    since = quote(visits["booked"]["start"])
    found = day.staff.search(f"Appointment?practitioner={day.doctor}&date=ge{since}&_count=50")
    assert Counter(each["status"] for each in found) == {"fulfilled": 3, "cancelled": 1}
    for status, number in {
        "fulfilled": 3,
        "cancelled": 2,
        "noshow": 0,
        "booked": 0,
        "pending": 0,
        "waitlist": 0,
    }.items():
        assert count(day, f"Appointment?status={status}") == number, status
    assert (count(day, "Task?status=completed"), count(day, "Task?status:not=completed")) == (4, 0)
    assert (count(day, "Encounter?status=finished"), count(day, "Encounter?status:not=finished")) == (4, 0)
    assert sorted(each["identifier"][0]["value"] for each in day.staff.search("Task?_count=50")) == [
        "A-001",
        "A-002",
        "A-003",
        "A-004",
    ]

    name = f"Appointment/{visits['booked']['id']}"
    (task,) = day.staff.search(f"Task?focus={name}")
    visit = task["encounter"]["reference"]
    assert includes(day, f"Appointment?_id={visits['booked']['id']}&_include=Appointment:patient") == {people["booked"]}
    assert includes(day, f"Appointment?_id={visits['booked']['id']}&_revinclude=Task:focus&_revinclude=Encounter:appointment") == {
        f"Task/{task['id']}", visit,
    }  # fmt: skip
    assert includes(day, f"Task?_id={task['id']}&_include=Task:focus") == {name}
    assert includes(day, f"Encounter?appointment={name}&_include=Encounter:appointment") == {name}

    day.until("Communication?status=preparation", 0)
    assert kinds(day, people["booked"]) == {"confirmation"}
    assert kinds(day, people["cancels"]) == {"confirmation", "cancellation"}
    assert kinds(day, people["waits"]) == {"waitlist-offer", "confirmation"}


def test_what_somebody_with_a_ticket_is_told(day: Day) -> None:
    """With the clock as it is: what is an hour old when the worker sees it is not told, and a commit has the real time."""
    clock.move(timedelta())
    patient = day.patient()
    task = day.act(f"{day.service}/$take-ticket", patient=patient)
    day.told(patient, "ticket-taken")
    assert day.call()["id"] == task["id"]
    day.told(patient, "ticket-called")
    assert kinds(day, patient) == {"ticket-taken", "ticket-called"}
    day.act(f"Task/{task['id']}/$absent")
    day.act(f"Task/{task['id']}/$no-show")
    day.told(patient, "ticket-no-show")


def test_everything_that_the_day_left_is_valid_r4(day: Day) -> None:
    numbers = {}
    for kind in STORED:
        found = day.staff.search(f"{kind}?_count=200")
        numbers[kind] = len(found)
        for resource in found:
            issues = day.staff.post(f"{kind}/$validate", resource).issues
            assert [i for i in issues if i["severity"] in ("fatal", "error")] == [], resource
    assert [kind for kind, number in numbers.items() if not number and kind != "Provenance"] == []
