"""Booking at the pages, without JavaScript: as a visitor, as a patient, and what goes wrong on the way."""

import html
import re
import secrets
from typing import Any
from urllib.parse import urlsplit

import pytest

from fhir_server.rest.dispatch import session
from fhir_server.storage import tenants
from tests.conftest import TestTenant
from tests.features.scheduling.visitor import code_for
from tests.ui.conftest import Demo, Person

_SERVICE = "demo-consultation"


def tenant_of(clinic: Demo) -> TestTenant:
    return TestTenant(tenants.find(session(), clinic.slug).tenant.id, clinic.slug)


def fresh() -> str:
    return f"u{secrets.token_hex(6)}@mail.example"


def forms(text: str) -> list[dict[str, Any]]:
    """Forms of a page: action, fields with values, submit buttons as (name, value)."""
    found = []
    for attributes, inner in re.findall(r"<form([^>]*)>(.*?)</form>", text, re.S):
        action = re.search(r'action="([^"]*)"', attributes)
        fields = {
            html.unescape(n[1]): html.unescape(v[1]) if (v := re.search(r'value="([^"]*)"', tag)) else ""
            for tag in re.findall(r"<input[^>]*>", inner)
            if (n := re.search(r'name="([^"]*)"', tag)) and "checkbox" not in tag
        }
        buttons = re.findall(r'<button[^>]*name="(\w+)" value="([^"]*)"', inner)
        found.append({"action": html.unescape(action[1]) if action else "", "fields": fields, "buttons": buttons})
    return found


def form(text: str, part: str) -> dict[str, Any]:
    return next(each for each in forms(text) if part in each["action"])


def submit(person: Person, sheet: dict[str, Any], /, **values: str) -> Any:
    """Post a form as a browser does, and follow to where it leads."""
    answer = person.post(sheet["action"], {**sheet["fields"], **values}, csrf=False)
    return follow(person, answer)


def follow(person: Person, answer: Any) -> Any:
    while answer.status_code == 303:
        answer = person.get(answer.headers["Location"])
    return answer


def path(answer: Any) -> str:
    return str(urlsplit(answer.request.url).path)


def times(person: Person, **query: str) -> Any:
    return person.get("booking/times?" + "&".join(f"{n}={v}" for n, v in {"service": _SERVICE, **query}.items()))


def hold(person: Person, number: int = 0, **query: str) -> Any:
    """Choose a time: the page of step 2."""
    page = times(person, **query)
    assert page.status_code == 200
    days = next(each for each in forms(page.text) if each["action"].endswith("/hold") and len(each["buttons"]) > 1)
    return submit(person, days, proposal=days["buttons"][number][1])


def say_who(person: Person, page: Any, **more: str) -> Any:
    words = {"given": "Sara", "family": "El Amrani", "birthDate": "1990-02-03", "consent": "1", **more}
    return submit(person, form(page.text, "/booking/who/"), **words)


def test_a_new_patient_books_in_three_screens(clinic: Demo) -> None:
    person, email = clinic.person(), fresh()
    first = times(person)
    assert "Choisissez un créneau" in first.text and 'aria-pressed="false"' in first.text
    second = hold(person, 2)
    assert "/booking/who/" in path(second) and 'role="timer"' in second.text
    third = say_who(person, second, contact=email, comment="Toux")
    assert "/booking/code/" in path(third) and email not in third.text and f"{email[0]}•••@mail.example" in third.text
    done = submit(person, form(third.text, "/booking/code/"), code=code_for(tenant_of(clinic), email))
    assert "/booking/done/" in path(done) and "Votre rendez-vous est pris" in done.text
    id_ = path(done).rsplit("/", 1)[-1]
    stored = clinic.client().get(f"Appointment/{id_}").json
    assert (stored["status"], stored["comment"]) == ("booked", "Toux")
    calendar = person.get(f"booking/done/{id_}/calendar.ics")
    assert calendar.status_code == 200 and calendar.text.startswith("BEGIN:VCALENDAR")
    # Back, and forward again: nothing is asked or booked twice.
    for step in ("who", "code"):
        assert "/booking/done/" in path(follow(person, person.get(f"booking/{step}/{id_}")))
    assert person.get("portal/").status_code == 200
    other = clinic.person()
    assert "/oauth/login" in path(follow(other, other.get(f"booking/done/{id_}")))


