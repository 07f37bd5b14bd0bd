"""Moving, cancelling, waiting for a place: what the patient may change, until when, and what a refusal says."""

import re
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import pytest

from fhir_server.core import clock
from tests.ui.conftest import Demo
from tests.ui.portal.people import booked, free_time, parameters, patient


def moves(text: str) -> list[str]:
    """The times that a page offers."""
    return [unescape(each) for each in re.findall(r'name="to" value="([^"]+)" aria-pressed', text)]


def test_an_appointment_is_cancelled_with_its_reason(clinic: Demo) -> None:
    known = patient(clinic)
    visit = booked(clinic.client(), known.reference)
    answer = known.person.post(f"portal/visits/{visit['id']}/cancel", {"reason": "Je voyage"})
    assert answer.status_code == 303 and answer.headers["Location"].endswith("?done=cancelled")
    stored = clinic.client().get(f"Appointment/{visit['id']}").json
    assert stored["status"] == "cancelled" and stored["cancelationReason"]["text"] == "Je voyage"
    assert "annulé" in known.person.get(answer.headers["Location"]).text


def test_what_is_cancelled_stands_below_and_an_offer_that_was_left_does_not(clinic: Demo) -> None:
    known = patient(clinic)
    visit = booked(clinic.client(), known.reference)
    offer = offered(clinic, known.reference)
    known.person.post(f"portal/visits/{visit['id']}/cancel")
    known.person.post(f"portal/offers/{offer['id']}/refuse")
    text = known.person.get("portal/visits").text
    assert f"visits/{visit['id']}" in text and f"visits/{offer['id']}" not in text and "Annulé" in text


def test_who_loads_the_answer_to_a_form_again_comes_back_to_the_page(clinic: Demo) -> None:
    known = patient(clinic)
    visit = booked(clinic.client(), known.reference)
    for path in (f"visits/{visit['id']}/cancel", "queues/demo-queue"):
        assert known.person.get(f"portal/{path}").status_code == 303


@pytest.mark.parametrize(("address", "there"), [("https://visio.example/a", True), ("javascript:alert(1)", False)])
def test_only_the_address_of_a_call_is_a_link(clinic: Demo, address: str, there: bool) -> None:
    known = patient(clinic)
    visit = booked(clinic.client(), known.reference)
    url = "http://hl7.org/fhir/5.0/StructureDefinition/extension-Appointment.virtualService"
    call = {"url": url, "extension": [{"url": "address", "valueUrl": address}]}
    stored = clinic.client().put(f"Appointment/{visit['id']}", {**visit, "extension": [*visit["extension"], call]})
    assert stored.status == 200, stored.text
    assert (address in known.person.get(f"portal/visits/{visit['id']}").text) is there


def test_a_second_click_on_cancel_says_the_same(clinic: Demo) -> None:
    known = patient(clinic)
    visit = booked(clinic.client(), known.reference)
    answers = [known.person.post(f"portal/visits/{visit['id']}/cancel", {"idempotency_key": "k"}) for _ in range(2)]
    assert [each.status_code for each in answers] == [303, 303]


@pytest.mark.parametrize("path", ["", "/move", "/calendar.ics"])
def test_another_patients_appointment_is_not_there(clinic: Demo, path: str) -> None:
    visit = booked(clinic.client(), patient(clinic).reference)
    assert patient(clinic).person.get(f"portal/visits/{visit['id']}{path}").status_code == 404


@pytest.mark.parametrize("path", ["cancel", "move", "sooner", "check-in"])
def test_another_patients_appointment_is_not_to_be_changed(clinic: Demo, path: str) -> None:
    visit = booked(clinic.client(), patient(clinic).reference)
    form = {"to": f"{datetime.now(UTC).isoformat()}~"}
    assert patient(clinic).person.post(f"portal/visits/{visit['id']}/{path}", form).status_code == 404
    assert clinic.client().get(f"Appointment/{visit['id']}").json["status"] == "booked"


def test_a_form_without_its_token_changes_nothing(clinic: Demo) -> None:
    known = patient(clinic)
    visit = booked(clinic.client(), known.reference)
    assert known.person.post(f"portal/visits/{visit['id']}/cancel", csrf=False).status_code == 403
    assert clinic.client().get(f"Appointment/{visit['id']}").json["status"] == "booked"


def test_after_the_cut_off_the_page_says_why_not_and_whom_to_call(clinic: Demo) -> None:
    known = patient(clinic)
    visit = booked(clinic.client(), known.reference)
    start = datetime.fromisoformat(visit["start"])
    clock.move(start - timedelta(minutes=90) - datetime.now(UTC))
    try:
        # The session of before is over by then.
        person = clinic.person(email=known.email)
        text = person.get(f"portal/visits/{visit['id']}").text
        assert "Il est trop tard pour déplacer ou annuler en ligne" in text and "tel:+212522000000" in text
        assert f"visits/{visit['id']}/cancel" not in text and f"visits/{visit['id']}/move" not in text
        # Who posts it all the same is told by the server.
        answer = person.post(f"portal/visits/{visit['id']}/cancel")
        assert answer.status_code == 200 and "Il est trop tard pour le faire en ligne" in answer.text
        assert clinic.client().get(f"Appointment/{visit['id']}").json["status"] == "booked"
    finally:
        clock.move(timedelta())


def test_free_times_are_buttons_below_their_day_and_one_is_taken(clinic: Demo) -> None:
    known = patient(clinic)
    visit = booked(clinic.client(), known.reference, days=2)
    text = known.person.get(f"portal/visits/{visit['id']}/move").text
    offered = moves(text)
    assert offered and re.search(r'<h2 id="day-1" class="day-title">', text)
    chosen = known.person.get(f"portal/visits/{visit['id']}/move?to={offered[0].replace('+', '%2B')}").text
    assert 'aria-pressed="true"' in chosen and "Déplacer à cet horaire" in chosen
    assert known.person.post(f"portal/visits/{visit['id']}/move", {"to": offered[0]}).status_code == 303
    stored = clinic.client().get(f"Appointment/{visit['id']}").json
    assert datetime.fromisoformat(stored["start"]) == datetime.fromisoformat(offered[0].partition("~")[0])


