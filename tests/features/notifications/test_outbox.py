"""A message is made once for each occasion and channel, in the transaction of what it tells about."""

import threading
from datetime import timedelta

from fhir_server.core import clock
from fhir_server.features.notifications import outbox
from tests.features.notifications.sending import Clinic


def test_an_occasion_is_told_once_through_each_channel(clinic: Clinic) -> None:
    assert clinic.enqueue(clinic.draft("o1")) is True
    assert clinic.enqueue(clinic.draft("o1", text="Another text")) is False
    assert clinic.enqueue(clinic.draft("o1", "email", "a@example.org", subject="Rappel")) is True
    assert sorted(clinic.messages()) == ["o1/email", "o1/sms"]
    assert len(clinic.tenant.client().search("Communication")) == 2


def test_of_many_that_tell_the_same_at_once_one_does(clinic: Clinic) -> None:
    draft = clinic.draft("o1")
    made: list[bool] = []
    start = threading.Barrier(12)

    def tell() -> None:
        start.wait()
        made.append(clinic.enqueue(draft))

    threads = [threading.Thread(target=tell) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == [False] * 11 + [True]
    assert len(clinic.tenant.client().search("Communication")) == 1


def test_what_is_undone_is_not_told(clinic: Clinic) -> None:
    ctx = clinic.context()
    with ctx.db.hold():
        assert outbox.enqueue(ctx, clinic.draft("o1")) is True
    ctx.db.rollback()
    assert clinic.messages() == {}
    assert clinic.tenant.client().search("Communication") == []


def test_the_row_tells_neither_address_nor_text(clinic: Clinic) -> None:
    clinic.enqueue(clinic.draft("o1", text="Bonjour Fatima", address="+212611223344"))
    row = clinic.messages()["o1/sms"]
    assert b"Fatima" not in row.sealed and b"212611223344" not in row.sealed
    assert outbox.opened(clinic.context(), row).text == "Bonjour Fatima"


def test_the_communication_says_who_what_and_how(clinic: Clinic) -> None:
    clinic.enqueue(clinic.draft("o1", subject="Rappel", text="Lien : https://clinic.example/x/secret"))
    told = clinic.communication("o1/sms")
    assert told["status"] == "preparation"
    assert told["subject"] == {"reference": clinic.patient} == told["recipient"][0] == told["about"][0]
    assert told["category"][0]["coding"][0]["code"] == "reminder"
    assert told["medium"][0]["coding"][0]["code"] == "sms"
    assert "payload" not in told and "sent" not in told and "secret" not in str(told)


def test_an_email_with_a_link_is_not_quoted_and_one_without_is(clinic: Clinic) -> None:
    clinic.enqueue(clinic.draft("o1", "email", "a@example.org", text="Voir https://clinic.example/t/key"))
    clinic.enqueue(clinic.draft("o2", "email", "a@example.org", text="A demain."))
    assert "payload" not in clinic.communication("o1/email")
    assert clinic.communication("o2/email")["payload"] == [{"contentString": "A demain."}]


def test_an_in_app_message_is_there_at_once(clinic: Clinic) -> None:
    clinic.enqueue(clinic.draft("o1", "in-app", "", text="Votre tour approche"))
    told = clinic.communication("o1/in-app")
    assert told["status"] == "completed" and told["sent"] and "received" not in told
    assert told["payload"] == [{"contentString": "Votre tour approche"}]
    clinic.tend()
    assert clinic.asked == []
    assert clinic.messages()["o1/in-app"].state == "delivered"


def test_a_message_waits_until_its_time(clinic: Clinic) -> None:
    clinic.enqueue(clinic.draft("o1", not_before=clock.now() + timedelta(hours=2)))
    clinic.tend()
    assert clinic.messages()["o1/sms"].state == "queued" and clinic.asked == []
    clinic.tend(hours=2, seconds=1)
    assert clinic.messages()["o1/sms"].state == "sent"
