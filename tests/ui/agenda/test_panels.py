"""The panel beside the calendar: a visit, absences, visits to move, the wait list."""

import re
from datetime import timedelta

import pytest

from fhir_server.core import clock
from tests.ui.agenda.practice import ZONE, Practice, at, weekday_ahead
from tests.ui.conftest import Demo

DAY = weekday_ahead(18)


@pytest.fixture(scope="module")
def practice(clinic: Demo) -> Practice:
    return Practice(clinic)


# -- a visit -----------------------------------------------------------------------------------------------------------


def test_a_visit_says_who_when_what_and_what_happened(practice: Practice) -> None:
    person = practice.demo.person("receptionist")
    visit = practice.book(DAY, "09:00", patient=practice.patient("Bennis", "Rim"))
    practice.drag(person, visit, DAY, "09:30", "10:00")
    for lang, words in (("fr", "Déplacer"), ("en", "Move"), ("es", "Mover"), ("ar", "نقل")):
        page = person.get(f"agenda/visit/{visit['id']}", lang=lang).text
        assert "Rim BENNIS" in page and words in page and "09:30–10:00" in page
    assert "déplacé au" in person.get(f"agenda/visit/{visit['id']}").text


def test_a_pending_visit_is_confirmed_or_declined(practice: Practice) -> None:
    person = practice.demo.person("receptionist")
    for act, status in (("confirm", "booked"), ("decline", "cancelled")):
        visit = practice.book(DAY, "10:00")
        practice.staff.patch(f"Appointment/{visit['id']}", [{"op": "replace", "path": "/status", "value": "pending"}])
        assert "À confirmer" in person.get(f"agenda/visit/{visit['id']}", htmx=True).text
        answer = person.post(f"agenda/visit/{visit['id']}/{act}", {"version": "2", "comment": "Complet"}, htmx=True)
        assert "agenda:changed" in answer.headers["HX-Trigger"], answer.text
        assert practice.read(visit)["status"] == status
        practice.staff.post(f"Appointment/{visit['id']}/$cancel")


def test_a_cancelled_visit_keeps_its_reason_and_offers_to_book_again(practice: Practice) -> None:
    person = practice.demo.person("receptionist")
    visit = practice.book(DAY, "11:00")
    at_ = f"agenda/visit/{visit['id']}/cancel"
    assert "note-danger" in person.post(at_, {"reason": "mood", "version": "1"}, htmx=True).text
    assert practice.read(visit)["status"] == "booked"
    answer = person.post(at_, {"reason": "pat-crs", "comment": "A appelé", "version": "1"}, htmx=True)
    assert "new?again=" in answer.text
    cancelled = practice.read(visit)
    assert cancelled["status"] == "cancelled" and cancelled["comment"] == "A appelé"
    assert cancelled["cancelationReason"]["coding"][0]["code"] == "pat-crs"
    again = person.get(f"agenda/new?again={visit['id']}", htmx=True).text
    assert 'value="11:00"' in again and "Sara ALAMI" in again


def test_who_saw_an_old_version_cancels_nothing(practice: Practice) -> None:
    visit = practice.book(DAY, "12:00")
    person = practice.demo.person("receptionist")
    practice.drag(person, visit, DAY, "12:30", "13:00")
    answer = person.post(f"agenda/visit/{visit['id']}/cancel", {"reason": "other", "version": "1"})
    assert answer.status_code == 412 and practice.read(visit)["status"] == "booked"


def test_a_visit_goes_into_a_calendar_program(practice: Practice) -> None:
    visit = practice.book(DAY, "13:30")
    answer = practice.demo.person("receptionist").get(f"agenda/visit/{visit['id']}/visit.ics")
    assert answer.status_code == 200 and answer.data.startswith(b"BEGIN:VCALENDAR")
    assert practice.demo.person("receptionist").get("agenda/visit/nothing/visit.ics").status_code == 404


def test_who_comes_today_is_checked_in_at_the_desk(practice: Practice) -> None:
    today = practice.book(clock.now().astimezone(ZONE).date(), "22:30")
    later = practice.book(DAY + timedelta(days=40), "09:00")
    person = practice.demo.person("receptionist")
    link = f"desk/visits/{today['id']}"
    assert link in person.get(f"agenda/visit/{today['id']}").text and person.get(link).status_code == 200
    assert "desk/visits" not in person.get(f"agenda/visit/{later['id']}").text
    assert "desk/visits" not in practice.demo.person("practitioner").get(f"agenda/visit/{today['id']}").text


# -- absences ----------------------------------------------------------------------------------------------------------


def test_an_absence_is_shown_before_it_is_entered_and_leaves_visits_to_move(practice: Practice) -> None:
    person = practice.demo.person("manager")
    day = DAY + timedelta(days=7)
    first, second = practice.book(day, "09:00"), practice.book(day, "10:00")
    practice.book(day, "10:00", which=1)
    form = {"who": practice.doctors[0], "from_date": str(day), "to_date": str(day), "reason": "Formation",
            "substitute": practice.doctors[1]}  # fmt: skip
    shown = person.post("agenda/absence", {**form, "step": "preview"}, htmx=True).text
    assert "Le remplaçant le reprend" in shown and "pas libre" in shown
    assert practice.read(first)["meta"]["versionId"] == "1"
    done = person.post("agenda/absence", form, htmx=True)
    assert "/absence/end?" in done.headers["HX-Trigger"]
    assert practice.doctors[1] in str(practice.read(first)["participant"])
    listed = person.get("agenda/to-move", htmx=True).text
    assert second["id"] in listed and first["id"] not in listed
    task = re.findall(rf"visit/{second['id']}/move\?task=([\w-]+)", listed)[0]
    moved = {"date": str(day + timedelta(days=1)), "time": "10:00", "version": "1", "task": task}
    assert person.post(f"agenda/visit/{second['id']}/move", moved, htmx=True).status_code == 200
    assert practice.staff.get(f"Task/{task}").json["status"] == "completed"
    assert second["id"] not in person.get("agenda/to-move", htmx=True).text


