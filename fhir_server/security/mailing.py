"""Mail: written into a table in the transaction that it tells about, sealed; sent afterwards by the worker.

Without a mail server (SALAM_SMTP_URL is empty) letters become files in SALAM_DATA/mail that only their owner reads, so
that a developer can follow the links; the log says that there is one, never what is in it.
"""

import contextlib
import logging
import os
import smtplib
import ssl
from email.errors import HeaderParseError
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path
from urllib.parse import unquote, urlsplit

import msgspec

from fhir_server.security.sealing import Unsealable, seal, unseal
from fhir_server.settings import settings
from fhir_server.storage import mails
from fhir_server.storage.mails import Waiting
from fhir_server.storage.session import Session, Statement

_log = logging.getLogger(__name__)
_SEALED_FOR = "mail"
_SECONDS = 10
# What a server says about a single letter. Everything else (no connection, no sign-in) is about all of them.
ABOUT_ONE = (smtplib.SMTPRecipientsRefused, smtplib.SMTPDataError, smtplib.SMTPSenderRefused, ValueError)


class Letter(msgspec.Struct):
    """What is sealed. `to` is "" for a letter that nobody gets: it is written so that a request about an unknown
    address takes as long as any other."""

    to: str
    subject: str
    body: str


def queue(db: Session, tenant_id: int, to: str, subject: str, body: str) -> Statement:
    """The statement that keeps a letter; run it in the transaction of what the letter tells about."""
    letter = Letter(to, " ".join(subject.split()), body)
    return mails.add(tenant_id, seal(db, tenant_id, msgspec.json.encode(letter), _SEALED_FOR))


def send_due(db: Session, tenant_id: int) -> int:
    """Send the letters whose time has come and say how many went out. Whatever fails is tried again, later each time,
    and given up after ten attempts. The session must have entered the tenant."""
    sent = 0
    waiting = mails.take(db, tenant_id)
    while waiting:
        one = waiting.pop(0)
        try:
            sent += _deliver(db, tenant_id, one)
        except _ServerAway:
            # The others wait for the server, not for their own next attempt.
            db.run([mails.put_back(tenant_id, [each.mail_id for each in waiting])], final=True)
            break
    return sent


class _ServerAway(Exception):
    """The mail server cannot be spoken to."""


def _deliver(db: Session, tenant_id: int, waiting: Waiting) -> bool:
    try:
        letter = msgspec.json.decode(unseal(db, tenant_id, waiting.sealed, _SEALED_FOR), type=Letter)
    except (Unsealable, msgspec.DecodeError):
        # Its key was destroyed: nobody can read it any more.
        db.run([mails.failed(tenant_id, waiting.mail_id)], final=True)
        return False
    try:
        if letter.to:
            transmit(_message(letter), str(waiting.mail_id))
    except (OSError, ValueError) as error:
        # The texts of such errors quote addresses. ValueError: an address that no header can hold.
        _log.warning("mail %d was not sent (%s), attempt %d", waiting.mail_id, type(error).__name__, waiting.attempts)
        if waiting.attempts >= mails.MOST_ATTEMPTS:
            db.run([mails.failed(tenant_id, waiting.mail_id)], final=True)
        if not isinstance(error, ABOUT_ONE):
            raise _ServerAway from None
        return False
    db.run([mails.sent(tenant_id, waiting.mail_id)], final=True)
    return bool(letter.to)


def _message(letter: Letter) -> EmailMessage:
    message = headed(letter.to, letter.subject)
    message["Message-ID"] = make_msgid(domain=sender_domain())
    message.set_content(letter.body)
    return message


def sender_domain() -> str:
    """The domain that mails come from."""
    return settings.mail_from.partition("@")[2] or "localhost"


def headed(to: str, subject: str) -> EmailMessage:
    """A mail without text and Message-ID. Raises ValueError for an address that no header can hold."""
    message = EmailMessage()
    message["From"] = settings.mail_from
    try:
        message["To"] = to
    except (IndexError, HeaderParseError):
        # How Python's parser ends for "x@".
        raise ValueError("This is no address.") from None
    message["Subject"] = subject
    message["Date"] = formatdate()
    message["Auto-Submitted"] = "auto-generated"
    return message


class Unconfirmed(OSError):
    """The mail was on its way to the server, which did not say that it has it."""


def transmit(message: EmailMessage, name: str) -> None:
    """Give a mail to the mail server; without one, write it to the file `name`.eml in SALAM_DATA/mail.

    Raises OSError (smtplib's errors are such) or ValueError: it was not sent. One of `ABOUT_ONE` is about this mail
    only; `Unconfirmed`: it may have been sent.
    """
    if not settings.smtp_url:
        _write(message, name)
        return
    server = _connected()
    try:
        server.send_message(message)
    except (smtplib.SMTPServerDisconnected, TimeoutError):
        raise Unconfirmed("The mail server did not confirm the mail.") from None
    finally:
        # How the farewell goes says nothing about the mail.
        with contextlib.suppress(OSError):
            server.quit()


def _connected() -> smtplib.SMTP:
    parts = urlsplit(settings.smtp_url)
    host, secure = parts.hostname or "localhost", parts.scheme == "smtps"
    trusted = ssl.create_default_context()
    if secure:
        server: smtplib.SMTP = smtplib.SMTP_SSL(host, parts.port or 465, timeout=_SECONDS, context=trusted)
    else:
        server = smtplib.SMTP(host, parts.port or 25, timeout=_SECONDS)
    try:
        if not secure:
            server.ehlo()
            if server.has_extn("starttls"):
                server.starttls(context=trusted)
        if parts.username:
            server.login(unquote(parts.username), unquote(parts.password or ""))
    except BaseException:
        server.close()
        raise
    return server


def _write(message: EmailMessage, name: str) -> None:
    folder = Path(settings.data_dir) / "mail"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{name}.eml"
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(message.as_bytes())
    _log.info("DEVELOPMENT MAIL (SALAM_SMTP_URL is empty): %s", path.name)
