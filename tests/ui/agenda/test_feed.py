"""The feeds of the calendar: what is shown, to whom, and at which time of the clinic's clock."""

import json
import os
from collections.abc import Callable
from datetime import date, timedelta

import pytest

from fhir_server.cli import demo as demo_tenant
from fhir_server.rest.dispatch import session
from fhir_server.storage import operator
from tests.conftest import TestTenant
from tests.features.scheduling.town import agenda, make
from tests.ui.agenda.practice import Practice, at, weekday_ahead
from tests.ui.conftest import Demo

DAY = weekday_ahead()
NEXT = DAY + timedelta(days=1)


@pytest.fixture(scope="module")
def practice(clinic: Demo) -> Practice:
    return Practice(clinic)


def test_a_visit_stands_at_the_wall_time_of_the_clinic_with_its_patient_and_its_column(practice: Practice) -> None:
    person = practice.demo.person("receptionist")
    visit = practice.book(DAY, "09:00", patient=practice.patient("El Amrani", "Nadia"))
    found = {each["id"]: each for each in practice.events(person, DAY, NEXT)}[visit["id"]]
    assert (found["start"], found["end"]) == (f"{DAY}T09:00:00", f"{DAY}T09:30:00")
    assert found["title"] == "Nadia EL AMRANI"
    assert found["actors"] == [practice.doctors[0]] and found["service"] == practice.service
    assert found["status"] == "booked" and found["movable"] is True
    assert visit["id"] not in {each["id"] for each in practice.events(person, NEXT, NEXT + timedelta(days=1))}


def test_who_is_somewhere_else_is_not_in_the_feed_of_others(practice: Practice) -> None:
    visit = practice.book(DAY, "11:00", which=1)
    person = practice.demo.person("nurse")
    answer = person.get(f"agenda/events?start={DAY}&end={NEXT}&who={practice.doctors[0]}")
    assert visit["id"] not in {each["id"] for each in answer.json["visits"]}


def test_cancelled_visits_are_shown_when_asked_for(practice: Practice) -> None:
    person = practice.demo.person("manager")
    visit = practice.book(DAY, "12:00")
    assert practice.staff.post(f"Appointment/{visit['id']}/$cancel").status == 200
    assert visit["id"] not in {each["id"] for each in practice.events(person, DAY, NEXT)}
    assert visit["id"] in {each["id"] for each in practice.events(person, DAY, NEXT, cancelled="1")}


@pytest.mark.parametrize(
    "query", ["start=2026-11-23&end=2026-11-23", "start=2026-11-24&end=2026-11-23", "start=2026-01-01&end=2026-12-31"]
)
def test_days_that_are_none_or_too_many_are_refused(clinic: Demo, query: str) -> None:
    for path in ("events", "hours"):
        assert clinic.person("receptionist").get(f"agenda/{path}?{query}").status_code == 400


def test_what_is_no_reference_in_the_address_is_left_out_and_harms_nobody(clinic: Demo) -> None:
    person = clinic.person("receptionist")
    for who in ("Patient/1", "'; drop table", "Practitioner/" + "x" * 5000, "Practitioner/%00"):
        assert person.get(f"agenda/events?start={DAY}&end={NEXT}&who={who}").status_code < 500
    assert person.get("agenda/?date=never&view=sideways").status_code == 200


def test_opening_hours_and_holidays_are_those_of_the_schedule(practice: Practice) -> None:
    person = practice.demo.person("receptionist")
    answer = person.get(f"agenda/hours?start={DAY}&end={NEXT}&schedules={practice.schedules[0]}")
    assert answer.json["hours"] == {
        practice.schedules[0]: {"open": [[f"{DAY}T08:00:00", f"{DAY}T18:00:00"]], "holidays": []}
    }


def test_an_absence_is_shown_with_its_reason_and_a_buffer_without_words(practice: Practice) -> None:
    day = DAY + timedelta(days=28)
    period = {"start": at(day, "10:00"), "end": at(day, "12:00")}
    body = {"resourceType": "Parameters", "parameter": [{"name": "period", "valuePeriod": period},
                                                        {"name": "reason", "valueString": "Formation"}]}  # fmt: skip
    assert practice.staff.post(f"{practice.doctors[1]}/$absence", body).status == 200
    person = practice.demo.person("receptionist")
    query = f"start={day}&end={day + timedelta(days=1)}&who={practice.doctors[1]}&schedules={practice.schedules[1]}"
    blocked = person.get(f"agenda/events?{query}").json["blocked"]
    assert blocked == [{"start": f"{day}T10:00:00", "end": f"{day}T12:00:00", "schedule": practice.schedules[1],
                        "why": "absence", "text": "Formation"}]  # fmt: skip


def test_a_long_absence_that_began_weeks_ago_is_shown(practice: Practice) -> None:
    first = DAY + timedelta(days=60)
    body = {"resourceType": "Parameters", "parameter": [
        {"name": "period", "valuePeriod": {"start": str(first), "end": str(first + timedelta(days=40))}}]}  # fmt: skip
    assert practice.staff.post(f"{practice.doctors[1]}/$absence", body).status == 200
    day = first + timedelta(days=35)
    query = f"start={day}&end={day + timedelta(days=1)}&schedules={practice.schedules[1]}"
    blocked = practice.demo.person("receptionist").get(f"agenda/events?{query}").json["blocked"]
    assert [each["why"] for each in blocked] == ["absence"]


