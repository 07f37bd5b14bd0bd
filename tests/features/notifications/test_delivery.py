"""A message is sent once, or people are asked: whatever dies, fails, hangs, or is cancelled meanwhile."""

import threading
import time
from datetime import timedelta
from decimal import Decimal

import msgspec
import pytest

from fhir_server.core import clock
from fhir_server.core.context import Context
from fhir_server.features.notifications import delivery, outcomes, sandbox
from fhir_server.features.notifications.draft import Draft
from fhir_server.features.notifications.provider import (
    Accepted,
    Later,
    Outcome,
    Outgoing,
    Refused,
    Unclear,
    Unknowable,
)
from fhir_server.settings import settings
from fhir_server.storage.errors import SerializationFailure
from tests.features.notifications.sending import Clinic, Scripted, use


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Scripted:
    made = Scripted()
    use(made, monkeypatch)
    return made


def test_a_message_is_sent_and_recorded(clinic: Clinic, provider: Scripted) -> None:
    clinic.enqueue(clinic.draft("o1"))
    clinic.tend()
    clinic.tend(days=1)
    assert len(provider.sent) == 1
    row, told = clinic.messages()["o1/sms"], clinic.communication("o1/sms")
    assert (row.state, row.provider, row.attempts) == ("sent", "scripted", 1)
    assert told["status"] == "in-progress" and told["sent"]
    assert told["identifier"] == [{"system": "urn:salam:message-provider:scripted", "value": row.provider_id}]


def test_what_goes_out_is_what_is_wanted_then(clinic: Clinic, provider: Scripted) -> None:
    clinic.enqueue(clinic.draft("o1", text="9 h"))
    clinic.wanted = lambda draft: msgspec.structs.replace(draft, text="10 h", address="+212600000001")
    clinic.tend()
    assert (provider.sent[0].draft.text, provider.sent[0].draft.address) == ("10 h", "+212600000001")


def test_what_is_not_wanted_any_more_is_not_sent(clinic: Clinic, provider: Scripted) -> None:
    clinic.enqueue(clinic.draft("o1"))
    clinic.wanted = lambda draft: None
    clinic.tend()
    assert provider.sent == []
    row, told = clinic.messages()["o1/sms"], clinic.communication("o1/sms")
    assert (row.state, row.error, row.sealed) == ("stopped", "unwanted", b"")
    assert told["status"] == "not-done" and "not wanted" in told["statusReason"]["text"]


def test_quiet_hours_cost_no_attempt(clinic: Clinic, provider: Scripted) -> None:
    later = clock.now() + timedelta(hours=8)
    clinic.enqueue(clinic.draft("o1"))
    clinic.wanted = lambda draft: msgspec.structs.replace(draft, not_before=later)
    clinic.tend()
    clinic.tend()
    row = clinic.messages()["o1/sms"]
    assert (provider.sent, row.state, row.attempts) == ([], "queued", 0)
    assert abs(row.next_attempt - later) < timedelta(seconds=1)
    clinic.tend(hours=8, seconds=5)
    assert len(provider.sent) == 1


# scheduling-queue.md 14, row 11
def test_a_cancel_during_the_sending_second_wins(clinic: Clinic, provider: Scripted) -> None:
    """The appointment is cancelled after the message was taken and before it was marked."""
    staff = clinic.tenant.client()
    visit = staff.create(
        {
            "resourceType": "Appointment", "status": "proposed",
            "participant": [{"actor": {"reference": clinic.patient}, "status": "accepted"}],
        }
    )  # fmt: skip

    def wanted(draft: Draft) -> Draft | None:
        # In another connection, as another process would, while the sending transaction is open.
        cancelled: list[int] = []
        other = threading.Thread(
            target=lambda: cancelled.append(
                clinic.tenant.client().put(f"Appointment/{visit['id']}", {**visit, "status": "cancelled"}).status
            )
        )
        other.start()
        other.join()
        assert cancelled == [200]
        ctx_sees = clinic.tenant.client  # what still_wanted reads is read after this
        return None if ctx_sees().get(f"Appointment/{visit['id']}").json["status"] == "cancelled" else draft

    clinic.enqueue(clinic.draft("o1"))
    clinic.wanted = wanted
    clinic.tend()
    assert provider.sent == [] and clinic.messages()["o1/sms"].state == "stopped"


