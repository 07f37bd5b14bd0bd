"""E-mail through a mail server that takes, refuses, breaks off and hangs."""

import socketserver
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any, cast

import pytest

from fhir_server.features.notifications.provider import Accepted, Later, Outgoing, Refused, Unclear
from fhir_server.security import mailing
from fhir_server.settings import settings
from integrations.messaging.smtp.connector import PROVIDER, page
from tests.features.notifications.sending import Clinic


class MailServer(socketserver.ThreadingTCPServer):
    """Speaks as much SMTP as is needed. `say`: what it answers to a command; None: it hangs up."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        self.say: dict[str, str | None] = {}
        self.mails: list[bytes] = []
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(socketserver.StreamRequestHandler):
    server: MailServer

    def handle(self) -> None:
        if not self._answer("greeting", "220 here"):
            return
        while line := self.rfile.readline():
            word = line.split()[0].decode().upper()
            if word == "DATA" and self.server.say.get("DATA", "354 go") == "354 go":
                self.wfile.write(b"354 go\r\n")
                body = b""
                while (part := self.rfile.readline()) not in (b".\r\n", b""):
                    body += part
                self.server.mails.append(body)
                word = "."
            if not self._answer(word, "221 bye" if word == "QUIT" else "250 ok"):
                return

    def _answer(self, word: str, usual: str) -> bool:
        text = self.server.say.get(word, usual)
        if text is None:
            return False
        self.wfile.write(text.encode() + b"\r\n")
        return True


@pytest.fixture
def mail_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[MailServer]:
    server = MailServer()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    monkeypatch.setattr(settings, "smtp_url", f"smtp://127.0.0.1:{server.server_address[1]}")
    monkeypatch.setattr(mailing, "_SECONDS", 60)
    yield server
    server.shutdown()
    server.server_close()


def outgoing(clinic: Clinic, **more: Any) -> Outgoing:
    fields = {"address": "fatima@example.org", "subject": "Rappel", "text": "Bonjour,\n\nÀ demain : https://c.example/x?a=1&b=2", **more}
    return Outgoing(77, 1, clinic.draft("o1", "email", **fields), "", datetime.now(UTC))


def read(raw: bytes) -> EmailMessage:
    return cast(EmailMessage, message_from_bytes(raw, policy=policy.default))


def test_text_and_html(clinic: Clinic, mail_server: MailServer) -> None:
    found = PROVIDER.send(clinic.context(), outgoing(clinic))
    mail = read(mail_server.mails[0])
    assert isinstance(found, Accepted) and found.final and mail["Message-ID"] == f"<{found.provider_id}>"
    assert mail["To"] == "fatima@example.org" and mail["Subject"] == "Rappel"
    plain, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert plain is not None and html is not None
    assert "À demain : https://c.example/x?a=1&b=2" in plain.get_content()
    assert '<a href="https://c.example/x?a=1&amp;b=2">' in html.get_content()


def test_the_name_of_a_mail_is_the_same_at_each_attempt(clinic: Clinic, mail_server: MailServer) -> None:
    assert PROVIDER.send(clinic.context(), outgoing(clinic)) == PROVIDER.send(clinic.context(), outgoing(clinic))


def test_a_calendar_is_attached(clinic: Clinic, mail_server: MailServer) -> None:
    PROVIDER.send(clinic.context(), outgoing(clinic, calendar="BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nEND:VCALENDAR\r\n"))
    part = next(iter(read(mail_server.mails[0]).iter_attachments()))
    assert part.get_content_type() == "text/calendar" and part["Content-Type"].params["method"] == "REQUEST"


@pytest.mark.parametrize(("word", "says", "meaning"), [
    ("RCPT", "550 no such user", Refused("smtp-550", "recipient-unavailable")),
    ("RCPT", "450 busy", Later("smtp-450")),
    ("MAIL", "451 later", Later("smtp-451")),
    ("DATA", "554 no", Refused("smtp-554")),
    (".", "552 too large", Refused("smtp-552")),
    (".", "421 going away", Later("smtp-421")),
    (".", None, Unclear("unconfirmed")),
    ("greeting", "421 busy", Later("smtp-421")),
])  # fmt: skip
def test_what_the_server_says(clinic: Clinic, mail_server: MailServer, word: str, says: str | None, meaning: object) -> None:
    mail_server.say[word] = says
    assert PROVIDER.send(clinic.context(), outgoing(clinic)) == meaning


def test_a_server_that_is_away_took_nothing(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "smtp_url", "smtp://127.0.0.1:9")
    assert isinstance(PROVIDER.send(clinic.context(), outgoing(clinic)), Later)


@pytest.mark.parametrize("farewell", [None, "500 what"])
def test_a_bad_farewell_takes_nothing_back(clinic: Clinic, mail_server: MailServer, farewell: str | None) -> None:
    mail_server.say["QUIT"] = farewell
    assert isinstance(PROVIDER.send(clinic.context(), outgoing(clinic)), Accepted)
    assert len(mail_server.mails) == 1


@pytest.mark.parametrize("address", ["a\r\nBcc: all@example.org", "", "x@"])
def test_an_address_with_more_in_it_is_none(clinic: Clinic, mail_server: MailServer, address: str) -> None:
    assert not isinstance(PROVIDER.send(clinic.context(), outgoing(clinic, address=address)), Accepted)
    assert mail_server.mails == []


def test_an_unconfirmed_mail_is_not_sent_again_by_itself(clinic: Clinic, mail_server: MailServer) -> None:
    mail_server.say["."] = None
    clinic.enqueue(clinic.draft("o1", "email", "fatima@example.org", subject="Rappel"))
    for _ in range(4):
        clinic.tend(minutes=5)
    row = clinic.messages()["o1/email"]
    assert (row.state, row.error, len(mail_server.mails)) == ("dead", "unknown", 1)


def test_without_a_mail_server_mails_are_files(clinic: Clinic) -> None:
    clinic.enqueue(clinic.draft("o1", "email", "fatima@example.org", subject="Rappel"))
    clinic.tend()
    row = clinic.messages()["o1/email"]
    file = Path(settings.data_dir) / "mail" / f"message-{row.message_id}.eml"
    assert read(file.read_bytes())["To"] == "fatima@example.org" and file.stat().st_mode & 0o77 == 0


def test_html_escapes_and_knows_its_direction(clinic: Clinic) -> None:
    arabic = page(outgoing(clinic, text="<script>x</script> & مرحبا", language="ar").draft)
    assert 'dir="rtl"' in arabic and 'lang="ar"' in arabic and "<script>" not in arabic
    assert 'dir="ltr"' in page(outgoing(clinic).draft)
