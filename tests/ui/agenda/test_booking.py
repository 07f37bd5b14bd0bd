"""Booking from the agenda: once, every week, beyond capacity, for somebody new, twice by a double click."""

from datetime import timedelta
from typing import Any

import pytest

from tests.features.scheduling.town import make
from tests.ui.agenda.practice import Practice, at, weekday_ahead
from tests.ui.conftest import Demo

DAY = weekday_ahead(15)


@pytest.fixture(scope="module")
def practice(clinic: Demo) -> Practice:
    return Practice(clinic)


def form(practice: Practice, time: str, **more: str) -> dict[str, str]:
    given = {"who": practice.doctors[0], "service": practice.service, "date": str(DAY), "time": time}
    return {**given, "patient": practice.patient().partition("/")[2], **more}


def at_this_time(practice: Practice, time: str, day: Any = DAY) -> list[dict[str, Any]]:
    return practice.staff.search(f"Appointment?actor={practice.doctors[0]}&date={at(day, time).replace('+', '%2B')}")


def test_an_empty_time_is_booked_with_its_note(practice: Practice) -> None:
    person = practice.demo.person("receptionist")
    shown = person.get(f"agenda/new?date={DAY}&time=09:00&who={practice.doctors[0]}", htmx=True).text
    assert 'value="09:00"' in shown and "data-free=" in shown
    answer = person.post("agenda/book", form(practice, "09:00", note="Première fois"), htmx=True)
    assert "agenda:close" in answer.headers["HX-Trigger"], answer.text
    booked = at_this_time(practice, "09:00")
    assert [each["status"] for each in booked] == ["booked"]
    assert booked[0]["comment"] == "Première fois" and booked[0]["end"] == at(DAY, "09:30")


def test_the_form_can_be_opened_for_a_patient(practice: Practice) -> None:
    patient = practice.patient("Connue", "Ines").partition("/")[2]
    person = practice.demo.person("receptionist")
    shown = person.get(f"agenda/new?patient={patient}").text
    assert "Ines CONNUE" in shown and shown.count("<h1") == 1
    assert person.get("agenda/new?patient=nobody").status_code == 404


def test_a_double_click_books_once(practice: Practice) -> None:
    person = practice.demo.person("nurse")
    twice = form(practice, "10:00", idempotency_key="double-click-1")
    for _ in range(2):
        assert "agenda:close" in person.post("agenda/book", twice, htmx=True).headers["HX-Trigger"]
    assert len(at_this_time(practice, "10:00")) == 1


def test_a_taken_time_offers_others_and_a_reasoned_place_beyond_capacity(practice: Practice) -> None:
    person = practice.demo.person("receptionist")
    practice.book(DAY, "11:00")
    refused = person.post("agenda/book", form(practice, "11:00"), htmx=True)
    assert "note-danger" in refused.text and "data-free=" in refused.text and 'name="overbook"' in refused.text
    silent = person.post("agenda/book", form(practice, "11:00", overbook="1"), htmx=True)
    assert 'id="reason-error"' in silent.text
    done = person.post("agenda/book", form(practice, "11:00", overbook="1", reason="Urgence"), htmx=True)
    assert "agenda:close" in done.headers["HX-Trigger"], done.text
    found = at_this_time(practice, "11:00")
    assert len(found) == 2
    assert {tag["code"] for each in found for tag in each["meta"].get("tag", ())} == {"overbooked"}


def test_every_week_books_all_or_none(practice: Practice) -> None:
    person = practice.demo.person("receptionist")
    person.post("agenda/book", form(practice, "14:00", weeks="3"), htmx=True)
    for week in range(3):
        assert len(at_this_time(practice, "14:00", DAY + timedelta(days=7 * week))) == 1
    practice.book(DAY + timedelta(days=7), "15:00")
    refused = person.post("agenda/book", form(practice, "15:00", weeks="3"), htmx=True)
    assert "note-danger" in refused.text
    assert at_this_time(practice, "15:00") == []


def test_somebody_new_is_registered_with_the_visit(practice: Practice) -> None:
    person = practice.demo.person("receptionist")
    given = {"patient": "new", "given": "Aya", "family": "Nouvelle", "phone": "0612345678", "birth": "1990-05-04"}
    assert "agenda:close" in person.post("agenda/book", form(practice, "16:00", **given), htmx=True).headers["HX-Trigger"]
    visit = at_this_time(practice, "16:00")[0]
    patient = next(e["actor"]["reference"] for e in visit["participant"] if "Patient/" in e["actor"]["reference"])
    assert practice.staff.get(patient).json["name"][0]["family"] == "Nouvelle"


@pytest.mark.parametrize(
    ("wrong", "marked"),
    [({"patient": ""}, "patient"), ({"time": "25:61"}, "time"), ({"date": "x"}, "time"), ({"minutes": "0"}, "minutes"),
     ({"minutes": "٣٠"}, "minutes"), ({"weeks": "53"}, "weeks"), ({"weeks": "-1"}, "weeks"), ({"who": "Practitioner/x"}, "who"),
     ({"service": "HealthcareService/x"}, "service"), ({"patient": "new", "given": "", "family": "X"}, "given"),
     ({"patient": "new", "given": "A", "family": "B", "phone": "call me"}, "phone"),
     ({"patient": "new", "given": "A", "family": "B", "birth": "2999-01-01"}, "birth")],
)  # fmt: skip
def test_what_is_wrong_is_said_at_its_field_and_nothing_is_lost(
    practice: Practice, wrong: dict[str, str], marked: str
) -> None:
    answer = practice.demo.person("receptionist").post("agenda/book", {**form(practice, "17:00", note="Gardez-moi"), **wrong})
    assert answer.status_code == 422
    assert f'id="{marked}-error"' in answer.text and "Gardez-moi" in answer.text
    assert at_this_time(practice, "17:00") == []


def test_a_patient_of_nobody_is_a_sentence_not_a_fault(practice: Practice) -> None:
    answer = practice.demo.person("receptionist").post("agenda/book", form(practice, "17:00", patient="no-such-patient"))
    assert answer.status_code in (404, 422) and at_this_time(practice, "17:00") == []


def test_a_name_of_ten_thousand_letters_is_cut_or_refused(practice: Practice) -> None:
    given = {"patient": "new", "given": "A" * 10_000, "family": "<b>" * 5_000}
    answer = practice.demo.person("receptionist").post("agenda/book", form(practice, "17:30", **given))
    assert answer.status_code < 500


def test_patients_are_found_by_the_beginnings_of_their_words(practice: Practice) -> None:
    phone = [{"system": "phone", "value": "+212698765432"}]
    patient = make(practice.staff, "Patient", name=[{"family": "Zzaïdi", "given": ["Oumnia"]}], telecom=phone)
    person = practice.demo.person("receptionist")
    for text in ("zzai", "oumn zza", "ZZAÏDI", "06 98 76 54", "2126987654", "5432"):
        assert patient.partition("/")[2] in person.post("agenda/patients", {"q": text}).text
    for text in ("", "z", "zzaidix", "%", "'", "a,b|c\\d", '"', "\\", "00", "+", "(", "a\" or \"", "x" * 10_000):
        assert person.post("agenda/patients", {"q": text}).status_code == 200
    assert patient.partition("/")[2] not in person.post("agenda/patients", {"q": "zzaidix"}).text
