"""The day on one screen: who sees it, what stands on it, what is chosen to be shown."""

import json
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from fhir_server.core import clock
from tests.ui.conftest import Demo
from tests.ui.desk.arranged import LABORATORY, QUEUE, booked, opened, patient


def test_appointments_and_queues_stand_on_one_page(clinic: Demo) -> None:
    client = opened(clinic)
    booked(client, patient(client, "Ouahbi", "Nora"))
    page = clinic.person("receptionist").get("desk/")
    assert page.status_code == 200
    assert "Nora OUAHBI" in page.text and "Accueil et consultations sans rendez-vous" in page.text
    assert f"queue:{QUEUE}" in page.text and f"queue:{LABORATORY}" in page.text and "type:Appointment" in page.text
    assert "style=" not in page.text and "onclick" not in page.text


@pytest.mark.parametrize("wall", [time(0, 5), time(23, 40)], ids=str)
def test_today_is_the_clinic_s_day(clinic: Demo, wall: time) -> None:
    """Casablanca is an hour before UTC, in which a search reads a plain day."""
    here = ZoneInfo("Africa/Casablanca")
    then = datetime.combine(clock.now().astimezone(here).date() + timedelta(days=2), wall, here)
    clock.move(then - datetime.now(UTC))
    try:
        client, name = clinic.client(), f"Minuit{wall.hour}"
        who = patient(client, name, "Leila")
        booked(client, who)
        booked(client, patient(client, f"Hier{wall.hour}"), minutes=-12 * 60)
        desk = clinic.person("receptionist")
        page = desk.get("desk/").text
        assert f"Leila {name.upper()}" in page
        assert (f"HIER{wall.hour}" in page) == (wall.hour > 12)
        assert "hit-day" in desk.post("desk/search", {"q": name}, htmx=True).text
        assert f"{then + timedelta(minutes=2):%H:%M}" in desk.get(f"desk/patients/{who}").text
    finally:
        clock.move(timedelta())


@pytest.mark.parametrize("role", ["nurse", "manager", "owner", "practitioner"])
def test_others_of_the_clinic_see_it(clinic: Demo, role: str) -> None:
    assert clinic.person(role).get("desk/").status_code == 200


def test_who_has_no_business_here_finds_nothing(clinic: Demo) -> None:
    for role in ("patient", "operator"):
        assert clinic.person(role).get("desk/").status_code == 404
    assert clinic.person().get("desk/").status_code in (302, 303)
    assert clinic.person("receptionist").get("/t/nowhere/ui/desk/").status_code == 404


def test_a_billing_clerk_looks_and_does_not_act(clinic: Demo) -> None:
    page = clinic.person("billing").get("desk/").text
    assert "call-next" not in page and "/check-in" not in page
    answer = clinic.person("billing").post(f"desk/queues/{QUEUE}/call-next", htmx=True)
    assert "danger" in answer.headers["HX-Trigger"]


def test_names_are_text(clinic: Demo) -> None:
    client = opened(clinic)
    evil = '<img src=x onerror="alert(1)">'
    booked(client, patient(client, evil, "Mallory"))
    page = clinic.person("receptionist").get("desk/").text
    assert "<img src=x" not in page and "&lt;IMG SRC=X" in page


def test_what_is_shown_is_chosen_and_remembered(clinic: Demo) -> None:
    client = opened(clinic)
    gone = booked(client, patient(client, "Partie", "Lina"), status="cancelled")
    desk = clinic.person("receptionist")
    assert f"visit-{gone}" not in desk.get("desk/day", htmx=True).text
    chosen = desk.get("desk/day?group=missed&practitioner=&site=", htmx=True)
    assert f"visit-{gone}" in chosen.text and "Lina PARTIE" in chosen.text
    assert f"visit-{gone}" in desk.get("desk/").text
    assert f"visit-{gone}" not in desk.get("desk/day?group=missed&practitioner=nobody&site=", htmx=True).text
    assert desk.get("desk/day?group=nonsense", htmx=True).status_code == 200


def test_a_choice_in_the_cookie_is_only_text(clinic: Demo) -> None:
    desk = clinic.person("receptionist")
    page = desk.get('desk/day?group=current&desk="><script>x', htmx=True)
    assert "<script>x" not in page.text and "&#34;&gt;&lt;script&gt;x" in page.text
    assert desk.get(f"desk/day?group=current&desk={'x' * 5000}", htmx=True).status_code == 200