def test_names_are_text_wherever_they_are_shown(practice: Practice) -> None:
    evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
    visit = practice.book(DAY, "14:00", patient=practice.patient(evil, "A" * 10_000))
    person = practice.demo.person("receptionist")
    for path in (f"agenda/visit/{visit['id']}", f"agenda/visit/{visit['id']}/move", f"agenda/list?date={DAY}", "agenda/"):
        page = person.get(path)
        assert page.status_code == 200
        assert "<script>alert" not in page.text.lower() and "<img src=x" not in page.text.lower()
    assert evil.upper() in next(e for e in practice.events(person, DAY, NEXT) if e["id"] == visit["id"])["title"]


def test_a_practitioners_name_cannot_leave_the_data_of_the_script(practice: Practice) -> None:
    who = make(practice.staff, "Practitioner", active=True, name=[{"family": "</script><script>alert(1)</script>"}])
    schedule = agenda(practice.staff, who)
    try:
        page = practice.demo.person("receptionist").get("agenda/").text
        assert "</script><script>alert" not in page.lower()
    finally:
        practice.staff.delete(schedule)


def test_a_doctor_begins_with_the_own_column(clinic: Demo) -> None:
    page = clinic.person("practitioner").get("agenda/").text
    data = json.loads(page.split('id="agenda-data">')[1].split("</script>")[0])
    assert data["mine"].startswith("Practitioner/") and data["mine"] in {each["id"] for each in data["columns"]}
    assert json.loads(clinic.person("receptionist").get("agenda/").text.split('id="agenda-data">')[1].split("</script>")[0])["mine"] == ""


def test_nobody_else_sees_the_agenda(clinic: Demo, new_tenant: Callable[[], TestTenant]) -> None:
    day = weekday_ahead()
    query = f"agenda/events?start={day}&end={day + timedelta(days=1)}"
    assert clinic.person().get(query).status_code in (302, 303)
    for role in ("patient", "proxy", "billing"):
        assert clinic.person(role).get(query).status_code == 404
    other = new_tenant()
    staff = clinic.person("receptionist")
    assert staff.get(f"/t/{other.slug}/ui/agenda/").status_code in (302, 303, 404)


def test_a_night_stands_on_both_its_days(practice: Practice) -> None:
    day = DAY + timedelta(days=90)
    who = [{"actor": {"reference": practice.doctors[1]}, "status": "accepted"}]
    night = {"start": at(day - timedelta(days=1), "22:00"), "end": at(day, "06:00")}
    visit = practice.staff.create({"resourceType": "Appointment", "status": "fulfilled", "participant": who, **night})
    for first in (day - timedelta(days=1), day):
        found = practice.events(practice.demo.person("nurse"), first, first + timedelta(days=1))
        assert [each["id"] for each in found] == [visit["id"]]
    assert practice.events(practice.demo.person("nurse"), day + timedelta(days=1), day + timedelta(days=2)) == []


@pytest.fixture(scope="module")
def paris() -> Practice:
    """A practice of a clinic whose clock is that of Paris."""
    slug = f"paris-{os.getpid()}"
    demo_tenant.make(slug, 3)
    operator.change_settings(session(), slug, {"zone": "Europe/Paris"})
    demo = Demo(slug, {each["role"]: each["email"] for each in demo_tenant.people_of(slug)})
    return Practice(demo, "Europe/Paris")


@pytest.mark.parametrize("day", ["2027-02-07", "2027-03-14"])
def test_on_the_days_of_ramadan_visits_stand_where_the_wall_clock_says(practice: Practice, day: str) -> None:
    stands_and_moves(practice, day)


@pytest.mark.parametrize("day", ["2027-03-28", "2027-10-31"])
def test_on_the_days_of_summer_time_visits_stand_where_the_wall_clock_says(paris: Practice, day: str) -> None:
    stands_and_moves(paris, day)


def stands_and_moves(practice: Practice, day: str) -> None:
    when = date.fromisoformat(day)
    early, late = practice.book(when, "08:00"), practice.book(when, "17:30")
    person = practice.demo.person("receptionist")
    found = {each["id"]: each["start"] for each in practice.events(person, when, when + timedelta(days=1))}
    assert found[early["id"]] == f"{day}T08:00:00" and found[late["id"]] == f"{day}T17:30:00"
    query = f"agenda/hours?start={day}&end={when + timedelta(days=1)}&schedules={practice.schedules[0]}"
    open_ = person.get(query).json["hours"][practice.schedules[0]]["open"]
    assert open_ == [[f"{day}T08:00:00", f"{day}T18:00:00"]]
    answer = practice.drag(person, early, when, "10:00", "10:30")
    assert answer.status_code == 200, answer.text
    assert practice.read(early)["start"] == at(when, "10:00", practice.zone)


def test_a_time_that_the_clock_skips_is_refused_in_words(paris: Practice) -> None:
    day = date(2027, 3, 28)
    visit = paris.book(day, "12:00")
    answer = paris.drag(paris.demo.person("receptionist"), visit, day, "02:30", "03:30")
    assert answer.status_code == 422 and "avance" in answer.json["text"]
    assert paris.read(visit)["start"] == visit["start"]
