"""Registering a patient, who may be the same, the card, and mending contact details."""

from typing import Any

from tests.ui.conftest import Demo
from tests.ui.desk.arranged import booked, opened, patient

FORM = {"family": "Registrée", "given": "Meryem", "gender": "female", "birth": "24/11/1991", "phone": "0661234567",
        "language": "ar", "identifier": "be 445566"}  # fmt: skip


def one(clinic: Demo, query: str) -> dict[str, Any]:
    found = clinic.client().search(f"Patient?{query}")
    assert len(found) == 1
    return found[0]


def test_a_patient_is_registered_once_however_often_the_button_is_pressed(clinic: Demo) -> None:
    desk = clinic.person("receptionist")
    for _ in range(2):
        answer = desk.post("desk/patients", {**FORM, "seen": _seen(clinic)}, htmx=True)
        assert answer.status_code == 200 and "Meryem REGISTRÉE" in answer.text, answer.text
    made = one(clinic, "family=Registr%C3%A9e&birthdate=1991-11-24")
    assert made["telecom"][0]["value"] == "+212661234567" and made["identifier"][0]["value"] == "BE 445566"
    assert made["communication"][0]["language"]["coding"][0]["code"] == "ar" and made["gender"] == "female"


def _seen(clinic: Demo) -> str:
    return " ".join(each["id"] for each in clinic.client().search("Patient?family=Registr%C3%A9e"))


def test_what_is_wrong_is_said_at_the_field_and_what_was_typed_stays(clinic: Demo) -> None:
    desk = clinic.person("receptionist")
    wrong = {
        "family": "",
        "given": "x" * 10_000,
        "birth": "31/02/1990",
        "phone": "0612",
        "gender": "cat",
        "language": "xx",
    }
    answer = desk.post("desk/patients", wrong, htmx=True)
    assert answer.status_code == 422 and answer.text.count('aria-invalid="true"') >= 5
    assert 'value="31/02/1990"' in answer.text and 'value="0612"' in answer.text
    future = desk.post("desk/patients", {"family": "Demain", "birth": "01/01/2190"}, htmx=True)
    assert future.status_code == 422 and "futur" in future.text
    assert "<html" in desk.post("desk/patients", wrong).text


def test_only_a_family_name_is_needed_and_it_is_text(clinic: Demo) -> None:
    answer = clinic.person("receptionist").post("desk/patients", {"family": "<b>Minimale</b>"}, htmx=True)
    assert answer.status_code == 200 and "<b>Minimale" not in answer.text and "&lt;B&gt;MINIMALE" in answer.text


def test_who_may_be_the_same_is_shown_once_and_never_stands_in_the_way(clinic: Demo) -> None:
    client, desk = clinic.client(), clinic.person("receptionist")
    who = patient(
        client, "El Doublon", "Hicham", birthDate="1970-05-05", telecom=[{"system": "phone", "value": "+212677000111"}]
    )
    form = {"family": "Doublon", "given": "Hicham", "birth": "05/05/1970"}
    assert f"patients/{who}" in desk.post("desk/patients/same", form, htmx=True).text
    for other in ({"family": "Autre", "phone": "0677000111"}, {"family": "El Doublon", "given": "Hicham"}):
        assert f"patients/{who}" in desk.post("desk/patients/same", other, htmx=True).text
    assert (
        f"patients/{who}"
        not in desk.post("desk/patients/same", {"family": "Autre", "birth": "05/05/1970"}, htmx=True).text
    )
    warned = desk.post("desk/patients", form, htmx=True)
    assert "Enregistrer quand même" in warned.text and len(client.search("Patient?name=doublon")) == 0
    saved = desk.post("desk/patients", {**form, "seen": who}, htmx=True)
    assert "Hicham DOUBLON" in saved.text and len(client.search("Patient?name=doublon")) == 1


def test_the_card_offers_the_next_step(clinic: Demo) -> None:
    client, desk = opened(clinic), clinic.person("receptionist")
    who = patient(client, "Carte", "Samia", birthDate="1990-01-01")
    assert 'name="patient" value="' + who in desk.get(f"desk/patients/{who}", htmx=True).text
    visit = booked(client, who)
    card = desk.get(f"desk/patients/{who}", htmx=True).text
    assert f"visits/{visit}/check-in" in card and "Contact" not in card.split("next-step")[0]
    desk.post(f"desk/visits/{visit}/check-in", htmx=True)
    card = desk.get(f"desk/patients/{who}", htmx=True).text
    assert "check-in" not in card and "desk/tickets/" in card
    assert "doctor/patient" not in card
    assert f"doctor/patient/{who}" in clinic.person("nurse").get(f"desk/patients/{who}", htmx=True).text
    assert desk.get("desk/patients/nobody").status_code == 404


def test_contact_details_are_mended_but_not_over_somebody_else_s(clinic: Demo) -> None:
    client, desk = clinic.client(), clinic.person("receptionist")
    who = patient(
        client,
        "Adresse",
        "Omar",
        telecom=[{"system": "phone", "value": "+212600000001"}, {"system": "fax", "value": "1"}],
    )
    form = {
        "phone": "06 61 22 33 44",
        "email": "omar@mail.example",
        "line": "3, rue X",
        "city": "Rabat",
        "language": "fr",
    }
    saved = desk.post(f"desk/patients/{who}/contact", {**form, "version": "1"}, htmx=True)
    assert saved.status_code == 200 and "Enregistré" in saved.text
    stored = client.get(f"Patient/{who}").json
    assert [each["value"] for each in stored["telecom"]] == ["+212661223344", "1", "omar@mail.example"]
    assert stored["address"][0] == {"use": "home", "line": ["3, rue X"], "city": "Rabat"}
    stale = desk.post(f"desk/patients/{who}/contact", {**form, "city": "Fès", "version": "1"}, htmx=True)
    assert stale.status_code == 412 and 'value="Fès"' in stale.text and "entre-temps" in stale.text
    assert client.get(f"Patient/{who}").json["address"][0]["city"] == "Rabat"
    again = desk.post(f"desk/patients/{who}/contact", {**form, "city": "Fès", "version": "2"}, htmx=True)
    assert again.status_code == 200 and client.get(f"Patient/{who}").json["address"][0]["city"] == "Fès"
    wrong = desk.post(
        f"desk/patients/{who}/contact", {**form, "phone": "12", "email": "nope", "version": "3"}, htmx=True
    )
    assert wrong.status_code == 422 and wrong.text.count('aria-invalid="true"') == 2


def test_a_relative_is_noted(clinic: Demo) -> None:
    client, desk = clinic.client(), clinic.person("receptionist")
    who = patient(client, "Famille", "Ines")
    assert desk.post(f"desk/patients/{who}/relatives", {"kin_name": "", "kin": "MTH"}, htmx=True).status_code == 422
    saved = desk.post(
        f"desk/patients/{who}/relatives",
        {"kin_name": "Aïcha Famille", "kin": "MTH", "kin_phone": "0661000002"},
        htmx=True,
    )
    assert saved.status_code == 200 and "Aïcha FAMILLE" in saved.text and "Mère" in saved.text
    assert client.search(f"RelatedPerson?patient=Patient/{who}")[0]["telecom"][0]["value"] == "+212661000002"


def test_who_may_not_register_cannot(clinic: Demo) -> None:
    clerk = clinic.person("billing")
    assert "desk/patients/new" not in clerk.get("desk/").text
    answer = clerk.post("desk/patients", {"family": "Interdite"}, htmx=True)
    assert answer.headers.get("HX-Reswap") == "none"
    assert clinic.client().search("Patient?family=Interdite") == []
