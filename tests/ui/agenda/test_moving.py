"""Moving a visit by dragging or by the form, and taking it back."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.conftest import TestTenant
from tests.ui.agenda.practice import Practice, at, weekday_ahead
from tests.ui.conftest import Demo

DAY = weekday_ahead(12)
NEXT = DAY + timedelta(days=1)


@pytest.fixture(scope="module")
def practice(clinic: Demo) -> Practice:
    return Practice(clinic)


@pytest.mark.parametrize("role", ["receptionist", "nurse", "practitioner", "manager", "owner"])
def test_a_dropped_visit_is_moved_and_one_click_brings_it_back(practice: Practice, role: str) -> None:
    person = practice.demo.person(role)
    visit = practice.book(DAY, "08:00")
    answer = practice.drag(person, visit, NEXT, "16:00", "16:30")
    assert answer.status_code == 200, answer.text
    moved = practice.read(visit)
    assert moved["start"] == at(NEXT, "16:00") and "16:00" in answer.json["text"]
    back = person.post(answer.json["undo"], htmx=True)
    assert back.status_code == 200 and "agenda:changed" in back.headers["HX-Trigger"]
    assert practice.read(visit)["start"] == visit["start"]
    practice.staff.post(f"Appointment/{visit['id']}/$cancel")


def test_a_visit_goes_to_another_doctor_and_back(practice: Practice) -> None:
    person = practice.demo.person("receptionist")
    visit = practice.book(DAY, "09:00")
    place = {"from": practice.schedules[0], "to": practice.schedules[1]}
    answer = practice.drag(person, visit, DAY, "09:30", "10:00", **place)
    assert answer.status_code == 200, answer.text
    actors = [each["actor"]["reference"] for each in practice.read(visit)["participant"]]
    assert practice.doctors[1] in actors and practice.doctors[0] not in actors
    assert person.post(answer.json["undo"], htmx=True).status_code == 200
    actors = [each["actor"]["reference"] for each in practice.read(visit)["participant"]]
    assert practice.doctors[0] in actors and practice.doctors[1] not in actors


def test_a_longer_visit_takes_the_longer_time(practice: Practice) -> None:
    visit = practice.book(DAY, "10:00")
    answer = practice.drag(practice.demo.person("nurse"), visit, DAY, "10:00", "11:00")
    assert answer.status_code == 200 and "60 minutes" in answer.json["text"]
    assert practice.read(visit)["end"] == at(DAY, "11:00")
    assert practice.demo.person("nurse").post(answer.json["undo"], htmx=True).status_code == 200
    assert practice.read(visit)["end"] == visit["end"]


def test_taken_time_is_refused_with_other_free_times(practice: Practice) -> None:
    taken, visit = practice.book(DAY, "11:00"), practice.book(DAY, "12:00")
    answer = practice.drag(practice.demo.person("receptionist"), visit, DAY, "11:00", "11:30")
    assert answer.status_code == 409
    assert "créneau" in answer.json["text"] and 'name="free"' in answer.json["form"]
    assert practice.read(visit)["start"] == visit["start"] and practice.read(taken)["start"] == taken["start"]


def test_who_saw_an_old_version_moves_nothing(practice: Practice) -> None:
    visit = practice.book(DAY, "13:00")
    person = practice.demo.person("receptionist")
    assert practice.drag(person, visit, DAY, "13:30", "14:00").status_code == 200
    again = practice.drag(person, visit, DAY, "16:00", "16:30")
    assert again.status_code == 412 and again.json["form"] == ""
    assert practice.read(visit)["start"] == at(DAY, "13:30")


def test_undo_does_not_undo_what_somebody_else_did_meanwhile(practice: Practice) -> None:
    visit = practice.book(DAY, "14:00")
    person = practice.demo.person("receptionist")
    first = practice.drag(person, visit, DAY, "14:30", "15:00")
    second = practice.drag(practice.demo.person("nurse"), practice.read(visit), DAY, "15:00", "15:30")
    assert second.status_code == 200
    late = person.post(first.json["undo"], htmx=True)
    assert late.headers["HX-Reswap"] == "none" and "danger" in late.headers["HX-Trigger"]
    assert practice.read(visit)["start"] == at(DAY, "15:00")


def test_what_is_over_or_cancelled_stays_where_it_is(practice: Practice) -> None:
    visit = practice.book(DAY, "16:30")
    practice.staff.post(f"Appointment/{visit['id']}/$cancel")
    answer = practice.drag(practice.demo.person("receptionist"), practice.read(visit), DAY, "17:00", "17:30")
    assert answer.status_code in (404, 409)


@pytest.mark.parametrize(
    "form",
    [{"start": "", "end": ""}, {"start": "yesterday", "end": "x"}, {"start": "2027-01-05T10:00", "end": "2027-01-05T09:00"},
     {"start": "2027-01-05T10:00", "end": "2027-01-09T10:00"}, {"start": "2027-01-05T10:00+05:00", "end": "2027-01-05T11:00"},
     {"start": "9999-12-31T23:59", "end": "9999-12-31T23:59"}],
)  # fmt: skip
def test_times_that_are_none_are_refused_in_words(practice: Practice, form: dict[str, str]) -> None:
    visit = _shared(practice)
    for path in ("drag", "move"):
        fields = {**form, "date": form["start"][:10], "time": form["start"][11:], "minutes": "-5", "version": ""}
        answer = practice.demo.person("receptionist").post(f"agenda/visit/{visit}/{path}", fields)
        assert answer.status_code == 422
    assert practice.staff.get(f"Appointment/{visit}").json["meta"]["versionId"] == "1"


_kept: list[str] = []


def _shared(practice: Practice) -> str:
    if not _kept:
        _kept.append(practice.book(DAY + timedelta(days=7), "09:00")["id"])
    return _kept[0]


def test_a_room_is_changed_for_another_one(practice: Practice) -> None:
    needed, rooms, schedules = practice.with_rooms()
    day = DAY + timedelta(days=7)
    visit = practice.book(day, "15:00", of=needed)
    person = practice.demo.person("receptionist")
    now = next(each for each in rooms if each in str(practice.read(visit)["participant"]))
    other = rooms[1 - rooms.index(now)]
    place = {"from": schedules[rooms.index(now)], "to": schedules[rooms.index(other)]}
    answer = practice.drag(person, visit, day, "15:00", "15:30", **place)
    assert answer.status_code == 200, answer.text
    actors = [each["actor"]["reference"] for each in practice.read(visit)["participant"]]
    assert other in actors and now not in actors and practice.doctors[0] in actors
    assert person.post(answer.json["undo"], htmx=True).status_code == 200
    assert now in str(practice.read(visit)["participant"])


def test_the_form_moves_to_a_free_time_and_to_a_typed_one(practice: Practice) -> None:
    person = practice.demo.person("receptionist")
    day = DAY + timedelta(days=7)
    visit = practice.book(day, "10:00")
    shown = person.get(f"agenda/visit/{visit['id']}/move", htmx=True).text
    free = shown.split('name="free" value="')[1].split('"')[0]
    answer = person.post(f"agenda/visit/{visit['id']}/move", {"free": free, "version": "1"}, htmx=True)
    assert "agenda:close" in answer.headers["HX-Trigger"] and "/back?" in answer.headers["HX-Trigger"]
    assert practice.read(visit)["start"] == at(day, free[11:16])
    typed = {"date": str(day), "time": "17:00", "minutes": "45", "schedule": practice.schedules[1], "version": "2"}
    assert person.post(f"agenda/visit/{visit['id']}/move", typed, htmx=True).status_code == 200
    moved = practice.read(visit)
    assert (moved["start"], moved["end"]) == (at(day, "17:00"), at(day, "17:45"))
    assert practice.doctors[1] in str(moved["participant"])


def test_without_script_the_form_is_a_page_and_answers_with_one(practice: Practice) -> None:
    person = practice.demo.person("receptionist")
    day = DAY + timedelta(days=7)
    taken, visit = practice.book(day, "11:00"), practice.book(day, "12:00")
    page = person.get(f"agenda/visit/{visit['id']}/move")
    assert "<html" in page.text and 'name="csrf"' in page.text
    form = {"date": str(day), "time": "11:00", "schedule": practice.schedules[0], "version": "1"}
    refused = person.post(f"agenda/visit/{visit['id']}/move", form)
    assert refused.status_code == 409 and "note-danger" in refused.text and taken["id"] not in refused.text
    done = person.post(f"agenda/visit/{visit['id']}/move", {**form, "time": "14:00"})
    assert done.status_code == 303 and f"date={day}" in done.headers["Location"]


def test_without_the_sessions_token_nothing_moves(practice: Practice) -> None:
    visit = _shared(practice)
    person = practice.demo.person("receptionist")
    form = {"start": f"{DAY}T08:00", "end": f"{DAY}T08:30"}
    assert person.post(f"agenda/visit/{visit}/drag", form, csrf=False).status_code == 403
    assert practice.staff.get(f"Appointment/{visit}").json["meta"]["versionId"] == "1"


def test_somebody_elses_clinic_has_no_such_visit(practice: Practice, new_tenant: Callable[[], TestTenant]) -> None:
    other = new_tenant().client()
    visit = other.create({"resourceType": "Appointment", "status": "booked", "start": at(DAY, "09:00"), "end": at(DAY, "09:30"),
                          "participant": [{"status": "accepted", "type": [{"text": "x"}]}]})  # fmt: skip
    person = practice.demo.person("owner")
    for path in ("", "/move"):
        assert person.get(f"agenda/visit/{visit['id']}{path}").status_code == 404
    for act in ("drag", "move", "confirm", "cancel", "back?start=2027-01-05T10:00:00Z&minutes=30"):
        form = {"start": f"{DAY}T10:00", "end": f"{DAY}T10:30", "reason": "other"}
        assert person.post(f"agenda/visit/{visit['id']}/{act}", form).status_code == 404
    assert other.get(f"Appointment/{visit['id']}").json["meta"]["versionId"] == "1"