@pytest.mark.parametrize("status", ["stopped", "on-hold", "entered-in-error"])
def test_staff_stop_a_message_at_its_communication(clinic: Clinic, provider: Scripted, status: str) -> None:
    clinic.enqueue(clinic.draft("o1"))
    told = clinic.communication("o1/sms")
    clinic.tenant.client().put(f"Communication/{told['id']}", {**told, "status": status})
    clinic.tend()
    assert provider.sent == [] and clinic.messages()["o1/sms"].state == "stopped"
    assert clinic.communication("o1/sms")["status"] == status


def test_a_deleted_communication_stops_its_message(clinic: Clinic, provider: Scripted) -> None:
    clinic.enqueue(clinic.draft("o1"))
    clinic.tenant.client().delete(f"Communication/{clinic.communication('o1/sms')['id']}")
    clinic.tend()
    assert provider.sent == [] and clinic.messages()["o1/sms"].state == "stopped"


def test_a_refusal_goes_through_the_next_channel(clinic: Clinic, provider: Scripted) -> None:
    provider.answers = [Refused("21614", "invalid-phone-number")]
    clinic.others = {"email": clinic.draft("", "email", "a@example.org", subject="Rappel")}
    clinic.enqueue(clinic.draft("o1"))
    clinic.tend()
    assert [outgoing.draft.channel for outgoing in provider.sent] == ["sms", "email"]
    told = clinic.communication("o1/sms")
    assert told["status"] == "not-done" and told["statusReason"]["coding"][0]["code"] == "invalid-phone-number"
    assert clinic.messages()["o1/sms"].state == "failed" and clinic.messages()["o1/email"].state == "sent"


def test_a_provider_that_says_stop_is_believed(clinic: Clinic, provider: Scripted) -> None:
    from fhir_server.features.notifications import preferences

    provider.answers = [Refused("21610", "patient-objection", opted_out=True)]
    clinic.enqueue(clinic.draft("o1"))
    clinic.tend()
    assert preferences.stopped(clinic.context(), "+212612345678")


def test_what_passes_is_tried_again_later_each_time_and_then_given_up(clinic: Clinic, provider: Scripted) -> None:
    provider.answers = [Later("429")] * 6
    clinic.enqueue(clinic.draft("o1"))
    pauses = []
    for _ in range(6):
        clinic.tend()
        row = clinic.messages()["o1/sms"]
        pauses.append((row.next_attempt - clock.now()).total_seconds())
        if row.state == "queued":
            clock.move(clock._ahead + (row.next_attempt - clock.now()) + timedelta(seconds=1))
    assert [low <= pause <= high for pause, low, high in zip(
        pauses, (20, 90, 470, 2800, 17000), (37, 146, 725, 4330, 26000), strict=False
    )] == [True] * 5, pauses  # fmt: skip
    row, told = clinic.messages()["o1/sms"], clinic.communication("o1/sms")
    assert (row.state, row.attempts, row.error) == ("dead", 6, "429")
    assert told["status"] == "not-done" and told["statusReason"]["coding"][0]["code"] == "system-error"
    clinic.tend(days=3)
    assert len(provider.sent) == 6


def test_a_provider_may_ask_for_more_time(clinic: Clinic, provider: Scripted) -> None:
    provider.answers = [Later("429", 900)]
    clinic.enqueue(clinic.draft("o1"))
    clinic.tend()
    wait = (clinic.messages()["o1/sms"].next_attempt - clock.now()).total_seconds()
    assert 880 < wait <= 900


@pytest.mark.parametrize(
    ("found", "state", "sends"),
    [([Accepted("SIDLOST")], "sent", 1), ([], "sent", 2), (Unknowable(), "dead", 1)],
    ids=["the provider has it", "the provider never had it", "nobody can tell"],
)
@pytest.mark.parametrize("silence", [Unclear("timeout"), RuntimeError("broken")], ids=["no answer", "a fault"])
def test_after_no_answer_the_provider_is_asked_before_anything_is_sent(
    clinic: Clinic, provider: Scripted, silence: Unclear | RuntimeError, found: object, state: str, sends: int
) -> None:
    provider.answers, provider.found = [silence], found  # type: ignore[assignment]
    clinic.enqueue(clinic.draft("o1"))
    clinic.tend()
    assert clinic.messages()["o1/sms"].state == "sending"
    clinic.tend()
    assert provider.sought == [], "not yet"
    clinic.tend(seconds=61)
    clinic.tend()
    assert (len(provider.sent), len(provider.sought), clinic.messages()["o1/sms"].state) == (sends, 1, state)
    if state == "dead":
        assert clinic.communication("o1/sms")["status"] == "unknown"