def test_a_time_that_somebody_else_took_is_refused_with_a_sentence(clinic: Demo) -> None:
    known, other = patient(clinic), patient(clinic)
    visit = booked(clinic.client(), known.reference, days=3)
    taken = booked(clinic.client(), other.reference, days=3)
    form = {"to": f"{taken['start'].replace('Z', '+00:00')}~Practitioner/demo-elamrani"}
    answer = known.person.post(f"portal/visits/{visit['id']}/move", form)
    assert (
        answer.status_code == 200
        and "Quelqu’un d’autre vient de prendre ce créneau" in answer.text
        and moves(answer.text)
    )


@pytest.mark.parametrize(
    "to", ["", "x", "2026-13-01T00:00:00Z~", "2026-11-24T10:00:00~", "2026-11-24T10:00:00+00:00~Patient/1", "\x00"]
)
def test_nonsense_instead_of_a_time_moves_nothing(clinic: Demo, to: str) -> None:
    known = patient(clinic)
    visit = booked(clinic.client(), known.reference, days=2)
    assert known.person.post(f"portal/visits/{visit['id']}/move", {"to": to}).status_code == 200
    assert clinic.client().get(f"Appointment/{visit['id']}").json["meta"]["versionId"] == visit["meta"]["versionId"]


def test_the_calendar_file_is_one_that_programs_take(clinic: Demo) -> None:
    known = patient(clinic)
    visit = booked(clinic.client(), known.reference)
    answer = known.person.get(f"portal/visits/{visit['id']}/calendar.ics")
    assert answer.status_code == 200 and answer.headers["Content-Type"].startswith("text/calendar")
    assert "BEGIN:VEVENT" in answer.text and "attachment" in answer.headers["Content-Disposition"]


# -- the wait list -----------------------------------------------------------------------------------------------------


def waits(clinic: Demo, who: str) -> list[dict[str, Any]]:
    return clinic.client().search(f"Appointment?patient={who}&status=waitlist")


def test_who_would_like_to_come_sooner_is_put_on_the_wait_list_once_and_leaves_it(clinic: Demo) -> None:
    known = patient(clinic)
    visit = booked(clinic.client(), known.reference, days=4)
    for _ in range(2):
        answer = known.person.post(f"portal/visits/{visit['id']}/sooner", {"with": "same"})
        assert answer.headers["Location"].endswith("visits?done=waiting")
    found = waits(clinic, known.reference)
    assert len(found) == 1
    assert {"HealthcareService/demo-consultation", "Practitioner/demo-elamrani"} <= {
        p["actor"]["reference"] for p in found[0]["participant"]
    }
    assert "Sur la liste d’attente" in known.person.get("portal/visits").text
    known.person.post(f"portal/visits/{found[0]['id']}/cancel", {"leave": "1"})
    assert waits(clinic, known.reference) == []


def offered(clinic: Demo, who: str) -> dict[str, Any]:
    """An open offer of the wait list."""
    client = clinic.client()
    day = (datetime.now(UTC) + timedelta(days=1)).date()
    waiting = {
        "resourceType": "Appointment", "status": "waitlist",
        "requestedPeriod": [{"start": f"{day}T00:00:00Z", "end": f"{day + timedelta(days=10)}T00:00:00Z"}],
        "participant": [{"actor": {"reference": who}, "status": "accepted"},
                        {"actor": {"reference": "HealthcareService/demo-consultation"}, "status": "needs-action"}],
    }  # fmt: skip
    made = client.post("Appointment/$join-waitlist", parameters({"name": "appointment-resource", "resource": waiting}))
    id_ = made.json["entry"][0]["resource"]["id"]
    answer = client.post(f"Appointment/{id_}/$waitlist-offer")
    assert answer.status == 200, answer.text
    found: dict[str, Any] = answer.json["entry"][0]["resource"]
    return found


@pytest.mark.parametrize(("said", "status"), [("accept", "booked"), ("refuse", "cancelled")])
def test_an_offer_stands_on_the_first_page_and_is_answered(clinic: Demo, said: str, status: str) -> None:
    known = patient(clinic)
    offer = offered(clinic, known.reference)
    text = known.person.get("portal/").text
    assert "Une place s’est libérée pour vous" in text and "data-until=" in text
    assert known.person.post(f"portal/offers/{offer['id']}/{said}").status_code == 303
    assert clinic.client().get(f"Appointment/{offer['id']}").json["status"] == status
    answer = known.person.post(f"portal/offers/{offer['id']}/{said}")
    assert answer.status_code in (200, 303), answer.text


def test_another_patients_offer_is_not_to_be_answered(clinic: Demo) -> None:
    offer = offered(clinic, patient(clinic).reference)
    assert patient(clinic).person.post(f"portal/offers/{offer['id']}/accept").status_code == 404
    assert patient(clinic).person.post(f"portal/offers/{offer['id']}/steal").status_code == 404


def test_there_is_nothing_to_check_in_for_where_the_visit_has_no_queue(clinic: Demo) -> None:
    known = patient(clinic)
    visit = booked(clinic.client(), known.reference)
    assert "/check-in" not in known.person.get(f"portal/visits/{visit['id']}").text
    answer = known.person.post(f"portal/visits/{visit['id']}/check-in")
    assert answer.status_code == 200 and "note-danger" in answer.text
    assert free_time(clinic.client())
