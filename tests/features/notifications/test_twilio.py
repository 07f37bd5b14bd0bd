"""Twilio through its own library, against a server on this machine that answers, refuses, hangs and breaks off."""

import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from twilio.http.http_client import TwilioHttpClient

from fhir_server.features.notifications.provider import Accepted, Later, Outgoing, Refused, Unclear
from fhir_server.settings import settings
from integrations.messaging.twilio import connector
from tests.features.notifications.sending import Clinic

Answer = tuple[int, Any] | Callable[[BaseHTTPRequestHandler], None]


class FakeTwilio(ThreadingHTTPServer):
    """Answers from a list; keeps what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: FakeTwilio

    def _handle(self) -> None:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        given = {name: values[0] for name, values in parse_qs(body or parts.query).items()}
        self.server.asked.append((self.command, parts.path, given))
        answer = self.server.answers.pop(0) if self.server.answers else (201, {"sid": "SM" + "0" * 32, "status": "queued"})
        if callable(answer):
            answer(self)
            return
        text = json.dumps(answer[1]).encode()
        self.send_response(answer[0])
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = _handle  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def twilio(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeTwilio]:
    server = FakeTwilio()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    settings_of_an_account(monkeypatch)
    lead_to(f"http://127.0.0.1:{server.server_port}", monkeypatch)
    monkeypatch.setattr(connector, "_SECONDS", 60.0)
    yield server
    server.shutdown()
    server.server_close()


def settings_of_an_account(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"account_sid": "AC1", "auth_token": "secret", "from": "+15005550006", "whatsapp_from": "+15005550009"}.items():
        monkeypatch.setattr(settings, f"twilio_{name}", value)


def lead_to(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Local(TwilioHttpClient):  # type: ignore[misc]
        def request(self, method: str, url: str, *given: Any, **more: Any) -> Any:
            return super().request(method, url.replace("https://api.twilio.com", place), *given, **more)

    monkeypatch.setattr(connector, "TwilioHttpClient", Local)


def outgoing(clinic: Clinic, channel: str = "sms", callback: str = "", **more: Any) -> Outgoing:
    return Outgoing(7, 1, clinic.draft("o1", channel, **more), callback, datetime.now(UTC))


def send(clinic: Clinic, **more: Any) -> object:
    return connector.PROVIDER.send(clinic.context(), outgoing(clinic, **more))


def error(code: int, status: int = 400) -> Answer:
    return status, {"code": code, "message": "no +212612345678", "more_info": "", "status": status}


def test_an_sms(clinic: Clinic, twilio: FakeTwilio) -> None:
    assert send(clinic, callback="https://c.example/t/x/messages/twilio/status?message=7") == Accepted("SM" + "0" * 32)
    assert twilio.asked == [("POST", "/2010-04-01/Accounts/AC1/Messages.json", {
        "To": "+212612345678", "From": "+15005550006", "Body": "A demain 9 h.",
        "StatusCallback": "https://c.example/t/x/messages/twilio/status?message=7",
    })]  # fmt: skip


def test_a_messaging_service_sends(clinic: Clinic, twilio: FakeTwilio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "twilio_from", "MG123")
    send(clinic)
    assert twilio.asked[0][2]["MessagingServiceSid"] == "MG123" and "From" not in twilio.asked[0][2]


def test_whatsapp_by_an_approved_template(clinic: Clinic, twilio: FakeTwilio) -> None:
    send(clinic, channel="whatsapp", approved="HX1", values={"patient": "Fatima"})
    asked = twilio.asked[0][2]
    assert (asked["To"], asked["From"]) == ("whatsapp:+212612345678", "whatsapp:+15005550009")
    assert asked["ContentSid"] == "HX1" and json.loads(asked["ContentVariables"]) == {"patient": "Fatima"}
    assert "Body" not in asked


@pytest.mark.parametrize(("answer", "meaning"), [
    (error(21211), Refused("21211", "invalid-phone-number")),
    (error(21610), Refused("21610", "patient-objection", opted_out=True)),
    (error(21614), Refused("21614", "invalid-phone-number")),
    (error(99999), Refused("99999")),
    (error(20429, 429), Later("20429")),
    (error(20003, 401), Later("20003")),
    (error(21611), Later("21611")),
    ((500, {"message": "oops"}), Unclear("http-500")),
    ((503, {"message": "oops"}), Unclear("http-503")),
])  # fmt: skip
def test_what_answers_mean(clinic: Clinic, twilio: FakeTwilio, answer: Answer, meaning: object) -> None:
    twilio.answers = [answer]
    assert send(clinic) == meaning


def slow(handler: BaseHTTPRequestHandler) -> None:
    # Nothing is said until the other side has had enough.
    handler.connection.recv(1)


def impatient(answer: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only who is not answered gives up soon: a busy machine is no slow provider."""
    if answer is slow:
        monkeypatch.setattr(connector, "_SECONDS", 1.0)