def test_a_lookup_that_fails_is_repeated_for_a_day_and_sends_nothing(clinic: Clinic, provider: Scripted) -> None:
    provider.answers, provider.found = [Unclear("timeout")], Unclear("lookup")
    clinic.enqueue(clinic.draft("o1"))
    clinic.tend()
    for _ in range(5):
        clinic.tend(minutes=6)
    assert (len(provider.sent), len(provider.sought)) == (1, 5)
    clinic.tend(hours=24)
    clinic.tend()
    row = clinic.messages()["o1/sms"]
    assert (len(provider.sent), row.state, row.error) == (1, "dead", "unknown")


def test_a_found_message_of_somebody_else_is_not_ours(clinic: Clinic, provider: Scripted) -> None:
    """Two messages with one text to one number: the provider's list shows both."""
    clinic.enqueue(clinic.draft("o1"))
    clinic.tend()
    first = clinic.messages()["o1/sms"].provider_id
    provider.answers, provider.found = [Unclear("timeout")], [Accepted(first)]
    clinic.enqueue(clinic.draft("o2"))
    clinic.tend()
    clinic.tend(seconds=61)
    clinic.tend()
    assert len(provider.sent) == 3 and clinic.messages()["o2/sms"].provider_id not in ("", first)


def test_two_processes_that_send_at_once_send_each_message_once(clinic: Clinic, provider: Scripted) -> None:
    for number in range(30):
        clinic.enqueue(clinic.draft(f"o{number}"))
    threads = [threading.Thread(target=clinic.tend) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outgoing.draft.occasion for outgoing in provider.sent) == sorted(f"o{n}" for n in range(30))


def test_a_message_that_cannot_be_made_does_not_keep_the_others(clinic: Clinic, provider: Scripted) -> None:
    def wanted(draft: Draft) -> Draft:
        if draft.occasion == "bad":
            raise KeyError("facts")
        return draft

    clinic.wanted = wanted
    clinic.enqueue(clinic.draft("bad"))
    clinic.enqueue(clinic.draft("good"))
    clinic.tend()
    rows = clinic.messages()
    assert rows["good/sms"].state == "sent"
    assert (rows["bad/sms"].state, rows["bad/sms"].attempts, rows["bad/sms"].error) == ("queued", 1, "exception")


def test_a_channel_that_nobody_carries_falls_to_the_next(
    clinic: Clinic, provider: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery.channels, "provider", lambda channel: provider if channel == "email" else None)
    clinic.others = {"email": clinic.draft("", "email", "a@example.org", subject="Rappel")}
    clinic.enqueue(clinic.draft("o1"))
    clinic.tend()
    rows = clinic.messages()
    assert (rows["o1/sms"].state, rows["o1/sms"].error) == ("stopped", "provider")
    assert rows["o1/email"].state == "sent"


def test_an_outcome_that_comes_after_a_callback_changes_nothing(clinic: Clinic, provider: Scripted) -> None:
    clinic.enqueue(clinic.draft("o1"))

    def send(ctx: object, outgoing: object) -> Accepted:
        other = clinic.context()
        with other.db.hold():
            row = delivery.messages.lock(other.db, other.tenant.id, outgoing.message_id)  # type: ignore[attr-defined]
            assert row is not None
            outcomes.accepted(other, row, Accepted("SIDEARLY"), delivered=True)
        other.db.commit()
        return Accepted("SIDLATE")

    provider.send = send  # type: ignore[method-assign,assignment]
    clinic.tend()
    row = clinic.messages()["o1/sms"]
    assert (row.state, row.provider_id) == ("delivered", "SIDEARLY")
    assert clinic.communication("o1/sms")["status"] == "completed"


def test_a_provider_that_is_away_is_left_alone_for_a_while(clinic: Clinic, provider: Scripted) -> None:
    """Ten messages are due and the provider answers nobody: one waits for it, not ten."""
    provider.answers = [Later("unreachable", away=True)]
    for number in range(10):
        clinic.enqueue(clinic.draft(f"o{number}"))
    clinic.tend()
    assert len(provider.sent) == 1
    assert sorted(row.attempts for row in clinic.messages().values()) == [0] * 9 + [1]
    delivery._away.clear()
    clinic.tend(minutes=1)
    assert len(provider.sent) == 11 and {row.state for row in clinic.messages().values()} == {"sent"}


