"""Consents that hold at once, messages and preferences, and one's own data."""

import json
import re

import pytest

from fhir_server.security import own_pages
from tests.client import Client
from tests.ui.conftest import Demo
from tests.ui.portal import people
from tests.ui.portal.people import HTML, observation, patient


def seen_by(clinic: Demo, role: str, who: str) -> int:
    """How many results of a patient somebody of a role finds, with the token of the pages."""
    person = clinic.person(role)
    assert person.post("live").status_code == 200
    cookie = person.http.get_cookie(f"salam-{clinic.slug}", domain="localhost")
    assert cookie is not None
    return len(Client(clinic.slug, own_pages.token_of(cookie.value)).search(f"Observation?patient={who}"))


def test_a_record_is_closed_to_one_professional_and_opened_again(clinic: Demo) -> None:
    known = patient(clinic)
    clinic.client().create(observation(known.reference))
    assert seen_by(clinic, "practitioner", known.reference) == 1
    assert known.person.post("portal/consents", {"what": "not", "who": "Practitioner/demo-elamrani"}).status_code == 303
    assert seen_by(clinic, "practitioner", known.reference) == 0
    assert seen_by(clinic, "nurse", known.reference) == 1
    text = known.person.get("portal/consents").text
    assert "ne voit pas votre dossier" in text
    consent = re.search(r"portal/consents/([\w-]+)/withdraw", text)
    assert consent and known.person.post(f"portal/consents/{consent[1]}/withdraw").status_code == 303
    assert seen_by(clinic, "practitioner", known.reference) == 1
    assert "Terminé" in known.person.get("portal/consents").text


def test_a_medical_record_for_one_professional_only(clinic: Demo) -> None:
    known = patient(clinic)
    clinic.client().create(observation(known.reference))
    people.booked(clinic.client(), known.reference)
    known.person.post("portal/consents", {"what": "only", "who": "Practitioner/demo-elamrani"})
    assert seen_by(clinic, "practitioner", known.reference) == 1 and seen_by(clinic, "nurse", known.reference) == 0
    assert "Seul Dr Salma EL AMRANI voit votre dossier médical" in known.person.get("portal/consents").text
    # One's own account is not bound by it.
    assert "112 mg/dL" in known.person.get("portal/results").text


@pytest.mark.parametrize(("form", "sentence"), [
    ({}, "Choisissez ce que vous souhaitez"), ({"what": "all", "who": "Practitioner/demo-elamrani"}, "Choisissez ce que vous"),
    ({"what": "not"}, "Choisissez un professionnel"), ({"what": "not", "who": f"Practitioner/{HTML}"}, "Choisissez un professionnel"),
    ({"what": "not", "who": "Practitioner/demo-elamrani", "until": "2020-01-01"}, "Choisissez un jour à venir"),
    ({"what": "not", "who": "Practitioner/demo-elamrani", "until": "demain"}, "Indiquez une date"),
])  # fmt: skip
def test_half_a_decision_is_none(clinic: Demo, form: dict[str, str], sentence: str) -> None:
    known = patient(clinic)
    answer = known.person.post("portal/consents", form)
    assert answer.status_code == 200 and sentence in answer.text and HTML not in answer.text
    assert clinic.client().search(f"Consent?patient={known.reference}") == []


def test_a_proxy_decides_nothing(clinic: Demo) -> None:
    known = patient(clinic)
    proxy = clinic.person(email=people.account(clinic, "proxy", patients=[known.id]))
    assert "Seul le patient en décide" in proxy.get("portal/consents").text
    assert proxy.post("portal/consents", {"what": "not", "who": "Practitioner/demo-elamrani"}).status_code == 403


def test_another_patients_consent_is_not_to_be_ended(clinic: Demo) -> None:
    mine, other = patient(clinic), patient(clinic)
    mine.person.post("portal/consents", {"what": "not", "who": "Practitioner/demo-elamrani"})
    consent = clinic.client().search(f"Consent?patient={mine.reference}")[0]
    assert other.person.post(f"portal/consents/{consent['id']}/withdraw").status_code == 404
    assert clinic.client().get(f"Consent/{consent['id']}").json["status"] == "active"


