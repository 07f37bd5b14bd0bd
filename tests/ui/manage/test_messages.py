"""Messages: own texts with their preview, and the way back to the default."""

import pytest

from tests.ui.conftest import Demo, Person
from tests.ui.manage.forms import changed, form_of, text_of

PATH = "manage/messages/reminder?language=fr&channel=sms"


@pytest.fixture
def manager(clinic: Demo) -> Person:
    return clinic.person("manager")


def save(manager: Person, body: str, path: str = PATH, **fields: str) -> int:
    return int(manager.post(path.partition("?")[0], changed(form_of(manager.get(path), "body"), body=body, **fields)).status_code)


def test_an_own_text_is_kept_used_and_taken_back(clinic: Demo, manager: Person) -> None:
    default = form_of(manager.get(PATH), "body")["body"]
    assert "{{ start|date }}" in default[0]
    assert save(manager, "{{ clinic }} : à {{ start|time }}.") == 303
    page = manager.get(PATH)
    assert form_of(page, "body")["body"] == ["{{ clinic }} : à {{ start|time }}."] and "reset" in page.text
    arabic = PATH.replace("fr&", "ar&")
    assert save(manager, "{{ clinic }} {{ start|time }}", arabic) == 303
    [definition] = clinic.client().search("ActivityDefinition?status=active")
    assert len(definition["extension"]) == 2, "one template for a kind holds all its texts"
    form = changed(form_of(manager.get(PATH), "body"), reset="1")
    assert manager.post("manage/messages/reminder", form).status_code == 303
    assert form_of(manager.get(PATH), "body")["body"] == default
    assert form_of(manager.get(arabic), "body")["body"] == ["{{ clinic }} {{ start|time }}"], "the other text stays"
    manager.post("manage/messages/reminder", changed(form_of(manager.get(arabic), "body"), reset="1"))
    assert clinic.client().search("ActivityDefinition?status=active") == []
    assert len(clinic.client().search("ActivityDefinition?status=retired")) == 1


@pytest.mark.parametrize(
    ("body", "said"),
    [("{{ nonsense }}", "Ligne 1, colonne 1"), ("Bonjour\n  {{ clinic", "Ligne 2, colonne 3"), ("{% if link %}x", "Ligne 1, colonne 1"), ("{{ start|upper }}", "Ligne 1, colonne 1"), ("x" * 700, ""), ("", "")],
)  # fmt: skip
def test_a_text_that_cannot_be_is_said_with_its_place_and_kept(clinic: Demo, manager: Person, body: str, said: str) -> None:
    answer = manager.post("manage/messages/reminder", changed(form_of(manager.get(PATH), "body"), body=body))
    assert answer.status_code == 422 and 'id="body-error"' in answer.text and said in text_of(answer)
    assert form_of(answer, "body")["body"] == [body]
    assert clinic.client().search("ActivityDefinition?status=active") == []


def test_the_preview_shows_the_text_its_parts_and_what_is_wrong(manager: Person) -> None:
    asked = {"language": "fr", "channel": "sms", "body": "{{ clinic }} ê {{ start|time }}"}
    shown = manager.post("manage/messages/reminder/preview", asked, htmx=True)
    assert shown.status_code == 200 and "UCS-2" in shown.text and "<bdi>ê</bdi>" in shown.text and "09:30" in shown.text
    wrong = manager.post("manage/messages/reminder/preview", {**asked, "body": "{{ nonsense }}"}, htmx=True)
    assert wrong.status_code == 200 and "Ligne 1, colonne 1" in wrong.text
    script = manager.post("manage/messages/reminder/preview", {**asked, "body": "<script>alert(1)</script>"}, htmx=True)
    assert "<script>" not in script.text


def test_who_was_overtaken_does_not_overwrite(clinic: Demo, manager: Person) -> None:
    assert save(manager, "{{ clinic }} un") == 303
    stale = changed(form_of(manager.get(PATH), "body"), body="{{ clinic }} deux")
    assert save(clinic.person("owner"), "{{ clinic }} trois") == 303
    answer = manager.post("manage/messages/reminder", stale)
    assert answer.status_code == 422 and form_of(answer, "body")["body"] == ["{{ clinic }} deux"]
    assert form_of(manager.get(PATH), "body")["body"] == ["{{ clinic }} trois"]
    manager.post("manage/messages/reminder", changed(form_of(manager.get(PATH), "body"), reset="1"))


def test_what_was_not_sent_is_listed_and_sent_again(clinic: Demo, manager: Person) -> None:
    patient = clinic.client().search("Patient?_count=1")[0]["id"]
    lost = clinic.client().create({
        "resourceType": "Communication", "status": "not-done", "recipient": [{"reference": f"Patient/{patient}"}],
        "category": [{"coding": [{"system": "urn:salam:CodeSystem:message-kind", "code": "reminder"}]}],
        "medium": [{"coding": [{"system": "urn:salam:CodeSystem:message-channel", "code": "sms"}]}], "statusReason": {"text": "Why not"},
    })  # fmt: skip
    page = manager.get("manage/messages/")
    assert page.status_code == 200 and lost["id"] in page.text and "Why not" in page.text
    # Not one of the server's own messages: it says so, and nothing breaks.
    assert manager.post(f"manage/messages/resend/{lost['id']}").status_code == 404


@pytest.mark.parametrize("lang", ["fr", "en", "es", "ar"])
@pytest.mark.parametrize("channel", ["sms", "whatsapp", "email", "push", "in-app"])
def test_every_kind_can_be_looked_at(manager: Person, lang: str, channel: str) -> None:
    for kind in ("confirmation", "ticket-called", "staff-change"):
        assert manager.get(f"manage/messages/{kind}?language={lang}&channel={channel}", lang=lang).status_code == 200
