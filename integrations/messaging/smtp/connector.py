"""E-mail: text, with the same in HTML. Its Message-ID is the same however often it is tried.

A mail server confirms that it took a mail, never that somebody got it. When the confirmation is lost nobody can tell:
such a mail is not sent again by itself.
"""

import html
import re
import smtplib
from email.message import EmailMessage

from fhir_server.core.context import Context
from fhir_server.features.notifications.draft import Draft
from fhir_server.features.notifications.provider import (
    Accepted,
    Found,
    Later,
    Outcome,
    Outgoing,
    Refused,
    Unclear,
    Unknowable,
)
from fhir_server.security import mailing

_METHOD = re.compile(r"^METHOD:([A-Z]+)\r?$", re.MULTILINE)
_RTL = ("ar", "fa", "he", "ur")


class Smtp:
    """The mail server in the settings, or the folder for mails."""

    name = "smtp"
    sandbox = False

    def send(self, ctx: Context, outgoing: Outgoing) -> Outcome:
        """Hand a mail over. The `error` is the server's code."""
        message_id = f"{outgoing.message_id}.{ctx.tenant.id}.message@{mailing.sender_domain()}"
        draft = outgoing.draft
        try:
            mail = mailing.headed(draft.address, draft.subject)
            mail["Message-ID"] = f"<{message_id}>"
            mail.set_content(draft.text)
            mail.add_alternative(page(draft), subtype="html")
            if draft.calendar:
                _attach(mail, draft.calendar)
            mailing.transmit(mail, f"message-{outgoing.message_id}")
        except smtplib.SMTPRecipientsRefused as error:
            return _by_code(max((code for code, _ in error.recipients.values()), default=550))
        except smtplib.SMTPResponseException as error:
            return _by_code(error.smtp_code)
        except ValueError:
            return Refused("address")
        except mailing.Unconfirmed:
            return Unclear("unconfirmed")
        except OSError as error:
            return Later(type(error).__name__, away=True)
        return Accepted(message_id, final=True)

    def find(self, ctx: Context, outgoing: Outgoing) -> Found:
        """Nobody can tell."""
        return Unknowable()


def _attach(mail: EmailMessage, calendar: str) -> None:
    """Add an appointment that mail programs offer to keep. RFC 6047 section 2.4"""
    method = _METHOD.search(calendar)
    mail.add_attachment(
        calendar.encode(),
        "text",
        "calendar",
        filename="appointment.ics",
        params={"charset": "utf-8", "method": method[1] if method else "PUBLISH"},
    )


def page(draft: Draft) -> str:
    """The text as HTML: paragraphs, links that can be followed, the right direction."""
    direction = "rtl" if draft.language.partition("-")[0] in _RTL else "ltr"
    paragraphs = "".join(f"<p>{_lines(part)}</p>" for part in draft.text.split("\n\n") if part.strip())
    return (
        f'<!doctype html><html lang="{html.escape(draft.language)}" dir="{direction}"><head><meta charset="utf-8">'
        f"<title>{html.escape(draft.subject)}</title></head><body>{paragraphs}</body></html>"
    )


def _lines(text: str) -> str:
    return "<br>".join(" ".join(map(_word, line.split(" "))) for line in text.strip().split("\n"))


def _word(word: str) -> str:
    escaped = html.escape(word)
    if word.startswith(("https://", "http://")):
        return f'<a href="{escaped}">{escaped}</a>'
    return escaped


def _by_code(code: int) -> Outcome:
    # RFC 5321 section 4.2.1: 4yz passes, 5yz stays. 421, 450, 451, 452; 530 and 535: our own sign-in.
    if 400 <= code < 500 or code in (530, 534, 535):
        return Later(f"smtp-{code}")
    return Refused(f"smtp-{code}", "recipient-unavailable" if code in (550, 551, 553) else "system-error")


PROVIDER = Smtp()