def broken(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 201 Created\r\nContent-Length: 500\r\n\r\n{\"sid\"")
    handler.connection.close()


def page(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 201 Created\r\nContent-Length: 6\r\n\r\n<html>")


@pytest.mark.parametrize("fault", [slow, broken, page], ids=lambda fault: fault.__name__)
def test_without_a_clear_answer_nobody_knows(
    clinic: Clinic, twilio: FakeTwilio, fault: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient(fault, monkeypatch)
    twilio.answers = [fault]
    assert isinstance(send(clinic), Unclear)


def test_without_a_connection_nothing_was_sent(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    settings_of_an_account(monkeypatch)
    lead_to("http://127.0.0.1:9", monkeypatch)
    assert send(clinic) == Later("unreachable", away=True)


def listed(*messages: tuple[str, str, timedelta]) -> Answer:
    now = datetime.now(UTC)
    rows = [
        {"sid": sid, "body": body, "to": "+212612345678", "date_created": format_datetime(now - ago), "status": "sent"}
        for sid, body, ago in messages
    ]
    return 200, {"messages": rows, "end": 0, "first_page_uri": "", "next_page_uri": None, "page": 0, "page_size": 50, "start": 0, "uri": ""}


def test_a_lost_message_is_looked_for_by_number_time_and_text(clinic: Clinic, twilio: FakeTwilio) -> None:
    twilio.answers = [
        listed(
            ("SMold", "A demain 9 h.", timedelta(hours=2)),
            ("SMother", "Votre tour", timedelta(seconds=1)),
            ("SMours", "A demain 9 h.", timedelta(seconds=1)),
        )
    ]
    assert connector.PROVIDER.find(clinic.context(), outgoing(clinic)) == [Accepted("SMours")]
    method, _, asked = twilio.asked[0]
    assert method == "GET" and asked["To"] == "+212612345678"


@pytest.mark.parametrize("answer", [(500, {}), slow, error(20003, 401)], ids=["500", "slow", "401"])
def test_a_lookup_that_fails_says_nothing(
    clinic: Clinic, twilio: FakeTwilio, answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient(answer, monkeypatch)
    twilio.answers = [answer]
    assert connector.PROVIDER.find(clinic.context(), outgoing(clinic)) == Unclear("lookup", away=answer is slow)


def test_a_message_that_twilio_took_without_saying_so_is_sent_once(
    clinic: Clinic, twilio: FakeTwilio, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole way, with delivery: no answer, then the list of messages."""
    impatient(slow, monkeypatch)
    twilio.answers = [slow, listed(("SMours", "A demain 9 h.", timedelta(seconds=1)))]
    clinic.enqueue(clinic.draft("o1"))
    clinic.tend()
    assert clinic.messages()["o1/sms"].state == "sending"
    monkeypatch.setattr(connector, "_SECONDS", 60.0)
    clinic.tend(seconds=61)
    row = clinic.messages()["o1/sms"]
    assert (row.state, row.provider_id, row.provider) == ("sent", "SMours", "twilio")
    assert [method for method, _, _ in twilio.asked] == ["POST", "GET"]
    assert "extension" not in clinic.communication("o1/sms"), "no sandbox"


def test_numbers_and_texts_are_in_no_log(
    clinic: Clinic, twilio: FakeTwilio, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level("DEBUG")
    twilio.answers = [error(21211), (500, {"message": "+212612345678"}), slow, listed()]
    for answer in list(twilio.answers[:3]):
        impatient(answer, monkeypatch)
        send(clinic)
    connector.PROVIDER.find(clinic.context(), outgoing(clinic))
    assert "212612345678" not in caplog.text and "demain" not in caplog.text