# -- messages ----------------------------------------------------------------------------------------------------------


def message(clinic: Demo, who: str, text: str) -> str:
    channel = {"coding": [{"system": "urn:salam:CodeSystem:message-channel", "code": "in-app"}]}
    made: str = clinic.client().create({
        "resourceType": "Communication", "status": "completed", "medium": [channel], "subject": {"reference": who},
        "recipient": [{"reference": who}], "sent": "2026-11-01T10:00:00Z", "topic": {"text": "Rappel"}, "payload": [{"contentString": text}],
    })["id"]  # fmt: skip
    return made


def test_messages_are_read_and_marked(clinic: Demo) -> None:
    known = patient(clinic)
    first, second = (message(clinic, known.reference, f"Bonjour {HTML} {n}") for n in "12")
    assert "2 messages non lus" in known.person.get("portal/").text
    text = known.person.get("portal/messages").text
    assert len(re.findall(r"Non lu\s:", text)) == 2 and HTML not in text
    known.person.post("portal/messages/read", {"id": first})
    assert "1 message non lu" in known.person.get("portal/").text
    known.person.post("portal/messages/read")
    assert (
        "non lu" not in known.person.get("portal/").text
        and "received" in clinic.client().get(f"Communication/{second}").json
    )


def test_another_patients_messages_are_neither_shown_nor_marked(clinic: Demo) -> None:
    mine, other = patient(clinic), patient(clinic)
    secret = message(clinic, mine.reference, "Pour moi seul")
    assert "Pour moi seul" not in other.person.get("portal/messages").text
    other.person.post("portal/messages/read", {"id": secret})
    assert "received" not in clinic.client().get(f"Communication/{secret}").json


def test_what_is_unticked_is_not_sent_any_more(clinic: Demo) -> None:
    known = patient(clinic)
    text = known.person.get("portal/preferences").text
    boxes = re.findall(r'name="shown" value="([\w.-]+)"', text)
    assert "visits.in-app" in boxes and "tickets.push" in boxes
    assert re.search(r'id="visits-in-app" name="visits.in-app" value="1" checked', text)
    known.person.post("portal/preferences", {"shown": boxes})
    after = known.person.get("portal/preferences").text
    assert not re.search(r'id="visits-in-app" name="visits.in-app" value="1" checked', after)
    known.person.post("portal/preferences", {"shown": boxes, "visits.in-app": "1"})
    assert re.search(
        r'id="visits-in-app" name="visits.in-app" value="1" checked', known.person.get("portal/preferences").text
    )


def test_a_browser_is_given_the_key_and_a_bad_one_is_refused(clinic: Demo) -> None:
    person = patient(clinic).person
    assert len(person.get("portal/push-key").json["key"]) > 80
    assert (
        person.post("portal/push", {"endpoint": "https://127.0.0.1/x", "p256dh": "x", "auth": "y"}).status_code == 422
    )


# -- one's data --------------------------------------------------------------------------------------------------------


def test_the_whole_record_is_one_bundle_of_ones_own(clinic: Demo) -> None:
    mine, other = patient(clinic), patient(clinic)
    for value in (80, 90):
        clinic.client().create(observation(mine.reference, value))
    clinic.client().create(observation(other.reference, 5))
    answer = mine.person.get("portal/my-data/record.json")
    bundle = json.loads(answer.data)
    kinds = [entry["resource"]["resourceType"] for entry in bundle["entry"]]
    assert bundle["type"] == "collection" and kinds.count("Observation") == 2 and kinds.count("Patient") == 1
    assert other.id not in answer.text and "attachment" in answer.headers["Content-Disposition"]


def test_it_stands_there_who_looked(clinic: Demo) -> None:
    known = patient(clinic)
    clinic.client().create(observation(known.reference))
    assert "Personne pour l’instant" in known.person.get("portal/my-data/access").text
    seen_by(clinic, "practitioner", known.reference)
    text = known.person.get("portal/my-data/access").text
    assert "Dr Salma EL AMRANI" in text and "pour vous soigner" in text and "résultats" in text