def test_what_is_settled_otherwise_leaves_the_list_and_comes_back(practice: Practice) -> None:
    person = practice.demo.person("receptionist")
    day = DAY + timedelta(days=14)
    visit = practice.book(day, "09:00")
    form = {"who": practice.doctors[0], "from_date": str(day), "from_time": "08:30", "to_date": str(day), "to_time": "09:30"}
    person.post("agenda/absence", form, htmx=True)
    task = re.findall(rf"visit/{visit['id']}/move\?task=([\w-]+)", person.get("agenda/to-move", htmx=True).text)[0]
    done = person.post(f"agenda/to-move/{task}/done", htmx=True)
    assert task not in done.text and f"{task}/again" in done.headers["HX-Trigger"]
    person.post(f"agenda/to-move/{task}/again", htmx=True)
    assert task in person.get("agenda/to-move", htmx=True).text


def test_an_absence_is_taken_back(practice: Practice) -> None:
    person = practice.demo.person("receptionist")
    day = DAY + timedelta(days=21)
    form = {"who": practice.doctors[1], "from_date": str(day), "to_date": str(day)}
    entered = person.post("agenda/absence", form, htmx=True)
    assert "/absence/end?" in entered.headers.get("HX-Trigger", ""), entered.text
    slots = f"Slot?schedule={practice.schedules[1]}&status=busy-unavailable&start=ge{day - timedelta(days=2)}"
    assert practice.staff.search(slots)
    undo = {"who": practice.doctors[1], "start": str(day), "end": str(day)}
    assert person.post("agenda/absence/end", undo, htmx=True).status_code == 200
    assert practice.staff.search(slots) == []


@pytest.mark.parametrize(
    "wrong",
    [{"who": ""}, {"who": "Patient/1"}, {"from_date": ""}, {"from_date": "32"}, {"to_date": "2020-01-01"},
     {"from_time": "99:99"}, {"from_date": "2020-01-01", "to_date": "2020-01-02"}, {"to_date": "2199-01-01"}],
)  # fmt: skip
def test_absences_that_cannot_be_are_refused_in_words(practice: Practice, wrong: dict[str, str]) -> None:
    form = {"who": practice.doctors[0], "from_date": str(DAY), "to_date": str(DAY), **wrong}
    answer = practice.demo.person("receptionist").post("agenda/absence", form)
    assert 400 <= answer.status_code < 500
    assert "note-danger" in answer.text


# -- the wait list -----------------------------------------------------------------------------------------------------


def test_somebody_joins_the_wait_list_is_offered_a_time_and_leaves(practice: Practice) -> None:
    person = practice.demo.person("receptionist")
    patient = practice.patient("Attente", "Lina").partition("/")[2]
    form = {"patient": patient, "service": practice.service, "from_date": str(DAY)}
    joined = person.post("agenda/waiting", form, htmx=True).text
    assert "Lina ATTENTE" in joined
    assert "attend déjà" in person.post("agenda/waiting", form, htmx=True).text
    waiting = practice.staff.search(f"Appointment?status=waitlist&patient=Patient/{patient}")[0]["id"]
    offered = person.post(f"agenda/waiting/{waiting}/offer", htmx=True)
    assert "salam:toast" in offered.headers.get("HX-Trigger", ""), offered.text
    offers = practice.staff.search(f"Appointment?status=pending&patient=Patient/{patient}")
    assert len(offers) == 1
    events = practice.events(person, DAY, DAY + timedelta(days=20))
    assert next(each for each in events if each["id"] == offers[0]["id"])["status"] == "held"
    person.post(f"agenda/waiting/{waiting}/end", htmx=True)
    assert practice.staff.get(f"Appointment/{waiting}").json["status"] == "cancelled"


def test_booking_for_who_waits_ends_the_waiting(practice: Practice) -> None:
    person = practice.demo.person("receptionist")
    patient = practice.patient("Patient", "Impa").partition("/")[2]
    person.post("agenda/waiting", {"patient": patient, "service": practice.service, "who": practice.doctors[0]}, htmx=True)
    waiting = practice.staff.search(f"Appointment?status=waitlist&patient=Patient/{patient}")[0]["id"]
    assert "Impa PATIENT" in person.get(f"agenda/new?waiting={waiting}", htmx=True).text
    day = DAY + timedelta(days=28)
    form = {"who": practice.doctors[0], "service": practice.service, "date": str(day), "time": "09:00", "patient": patient,
            "waiting": waiting}  # fmt: skip
    assert "agenda:close" in person.post("agenda/book", form, htmx=True).headers["HX-Trigger"]
    assert practice.staff.get(f"Appointment/{waiting}").json["status"] == "cancelled"
    found = practice.staff.search(f"Appointment?patient=Patient/{patient}&status=booked")
    assert [each["start"] for each in found] == [at(day, "09:00")]


def test_without_script_the_day_is_a_list(practice: Practice) -> None:
    visit = practice.book(DAY, "15:00")
    page = practice.demo.person("receptionist").get(f"agenda/list?date={DAY}&who={practice.doctors[0]}").text
    assert f"agenda/visit/{visit['id']}" in page and "15:00–15:30" in page
    assert "agenda/list?date=" in practice.demo.person("receptionist").get("agenda/").text