def test_a_slow_provider_does_not_keep_the_other_tenants_waiting(
    clinic: Clinic, provider: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "_TURN_S", 0.2)
    send = provider.send
    provider.send = lambda ctx, outgoing: (time.sleep(0.15), send(ctx, outgoing))[1]  # type: ignore[method-assign,func-returns-value]
    for number in range(10):
        clinic.enqueue(clinic.draft(f"o{number}"))
    clinic.tend()
    assert 1 <= len(provider.sent) <= 3


def test_an_answer_that_comes_after_the_lease_is_about_an_attempt_of_the_past(
    clinic: Clinic, provider: Scripted
) -> None:
    """While one process waits for the provider, another looks for the message, does not find it and sends it again."""
    clinic.enqueue(clinic.draft("o1"))
    send = provider.send

    def hang(ctx: Context, outgoing: Outgoing) -> Outcome:
        provider.send = send  # type: ignore[method-assign]
        provider.answers = [Unclear("timeout")]
        other = threading.Thread(target=clinic.tend, kwargs={"seconds": delivery.LEASE.seconds + 1})
        other.start()
        other.join()
        again = threading.Thread(target=clinic.tend)
        again.start()
        again.join()
        return Refused("21211", "invalid-phone-number")

    provider.send = hang  # type: ignore[method-assign]
    clinic.tend()
    row = clinic.messages()["o1/sms"]
    assert (row.state, row.attempts, len(provider.sought), len(provider.sent)) == ("sending", 2, 1, 1)


def test_health_says_what_is_late(clinic: Clinic, provider: Scripted) -> None:
    for number in range(3):
        clinic.enqueue(clinic.draft(f"o{number}"))
    clock.move(timedelta(minutes=10))
    ctx = clinic.context()
    state = delivery.health(ctx.db, ctx.tenant.id)
    ctx.db.commit()
    assert (state["queued"], state["late"], state["dead"]) == (3, 3, 0)
    assert 590 < state["late_seconds"] < 700


def test_address_and_text_are_forgotten(clinic: Clinic, provider: Scripted) -> None:
    clinic.enqueue(clinic.draft("o1"))
    clinic.tend()
    assert clinic.messages()["o1/sms"].sealed != b"", "another channel may need it"
    clinic.tend(days=31)
    assert clinic.messages()["o1/sms"].sealed == b""


def test_in_production_without_credentials_nothing_is_sent(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "production", 1)
    clinic.enqueue(clinic.draft("o1"))
    clinic.tend()
    assert (clinic.messages()["o1/sms"].state, clinic.messages()["o1/sms"].error) == ("stopped", "provider")
    with pytest.raises(RuntimeError, match="production"):
        sandbox.PROVIDER.send(clinic.context(), None)  # type: ignore[arg-type]


def test_the_price_of_what_was_refused_comes_back(clinic: Clinic, provider: Scripted) -> None:
    clinic.settings = {"monthly_budget": "1.00", "costs": {"sms": "0.05"}}
    provider.answers = [Refused("30005"), Later("429")]
    for number in range(3):
        clinic.enqueue(clinic.draft(f"o{number}"))
    clinic.tend()
    ctx = clinic.context()
    assert Decimal(delivery.budget.state(ctx.db, ctx.tenant, clock.now())["used"]) == Decimal("0.05")
    ctx.db.commit()


def test_nothing_due_is_three_round_trips(clinic: Clinic, provider: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    ctx = clinic.context()
    delivery.tend(ctx)
    calls: list[int] = []
    send = type(ctx.db)._send
    monkeypatch.setattr(
        type(ctx.db), "_send", lambda self, statements, *how: calls.append(len(statements)) or send(self, statements, *how)
    )
    delivery.tend(ctx)
    assert len(calls) <= 3


@pytest.mark.parametrize("failures", [1, 2], ids=["once", "twice"])
def test_an_outcome_that_cannot_be_written_is_asked_for_later(
    clinic: Clinic, provider: Scripted, monkeypatch: pytest.MonkeyPatch, failures: int
) -> None:
    left = [SerializationFailure("collision")] * failures
    accepted = outcomes.accepted

    def failing(*given: object, **more: object) -> None:
        accepted(*given, **more)  # type: ignore[arg-type]
        if left:
            raise left.pop()

    monkeypatch.setattr(outcomes, "accepted", failing)
    clinic.enqueue(clinic.draft("o1"))
    clinic.tend()
    row = clinic.messages()["o1/sms"]
    assert row.state == ("sent" if failures == 1 else "sending")
    provider.found = [Accepted("SIDFOUND")]
    clinic.tend(minutes=3)
    assert (clinic.messages()["o1/sms"].state, len(provider.sent)) == ("sent", 1)
