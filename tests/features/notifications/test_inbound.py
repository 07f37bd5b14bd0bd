"""What people write back: STOP in their language counts at once, nothing else changes anything."""

import pytest

from fhir_server.features.notifications import preferences
from tests.features.notifications.sending import Clinic
from tests.features.notifications.test_callbacks import post

NUMBER = "+212612345678"


def write(clinic: Clinic, body: str, sender: str = NUMBER) -> tuple[int, str]:
    fields = {"From": sender, "To": "+212500000000", "Body": body, "MessageSid": "SM0123456789abcdef"}
    return post(clinic.tenant.slug, "inbound", fields)


def stopped(clinic: Clinic) -> bool:
    ctx = clinic.context()
    found = preferences.stopped(ctx, NUMBER)
    ctx.db.commit()
    return found


@pytest.mark.parametrize("word", ["STOP", " stop. ", "Arrêt", "توقف", "إيقاف", "BAJA", "unsubscribe"])
def test_stop_counts_in_every_language_and_is_confirmed_once(clinic: Clinic, word: str) -> None:
    status, answer = write(clinic, word)
    assert status == 200 and answer.count("<Message>") == 1
    assert stopped(clinic)
    assert write(clinic, word)[1].endswith("<Response></Response>"), "said before"
    status, answer = write(clinic, "START")
    assert "<Message>" in answer and not stopped(clinic)


def test_an_arabic_stop_is_confirmed_in_arabic(clinic: Clinic) -> None:
    assert "لن تصلك" in write(clinic, "توقف")[1]


def test_whatsapp_is_the_same_number(clinic: Clinic) -> None:
    write(clinic, "STOP", f"whatsapp:{NUMBER}")
    assert stopped(clinic)


@pytest.mark.parametrize("text", ["ne pas stopper le traitement", "Merci", "", "x" * 5000, "STOP " * 500, "<&>'\"", "\u202e"])
def test_anything_else_gets_no_answer_and_changes_nothing(clinic: Clinic, text: str) -> None:
    assert write(clinic, text) == (200, '<?xml version="1.0" encoding="UTF-8"?><Response></Response>')
    assert not stopped(clinic)


@pytest.mark.parametrize(("word", "says"), [
    ("ETAT", "ticket"), ("statut", "ticket"), ("status", "ticket"), ("الحالة", "تذكرتك"),
    ("ANNULER", "n'annule rien"), ("Cancelar", "no anula nada"), ("إلغاء الموعد", "لا تلغي"),
])  # fmt: skip
def test_words_get_a_link_and_do_nothing(clinic: Clinic, word: str, says: str) -> None:
    visit = clinic.tenant.client().create({
        "resourceType": "Appointment", "status": "proposed",
        "participant": [{"actor": {"reference": clinic.patient}, "status": "accepted"}],
    })  # fmt: skip
    clinic.tenant_settings({"portal_url": "https://clinique.example/?a=1&b=2"})
    answer = write(clinic, word)[1]
    assert says in answer and "https://clinique.example/?a=1&amp;b=2" in answer
    assert clinic.tenant.client().get(f"Appointment/{visit['id']}").json == visit
    assert not stopped(clinic)


def test_answers_end_with_the_budget(clinic: Clinic) -> None:
    clinic.tenant_settings({"portal_url": "https://c.example", "monthly_budget": "0.10", "costs": {"sms": "0.05"}})
    answers = ["<Message>" in write(clinic, "ETAT")[1] for _ in range(4)]
    assert answers == [True, True, False, False]
    assert "<Message>" in write(clinic, "STOP")[1], "a promise that is kept has its confirmation"


def test_forged_words_change_nothing(clinic: Clinic) -> None:
    fields = {"From": NUMBER, "Body": "STOP"}
    assert post(clinic.tenant.slug, "inbound", fields, signed="AAAA")[0] == 403
    assert not stopped(clinic)


def test_an_address_is_needed(clinic: Clinic) -> None:
    assert post(clinic.tenant.slug, "inbound", {"Body": "STOP"})[0] == 200
    assert not stopped(clinic)
