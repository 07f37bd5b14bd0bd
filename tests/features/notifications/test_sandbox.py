"""The sandbox behaves like a provider: by the number's end it delivers, refuses, fails, hangs and calls back badly. What
it calls back comes through the same checks as a real provider's."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from fhir_server.features.notifications import channels, sandbox, signature
from fhir_server.settings import settings
from fhir_server.storage import sandbox_messages
from tests.features.notifications.sending import Clinic

FINE = "+212612345678"


def given(clinic: Clinic) -> list[sandbox_messages.SandboxMessage]:
    ctx = clinic.context()
    rows = sandbox_messages.listed(ctx.db, ctx.tenant.id)
    ctx.db.commit()
    return rows


def run(clinic: Clinic, number: str, channel: str = "sms", minutes: int = 30) -> str:
    """Send a message to a number and let half an hour go by; what became of it."""
    clinic.enqueue(clinic.draft("o1", channel, number))
    for _ in range(minutes * 2):
        clinic.tend(seconds=30)
        if clinic.messages()[f"o1/{channel}"].state in ("delivered", "failed", "dead", "stopped"):
            break
    for _ in range(5):
        clinic.tend(seconds=30)
    return clinic.messages()[f"o1/{channel}"].state


@pytest.mark.parametrize(
    ("end", "state", "error", "taken"),
    [
        ("5550001", "failed", "21211", 0),
        ("5550002", "failed", "30003", 1),
        ("5550003", "delivered", "", 1),
        ("5550004", "failed", "21610", 0),
        ("5550005", "delivered", "", 1),
        ("5550006", "delivered", "", 1),
        ("5550007", "delivered", "", 1),
        ("5550008", "delivered", "", 1),
        ("5550009", "delivered", "", 1),
        ("5550010", "delivered", "", 1),
        ("5550011", "delivered", "", 1),
        ("2345678", "delivered", "", 1),
    ],
)
def test_scenarios(clinic: Clinic, end: str, state: str, error: str, taken: int) -> None:
    assert run(clinic, f"+21260{end}") == state
    assert clinic.messages()["o1/sms"].error == error
    assert len(given(clinic)) == taken, "whatever happens, nobody gets it twice"


def test_whatsapp_that_is_refused_later_becomes_one_sms(clinic: Clinic) -> None:
    clinic.others = {"sms": clinic.draft("", "sms", "+212605550010")}
    assert run(clinic, "+212605550010", "whatsapp") == "failed"
    assert clinic.messages()["o1/whatsapp"].error == "63016"
    assert clinic.messages()["o1/sms"].state == "delivered"


def test_what_the_sandbox_took_is_marked_everywhere(clinic: Clinic) -> None:
    run(clinic, FINE)
    told = clinic.communication("o1/sms")
    assert told["extension"] == [{"url": "urn:salam:StructureDefinition:sandbox", "valueBoolean": True}]
    assert "nothing was sent" in told["note"][0]["text"]
    assert told["identifier"][0]["system"] == "urn:salam:message-provider:sandbox"
    issues = clinic.tenant.client().post("Communication/$validate", told).json["issue"]
    assert not [issue for issue in issues if issue["severity"] == "error"]


def test_late_callbacks_come_late(clinic: Clinic) -> None:
    clinic.enqueue(clinic.draft("o1", "sms", "+212605550007"))
    clinic.tend()
    clinic.tend(minutes=9)
    assert clinic.messages()["o1/sms"].state == "sent"
    clinic.tend(minutes=2)
    clinic.tend(minutes=1)
    assert clinic.messages()["o1/sms"].state == "delivered"


def test_a_callback_with_another_secret_is_not_taken(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    clinic.enqueue(clinic.draft("o1"))
    clinic.tend()
    sign = signature.sign
    monkeypatch.setattr(sandbox.signature, "sign", lambda secret, url, form: sign("other" + secret, url, form))
    verify = signature.verify
    monkeypatch.setattr(
        signature, "verify", lambda secret, url, form, given: sign(secret, url, form) == given and verify(secret, url, form, given)
    )
    for _ in range(3):
        clinic.tend(seconds=30)
    assert clinic.messages()["o1/sms"].state == "sent"
    assert given(clinic)[0].told == 2, "they were sent"


def test_with_credentials_or_in_production_there_is_no_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    assert channels.provider("sms") is sandbox.PROVIDER and channels.callback_secret()
    monkeypatch.setattr(settings, "production", 1)
    assert channels.provider("sms") is None and channels.provider("whatsapp") is None
    assert channels.callback_secret() == "" and channels.named("sandbox") is None
    monkeypatch.setattr(settings, "production", 0)
    monkeypatch.setattr(settings, "twilio_account_sid", "AC1")
    assert channels.provider("sms") is None, "half of the credentials are none"
    assert channels.unserved() == ["sms", "whatsapp"]
    assert not channels.sandboxed() and channels.callback_secret() == ""
    monkeypatch.setattr(settings, "twilio_auth_token", "secret")
    monkeypatch.setattr(settings, "twilio_from", "+15005550006")
    found = channels.provider("sms")
    assert found is not None and found.name == "twilio" and not found.sandbox
    assert channels.provider("whatsapp") is None and channels.unserved() == ["whatsapp"]
    assert channels.callback_secret() == "secret"


def test_the_row_is_sealed_and_forgotten_after_a_week(clinic: Clinic) -> None:
    run(clinic, FINE)
    row = given(clinic)[0]
    assert b"212612345678" not in row.sealed
    ctx = clinic.context()
    assert sandbox.opened(ctx, row).address == FINE
    ctx.db.commit()
    clinic.tend(days=8)
    assert given(clinic) == []


@contextmanager
def told_by_http(live_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Callbacks go to a real server."""
    from fhir_server.security import outbound

    monkeypatch.setattr(settings, "public_url", live_server)
    monkeypatch.setattr(settings, "outbound_allow", live_server.removeprefix("http://"))
    answers: list[Any] = []
    post = outbound.post

    def kept(*given: Any, **more: Any) -> Any:
        answers.append(post(*given, **more))
        return answers[-1]

    monkeypatch.setattr(sandbox.outbound, "post", kept)
    yield answers


def test_callbacks_go_through_http_when_the_server_has_an_address(
    clinic: Clinic, live_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with told_by_http(live_server, monkeypatch) as answers:
        assert run(clinic, FINE, minutes=3) == "delivered"
    assert [answer.status for answer in answers] == [204, 204]


def test_two_workers_play_each_callback_once(clinic: Clinic) -> None:
    for number in range(10):
        clinic.enqueue(clinic.draft(f"o{number}"))
    clinic.tend()
    for _ in range(4):
        threads = [threading.Thread(target=clinic.tend) for _ in range(3)]
        from datetime import timedelta

        from fhir_server.core import clock

        clock.move(clock._ahead + timedelta(seconds=10))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert {row.told for row in given(clinic)} == {2}
    assert {row.state for row in clinic.messages().values()} == {"delivered"}
