"""The patient's first page, whose record it shows, and what nobody else may see."""

import re

import pytest

from tests.ui.conftest import Demo
from tests.ui.portal import people
from tests.ui.portal.people import HTML, booked, patient

PAGES = ("", "visits", "results", "measures", "documents", "record", "messages", "more", "preferences", "consents",
         "my-data", "my-data/access", "queues")  # fmt: skip


def test_the_next_appointment_is_shown_with_when_who_and_where(clinic: Demo) -> None:
    known = patient(clinic)
    booked(clinic.client(), known.reference)
    text = known.person.get("portal/").text
    assert "Bonjour Yasmine" in text and "Dr Salma EL AMRANI" in text and "Clinique Al Amal, Maârif" in text
    assert "openstreetmap.org/?mlat=33.585" in text and 'rel="noreferrer noopener"' in text


def test_who_has_nothing_is_led_to_booking(clinic: Demo) -> None:
    text = patient(clinic).person.get("portal/").text
    assert "Aucun rendez-vous prévu" in text and f"/t/{clinic.slug}/ui/booking/" in text


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("lang", ["fr", "ar", "es", "en"])
def test_every_page_is_there_in_every_language(clinic: Demo, path: str, lang: str) -> None:
    answer = clinic.person("patient").get(f"portal/{path}", lang=lang)
    assert answer.status_code == 200, answer.text
    assert f'lang="{lang}"' in answer.text and len(re.findall("<h1", answer.text)) == 1


@pytest.mark.parametrize("role", ["receptionist", "practitioner", "owner"])
def test_staff_have_no_business_here(clinic: Demo, role: str) -> None:
    assert clinic.person(role).get("portal/").status_code == 404


def test_a_visitor_is_asked_to_sign_in(clinic: Demo) -> None:
    assert clinic.person().get("portal/visits").status_code == 303


def test_names_are_text(clinic: Demo) -> None:
    known = patient(clinic, given=HTML, family="x" * 9000)
    answer = known.person.get("portal/")
    assert answer.status_code == 200 and HTML not in answer.text and "&lt;img src=x" in answer.text


def test_the_ticket_stands_on_the_first_page_and_can_be_given_back(clinic: Demo) -> None:
    known = patient(clinic)
    assert known.person.post("portal/queues/demo-queue").status_code == 303
    text = known.person.get("portal/").text
    number = re.search(r"A-\d{3}", text)
    assert number and "avant vous" in text or "en tête" in text
    task = re.search(r"portal/tickets/([\w-]+)/cancel", text)
    assert task and known.person.post(f"portal/tickets/{task[1]}/cancel").status_code == 303
    assert "Mon ticket" not in known.person.get("portal/").text


def test_a_second_ticket_of_the_same_queue_is_the_first(clinic: Demo) -> None:
    known = patient(clinic)
    for _ in range(2):
        assert known.person.post("portal/queues/demo-queue").status_code == 303
    found = clinic.client().search(f"Task?patient={known.reference}")
    assert len(found) == 1


def test_another_patients_ticket_is_not_to_be_touched(clinic: Demo) -> None:
    mine, other = patient(clinic), patient(clinic)
    mine.person.post("portal/queues/demo-queue")
    task = clinic.client().search(f"Task?patient={mine.reference}")[0]["id"]
    assert other.person.post(f"portal/tickets/{task}/cancel").status_code == 404
    assert clinic.client().get(f"Task/{task}").json["status"] == "requested"


# -- for others --------------------------------------------------------------------------------------------------------


def test_a_proxy_switches_between_those_for_whom_he_acts(clinic: Demo) -> None:
    one, two, foreign = (patient(clinic, given=name) for name in ("Ali", "Mona", "Zaki"))
    proxy = clinic.person(email=people.account(clinic, "proxy", patients=[one.id, two.id]))
    text = proxy.get("portal/").text
    assert "Bonjour Ali" in text and "Mona BERRADA" in text and "Zaki" not in text
    assert proxy.post("portal/whose", {"patient": two.id}).status_code == 303
    assert "Bonjour Mona" in proxy.get("portal/").text
    assert proxy.post("portal/whose", {"patient": foreign.id}).status_code == 404
    assert "Bonjour Mona" in proxy.get("portal/").text


def test_one_relatives_appointment_is_not_shown_in_the_others_record(clinic: Demo) -> None:
    one, two = patient(clinic, given="Ali"), patient(clinic, given="Mona")
    visit = booked(clinic.client(), two.reference)
    proxy = clinic.person(email=people.account(clinic, "proxy", patients=[one.id, two.id]))
    assert proxy.get(f"portal/visits/{visit['id']}").status_code == 404
    proxy.post("portal/whose", {"patient": two.id})
    assert proxy.get(f"portal/visits/{visit['id']}").status_code == 200


def test_a_made_up_choice_opens_nothing(clinic: Demo) -> None:
    mine, other = patient(clinic, given="Ali"), patient(clinic, given="Zaki")
    mine.person.http.set_cookie(
        f"salam-whose-{clinic.slug}", other.id, domain="localhost", path=f"/t/{clinic.slug}/ui/"
    )
    text = mine.person.get("portal/").text
    assert "Bonjour Ali" in text and "Zaki" not in text


def test_what_a_phone_keeps_is_the_next_appointment_and_nothing_clinical(clinic: Demo) -> None:
    known = patient(clinic)
    assert known.person.get("portal/next.json").json == {}
    booked(clinic.client(), known.reference)
    kept = known.person.get("portal/next.json").json
    assert set(kept) == {
        "day",
        "time",
        "who",
        "place",
        "address",
        "bring",
        "phone",
        "code",
        "until",
        "language",
        "kept",
    }
    assert (
        kept["code"].startswith("data:image/png") and kept["who"] == "Dr Salma EL AMRANI" and "Yasmine" not in str(kept)
    )
