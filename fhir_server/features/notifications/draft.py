"""A message that is wanted: for whom, about what, through which channel, in which words. The outbox makes it real."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec

CHANNELS = ("push", "whatsapp", "sms", "email", "in-app")


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """One message through one channel.

    occasion: names what happened and to whom it is told, `reminder:Appointment/1:2026-03-01T09:00:00Z:Patient/1`; there
    is one message for each occasion and channel, ever. kind: of `urn:salam:CodeSystem:message-kind`. channel: of
    `CHANNELS`. recipient, about, based_on: `Type/id` (based_on: the CommunicationRequest that planned it, or "").
    address: phone number in E.164 for sms and whatsapp, e-mail address for email, "" for push and in-app, which go by
    the recipient. subject: "" where the channel has none. text: as the template says it, plain text.
    about_version: versionId of `about` when the text was made. not_before, expires_at: aware; the message is not sent
    before the one and dropped from the other on (None: never too late). facts: what must still hold of `about` when it
    is sent. values: what stood for the names of the template, for approved templates of a provider; approved: the
    provider's id of such a template, "" where there is none. link: what a tap on a push message opens, "" for nothing.
    calendar: iCalendar text to attach to an e-mail, or "".
    """

    occasion: str
    kind: str
    channel: str
    recipient: str
    address: str
    language: str
    subject: str
    text: str
    about: str
    about_version: str
    not_before: datetime
    expires_at: datetime | None = None
    based_on: str = ""
    facts: Mapping[str, str] = {}
    values: Mapping[str, str] = {}
    approved: str = ""
    link: str = ""
    calendar: str = ""
