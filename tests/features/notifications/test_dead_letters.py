"""Messages that were given up: listed, tried again by people, and never sent twice when the provider knows better."""

import pytest

from fhir_server.core.errors import Conflict, NotFound
from fhir_server.features.notifications import dead_letters
from fhir_server.features.notifications.provider import Accepted, Later, Unclear, Unknowable
from tests.client import Answer, Client
from tests.features.notifications.sending import Clinic, Scripted, use


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Scripted:
    made = Scripted()
    use(made, monkeypatch)
    return made


def replay(clinic: Clinic) -> None:
    ctx = clinic.context()
    with ctx.db.hold():
        dead_letters.replay(ctx, clinic_row(clinic))
    ctx.db.commit()


def clinic_row(clinic: Clinic) -> int:
    return clinic.messages()["o1/sms"].message_id


def lost(clinic: Clinic, provider: Scripted) -> None:
    """A message of which nobody can tell whether it was sent."""
    provider.answers, provider.found = [Unclear("timeout")], Unknowable()
    clinic.enqueue(clinic.draft("o1"))
    clinic.tend()
    clinic.tend(minutes=2)
    assert clinic.messages()["o1/sms"].state == "dead"


def given_up(clinic: Clinic, provider: Scripted) -> None:
    provider.answers = [Later("503")] * 6
    clinic.enqueue(clinic.draft("o1"))
    for _ in range(6):
        clinic.tend(hours=9)
    assert clinic.messages()["o1/sms"].state == "dead"


def test_they_are_listed_without_address_and_text(clinic: Clinic, provider: Scripted) -> None:
    lost(clinic, provider)
    ctx = clinic.context()
    rows = dead_letters.listed(ctx, ("dead",))
    ctx.db.commit()
    assert [(row["state"], row["error"], row["channel"]) for row in rows] == [("dead", "unknown", "sms")]
    assert rows[0]["communication"] == clinic.communication("o1/sms")["id"]
    assert "2126" not in str(rows) and "demain" not in str(rows)


def test_what_was_certainly_not_sent_is_sent_by_a_replay(clinic: Clinic, provider: Scripted) -> None:
    given_up(clinic, provider)
    replay(clinic)
    assert clinic.communication("o1/sms")["status"] == "preparation"
    clinic.tend()
    row = clinic.messages()["o1/sms"]
    assert (row.state, row.attempts, len(provider.sent), provider.sought) == ("sent", 1, 7, [])
    assert clinic.communication("o1/sms")["status"] == "in-progress"


def test_a_replay_asks_again_whether_it_is_still_wanted(clinic: Clinic, provider: Scripted) -> None:
    given_up(clinic, provider)
    clinic.wanted = lambda draft: None
    replay(clinic)
    clinic.tend()
    assert clinic.messages()["o1/sms"].state == "stopped" and len(provider.sent) == 6


def test_a_replay_of_what_was_sent_after_all_sends_nothing(clinic: Clinic, provider: Scripted) -> None:
    lost(clinic, provider)
    provider.found = [Accepted("SIDFOUND")]
    replay(clinic)
    clinic.tend()
    row = clinic.messages()["o1/sms"]
    assert (row.state, row.provider_id, len(provider.sent)) == ("sent", "SIDFOUND", 1)


def test_where_nobody_can_tell_a_replay_is_a_person_s_decision(clinic: Clinic, provider: Scripted) -> None:
    lost(clinic, provider)
    replay(clinic)
    clinic.tend()
    clinic.tend()
    assert (clinic.messages()["o1/sms"].state, len(provider.sent)) == ("sent", 2)


def test_only_what_was_given_up_is_replayed(clinic: Clinic, provider: Scripted) -> None:
    clinic.enqueue(clinic.draft("o1"))
    for _ in range(2):
        with pytest.raises(Conflict):
            replay(clinic)
        clinic.context().db.rollback()
        clinic.tend()
    ctx = clinic.context()
    with pytest.raises(NotFound), ctx.db.hold():
        dead_letters.replay(ctx, 1)
    ctx.db.rollback()


def test_two_that_replay_at_once_replay_once(clinic: Clinic, provider: Scripted) -> None:
    given_up(clinic, provider)
    replay(clinic)
    with pytest.raises(Conflict):
        replay(clinic)
    clinic.context().db.rollback()
    clinic.tend()
    assert len(provider.sent) == 7


def resend(client: Client, communication: str) -> Answer:
    return client.post(f"Communication/{communication}/$resend", {"resourceType": "Parameters"})


def test_staff_have_a_message_sent_again_at_its_communication(clinic: Clinic, provider: Scripted) -> None:
    given_up(clinic, provider)
    id_ = clinic.communication("o1/sms")["id"]
    patient = clinic.tenant.client("patient/*.cruds", patient=clinic.patient.split("/")[1])
    assert resend(patient, id_).status == 403
    assert resend(clinic.tenant.client("system/*.rs"), id_).status == 403
    answer = resend(clinic.tenant.client(), id_)
    assert (answer.status, answer.json["parameter"][0]["valueCode"]) == (200, "queued")
    assert resend(clinic.tenant.client(), id_).status == 409
    clinic.tend()
    assert clinic.messages()["o1/sms"].state == "sent"


def test_what_is_no_message_cannot_be_sent_again(clinic: Clinic) -> None:
    staff = clinic.tenant.client()
    by_hand = staff.create({"resourceType": "Communication", "status": "completed"})
    assert resend(staff, by_hand["id"]).status == 404
    assert resend(staff, "no-such").status == 404


def test_after_a_month_there_is_nothing_left_to_send(clinic: Clinic, provider: Scripted) -> None:
    given_up(clinic, provider)
    clinic.tend(days=31)
    assert clinic.messages()["o1/sms"].sealed == b""
    replay(clinic)
    clinic.tend()
    row = clinic.messages()["o1/sms"]
    assert (row.state, row.error, len(provider.sent)) == ("stopped", "unreadable", 6)