def test_a_double_click_books_once(clinic: Demo) -> None:
    person, email = clinic.person(), fresh()
    third = say_who(person, hold(person, 5), contact=email)
    code = form(third.text, "/booking/code/")
    digits = code_for(tenant_of(clinic), email)
    answers = [person.post(code["action"], {**code["fields"], "code": digits}, csrf=False) for _ in range(2)]
    assert [each.status_code for each in answers] == [303, 303]
    assert len(clinic.client().search(f"Patient?email={email}")) == 1
    assert "/booking/done/" in path(follow(person, answers[1]))


def test_arabic_digits_are_digits(clinic: Demo) -> None:
    person, email = clinic.person(), fresh()
    third = say_who(person, hold(person, 6), contact=email)
    eastern = code_for(tenant_of(clinic), email).translate(str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩"))
    assert "/booking/done/" in path(submit(person, form(third.text, "/booking/code/"), code=f" {eastern[:3]} {eastern[3:]}"))


def test_what_is_wrong_stands_at_its_field(clinic: Demo) -> None:
    person = clinic.person()
    second = hold(person, 7)
    page = say_who(person, second, given="", family="<script>alert(1)</script>", birthDate="x", contact="12", consent="")
    assert page.status_code == 422
    for name in ("given", "birthDate", "contact"):
        assert f'id="{name}-error"' in page.text
    assert "<script>alert" not in page.text and "&lt;script&gt;" in page.text
    assert say_who(person, second, given="x" * 10_000, contact=fresh()).status_code == 422
    without = person.post(form(second.text, "/booking/who/")["action"], {"given": "Sara"}, csrf=False)
    assert without.status_code == 403


def test_wrong_codes_and_a_new_one(clinic: Demo) -> None:
    person, email = clinic.person(), fresh()
    page = say_who(person, hold(person, 8), contact=email)
    right = code_for(tenant_of(clinic), email)
    for text in ("", "abc", f"{(int(right) + 1) % 10**6:06d}", "9" * 500):
        page = submit(person, form(page.text, "/booking/code/"), code=text)
        assert page.status_code == 422 and "Le code n’est pas bon" in page.text
    page = submit(person, form(page.text, "/booking/code/"), code="-")
    page = submit(person, form(page.text, "/booking/code/"), code=right)
    assert page.status_code == 422 and "Demandez-en un nouveau" in page.text
    page = submit(person, form(page.text, "/booking/again/"))
    assert "Un nouveau code a été envoyé" in page.text
    done = submit(person, form(page.text, "/booking/code/"), code=code_for(tenant_of(clinic), email))
    assert "/booking/done/" in path(done)


def test_a_time_that_was_taken_offers_others(clinic: Demo) -> None:
    quick, slow = clinic.person(), clinic.person()
    page = times(slow, doctor="demo-elamrani")
    days = next(each for each in forms(page.text) if each["action"].endswith("/hold") and len(each["buttons"]) > 1)
    chosen = days["buttons"][9][1]
    mine = next(each for each in forms(times(quick, doctor="demo-elamrani").text) if len(each["buttons"]) > 1)
    assert "/booking/who/" in path(submit(quick, mine, proposal=chosen))
    late = submit(slow, days, proposal=chosen)
    assert late.status_code == 409 and "Les autres créneaux les plus proches" in late.text
    other = next(each for each in forms(late.text) if each["action"].endswith("/hold") and each["buttons"])
    assert "/booking/who/" in path(submit(slow, other, proposal=other["buttons"][0][1]))


def test_a_hold_that_is_over(clinic: Demo) -> None:
    person, email = clinic.person(), fresh()
    second = hold(person, 10)
    id_ = path(second).rsplit("/", 1)[-1]
    third = say_who(person, second, contact=email)
    assert clinic.client().post(f"Appointment/{id_}/$cancel").status == 200
    gone = follow(person, person.get(f"booking/who/{id_}?service={_SERVICE}"))
    assert gone.status_code == 410 and "n’est plus réservé" in gone.text and 'name="proposal"' in gone.text
    # The code is right: the person is known from now on, and chooses another time without saying it all again.
    over = submit(person, form(third.text, "/booking/code/"), code=code_for(tenant_of(clinic), email))
    assert "/booking/gone" in path(over) and over.status_code == 410
    other = next(each for each in forms(over.text) if each["action"].endswith("/hold") and each["buttons"])
    second = submit(person, other, proposal=other["buttons"][0][1])
    assert "Confirmez votre rendez-vous" in second.text and 'name="given"' not in second.text
    assert "Votre rendez-vous est pris" in submit(person, form(second.text, "/booking/who/")).text


def test_held_longer_once_and_given_free(clinic: Demo) -> None:
    person = clinic.person()
    second = hold(person, 11)
    again = submit(person, form(second.text, "/booking/extend/"))
    assert again.status_code == 200 and "/booking/extend/" not in again.text
    id_ = path(again).rsplit("/", 1)[-1]
    other = times(person, instead=id_)
    days = next(each for each in forms(other.text) if each["action"].endswith("/hold") and len(each["buttons"]) > 1)
    moved = submit(person, days, proposal=days["buttons"][0][1])
    assert "/booking/who/" in path(moved) and id_ not in path(moved)
    assert clinic.client().get(f"Appointment/{id_}").json["status"] == "cancelled"
    assert "Un créneau est réservé pour vous" in person.get("booking/").text


def test_a_third_hold_is_refused_in_words(clinic: Demo) -> None:
    person = clinic.person()
    hold(person, 12)
    hold(person, 13)
    assert hold(person, 14).status_code == 422


def test_nobody_sees_anothers_hold(clinic: Demo) -> None:
    mine, other = clinic.person(), clinic.person()
    id_ = path(hold(mine, 15)).rsplit("/", 1)[-1]
    for step in ("who", "code"):
        page = other.get(f"booking/{step}/{id_}")
        assert page.status_code == 410
    assert clinic.client().get(f"Appointment/{id_}").json["status"] == "pending"
    other.post(f"booking/release/{id_}", csrf=False)
    assert clinic.client().get(f"Appointment/{id_}").json["status"] == "pending"


def test_a_patient_books_in_two(clinic: Demo) -> None:
    person = clinic.person("patient")
    page = hold(person, 3, doctor="demo-ndiaye")
    assert "Confirmez votre rendez-vous" in page.text and "Étapes" in page.text
    done = submit(person, form(page.text, "/booking/who/"), comment="Contrôle")
    assert "Votre rendez-vous est pris" in done.text
    stored = clinic.client().get(f"Appointment/{path(done).rsplit('/', 1)[-1]}").json
    assert (stored["status"], stored["comment"]) == ("booked", "Contrôle")


def test_who_signs_in_on_the_way_finds_the_time_free(clinic: Demo) -> None:
    person = clinic.person()
    second = hold(person, 16, doctor="demo-ndiaye")
    id_ = path(second).rsplit("/", 1)[-1]
    login = submit(person, form(second.text, "/booking/release/"))
    assert "/oauth/login" in path(login) and "/ui/booking/times" in login.request.url
    assert clinic.client().get(f"Appointment/{id_}").json["status"] == "cancelled"


@pytest.mark.parametrize(("service", "said"), [("demo-diabetes", "questions"), ("demo-gynecology", "confirmer")])
def test_what_is_not_booked_at_once_says_so(clinic: Demo, service: str, said: str) -> None:
    person, email = clinic.person(), fresh()
    third = say_who(person, hold(person, 2, service=service), contact=email)
    done = submit(person, form(third.text, "/booking/code/"), code=code_for(tenant_of(clinic), email))
    assert "Votre demande est enregistrée" in done.text and said in done.text


def test_by_video_where_it_is_chosen(clinic: Demo) -> None:
    person = clinic.person()
    page = hold(person, 4, mode="video")
    assert "En vidéo" in page.text
    stored = clinic.client().get(f"Appointment/{path(page).rsplit('/', 1)[-1]}").json
    assert {"url": "urn:salam:StructureDefinition:service-mode", "valueCode": "video"} in stored["extension"]


def test_what_is_not_booked_online_is_nowhere(clinic: Demo) -> None:
    person = clinic.person()
    assert "demo-echo" not in person.get("booking/").text
    assert path(follow(person, person.get("booking/times?service=demo-echo"))).endswith("/booking/")


@pytest.mark.parametrize(("query", "shown"), [
    ("q=elamr", False), ("q=amrani", True), ("q=AMRANI+salma", True), ("service=demo-consultation", True), ("service=demo-pediatrics", False),
    ("mode=video", True), ("place=demo-anfa", False), ("q=%3Cscript%3E", False), ("from=2026-02-31", True), ("q=" + "x" * 3000, False),
])  # fmt: skip
def test_finding(clinic: Demo, query: str, shown: bool) -> None:
    page = clinic.person().get(f"booking/?{query}")
    assert page.status_code == 200
    assert ("demo-elamrani" in page.text.partition('class="cards"')[2]) == shown
    assert "<script>" not in page.text


def test_a_practitioners_page(clinic: Demo) -> None:
    page = clinic.person().get("booking/doctor/demo-elamrani")
    assert page.status_code == 200 and "<title>Dr Salma EL AMRANI" in page.text
    assert '<meta name="description"' in page.text
    assert clinic.person().get("booking/doctor/nobody").status_code == 404


def test_weeks(clinic: Demo) -> None:
    person = clinic.person()
    first = times(person)
    later = re.search(r'rel="next" href="([^"]*)"', first.text)
    assert later is not None
    second = person.get(html.unescape(later[1]))
    assert second.status_code == 200 and 'rel="prev"' in second.text
    for text in ("1990-01-01", "9999-12-31", "x", "2026-13-01"):
        assert times(person, **{"from": text}).status_code == 200


def test_the_wait_list(clinic: Demo) -> None:
    person, email = clinic.person(), fresh()
    page = person.get(f"booking/waitlist?service={_SERVICE}&doctor=demo-ndiaye")
    link = re.search(r'href="([^"]*/booking/who/none[^"]*)"', page.text)
    assert link is not None
    third = say_who(person, person.get(html.unescape(link[1])), contact=email)
    page = submit(person, form(third.text, "/booking/code/"), code=code_for(tenant_of(clinic), email))
    assert "/booking/waitlist" in path(page) and 'name="weeks"' in page.text
    waiting = submit(person, form(page.text, "/booking/waitlist"), weeks="8")
    assert "Vous êtes sur la liste d’attente" in waiting.text
    patient = clinic.client().search(f"Patient?email={email}")[0]
    found = clinic.client().search(f"Appointment?status=waitlist&patient=Patient/{patient['id']}")
    assert len(found) == 1


def test_staff_are_visitors_here(clinic: Demo) -> None:
    page = clinic.person("receptionist").get("booking/times?service=demo-consultation")
    assert page.status_code == 200 and 'name="who"' not in page.text


def test_ids_that_are_none(clinic: Demo) -> None:
    person = clinic.person()
    for id_ in ("x", "..%2F..", "a" * 3000, "%00", "none"):
        for step in ("who", "code", "done"):
            assert person.get(f"booking/{step}/{id_}").status_code < 500, (step, id_)
    csrf = form(times(person).text, "/booking/hold")["fields"]["csrf"]
    for proposal in ("", "x", "proposal-xyz", "../Patient", "proposal-1~teleport", "a" * 5000):
        answer = person.post("booking/hold", {"csrf": csrf, "proposal": proposal, "service": _SERVICE}, csrf=False)
        assert 400 <= answer.status_code < 500, proposal


@pytest.mark.parametrize("lang", ["en", "es", "ar"])
def test_languages(clinic: Demo, lang: str) -> None:
    page = clinic.person().get("booking/times?service=demo-consultation", lang=lang)
    assert f'lang="{lang}"' in page.text and ("Choose a time" in page.text) == (lang == "en")