def test_every_language_has_its_words(clinic: Demo) -> None:
    desk = clinic.person("receptionist")
    for lang, word in (("fr", "Files d’attente"), ("en", "Queues"), ("es", "Colas"), ("ar", "طوابير الانتظار")):
        page = desk.get(f"desk/?lang={lang}", lang=lang)
        assert word in page.text
    assert 'dir="rtl"' in desk.get("desk/?lang=ar", lang="ar").text


def test_a_form_without_its_token_does_nothing(clinic: Demo) -> None:
    answer = clinic.person("receptionist").post(f"desk/queues/{QUEUE}/pause", csrf=False)
    assert answer.status_code == 403


def test_a_queue_is_paused_with_a_reason_resumed_and_closed(clinic: Demo) -> None:
    client, desk = opened(clinic, LABORATORY), clinic.person("receptionist")
    answer = desk.post(
        f"desk/queues/{LABORATORY}/pause", {"reason": "Pause café", "message": "Retour à 10 h"}, htmx=True
    )
    told = json.loads(answer.headers["HX-Trigger"])
    assert told["salam:toast"]["undo"].endswith(f"queues/{LABORATORY}/resume") and "Pause café" in answer.text
    again = desk.post(f"desk/queues/{LABORATORY}/pause", htmx=True)
    assert json.loads(again.headers["HX-Trigger"])["salam:toast"]["kind"] == "warning"
    assert "Retour à 10 h" in desk.get(f"desk/queues/{LABORATORY}", htmx=True).text
    for move, state in (("resume", "open"), ("close", "closed"), ("open", "open")):
        desk.post(f"desk/queues/{LABORATORY}/{move}", htmx=True)
        parts = client.get(f"HealthcareService/{LABORATORY}/$queue").json["parameter"]
        assert parts[0]["valueCode"] == state
    assert desk.post(f"desk/queues/{LABORATORY}/explode", htmx=True).headers["HX-Reswap"] == "none"
    assert desk.get("desk/queues/demo-consultation").status_code == 404
    assert desk.get("desk/queues/nothing-here").status_code == 404


def test_call_next_calls_one_for_one_press(clinic: Demo) -> None:
    client, desk = opened(clinic), clinic.person("receptionist")
    for _ in range(2):
        client.post(f"HealthcareService/{QUEUE}/$take-ticket")
    form = {"idempotency_key": "one-press-1", "desk": "Guichet 7", "group": "current"}
    first = desk.post(f"desk/queues/{QUEUE}/call-next", form, htmx=True)
    second = desk.post(f"desk/queues/{QUEUE}/call-next", form, htmx=True)
    assert first.headers["HX-Trigger"] == second.headers["HX-Trigger"]
    assert "Guichet 7" in json.loads(first.headers["HX-Trigger"])["salam:toast"]["text"] and "Guichet 7" in first.text
    undo = json.loads(first.headers["HX-Trigger"])["salam:toast"]["undo"]
    assert desk.post(undo, htmx=True).status_code == 200
    assert "info" in desk.post(undo, htmx=True).headers["HX-Trigger"] or "warning" in desk.post(
        undo, htmx=True).headers["HX-Trigger"]  # fmt: skip
    plain = desk.post(f"desk/queues/{QUEUE}/call-next", {"idempotency_key": "one-press-2"})
    assert plain.status_code == 303 and plain.headers["Location"].endswith("/ui/desk/")


def test_a_very_long_day_shows_its_first_lines_until_all_are_asked_for(
    clinic: Demo, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, desk = opened(clinic), clinic.person("receptionist")
    for number in range(4):
        booked(client, patient(client, f"Longue{number}"))
    monkeypatch.setattr("ui.desk.choices.MOST_LINES", 3)
    short = desk.get("desk/?group=expected&practitioner=&site=").text
    assert short.count('id="visit-') == 3 and "every=1" in short
    full = desk.get("desk/?group=expected&practitioner=&site=&every=1").text
    assert full.count('id="visit-') > 3 and "Afficher les" not in full
