"""Mail: sealed while it waits, sent once, tried again, given up."""

import logging
import smtplib
import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fhir_server.security import mailing
from fhir_server.settings import settings
from fhir_server.storage import mails
from tests.signin.conftest import Clinic


@pytest.fixture
def post(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A mail server of few words on a free port: the letters it took."""
    taken: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setattr(settings, "smtp_url", f"smtp://127.0.0.1:{listener.getsockname()[1]}")
        thread = threading.Thread(target=_serve, args=(listener, taken), daemon=True)
        thread.start()
        yield taken
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(60)
    assert not thread.is_alive()


def _serve(listener: socket.socket, taken: list[str]) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection, connection.makefile("rwb") as stream:
            stream.write(b"220 ready\r\n")
            stream.flush()
            data: list[bytes] | None = None
            for line in stream:
                if data is not None:
                    if line == b".\r\n":
                        taken.append(b"".join(data).decode())
                        data = None
                        stream.write(b"250 ok\r\n")
                    else:
                        data.append(line)
                        continue
                elif line.upper().startswith(b"DATA"):
                    data = []
                    stream.write(b"354 go\r\n")
                elif line.upper().startswith(b"QUIT"):
                    stream.write(b"221 bye\r\n")
                else:
                    stream.write(b"250 ok\r\n")
                stream.flush()


def _queue(clinic: Clinic, to: str = "sara@clinic.example", subject: str = "Votre code é", body: str = "Code 123456\n") -> None:
    db = clinic.enter()
    db.run([mailing.queue(db, clinic.tenant.id, to, subject, body)], final=True)


def test_a_letter_is_sealed_sent_once_and_emptied(clinic: Clinic, post: list[str]) -> None:  # sec-T37
    _queue(clinic)
    rows = clinic.sql("SELECT sealed FROM mail WHERE tenant_id = $1")
    assert b"123456" not in (rows[0][0] or b"") and b"sara".hex().encode() not in (rows[0][0] or b"")
    assert mailing.send_due(clinic.enter(), clinic.tenant.id) == 1
    assert mailing.send_due(clinic.enter(), clinic.tenant.id) == 0
    assert len(post) == 1 and "To: sara@clinic.example" in post[0] and "Auto-Submitted: auto-generated" in post[0]
    assert clinic.sql("SELECT sent_at IS NOT NULL, sealed FROM mail WHERE tenant_id = $1") == [(b"t", b"\\x")]


def test_a_letter_to_nobody_is_not_sent(new_clinic: Clinic, post: list[str]) -> None:
    _queue(new_clinic, to="")
    assert mailing.send_due(new_clinic.enter(), new_clinic.tenant.id) == 0
    assert post == [] and new_clinic.sql("SELECT sent_at IS NOT NULL FROM mail WHERE tenant_id = $1") == [(b"t",)]


def test_what_fails_is_tried_again_later_and_given_up(
    new_clinic: Clinic, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise smtplib.SMTPRecipientsRefused({"sara@clinic.example": (550, b"no")})

    monkeypatch.setattr(mailing, "transmit", refuse)
    _queue(new_clinic)
    with caplog.at_level(logging.DEBUG):
        for attempt in range(1, mails.MOST_ATTEMPTS + 1):
            assert mailing.send_due(new_clinic.enter(), new_clinic.tenant.id) == 0
            rows = new_clinic.sql("SELECT attempts, next_attempt > now() + interval '55 seconds', failed_at IS NULL FROM mail WHERE tenant_id = $1")
            assert rows == [(str(attempt).encode(), b"t", b"t" if attempt < mails.MOST_ATTEMPTS else b"f")]
            assert mailing.send_due(new_clinic.enter(), new_clinic.tenant.id) == 0, "not before its time"
            new_clinic.sql("UPDATE mail SET next_attempt = now() WHERE tenant_id = $1 RETURNING 1")
    assert "sara" not in caplog.text and "SMTPRecipientsRefused" in caplog.text


def test_a_server_that_is_away_costs_one_attempt(new_clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = []

    def away(*_: object) -> None:
        tries.append(1)
        raise ConnectionRefusedError

    monkeypatch.setattr(mailing, "transmit", away)
    for _ in range(5):
        _queue(new_clinic)
    assert mailing.send_due(new_clinic.enter(), new_clinic.tenant.id) == 0 and len(tries) == 1
    rows = new_clinic.sql("SELECT attempts, next_attempt > now() FROM mail WHERE tenant_id = $1 ORDER BY attempts")
    assert rows == [*[(b"0", b"t")] * 4, (b"1", b"t")]


def test_without_a_server_letters_are_files_of_the_developer(new_clinic: Clinic, caplog: pytest.LogCaptureFixture) -> None:
    _queue(new_clinic, body="Code 987654\n")
    with caplog.at_level(logging.INFO):
        assert mailing.send_due(new_clinic.enter(), new_clinic.tenant.id) == 1
    assert "DEVELOPMENT MAIL" in caplog.text and "987654" not in caplog.text and "sara" not in caplog.text
    name = caplog.text.split(": ")[-1].strip()
    path = Path(settings.data_dir) / "mail" / name
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert "987654" in path.read_text()


@pytest.mark.parametrize("subject", ["a\r\nBcc: eve@evil.example", "a\nX: y"])
def test_nobody_writes_headers(new_clinic: Clinic, post: list[str], subject: str) -> None:
    _queue(new_clinic, subject=subject)
    mailing.send_due(new_clinic.enter(), new_clinic.tenant.id)
    assert not any("\nBcc:" in text or "\nX:" in text for text in post)
